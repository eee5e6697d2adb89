// Makes its children children of the process above.
// expect=passed
#include "attack.h"
int main(void) {
    for (int i = 0; i < 20; i++)
        if (!syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0)) {
            if (i % 2) _exit(i);
            for (;;) pause();
        }
    usleep(100000);
    return done();
}
