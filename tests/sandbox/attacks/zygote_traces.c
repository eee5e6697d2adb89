// Looks for what the zygote, or an earlier test's process, has left in this one.
// expect=passed tests=6 user=wrong_output
#include "attack.h"
#include <pthread.h>
static int runs;
int main(void) {
    char seen[65536], *heap = calloc(1, 4096);
    extern char **environ;
    HOLDS(runs++ == 0);
    for (int i = 0; i < 4096; i++)
        if (heap[i]) return puts("BROKEN: the heap is not fresh"), 0;
    memset(heap, 1, 4096);
    for (char **name = environ; *name; name++) HOLDS(strncmp(*name, "LD_", 3));
    int own = open("/proc/self/environ", O_RDONLY);
    ssize_t got = read(own, seen, sizeof seen);
    HOLDS(own < 0 || (got > 0 && !memmem(seen, got, "PRELOAD", 7))); // there may be no /proc
    close(own);
    for (int fd = 3; fd < 4096; fd++) HOLDS(fcntl(fd, F_GETFD) < 0);
    HOLDS((getppid() == 1 || kill(getppid(), 0)) && waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    HOLDS(prctl(PR_GET_DUMPABLE) == 1);
    // what the C library remembers of the thread is right: an error-checking lock knows its owner, robust ones too
    pthread_mutexattr_t kind;
    pthread_mutex_t lock;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&lock, &kind);
    HOLDS(pthread_mutex_lock(&lock) == 0 && pthread_mutex_lock(&lock) == EDEADLK);
    HOLDS((lock.__data.__lock & 0x3fffffff) == syscall(SYS_gettid));
    cpu_set_t cores;
    HOLDS(pthread_getaffinity_np(pthread_self(), sizeof cores, &cores) == 0);
    return done();
}
