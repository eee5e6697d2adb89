/* Loaded into an interpreter, to copy it where it is about to read its program.
 *
 * What an interpreter does between main and a program's first line is most of a short test: modules are imported, tables
 * filled. Where there are namespaces, the driver starts it once ahead of all programs: the runtime. It stops where it first
 * names anything in the folder of the programs, which is empty yet: up to there it has read nothing that a program could
 * have written. A copy of it then enters the jail of each program, gives up every privilege, and is that program's zygote
 * (copies.h); the call it stopped at is made anew in each test, and finds the program. R opens the program's own file
 * earlier, before it loads its packages: it is opened in each test, and the runtime stops where it is first read.
 *
 * Where there are no namespaces (LATE), it is the first test of a program that comes to that place in its jail, leaves a
 * zygote there, and goes on.
 *
 * Every call to the kernel up to there is seen (Syscall User Dispatch, Linux 5.11: the kernel hands them to a handler of
 * the process's own, and forgets that it did when told so). Only calls whose effect a copy has, too, are made before it; at
 * any other a runtime ends, and programs are started as ever, and a test goes on without a zygote. So what is copied has no
 * threads, children, timers, sockets, shared memory, half-read input or changed limits, and no open file but the first
 * three, the link and what stands for R's program.
 *
 *   driver -> runtime  struct entrance with four descriptors: come here
 *   runtime -> driver  struct announcement, once: it is where it can be copied
 */
#include "copies.h"

#if defined(__x86_64__)
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#define RSEQ_SIGNATURE 0x53053053

