// Touches one page in every two MiB, so that page tables take as much as the pages.
// expect=memory_limit memory_mb=64 test_s=10
#include "attack.h"
int main(void) {
    char *p = mmap(0, 1ull << 40, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return fputs("out of memory\n", stderr), 1;
    for (size_t at = 0; at < 1ull << 40; at += 2 << 20) p[at] = 1;
}
