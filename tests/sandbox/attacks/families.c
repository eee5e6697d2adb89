// Asks for a socket of every family and kind but AF_UNIX.
// expect=passed
#include "attack.h"
int main(void) {
    for (int family = 0; family < 50; family++)
        for (int kind = 1; kind < 11 && family != AF_UNIX; kind++) {
            REFUSED(socket(family, kind, 0));
            int two[2];
            REFUSED(socketpair(family, kind, 0, two));
        }
    return done();
}
