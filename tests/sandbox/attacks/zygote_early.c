// Starts a process before there is a zygote, which is to outlive its test.
// expect=passed tests=4
#include "attack.h"
static int kept;
static void early(void) {
    kept = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
    if (kept == 0)
        for (;;) pause();
}
__attribute__((section(".preinit_array"), used)) static void (*first)(void) = early;
int main(void) {
    int before = 0;
    FILE *file = fopen("kept", "r");
    if (file) fscanf(file, "%d", &before), fclose(file);
    HOLDS(before == 0 || kill(before, 0) < 0);
    HOLDS(kept != before);
    file = fopen("kept", "w");
    fprintf(file, "%d", kept), fclose(file);
    return done();
}
