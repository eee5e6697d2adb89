// Climbs above its root.
// expect=passed user=runtime_error
#include "attack.h"
int main(void) {
    struct stat top, above;
    int outer = open("/", O_RDONLY);
    if (chdir("/") || mkdir("/tmp/inner", 0700)) return 1;
    REFUSED(chroot("/tmp/inner"));
    for (int i = 0; i < 50; i++) if (fchdir(outer) || chdir("..")) return 1;
    stat("/", &top), stat(".", &above);
    HOLDS(top.st_ino == above.st_ino && top.st_dev == above.st_dev);
    static const char *paths[] = {"/proc/self/root/..", "/proc/1/root/etc", "/proc/self/cwd/../../../.."};
    for (int i = 0; i < 3; i++)
        if (!stat(paths[i], &above)) HOLDS(top.st_ino == above.st_ino && top.st_dev == above.st_dev);
    return done();
}
