// Asks for memory that outlives or escapes a process: memfd, SysV segments and queues, POSIX queues, hidden memory.
// expect=passed
#include "attack.h"
int main(void) {
    REFUSED(syscall(SYS_memfd_create, "x", 0));
    REFUSED(syscall(447 /* memfd_secret */, 0));
    REFUSED(syscall(SYS_shmget, 0, 4096, 0600 | 01000));
    REFUSED(syscall(SYS_shmat, 0, 0, 0));
    REFUSED(syscall(SYS_semget, 0, 1, 0600 | 01000));
    REFUSED(syscall(SYS_msgget, 0, 0600 | 01000));
    REFUSED(syscall(SYS_mq_open, "x", O_CREAT | O_RDWR, 0600, NULL));
    return done();
}
