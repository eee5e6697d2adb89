// Calls large, rarely used parts of the kernel: io_uring, userfaultfd, keys, BPF, performance counters, and more.
// expect=passed
#include "attack.h"
int main(void) {
    static char room[256];
    REFUSED(syscall(425 /* io_uring_setup */, 4, room));
    REFUSED(syscall(426 /* io_uring_enter */, 0, 0, 0, 0, 0, 0));
    REFUSED(syscall(427 /* io_uring_register */, 0, 0, 0, 0));
    REFUSED(syscall(SYS_userfaultfd, 0));
    REFUSED(syscall(SYS_add_key, "user", "x", "y", 1, -4));
    REFUSED(syscall(SYS_request_key, "user", "x", 0, 0));
    REFUSED(syscall(SYS_keyctl, 0, -4, 1));
    REFUSED(syscall(SYS_bpf, 0, room, sizeof room));
    REFUSED(syscall(SYS_perf_event_open, room, 0, -1, -1, 0));
    REFUSED(syscall(SYS_fanotify_init, 0, 0));
    REFUSED(syscall(SYS_io_setup, 4, room));
    REFUSED(syscall(SYS_vmsplice, 1, room, 1, 0));
    REFUSED(syscall(SYS_remap_file_pages, room, 4096, 0, 0, 0));
    REFUSED(syscall(444 /* landlock_create_ruleset */, 0, 0, 1));
    return done();
}