struct disposition { /* as the kernel has it */
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

static char selector = 1; /* every call is handed to us */
static void end(void) {
    for (;;) ASK(SYS_exit_group, 1, 0, 0);
}

/* --- what a runtime does before it is copied ------------------------------------------------------------------------- */

#define JUMP 12 /* bytes of an instruction that goes anywhere, and of the one before it */

static int write_code(char *to, const char *code) {
    const long page = (long)to & -4096, size = (long)to + JUMP - page;
    if (ASK(SYS_mprotect, page, size, PROT_READ | PROT_WRITE | PROT_EXEC)) return 0;
    for (int i = 0; i < JUMP; i++) to[i] = code[i];
    return !ASK(SYS_mprotect, page, size, PROT_READ | PROT_EXEC);
}

/* Whoever calls the one function calls the other. */
static int replace(char *function, void *other) {
    char code[JUMP] = {0x48, 0xb8, [10] = 0xff, 0xe0}; /* mov $other, %rax; jmp *%rax */
    for (int i = 0; i < 8; i++) code[2 + i] = (long)other >> 8 * i;
    return write_code(function, code);
}

#include "python.h"

/* PHP frees all that its modules have, when no line of the program is left to run. */
extern void php_module_shutdown(void) __attribute__((weak));

static void nothing(void) {}

static int ready_php(void) {
    return !php_module_shutdown || replace((char *)php_module_shutdown, nothing);
}

/* The C library ends a process with what was registered for its end, last first, and the destructors of all libraries.
   What was there before the program has nothing to tell it, and would write to shared pages. glibc only. */
extern int on_exit(void (*)(int, void *), void *) __attribute__((weak));
extern int fflush(void *) __attribute__((weak));
extern void _exit(int) __attribute__((weak));
extern char __libc_single_threaded __attribute__((weak));
extern struct r_debug _r_debug __attribute__((weak)); /* the loader's, for debuggers */

static struct link_map *last_library(void) {
    struct link_map *last = _r_debug.r_map;
    while (last && last->l_next) last = last->l_next;
    return last;
}

/* After all that the program has registered. A library of its own has a destructor of its own, and a thread may hold a
   stream for ever: then all goes on as ever. */
static void leave(int status, void *last) {
    if (!__libc_single_threaded || last_library() != last) return;
    fflush(NULL);
    _exit(status);
}

static int ready_end(void) {
    if (!on_exit || !fflush || !_exit || !&__libc_single_threaded || !&_r_debug) return 1;
    return !on_exit(leave, last_library());
}

/* --- what a runtime remembers of its start, and would tell a program wrongly ---------------------------------------- */

extern int dollar_dollar_pid __attribute__((weak)); /* Bash */
extern time_t shell_start_time __attribute__((weak));
extern struct timeval shellstart __attribute__((weak));
extern void seedrand(void) __attribute__((weak));
extern void *PL_curinterp __attribute__((weak)); /* Perl */
extern void *Perl_get_sv(void *, const char *, int) __attribute__((weak));
extern void Perl_sv_setiv_mg(void *, void *, long) __attribute__((weak));
extern void *Perl_newHVhv(void *, void *) __attribute__((weak));
extern int Perl_hv_iterinit(void *, void *) __attribute__((weak));
extern void Perl_sv_free(void *, void *) __attribute__((weak));
extern void R_setStartTime(void) __attribute__((weak)); /* R */
extern void *R_BaseEnv __attribute__((weak));
extern void *Rf_install(const char *) __attribute__((weak));
extern void *Rf_ScalarLogical(int) __attribute__((weak));
extern void *Rf_lang2(void *, void *) __attribute__((weak));
extern void *Rf_eval(void *, void *) __attribute__((weak));
extern void *Rf_protect(void *) __attribute__((weak));
extern void Rf_unprotect(int) __attribute__((weak));

/* Perl's seed of hashes cannot be changed, as keys are filed by it. The order in which a hash is walked depends on a
   random number too, which the interpreter draws for each from the one before: with some drawn, each copy is elsewhere in
   that row. */
static void renew_order_of_keys(void) {
    unsigned char draws = 0;
    ASK(SYS_getrandom, &draws, sizeof draws, 0);
    for (int i = 0; i < draws; i++) {
        void *hash = Perl_newHVhv(PL_curinterp, NULL);
        Perl_hv_iterinit(PL_curinterp, hash);
        Perl_sv_free(PL_curinterp, hash);
    }
}

static int is_r(void) {
    return &R_BaseEnv && Rf_install && Rf_ScalarLogical && Rf_lang2 && Rf_eval && Rf_protect && Rf_unprotect;
}

/* R's folder for temporary files, which no program's /tmp has: one is made as at R's start. */
static void renew_folder(void) {
    Rf_eval(Rf_protect(Rf_lang2(Rf_install("tempdir"), Rf_ScalarLogical(1))), R_BaseEnv);
    Rf_unprotect(1);
}

static void renew(void) {
    struct timespec now;
    ASK(SYS_clock_gettime, CLOCK_REALTIME, &now, 0);
    if (&dollar_dollar_pid) dollar_dollar_pid = ASK(SYS_getpid, 0, 0, 0);
    if (&shell_start_time) shell_start_time = now.tv_sec;
    if (&shellstart) shellstart = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    if (seedrand) seedrand();
    if (&PL_curinterp && Perl_get_sv && Perl_sv_setiv_mg) /* $^T */
        Perl_sv_setiv_mg(PL_curinterp, Perl_get_sv(PL_curinterp, "\024", 1), now.tv_sec);
    if (&PL_curinterp && Perl_newHVhv && Perl_hv_iterinit && Perl_sv_free) renew_order_of_keys();
    if (R_setStartTime) R_setStartTime();
    if (is_r()) renew_folder();
}

#ifndef LATE
/* --- a copy enters a jail ---------------------------------------------------------------------------------------- */

extern const ptrdiff_t __rseq_offset __attribute__((weak)); /* glibc 2.35 and later */
extern const unsigned __rseq_size __attribute__((weak));

/* Where glibc has the kernel write the core that the thread is on. A child that borrows memory loses that. */
static void register_thread(void) {
    if (!&__rseq_size || !__rseq_size) return;
    if (ask(SYS_rseq, (long)__builtin_thread_pointer() + __rseq_offset, 32, 0, RSEQ_SIGNATURE, 0)) end();
}

/* In the copy that will be a program's zygote. The driver's init is its parent. */
static void enter(const struct entrance *to, const int *fds, long maker) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}};
    ASK(SYS_prctl, PR_SET_DUMPABLE, 0, 0); /* closes the zygote's memory to the tests, of which there is none yet */
    register_thread();
    while (ASK(SYS_kill, maker, 0, 0) != -ESRCH) ASK(SYS_sched_yield, 0, 0, 0); /* the runtime has still to wait for it */
    if (ASK(SYS_setns, fds[E_MOUNTS], 0, 0) || ASK(SYS_fchdir, fds[E_WORK], 0, 0)) end();
    for (size_t i = 0; i < sizeof to->bounds / sizeof *to->bounds; i++)
        if (ASK(SYS_setrlimit, to->bounds[i].resource, &to->bounds[i].limit, 0)) end();
    if (ASK(SYS_capset, &head, none, 0)) end();
    if (ASK(SYS_dup2, fds[E_LINK], ZYGOTE_LINK, 0) != ZYGOTE_LINK) end();
    for (int i = 0; i < E_COUNT; i++) ASK(SYS_close, fds[i], 0, 0);
    announce(A_ZYGOTE, ASK(SYS_getpid, 0, 0, 0));
}

