// Calls the kernel by the numbers of the x32 ABI.
// expect=runtime_error needs=x86_64
#include "attack.h"
int main(void) { syscall(0x40000000 | SYS_getpid); return done(); }
