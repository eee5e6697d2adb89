// Has its work done by grandchildren that nobody waits for, one after the other.
// expect=timeout test_s=1 wall_s=30
#include "attack.h"
int main(void) {
    for (int i = 0; i < 10; i++) {
        if (!fork()) {
            if (!fork()) {
                setsid();
                while (clock() < CLOCKS_PER_SEC * 3 / 10) {}
                _exit(0);
            }
            _exit(0);
        }
        wait(NULL);
        usleep(400000);
    }
    return done();
}