/* In a child that borrows the runtime's memory (vfork), in the pid namespace of the program's init. What it leaves there
   is a copy: the kernel gives whoever loses its parent to the init of that parent's namespace. Returns in the copy. */
static __attribute__((noinline)) void send_in(const struct entrance *to, const int *fds) {
    /* The first to go when memory is short. The mount of /proc that can be written is the one out here. */
    int score = ASK(SYS_open, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0);
    if (ASK(SYS_write, score, "1000", 4) != 4) end();
    ASK(SYS_close, score, 0, 0);
    long own = ASK(SYS_getpid, 0, 0, 0), pid = copy(SIGCHLD);
    if (pid == 0) return enter(to, fds, own);
    ASK(SYS_exit_group, pid < 0, 0, 0);
}

/* For how many programs. The hashes of PHP, Bash and R have no seed, and each copy of Perl walks its own in another order.
   Python's tests have seeds of their own, as at fresh starts: each of a program's tests is a copy of another runtime. LuaJIT's
   could, for a seventh of their speed; so a program's tests share one, and few programs do. */
static void announce_runtime(void) {
    if (Py_FinalizeEx)
        announce(A_SEEDED_RUNTIME, 256);
    else
        announce(A_RUNTIME, php_module_shutdown || seedrand || is_r() || &PL_curinterp ? 256 : 16);
}

/* Returns in the tests. */
static void serve_programs(void) {
    for (;;) {
        struct entrance to;
        union {
            struct cmsghdr head;
            char bytes[CMSG_SPACE(E_COUNT * sizeof(int))];
        } room;
        struct iovec text = {&to, sizeof to};
        struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};
        long got = ASK(SYS_recvmsg, ZYGOTE_LINK, &message, 0);
        if (got == -EINTR) continue;
        if (got != sizeof to || message.msg_controllen != sizeof room) end();
        int *fds = (int *)CMSG_DATA(&room.head);
        /* Only its children are in the other namespace. They are in the process group of all tests, too, which is the
           server's; the runtime is in one of its own, as programs may signal theirs. */
        if (ASK(SYS_setns, fds[E_PROCESSES], 0, 0) || ASK(SYS_setpgid, 0, ASK(SYS_getpgid, 1, 0, 0), 0)) end();
        int status;
        long pid = ASK(SYS_clone, CLONE_VM | CLONE_VFORK, 0, 0);
        if (pid == 0) {
            send_in(&to, fds);
            serve();
            if (to.keeps_to_core) ASK(SYS_sched_setaffinity, 0, sizeof to.cores, &to.cores);
            return;
        }
        ASK(SYS_setpgid, 0, 0, 0);
        if (pid < 0 || ask(SYS_wait4, pid, (long)&status, __WALL, 0, 0) != pid || status) end();
        for (int i = 0; i < E_COUNT; i++) ASK(SYS_close, fds[i], 0, 0);
    }
}

#endif

/* --- up to there --------------------------------------------------------------------------------------------------- */

