// Says nothing and claims success.
// expect=wrong_output
#include "attack.h"
int main(void) { for (int fd = 0; fd < 1024; fd++) close(fd); _exit(0); }
