// Ignores every signal that can be ignored, and waits.
// expect=timeout test_s=0.5
#include "attack.h"
int main(void) {
    for (int n = 1; n < 65; n++) signal(n, SIG_IGN);
    for (;;) pause();
}
