// Makes or joins namespaces, and gains the privileges that come with them.
// expect=passed
#include "attack.h"
int main(void) {
    static const int flags[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS,
        CLONE_NEWCGROUP, 0x80 /* CLONE_NEWTIME */};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        REFUSED(syscall(SYS_unshare, flags[i]));
        REFUSED(syscall(SYS_unshare, CLONE_NEWUSER | flags[i]));
        if (flags[i] > 0xff) REFUSED(syscall(SYS_clone, flags[i] | SIGCHLD, 0, 0, 0, 0));
        struct { uint64_t flags, rest[10]; } args = {flags[i] | CLONE_NEWUSER, {0}};
        REFUSED(syscall(435 /* clone3 */, &args, sizeof args));
    }
    static const char *kinds[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};
    for (size_t i = 0; i < 7; i++) {
        char path[40];
        sprintf(path, "/proc/self/ns/%s", kinds[i]);
        REFUSED(syscall(SYS_setns, open(path, O_RDONLY), 0));
    }
    return done();
}
