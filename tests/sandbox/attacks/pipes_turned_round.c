// Reads its own output, writes its own input, changes both pipes' size and mode, and then answers.
// expect=passed
#include "attack.h"
int main(void) {
    char byte;
    int in = open("/proc/self/fd/0", O_WRONLY | O_NONBLOCK), out = open("/proc/self/fd/1", O_RDONLY | O_NONBLOCK);
    for (int fd = 0; fd < 3; fd++) fcntl(fd, F_SETPIPE_SZ, 1 << 20), fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC);
    if (in >= 0) while (write(in, "xxxx", 4) > 0) {}
    if (out >= 0 && read(out, &byte, 1) < 0) byte = 0;
    return done();
}
