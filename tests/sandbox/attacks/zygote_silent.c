// Lets the zygote be, and stops it: what the driver asks of it is never done.
// expect=timeout user=timeout,passed tests=3 test_s=1
#include "attack.h"
int main(void) {
    for (int pid = getpid() > 50 ? getpid() - 48 : 2; pid < getpid() + 50; pid++)
        if (pid != getpid()) kill(pid, SIGSTOP);
    return done();
}
