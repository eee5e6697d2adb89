// Sends its own group, and with it the zygote, a signal that it survives itself.
// expect=passed tests=5
#include "attack.h"
int main(void) {
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    return done();
}
