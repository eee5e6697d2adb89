// Has its work done by grandchildren that nobody waits for, one after the other; a pipe says when each is done.
// expect=timeout test_s=1 wall_s=30
#include "attack.h"
int main(void) {
    for (int i = 0; i < 10; i++) {
        int ends[2];
        char none;
        if (pipe(ends)) return 1;
        if (!fork()) {
            if (!fork()) {
                setsid();
                while (clock() < CLOCKS_PER_SEC * 3 / 10) {}
                _exit(0);
            }
            _exit(0);
        }
        wait(NULL);
        close(ends[1]);
        if (read(ends[0], &none, 1)) return 1;
        close(ends[0]);
    }
    return done();
}
