// Talks to the driver without end, from many processes that were there before the zygote.
// expect=any tests=3 test_s=2
#include "attack.h"
static volatile int *go;
static void early(void) {
    int said[2] = {0, 2};
    if (fcntl(3, F_GETFD) < 0) return; // no zygote is wanted
    go = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 40; i++)
        if (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) == 0) {
            while (!*go) usleep(100);
            for (;;) syscall(SYS_write, 3, said, sizeof said);
        }
}
__attribute__((section(".preinit_array"), used)) static void (*first)(void) = early;
int main(void) {
    if (go) *go = 1, usleep(20000);
    return done();
}
