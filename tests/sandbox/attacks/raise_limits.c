// Raises its own limits, and changes those of the process above.
// expect=passed
#include "attack.h"
int main(void) {
    struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY}, one = {1, 1};
    REFUSED(setrlimit(RLIMIT_NPROC, &none));
    REFUSED(setrlimit(RLIMIT_FSIZE, &none));
    REFUSED(setrlimit(RLIMIT_CPU, &none));
    REFUSED(setrlimit(RLIMIT_CORE, &none));
    REFUSED(setrlimit(RLIMIT_MEMLOCK, &none));
    REFUSED(syscall(SYS_prlimit64, 1, RLIMIT_CPU, &one, NULL));
    REFUSED(syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, &one, NULL));
    REFUSED(syscall(SYS_ioprio_set, 1, 1, 0));
    getrlimit(RLIMIT_CORE, &one);
    HOLDS(one.rlim_max == 1); /* with 0 the kernel would still hand a core dump to the host's handler, if it has one */
    REFUSED(mlock(malloc(1 << 20), 1 << 20));
    return done();
}
