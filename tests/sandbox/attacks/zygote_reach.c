// Looks for the zygote, to read and write its memory, take its descriptors, and end it.
// expect=passed tests=5
#include "attack.h"
int main(void) {
    for (int pid = 2; pid < 100; pid++) {
        char path[64];
        if (pid == getpid() || kill(pid, 0)) continue;
        snprintf(path, sizeof path, "/proc/%d/mem", pid);
        REFUSED(open(path, O_RDWR));
        REFUSED(open(path, O_RDONLY));
        snprintf(path, sizeof path, "/proc/%d/fd/0", pid);
        REFUSED(open(path, O_RDONLY));
        snprintf(path, sizeof path, "/proc/%d/fd/3", pid);
        REFUSED(open(path, O_RDONLY));
        snprintf(path, sizeof path, "/proc/%d/maps", pid);
        REFUSED(open(path, O_RDONLY));
        kill(pid, SIGKILL);
    }
    return done();
}
