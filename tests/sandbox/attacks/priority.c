// Changes its own priority and that of the process above. Success is answered, as runtimes want it; nothing is done.
// expect=passed
#include "attack.h"
struct wish { /* struct sched_attr, which the C library does not have */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};
static int nice_of(int pid) {
    return getpriority(PRIO_PROCESS, pid);
}
int main(void) {
    int mine = nice_of(0), theirs = nice_of(1), policy = sched_getscheduler(0), above = sched_getscheduler(1);
    struct sched_param high = {50};
    struct wish wish = {.size = sizeof wish, .policy = SCHED_RR, .priority = 50};
    HOLDS(syscall(SYS_setpriority, PRIO_PROCESS, 0, 19) == 0); /* without a jail these succeed, and change it */
    HOLDS(syscall(SYS_setpriority, PRIO_PROCESS, 1, 19) == 0);
    HOLDS(syscall(SYS_sched_setscheduler, 1, SCHED_RR, &high) == 0);
    HOLDS(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &high) == 0);
    HOLDS(syscall(SYS_sched_setparam, 0, &high) == 0);
    HOLDS(syscall(SYS_sched_setattr, 0, &wish, 0) == 0);
    HOLDS(syscall(SYS_sched_setattr, 1, &wish, 0) == 0);
    HOLDS(nice_of(0) == mine && nice_of(1) == theirs);
    HOLDS(sched_getscheduler(0) == policy && sched_getscheduler(1) == above);
    return done();
}
