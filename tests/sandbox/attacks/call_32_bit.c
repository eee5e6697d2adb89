// Calls the kernel the 32-bit way, whose numbers mean other things.
// expect=runtime_error needs=x86_64
#include "attack.h"
int main(void) {
#if defined(__x86_64__)
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
#endif
    return done();
}
