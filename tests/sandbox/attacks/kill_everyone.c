// Sends every signal to the process above and to all processes.
// expect=passed
#include "attack.h"
int main(void) {
    int above = getppid(); /* 1, in a namespace of its own */
    for (int n = 1; n < 65; n++)
        kill(above, n), syscall(SYS_tgkill, above, above, n), sigqueue(above, n, (union sigval){0}), kill(1, n);
    signal(SIGTERM, SIG_IGN);
    for (int n = 1; n < 65; n++)
        if (n != SIGSTOP) kill(-1, n);
    HOLDS(getppid() == above);
    return done();
}
