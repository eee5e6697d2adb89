/* Every attack prints `held` when the jail has refused all that it tried, or says what it got. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int broken;
#define REFUSED(call) \
    do { \
        errno = 0; \
        long result_ = (long)(call); \
        if (result_ != -1) printf("BROKEN: %s = %ld\n", #call, result_), fflush(stdout), broken = 1; \
    } while (0)
#define HOLDS(fact) \
    do { \
        if (!(fact)) printf("BROKEN: not %s\n", #fact), fflush(stdout), broken = 1; \
    } while (0)
static inline int done(void) {
    if (!broken) puts("held");
    return 0;
}
