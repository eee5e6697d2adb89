// The right answer, and an exit status that is no success.
// expect=runtime_error
#include "attack.h"
int main(void) { puts("held"), fflush(stdout); kill(getpid(), SIGUSR1); pause(); }
