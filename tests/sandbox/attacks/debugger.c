// Debugs the process above and reads and writes its memory.
// expect=passed
#include "attack.h"
#include <sys/ptrace.h>
#include <sys/uio.h>
int main(void) {
    static char bytes[4096];
    struct iovec mine = {bytes, 4096}, theirs = {(void *)0x400000, 4096};
    REFUSED(ptrace(PTRACE_ATTACH, 1, 0, 0));
    REFUSED(ptrace(PTRACE_SEIZE, 1, 0, 0));
    REFUSED(ptrace(PTRACE_TRACEME, 0, 0, 0));
    REFUSED(syscall(SYS_process_vm_readv, 1, &mine, 1, &theirs, 1, 0));
    REFUSED(syscall(SYS_process_vm_writev, 1, &mine, 1, &theirs, 1, 0));
    REFUSED(syscall(SYS_kcmp, 1, getpid(), 0, 0, 0));
    REFUSED(syscall(434 /* pidfd_open */, 1, 0));
    REFUSED(syscall(438 /* pidfd_getfd */, open("/proc/1", O_RDONLY), 10, 0));
    REFUSED(syscall(440 /* process_madvise */, open("/proc/1", O_RDONLY), &theirs, 1, 21, 0));
    REFUSED(syscall(SYS_move_pages, 1, 0, 0, 0, 0, 0));
    REFUSED(syscall(SYS_migrate_pages, 1, 0, 0, 0));
    return done();
}
