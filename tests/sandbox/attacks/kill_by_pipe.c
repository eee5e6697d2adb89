// Has the kernel send SIGKILL to the process above whenever a pipe of its own has data.
// expect=passed
#include "attack.h"
int main(void) {
    int ends[2], above = getppid(); /* 1, in a namespace of its own */
    if (pipe(ends)) return 1;
    for (int n = 1; n < 65; n++) {
        fcntl(ends[0], F_SETFL, O_ASYNC);
        fcntl(ends[0], F_SETOWN, above);
        fcntl(ends[0], F_SETSIG, n);
        for (int fd = 0; fd < 3; fd++) fcntl(fd, F_SETFL, O_ASYNC), fcntl(fd, F_SETOWN, above), fcntl(fd, F_SETSIG, n);
        if (write(ends[1], "x", 1) < 0) return 1;
    }
    HOLDS(getppid() == above);
    return done();
}
