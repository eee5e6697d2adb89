// Ignores the signal that says its CPU time is up.
// expect=runtime_error,timeout cpu_s=1 test_s=20 program_s=20
#include "attack.h"
int main(void) { signal(SIGXCPU, SIG_IGN); for (;;) {} }
