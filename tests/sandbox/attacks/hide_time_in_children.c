// Has its work done by many short-lived children whose ends it ignores: the kernel adds their time to nobody's.
// expect=timeout test_s=1 wall_s=30 needs=cgroup
#include "attack.h"
int main(void) {
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 600; i++) {
        if (!fork()) {
            while (clock() < CLOCKS_PER_SEC * 5 / 1000) {}
            _exit(0);
        }
        usleep(6000);
    }
    while (wait(NULL) > 0) {}
    return done();
}
