// Sends every signal to the process above and to all processes.
// expect=passed
#include "attack.h"
int main(void) {
    for (int n = 1; n < 65; n++) kill(1, n), syscall(SYS_tgkill, 1, 1, n), sigqueue(1, n, (union sigval){0});
    signal(SIGTERM, SIG_IGN);
    for (int n = 1; n < 65; n++)
        if (n != SIGSTOP) kill(-1, n);
    HOLDS(!kill(1, 0) && getppid() == 1);
    return done();
}
