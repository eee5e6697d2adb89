// Fills the queue of pending signals, which it shares with the process above.
// expect=passed
#include "attack.h"
int main(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 0; i < 10000; i++) sigqueue(getpid(), SIGRTMIN + i % 20, (union sigval){0});
    for (int i = 0; i < 10000; i++) {
        timer_t timer;
        if (timer_create(CLOCK_REALTIME, NULL, &timer)) break;
    }
    if (!fork()) _exit(0);
    return done();
}
