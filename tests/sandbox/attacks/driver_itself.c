// Runs the jail's own driver as a server and as a launcher.
// expect=runtime_error root=wrong_output user=wrong_output
#include "attack.h"
int main(void) {
    if (!fork()) execl("/dev/driver", "driver", NULL), _exit(9);
    int how;
    wait(&how);
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0) return puts("held"), 0;
    execl("/dev/driver", "driver", "launch", "", "/tmp", "/bin/echo", "held", NULL);
}
