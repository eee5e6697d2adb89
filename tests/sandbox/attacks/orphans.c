// Showers the process above with orphans that die at once.
// expect=timeout,memory_limit test_s=1
#include "attack.h"
int main(void) {
    for (int i = 0; i < 4; i++) fork();
    signal(SIGCHLD, SIG_IGN);
    for (;;) if (!fork()) { syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0); _exit(0); }
}
