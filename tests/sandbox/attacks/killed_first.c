// Looks, from its first moment on, whether the kernel would kill the init in its place when memory is short.
// expect=passed
#include "attack.h"
static int score(const char *whose) {
    char path[64];
    int value = -2000; // at an own root without processes in its /proc nothing can be asked
    snprintf(path, sizeof path, "/proc/%s/oom_score_adj", whose);
    FILE *file = fopen(path, "r");
    if (file) fscanf(file, "%d", &value), fclose(file);
    return value;
}
int main(void) {
    char init[16];
    snprintf(init, sizeof init, "%d", getppid());
    for (int i = 0; i < 1000; i++) HOLDS(score(init) == -2000 || score(init) < score("self"));
    return done();
}
