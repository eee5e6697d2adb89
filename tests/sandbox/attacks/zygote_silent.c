// Lets the zygote be, and stops it: what the driver asks of it is never done. Where Landlock does not scope signals there
// is no zygote, and nobody whom a program can stop.
// expect=timeout unscoped=passed tests=3 test_s=1
#include "attack.h"
int main(void) {
    for (int pid = getpid() > 50 ? getpid() - 48 : 2; pid < getpid() + 50; pid++)
        if (pid != getpid()) kill(pid, SIGSTOP);
    return done();
}
