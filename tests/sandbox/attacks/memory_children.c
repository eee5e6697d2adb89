// Eight children that fill 30 MiB each: none is above the limit, together they are.
// expect=memory_limit memory_mb=96 test_s=10 needs=cgroup
#include "attack.h"
int main(void) {
    for (int i = 0; i < 8; i++)
        if (!fork()) {
            memset(malloc(30 << 20), 1, 30 << 20);
            pause();
        }
    int how, killed = 0;
    while (wait(&how) > 0)
        if (WIFSIGNALED(how)) return killed = 1;
    return killed;
}
