// Ignores the signal that says its CPU time is up.
// expect=timeout test_s=1
#include "attack.h"
int main(void) { signal(SIGXCPU, SIG_IGN); for (;;) {} }
