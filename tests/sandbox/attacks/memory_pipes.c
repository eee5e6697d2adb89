// Fills pipes and socket buffers, memory of the kernel's, in many processes.
// expect=any memory_mb=64 test_s=2
#include "attack.h"
int main(void) {
    static char page[65536];
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 40; i++)
        if (!fork()) {
            for (int ends[2]; !pipe2(ends, O_NONBLOCK);) {
                fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
                while (write(ends[1], page, sizeof page) > 0) {}
            }
            for (int ends[2]; !socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends);)
                while (write(ends[1], page, sizeof page) > 0) {}
            pause();
        }
    sleep(30);
}
