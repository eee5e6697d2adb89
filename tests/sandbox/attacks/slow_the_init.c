// Pins the process above to one CPU and spins there with many.
// expect=timeout test_s=0.7
#include "attack.h"
int main(void) {
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(sched_getcpu(), &first);
    sched_setaffinity(1, sizeof first, &first);
    sched_setaffinity(0, sizeof first, &first);
    for (int i = 0; i < 20; i++) if (!fork()) for (;;) {}
    for (;;) {}
}
