// Leaves every child unreaped, to fill the table of processes.
// expect=passed processes=40
#include "attack.h"
int main(void) {
    int count = 0;
    for (pid_t pid; count < 100 && (pid = fork()) >= 0; count++)
        if (!pid) _exit(0);
    HOLDS(count < 40);
    return done();
}
