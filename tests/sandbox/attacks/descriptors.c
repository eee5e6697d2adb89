// Opens as many files as it can.
// expect=passed
#include "attack.h"
int main(void) {
    int count = 0;
    while (count < 100000 && open("/dev/null", O_RDONLY) >= 0) count++;
    HOLDS(count <= 256);
    struct rlimit more = {1 << 20, 1 << 20};
    REFUSED(setrlimit(RLIMIT_NOFILE, &more));
    return done();
}
