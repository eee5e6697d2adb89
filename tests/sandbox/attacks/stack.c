// Recursion without end.
// expect=runtime_error,memory_limit
#include "attack.h"
static int deeper(volatile int *n) { volatile int here[999] = {*n}; return deeper(here) + here[5]; }
int main(void) { return deeper((int[]){1}); }
