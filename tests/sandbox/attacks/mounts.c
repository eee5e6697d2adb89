// Mounts, unmounts, changes its root, or opens a file by its handle.
// expect=passed
#include "attack.h"
#include <sys/mount.h>
int main(void) {
    REFUSED(mount("none", "/tmp", "tmpfs", 0, ""));
    REFUSED(mount("/", "/tmp", NULL, MS_BIND | MS_REC, NULL));
    REFUSED(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
    REFUSED(mount("proc", "/proc", "proc", 0, NULL));
    REFUSED(mount("cgroup", "/tmp", "cgroup", 0, "memory"));
    REFUSED(umount2("/tmp", MNT_DETACH));
    REFUSED(umount2("/dev", MNT_DETACH));
    REFUSED(chroot("/tmp"));
    REFUSED(syscall(SYS_pivot_root, "/tmp", "/tmp"));
    static const int new_calls[] = {428, 429, 430, 431, 432, 433, 442, 457, 458, 467};
    for (int i = 0; i < 10; i++) REFUSED(syscall(new_calls[i], 0, "/", 0, 0, 0));
    struct { struct file_handle head; char room[128]; } handle = {{128, 0}, {0}};
    int id;
    REFUSED(name_to_handle_at(AT_FDCWD, "/", &handle.head, &id, 0));
    REFUSED(open_by_handle_at(AT_FDCWD, &handle.head, O_RDONLY));
    return done();
}