static int begins(const char *text, const char *with) {
    while (*with && *text == *with) text++, with++;
    return !*with;
}

static int same(const char *one, const char *other) {
    return begins(one, other) && begins(other, one);
}

static int of_r(const char *path) {
    return is_r() && begins(path, "/tmp/Rtmp");
}

static char here[256]; /* the folder that programs start in */
static int above;      /* the length of the path of the folder above it, with a slash: they may write in that */

/* Whether a path leads to what programs write. The folders themselves are there in both places. */
static int of_programs(long folder, const char *path) {
    if (!*path || same(path, ".") || same(path, here)) return 0;
    if (*path != '/') return (int)folder == AT_FDCWD;
    for (int i = 0; i < above; i++)
        if (path[i] != here[i]) return 0;
    return path[above] && !of_r(path);
}

/* The program's file, where it has been opened: something else holds its place. */
static struct {
    int fd, flags;
    char path[256];
} promised = {.fd = -1};
static char **command; /* the runtime's: the program's file is at the end of one of its words */

static int is_the_program(const char *path) {
    int length = 0;
    while (path[length]) length++;
    if (length >= (int)sizeof promised.path) return 0;
    for (char **word = command; *word; word++) {
        const char *end = *word;
        while (*end) end++;
        if (end - *word >= length && same(end - length, path)) return 1;
    }
    return 0;
}

/* Opens what holds its place. */
static long promise(const char *path, int flags) {
    for (char *to = promised.path; (*to++ = *path++);) {}
    promised.flags = flags;
    return promised.fd = ASK(SYS_open, "/dev/null", flags, 0);
}

static void keep_promise(void) {
    if (promised.fd < 0) return;
    long fd = ASK(SYS_open, promised.path, promised.flags, 0);
    if (fd < 0 || ASK(SYS_dup3, fd, promised.fd, promised.flags & O_CLOEXEC) < 0) end();
    ASK(SYS_close, fd, 0, 0);
}

static int asks_of_the_program(const greg_t *r) {
    switch (r[REG_RAX]) {
    case SYS_read: case SYS_pread64: case SYS_readv: case SYS_lseek: case SYS_close: case SYS_dup: case SYS_fcntl:
    case SYS_ioctl: case SYS_fstat: case SYS_getdents64:
    case SYS_openat: case SYS_newfstatat: case SYS_faccessat: case SYS_faccessat2: case SYS_readlinkat: case SYS_statx:
        return (int)r[REG_RDI] == promised.fd;
    case SYS_mmap:
        return (int)r[REG_R8] == promised.fd;
    }
    return 0;
}

static int changes_nothing(long resource, const struct rlimit *wanted) {
    struct rlimit now;
    return !ASK(SYS_getrlimit, resource, &now, 0) && now.rlim_cur == wanted->rlim_cur && now.rlim_max == wanted->rlim_max;
}

enum { MADE, IF_REFUSED, NAMES_A_FILE, OPENS_THE_PROGRAM, UNKNOWN };

/* What a call that opens one of the programs' files is: R may open their own now, and read it later. */
static int names_a_file(const char *path, long flags) {
    return is_r() && promised.fd < 0 && !(flags & ~O_CLOEXEC) && is_the_program(path) ? OPENS_THE_PROGRAM : NAMES_A_FILE;
}

