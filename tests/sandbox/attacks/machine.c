// Does what only an administrator may: restart, load modules, set clocks and names, read the kernel's log.
// expect=passed
#include "attack.h"
#include <sys/timex.h>
int main(void) {
    static char room[4096];
    struct timespec epoch = {0, 0};
    struct timex adjust = {.modes = ADJ_OFFSET};
    REFUSED(syscall(SYS_reboot, 0xfee1dead, 672274793, 0x89abcdef /* no Ctrl-Alt-Del: harmless if it works */, 0));
    REFUSED(syscall(SYS_kexec_load, 0, 0, 0, 0));
    REFUSED(syscall(SYS_init_module, room, 1, ""));
    REFUSED(syscall(SYS_finit_module, 0, "", 0));
    REFUSED(syscall(SYS_delete_module, "none", 0));
    REFUSED(syscall(SYS_swapon, "/tmp/none", 0));
    REFUSED(syscall(SYS_acct, 0));
    REFUSED(syscall(SYS_syslog, 3, room, sizeof room));
    REFUSED(syscall(SYS_sethostname, "x", 1));
    REFUSED(syscall(SYS_setdomainname, "x", 1));
    REFUSED(syscall(SYS_quotactl, 0, "", 0, 0));
    REFUSED(syscall(SYS_vhangup));
    REFUSED(syscall(SYS_clock_settime, CLOCK_REALTIME, &epoch));
    REFUSED(syscall(SYS_settimeofday, &epoch, 0));
    REFUSED(syscall(SYS_adjtimex, &adjust));
    REFUSED(syscall(SYS_clock_adjtime, CLOCK_REALTIME, &adjust));
#if defined(__x86_64__)
    REFUSED(syscall(SYS_iopl, 3));
    REFUSED(syscall(SYS_ioperm, 0, 8, 1));
    REFUSED(syscall(SYS_modify_ldt, 0, room, sizeof room));
#endif
    return done();
}
