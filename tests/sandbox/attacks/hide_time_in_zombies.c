// Has its work done by children for whose end it never asks.
// expect=timeout test_s=1 wall_s=30
#include "attack.h"
int main(void) {
    for (int i = 0; i < 30; i++) {
        if (!fork()) {
            while (clock() < CLOCKS_PER_SEC / 10) {}
            _exit(0);
        }
        usleep(150000);
    }
    return done();
}