/* What is to be done with a call: a copy sees what it did; it may be made if nothing comes of it; or neither. */
static int judge(const greg_t *r) {
    const long a = r[REG_RDI], b = r[REG_RSI], d = r[REG_R10];
    if (promised.fd >= 0 && asks_of_the_program(r)) return NAMES_A_FILE;
    switch (r[REG_RAX]) {
    case SYS_stat: case SYS_lstat: case SYS_access: case SYS_readlink:
        return of_programs(AT_FDCWD, (const char *)a) ? NAMES_A_FILE : MADE;
    case SYS_newfstatat: case SYS_faccessat: case SYS_faccessat2: case SYS_readlinkat: case SYS_statx:
        return of_programs(a, (const char *)b) ? NAMES_A_FILE : MADE;
    case SYS_open:
        if (of_programs(AT_FDCWD, (const char *)a)) return names_a_file((const char *)a, b);
        return b & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) ? IF_REFUSED : MADE;
    case SYS_openat:
        if (of_programs(a, (const char *)b)) return names_a_file((const char *)b, r[REG_RDX]);
        return r[REG_RDX] & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) ? IF_REFUSED : MADE;
    case SYS_read: case SYS_pread64: case SYS_readv:
        return a > 2 && a != ZYGOTE_LINK ? MADE : UNKNOWN;
    case SYS_close:
        return a > ZYGOTE_LINK ? MADE : UNKNOWN;
    case SYS_mmap:
        return d & MAP_SHARED && (r[REG_RDX] & PROT_WRITE || d & MAP_ANONYMOUS) ? UNKNOWN : MADE;
    case SYS_ioctl:
        return b == 0x5401 /* TCGETS */ || b == 0x540f /* TIOCGPGRP */ || b == 0x5413 /* TIOCGWINSZ */ ? MADE : UNKNOWN;
    case SYS_fcntl:
        return b == F_GETFD || b == F_SETFD || b == F_GETFL || b == F_DUPFD || b == F_DUPFD_CLOEXEC ? MADE : UNKNOWN;
    case SYS_prlimit64:
        return !r[REG_RDX] || changes_nothing(b, (const struct rlimit *)r[REG_RDX]) ? MADE : UNKNOWN;
    case SYS_prctl:
        return a == PR_SET_VMA || a == PR_GET_DUMPABLE ? MADE : UNKNOWN;
    case SYS_mkdir: /* each test gets one of its own, see renew_folder */
        return of_r((const char *)a) ? MADE : UNKNOWN;
    case SYS_connect: /* to what would know the names of users, and is not there */
        return IF_REFUSED;
    case SYS_fstat: case SYS_lseek: case SYS_getdents64: case SYS_getcwd: case SYS_dup:
    case SYS_brk: case SYS_munmap: case SYS_mprotect: case SYS_mremap: case SYS_madvise:
    case SYS_rt_sigaction: case SYS_rt_sigprocmask: case SYS_sigaltstack: case SYS_futex: case SYS_sched_yield:
    case SYS_getuid: case SYS_geteuid: case SYS_getgid: case SYS_getegid: case SYS_getgroups:
    case SYS_getresuid: case SYS_getresgid: case SYS_getpid: case SYS_getppid: case SYS_gettid: case SYS_getpgrp:
    case SYS_getrandom: case SYS_uname: case SYS_sysinfo: case SYS_getrlimit: case SYS_getrusage: case SYS_times:
    case SYS_clock_gettime: case SYS_clock_getres: case SYS_gettimeofday: case SYS_time:
    case SYS_sched_getaffinity: case SYS_socket: case SYS_exit: case SYS_exit_group:
        return MADE;
    }
    return UNKNOWN;
}

