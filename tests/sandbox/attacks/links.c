// Reaches files outside its folder through links, and changes the root file system.
// expect=passed user=wrong_output
#include "attack.h"
int main(void) {
    symlink("/etc/passwd", "soft");
    REFUSED(open("soft", O_WRONLY));
    REFUSED(link("/etc/passwd", "hard"));
    REFUSED(link("/usr/bin/luajit", "hard"));
    REFUSED(rename("/etc/passwd", "moved"));
    static const char *folders[] = {"/", "/etc", "/usr/bin", "/var/tmp", "/root", "/home", "/run", "/dev", "/proc",
        "/sys", "/srv", "/opt", "/media"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[40];
        sprintf(path, "%s/mark", folders[i]);
        REFUSED(open(path, O_CREAT | O_WRONLY, 0600));
        REFUSED(mkdir(path, 0700));
        REFUSED(chmod(folders[i], 0777));
        REFUSED(utimensat(AT_FDCWD, folders[i], NULL, 0));
    }
    return done();
}
