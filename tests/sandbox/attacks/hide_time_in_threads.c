// Has its work done by short-lived threads.
// expect=timeout test_s=1 wall_s=30
#include "attack.h"
#include <pthread.h>
static void *work(void *unused) {
    struct timespec t;
    do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    while (t.tv_sec == 0 && t.tv_nsec < 5000000);
    return unused;
}
int main(void) {
    for (int i = 0; i < 600; i++) {
        pthread_t thread;
        if (!pthread_create(&thread, NULL, work, NULL)) pthread_join(thread, NULL);
    }
    return done();
}
