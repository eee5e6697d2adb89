// Fills the disk: many files, files without a name, holes, allocations ahead.
// expect=passed root=runtime_error user=runtime_error disk_mb=16 file_mb=8
#include "attack.h"
int main(void) {
    static char block[1 << 20];
    size_t total = 0;
    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < 40; i++) {
        char name[20];
        sprintf(name, "f%d", i);
        int fd = i % 2 ? open(".", O_TMPFILE | O_RDWR, 0600) : open(name, O_CREAT | O_RDWR, 0600);
        if (fd < 0) break;
        for (ssize_t put; (put = write(fd, block, sizeof block)) > 0;) total += put;
    }
    int fd = open("f0", O_RDWR);
    REFUSED(ftruncate(fd, 1ll << 40));
    REFUSED(posix_fallocate(fd, 0, 32 << 20) ? -1 : 0);
    HOLDS(total <= 16 << 20);
    return done();
}
