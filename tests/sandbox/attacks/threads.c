// Starts a thousand threads.
// expect=passed processes=40
#include "attack.h"
#include <pthread.h>
static void *rest(void *unused) { pause(); return unused; }
int main(void) {
    int count = 0;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (pthread_t t; count < 1000 && !pthread_create(&t, &small, rest, NULL);) count++;
    HOLDS(count < 40);
    return done();
}
