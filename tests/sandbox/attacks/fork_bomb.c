// Forks for ever, in every child.
// expect=timeout test_s=0.7
#include "attack.h"
int main(void) { for (;;) fork(); }
