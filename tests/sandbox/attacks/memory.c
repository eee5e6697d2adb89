// Takes and fills memory for ever.
// expect=memory_limit memory_mb=64 test_s=10
#include "attack.h"
int main(void) {
    for (char *p; (p = malloc(1 << 20));) memset(p, 1, 1 << 20);
    fputs("out of memory\n", stderr);
    return 1;
}
