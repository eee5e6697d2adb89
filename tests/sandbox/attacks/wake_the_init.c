// Keeps the process above busy with signals, in short-lived children, until it has spent a program's CPU time.
// expect=passed test_s=12 wall_s=100 program_s=120
#include "attack.h"
int main(void) {
    int above = getppid(); /* 1, in a namespace of its own */
    for (int round = 0; round < 3; round++) {
        if (!fork()) {
            while (clock() < CLOCKS_PER_SEC * 6 / 10)
                for (int i = 0; i < 50; i++) kill(above, SIGCHLD);
            _exit(0);
        }
        wait(NULL);
    }
    if (above == 1) HOLDS(!system("grep -q '^Max cpu time *unlimited' /proc/1/limits")); /* it takes minutes to reach it for sure */
    return done();
}
