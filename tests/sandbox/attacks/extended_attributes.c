// Hides data in extended attributes of files.
// expect=passed disk_mb=8 inodes=500 user=any
#include "attack.h"
#include <sys/xattr.h>
int main(void) {
    static char value[65536];
    size_t total = 0;
    for (int i = 0; i < 400; i++) {
        char file[20], name[40];
        sprintf(file, "f%d", i);
        int fd = open(file, O_CREAT | O_RDWR, 0600);
        for (int n = 0; n < 100 && fd >= 0; n++) {
            sprintf(name, "user.%d", n);
            if (!fsetxattr(fd, name, value, sizeof value, 0)) total += sizeof value;
        }
        close(fd);
    }
    HOLDS(total <= 8 << 20);
    return done();
}
