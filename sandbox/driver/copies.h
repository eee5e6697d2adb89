/* Processes that copy themselves: what zygote.c and warm.c share. No C library is asked for anything, but for `environ`
 * where it has one: any will do, or none.
 *
 * A copy waits at a descriptor, its link to the driver's init, for the tests that it is to start:
 *
 *   init -> zygote  one byte, whether this is the last test, with three descriptors: its 0, 1 and 2
 *   zygote -> init  struct announcement: before any line of the program runs
 *
 * All tests are the init's children (CLONE_PARENT), so that it waits for them, measures and kills them as it does any
 * other. It does not trust what is said here: a program that gets hold of the zygote spoils its own later tests, as it
 * could by what it leaves in /tmp.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "zygote.h"

extern char **environ __attribute__((weak));

/* The kernel's answer, an error as a negative number. */
static long ask(long number, long a, long b, long c, long d, long e) {
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e;
    __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return number;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d, x4 __asm__("x4") = e;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
#endif
}
#define ASK(number, a, b, c) ask(number, (long)(a), (long)(b), (long)(c), 0, 0)

/* What fork would have to mend, and only the C library knows. */
static struct {
    int *remembered; /* the thread's number as it remembers it; NULL: not yet */
    void *robust;
    size_t robust_size;
} thread;

/* Whether copies of this process would be right. glibc keeps the number where it tells the kernel to clear it (before
   2.34 when its threads begin, later than main in most programs). Another C library, whose copies would be wrong, does
   not; nor would those of glibc before 2.25, of 2017, be quite right, which remembers the process's number as well. */
static int can_be_copied(void) {
    return !ASK(SYS_prctl, PR_GET_TID_ADDRESS, &thread.remembered, 0) &&
           (!thread.remembered || *thread.remembered == ASK(SYS_gettid, 0, 0, 0)) &&
           !ASK(SYS_get_robust_list, 0, &thread.robust, &thread.robust_size);
}

/* `flags`: CLONE_PARENT or none; `signal`: what the parent gets at its end. */
static long copy(long flags) {
    if (thread.remembered) flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
#if defined(__x86_64__)
    return ask(SYS_clone, flags, 0, 0, (long)thread.remembered, 0);
#else
    return ask(SYS_clone, flags, 0, 0, 0, (long)thread.remembered);
#endif
}

static void announce(int role, long number) {
    struct announcement said = {role, {number}};
    ASK(SYS_write, ZYGOTE_LINK, &said, sizeof said);
}

/* The program does not see it, and hands it on to nobody. */
static void forget(char **names, const char *wanted) {
    if (&environ && environ) names = environ; /* musl passes nothing, glibc may not have set environ yet */
    for (; *names; names++) {
        int length = 0;
        while (wanted[length] && (*names)[length] == wanted[length]) length++;
        if (wanted[length]) continue;
        for (char *rest = *names + length; *rest; rest++) {
            if (*rest != ':') continue; /* behind us stands another library's */
            for (char *to = *names + length; (*to++ = *++rest);) {}
            return;
        }
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
        for (int fd = 0; fd < 3; fd++) ASK(SYS_close, fd, 0, 0); /* what comes in takes the lowest numbers: 0, 1, 2 */
        if (ASK(SYS_recvmsg, ZYGOTE_LINK, &message, 0) != 1 || message.msg_controllen != sizeof room) break;
        long pid = last ? 0 : copy(CLONE_PARENT | SIGCHLD);
        if (pid < 0) break;
        if (pid == 0) {
            announce(A_TEST, ASK(SYS_getpid, 0, 0, 0));
            ASK(SYS_set_robust_list, thread.robust, thread.robust_size, 0);
            return;
        }
    }
    ASK(SYS_exit_group, 1, 0, 0);
}

/* Returns here, and again in each test that is a copy of what is here. */
static void leave_zygote(void) {
    int dumpable = ASK(SYS_prctl, PR_GET_DUMPABLE, 0, 0);
    if (can_be_copied()) {
        ASK(SYS_prctl, PR_SET_DUMPABLE, 0, 0); /* closes the zygote's memory to the tests, from its first moment */
        long pid = copy(CLONE_PARENT | SIGCHLD);
        if (pid > 0) announce(A_ZYGOTE, pid);
        if (pid == 0) serve();
        ASK(SYS_prctl, PR_SET_DUMPABLE, dumpable, 0);
    }
    ASK(SYS_close, ZYGOTE_LINK, 0, 0);
}
