// Forks for ever, in every child. A fork that is refused has cost the kernel memory, which it counts until later.
// expect=timeout,memory_limit test_s=0.7
#include "attack.h"
int main(void) { for (;;) fork(); }
