// Gets hold of the zygote's link before anybody else runs, tells the driver lies, and answers in the zygote's place.
// expect=any tests=5 test_s=2
#include "attack.h"
static void lie(void) {
    int pids[] = {1, 0, -1, 2147483647, getpid(), 2};
    for (int role = 0; role < 4; role++)
        for (int i = 0; i < 6; i++) {
            int said[2] = {role, pids[i]};
            send(3, said, sizeof said, MSG_DONTWAIT);
            send(3, said, i, MSG_DONTWAIT);
        }
}
static void early(void) {
    if (fcntl(3, F_GETFD) < 0) return; // no zygote is wanted
    lie();
    if (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) == 0) {
        for (char byte; recv(3, &byte, 1, 0) > 0;) lie();
        _exit(0);
    }
    int said[2] = {1, getpid() + 1};
    send(3, said, sizeof said, MSG_DONTWAIT);
}
__attribute__((section(".preinit_array"), used)) static void (*first)(void) = early;
int main(void) { return done(); }
