/* Loaded into a program before its first line, where more than one test will run it.
 *
 * To start a program costs a millisecond, and more than half of it passes before main: exec, the dynamic loader, its
 * relocations, and (on a virtual machine) dozens of traps to ask what the processor can do. So the process of the
 * first test leaves a copy of itself behind just before main, the zygote, and each further test begins as a copy of
 * the zygote; the last one is the zygote itself. AFL calls this a fork server, Android a zygote.
 *
 * All of them are the driver's children (CLONE_PARENT), so that the driver waits for them, measures and kills them as
 * it does any other. It does not trust what is said here: a program that gets hold of the zygote spoils its own later
 * tests, as it could by what it leaves in /tmp. Where this code is not run, or cannot go on, the driver starts the
 * next test with exec.
 *
 *   driver -> zygote  one byte, whether this is the last test, with three descriptors: its 0, 1 and 2
 *   zygote -> driver  struct announcement: before any line of the program runs
 *
 * Only the C library's `syscall` and `environ` are used, so that any C library will do.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "zygote.h"

long syscall(long number, ...);
extern char **environ __attribute__((weak));

/* What fork would have to mend, and only the C library knows: the thread's number as it remembers it. NULL: not yet. */
static int *remembered;

static long copy(void) {
    long flags = CLONE_PARENT | SIGCHLD;
    if (remembered) flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
#if defined(__x86_64__)
    return syscall(SYS_clone, flags, NULL, NULL, remembered, NULL);
#else
    return syscall(SYS_clone, flags, NULL, NULL, NULL, remembered);
#endif
}

static void announce(int role, long pid) {
    struct announcement said = {role, pid};
    syscall(SYS_write, ZYGOTE_LINK, &said, sizeof said);
}

/* The program does not see it, and hands it on to nobody. */
static void forget_preload(char **names) {
    const char *wanted = "LD_PRELOAD=";
    for (; *names; names++) {
        int length = 0;
        while (wanted[length] && (*names)[length] == wanted[length]) length++;
        if (wanted[length]) continue;
        for (volatile char *at = *names; *at; at++) *at = 0;
        for (; *names; names++) names[0] = names[1];
        return;
    }
}

/* Waits for the next test and becomes it, or a copy of this process does. */
static void serve(void) {
    for (;;) {
        char last;
        union {
            struct cmsghdr head;
            char bytes[CMSG_SPACE(3 * sizeof(int))];
        } room;
        struct iovec text = {&last, 1};
        struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};
        for (int fd = 0; fd < 3; fd++) syscall(SYS_close, fd); /* what comes in takes the lowest numbers: 0, 1, 2 */
        if (syscall(SYS_recvmsg, ZYGOTE_LINK, &message, 0) != 1 || message.msg_controllen != sizeof room) break;
        long pid = last ? 0 : copy();
        if (pid < 0) break;
        if (pid == 0) {
            announce(A_TEST, syscall(SYS_getpid));
            return;
        }
    }
    syscall(SYS_exit_group, 1);
}

__attribute__((constructor)) static void before_main(int count, char **arguments, char **names) {
    (void)count, (void)arguments;
    forget_preload(&environ && environ ? environ : names); /* musl passes nothing, glibc may not have set environ yet */
    void *robust = NULL;
    size_t robust_size = 0;
    int dumpable = syscall(SYS_prctl, PR_GET_DUMPABLE);
    /* glibc keeps it where it tells the kernel to clear it (before 2.34 when its threads begin, later than here in most
       programs). Another C library, whose copies would be wrong, does not. */
    if (!syscall(SYS_prctl, PR_GET_TID_ADDRESS, &remembered) &&
        (!remembered || *remembered == syscall(SYS_gettid)) &&
        !syscall(SYS_get_robust_list, 0, &robust, &robust_size)) {
        syscall(SYS_prctl, PR_SET_DUMPABLE, 0); /* closes the zygote's memory to the tests, from its first moment */
        long pid = copy();
        if (pid > 0) announce(A_ZYGOTE, pid);
        if (pid == 0) {
            serve();
            syscall(SYS_set_robust_list, robust, robust_size);
        }
        syscall(SYS_prctl, PR_SET_DUMPABLE, dumpable);
    }
    syscall(SYS_close, ZYGOTE_LINK);
}
