// Fills shared anonymous memory, which belongs to no process.
// expect=memory_limit memory_mb=64 test_s=10
#include "attack.h"
int main(void) {
    for (char *p; (p = mmap(0, 1 << 20, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED;) memset(p, 1, 1 << 20);
    fputs("out of memory\n", stderr);
    return 1;
}
