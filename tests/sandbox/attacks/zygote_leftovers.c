// Leaves processes to the next test, which must find none of them.
// expect=passed tests=5
#include "attack.h"
int main(void) {
    int others = 0;
    for (int pid = 2; pid < 1000; pid++) others += pid != getpid() && kill(pid, 0) == 0;
    HOLDS(others <= 1); // the zygote
    for (int i = 0; i < 3; i++)
        if (!fork()) {
            setsid();
            if (fork()) _exit(0);
            for (;;) pause();
        }
    return done();
}
