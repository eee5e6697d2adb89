// Opens whatever /proc offers of the process above.
// expect=passed
#include "attack.h"
#include <dirent.h>
int main(void) {
    static const char *secret[] = {"mem", "environ", "maps", "smaps", "stack", "syscall", "auxv", "pagemap", "io",
        "personality", "timers", "exe", "cwd", "root", "fd/0", "fd/1", "fd/2", "fd/10", "fd/11", "fd/12",
        "task/1/mem", "task/1/environ", "map_files", "ns/net", "root/proc/1/mem", "cwd/x"};
    char path[64], byte;
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++) {
        sprintf(path, "/proc/1/%s", secret[i]);
        int fd = open(path, O_RDONLY);
        if (fd >= 0 && (read(fd, &byte, 1) > 0 || errno == EISDIR)) printf("BROKEN: %s\n", path), broken = 1;
    }
    HOLDS(!opendir("/proc/1/fd"));
    HOLDS(!opendir("/proc/1/fdinfo"));
    static const char *writable[] = {"mem", "oom_score_adj", "clear_refs", "coredump_filter", "timerslack_ns", "comm",
        "attr/current", "uid_map", "gid_map", "setgroups", "loginuid", "sched", "autogroup"};
    for (size_t i = 0; i < sizeof writable / sizeof *writable; i++) {
        sprintf(path, "/proc/1/%s", writable[i]);
        REFUSED(open(path, O_WRONLY));
        sprintf(path, "/proc/self/%s", writable[i]);
        if (i) REFUSED(open(path, O_WRONLY));
    }
    return done();
}