static long make(greg_t *r) {
    register long r9 __asm__("r9") = r[REG_R9];
    register long r10 __asm__("r10") = r[REG_R10], r8 __asm__("r8") = r[REG_R8];
    long number = r[REG_RAX];
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(r[REG_RDI]), "S"(r[REG_RSI]), "d"(r[REG_RDX]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return number;
}

static void set_disposition(void (*handler)(int, siginfo_t *, void *));

/* Calls are the kernel's again. */
static void look_away(void) {
    ASK(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, 0, 0);
    set_disposition(NULL);
}

static int ready(void) {
    for (int fd = 0; fd < 256; fd++)
        if ((fd > ZYGOTE_LINK && fd != promised.fd) != (ASK(SYS_fcntl, fd, F_GETFD, 0) == -EBADF)) return 0;
    return ready_python() && ready_php() && ready_end();
}

static void stop_here(void) {
    look_away();
#ifdef LATE
    if (ready())
        leave_zygote();
    else
        ASK(SYS_close, ZYGOTE_LINK, 0, 0);
#else
    if (!ready()) end();
    announce_runtime();
    serve_programs();
    ASK(SYS_prctl, PR_SET_DUMPABLE, 1, 0);
    ASK(SYS_close, ZYGOTE_LINK, 0, 0);
#endif
    keep_promise();
    renew();
}

/* There has been a call whose effect a copy would not have, or there will be. */
static void give_up(void) {
#ifdef LATE
    look_away();
    ASK(SYS_close, ZYGOTE_LINK, 0, 0);
    keep_promise();
#else
    end();
#endif
}

static void on_call(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ucontext_t *at = context;
    greg_t *r = at->uc_mcontext.gregs;
    const long call = r[REG_RAX], first = r[REG_RDI];
    unsigned long *mask = (unsigned long *)&at->uc_sigmask;
    int todo = judge(r);
    const int asks_for_ours = call == SYS_rt_sigaction && first == SIGSYS;
    if (todo == UNKNOWN || (asks_for_ours && r[REG_RSI])) {
        give_up();
        r[REG_RIP] -= 2;
        return;
    }
    if (todo == OPENS_THE_PROGRAM) {
        const int path = call == SYS_open ? REG_RDI : REG_RSI, flags = call == SYS_open ? REG_RSI : REG_RDX;
        r[REG_RAX] = promise((const char *)r[path], r[flags]);
        return;
    }
    if (todo == NAMES_A_FILE) {
        stop_here();
        r[REG_RIP] -= 2; /* the call is made again, by the program's test, and by nobody but the kernel */
        return;
    }
    if (asks_for_ours) { /* what is ours looks like nobody's */
        struct disposition *old = (struct disposition *)r[REG_RDX];
        if (old) *old = (struct disposition){0};
        r[REG_RAX] = 0;
        return;
    }
    r[REG_RAX] = make(r);
    if (todo == IF_REFUSED && r[REG_RAX] >= 0) return give_up();
    /* What the end of a handler would undo. */
    if (call == SYS_rt_sigprocmask) {
        ask(SYS_rt_sigprocmask, SIG_SETMASK, 0, (long)mask, sizeof *mask, 0);
        *mask &= ~(1ul << (SIGSYS - 1));
    }
    if (call == SYS_sigaltstack && first) ASK(SYS_sigaltstack, 0, &at->uc_stack, 0);
}

__asm__(".text\nback:\n mov $15, %eax\n syscall\n");
extern void back(void) __attribute__((visibility("hidden")));

static void set_disposition(void (*handler)(int, siginfo_t *, void *)) {
    struct disposition ours = {handler, handler ? SA_SIGINFO | SA_NODEFER | 0x04000000 /* SA_RESTORER */ : 0,
                               handler ? back : NULL, 0};
    ask(SYS_rt_sigaction, SIGSYS, (long)&ours, 0, sizeof ours.mask, 0);
}

/* Of this library, as the linker has it: its own calls are not handed over. */
extern const char __ehdr_start[] __attribute__((visibility("hidden"))), etext[] __attribute__((visibility("hidden")));

__attribute__((constructor)) static void before_main(int count, char **arguments, char **names) {
    (void)count;
    command = arguments;
    forget(names, "LD_PRELOAD=");
#ifndef LATE
    forget(names, "LD_BIND_NOW=");
#endif
    if (ASK(SYS_getcwd, here, sizeof here, 0) < 0) return give_up();
    for (int i = 0; here[i]; i++)
        if (here[i] == '/') above = i + 1;
    if (!can_be_copied()) return give_up();
    set_disposition(on_call);
    if (!ask(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, 1, (long)__ehdr_start, etext - __ehdr_start, (long)&selector))
        return;
#ifdef LATE
    set_disposition(NULL);
    leave_zygote();
#else
    end();
#endif
}
#else
__attribute__((constructor)) static void before_main(int count, char **arguments, char **names) {
    (void)count, (void)arguments, (void)names;
#ifdef LATE
    forget(names, "LD_PRELOAD=");
    leave_zygote();
#else
    ASK(SYS_exit_group, 1, 0, 0); /* the kernel hands over calls on x86_64 only */
#endif
}
#endif
