// Looks for terminals and devices, and writes to those there are.
// expect=passed user=wrong_output
#include "attack.h"
int main(void) {
    static const char *none[] = {"/dev/tty", "/dev/ptmx", "/dev/console", "/dev/mem", "/dev/kmsg", "/dev/kvm",
        "/dev/fuse", "/dev/vsock", "/dev/net/tun", "/dev/sda", "/dev/vda", "/dev/loop0", "/dev/mapper/control"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) REFUSED(open(none[i], O_RDWR));
    char byte = 'x';
    for (int fd = 0; fd < 3; fd++) REFUSED(ioctl(fd, 0x5412 /* TIOCSTI */, &byte));
    int random = open("/dev/urandom", O_RDWR), more = 0;
    REFUSED(ioctl(random, 0x40045201 /* RNDADDTOENTCNT */, &more));
    REFUSED(ioctl(random, 0x5206 /* RNDCLEARPOOL */, 0));
    REFUSED(open("/dev/new", O_CREAT | O_RDWR, 0600));
    REFUSED(chmod("/dev/null", 0600));
    REFUSED(unlink("/dev/null"));
    REFUSED(chmod("/dev", 0700));
    REFUSED(open("/dev/driver", O_RDWR));
    return done();
}
