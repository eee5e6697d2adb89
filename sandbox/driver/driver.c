/* The driver: the one process of ours inside the jail.
 *
 * nsjail starts it as a server, inside a root file system, as an unprivileged user of the host that holds
 * capabilities only over its own user namespace. For every program the server clones an `init`: pid 1 of a new pid
 * namespace, with a new mount namespace (the ipc namespace is the jail's: nothing can be made in it). The init reads one
 * job, mounts a fresh tmpfs, gives up every capability, compiles once, runs the tests that the host asks for one by one
 * (as copies of a runtime or of a loaded process, see warm.c and zygote.c), all under a seccomp filter, and exits; the
 * kernel then kills and frees all that the program left. An init that ends in any other way ends the server, which the
 * host sees as end of file: no verdict can be confused with another program's.
 *
 * Expected outputs are never sent here. Messages are little-endian; see messages.py for the other end.
 *
 *   host -> server  runtime, once, where the language wants one: u32 kind=RUNTIME, u32 length, blobs: run argv,
 *                       environment
 *   host -> init  job:  u32 kind=JOB,  u32 length, struct limits, then blobs (u32 length, bytes):
 *                       file name, source, compile argv, run argv, environment, the inputs of the tests (blobs in a
 *                       blob), then pairs of (name, content);
 *                       argv and environment are strings that each end in NUL; no compile step is an empty blob
 *                 test: u32 kind=TEST or LAST_TEST, u32 length, the program's standard input
 *                 stop: u32 kind=STOP, u32 0; ends the program, also in the middle of a run
 *   init -> host  struct result, standard output, first 16 KiB of standard error: one after compiling, one per test
 *
 * Where the job holds the inputs, the init does not wait between tests: it runs one after the other until one fails
 * by itself (an exit code, a signal, a limit), and no test messages follow. A stop is then answered by a result of
 * its own, STOPPED, unless the last result has gone out before; the next init skips a stop that came too late.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "zygote.h"

#define WORK "/tmp/w" /* on the tmpfs; /tmp exists in every root */
#define STDERR_SENT 16384
#define MESSAGE_MAX (1u << 30)
#define LARGE (1u << 20) /* bytes that a test's peak memory may show of an earlier one */
#define DESCRIPTORS 256 /* of a program; the one of ours that may send others lies above */

enum { JOB = 1, TEST = 2, LAST_TEST = 3, STOP = 4, RUNTIME = 5 };
enum { EXITED = 0, SIGNALED = 1, TIMEOUT = 2, OUTPUT_LIMIT = 3, EXEC_FAILED = 4, STOPPED = 5 };
enum { CPU = 1, WALL = 2, PROGRAM = 3 }; /* the code of a TIMEOUT: which deadline was met */

struct span {
    uint32_t cpu_ms, wall_ms;
};

struct limits {
    struct span compile, test;
    uint32_t patience; /* times the CPU time that a run has used is added to its wall-clock time */
    uint32_t program_ms;
    uint32_t address_mb; /* 0: unlimited, a memory cgroup is in force */
    uint32_t processes, file_mb, disk_mb, inodes, output_bytes;
};

struct result {
    uint32_t magic, outcome;
    int32_t code; /* exit code, signal, errno, or which deadline */
    uint32_t stdout_bytes, stderr_bytes, memory_kb;
    uint64_t wall_us, cpu_us;
};

struct buffer {
    char *bytes;
    size_t used, room;
};

static const uint32_t MAGIC = 0x4a414752;
static int from_host, to_host, work_dir, child_signals, oom_score, peak, ahead;
static char own_score[16]; /* ours, not 0 where whoever started us was given another: lowering that takes a privilege */
static ssize_t own_score_bytes;
static struct limits limits;
static struct buffer out, err;
static size_t held; /* bytes of the last run's input and outputs */
static uint64_t left_us; /* of the program's time; between its runs it stands still, as a checker may be at work */
static uint32_t span_s;  /* CPU time that a process of the run may use, should the init not see to it: whole seconds */
static int keeps_to_core; /* and tests may go to these: */
static cpu_set_t cores;
static int group_clock = -1; /* cpuacct.usage or cpu.stat of a cgroup that holds nsjail and all below it */

static void die(const char *what) {
    dprintf(2, "driver: %s: %s\n", what, strerror(errno));
    _exit(1);
}

#include "confine.h"

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* --- what a program may ask of the kernel ------------------------------------------------------------------ */

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define SYSCALL_END 0x40000000u /* x32 calls begin here */
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#define SYSCALL_END 0xffffffffu
#else
#error "the seccomp filter knows x86_64 and aarch64"
#endif

/* Refused to server and programs alike. Other processes' memory, kernel objects that outlive a process or escape its
   limits, and large, rarely used parts of the kernel. */
static const int NEVER[] = {
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_perf_event_open, SYS_bpf,
    SYS_userfaultfd, SYS_add_key, SYS_request_key, SYS_keyctl, SYS_memfd_create, SYS_shmget, SYS_shmat, SYS_shmctl,
    SYS_semget, SYS_msgget, SYS_mq_open, SYS_io_setup, SYS_vmsplice, SYS_name_to_handle_at, SYS_open_by_handle_at,
    SYS_fanotify_init, SYS_acct, SYS_swapon, SYS_swapoff, SYS_reboot, SYS_sethostname, SYS_setdomainname,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_quotactl, SYS_syslog, SYS_settimeofday,
    SYS_adjtimex, SYS_clock_settime, SYS_clock_adjtime, SYS_vhangup, SYS_migrate_pages, SYS_move_pages,
    SYS_remap_file_pages, SYS_ioprio_set,
#if defined(__x86_64__)
    SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_kexec_file_load, SYS_uselib, SYS__sysctl, SYS_create_module,
#endif
};
/* Nothing is done, and success is answered: Mono gives every thread the priority that it has already, and where that is
   refused prints so on standard output, into the program's answer. */
static const int PRETENDED[] = {SYS_setpriority, SYS_sched_setscheduler, SYS_sched_setparam, SYS_sched_setattr};
/* Of the calls numbered from 425 (io_uring) on, the same on every architecture, only these. */
static const int NEW_ALLOWED[] = {
    436 /* close_range */, 437 /* openat2 */, 439 /* faccessat2 */, 441 /* epoll_pwait2 */,
    449 /* futex_waitv */, 452 /* fchmodat2 */, 454 /* futex_wake */, 455 /* futex_wait */, 456 /* futex_requeue */,
};
/* The server needs these; programs lose them. */
static const int NAMESPACES[] = {SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare};

static struct sock_filter code[256];
static int code_length;

static void emit(uint16_t op, uint8_t yes, uint8_t no, uint32_t k) {
    code[code_length++] = (struct sock_filter){op, yes, no, k};
}
#define LOAD(field) emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, field))
#define RETURN(action) emit(BPF_RET | BPF_K, 0, 0, action)
#define REFUSE(number) RETURN(SECCOMP_RET_ERRNO | (number))

static void refuse_all(const int *calls, size_t count, int error) {
    for (size_t i = 0; i < count; i++) {
        emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, calls[i]);
        REFUSE(error);
    }
}

static void install_filter(void) {
    struct sock_fprog filter = {code_length, code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) die("seccomp");
    code_length = 0;
}

static void filter_server(void) {
    LOAD(arch);
    emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCH);
    RETURN(SECCOMP_RET_KILL_PROCESS);
    LOAD(nr);
    emit(BPF_JMP | BPF_JGE | BPF_K, 0, 1, SYSCALL_END);
    RETURN(SECCOMP_RET_KILL_PROCESS);
    size_t fresh = sizeof NEW_ALLOWED / sizeof *NEW_ALLOWED;
    if (confined.landlock) /* an init and its tests enter what there is; nobody makes another */
        emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 446 /* landlock_restrict_self */), RETURN(SECCOMP_RET_ALLOW);
    emit(BPF_JMP | BPF_JGE | BPF_K, 0, fresh + 1, 425);
    for (size_t i = 0; i < fresh; i++) emit(BPF_JMP | BPF_JEQ | BPF_K, fresh - i, 0, NEW_ALLOWED[i]);
    REFUSE(ENOSYS);
    refuse_all(NEVER, sizeof NEVER / sizeof *NEVER, EPERM);
    refuse_all(PRETENDED, sizeof PRETENDED / sizeof *PRETENDED, 0);
    RETURN(SECCOMP_RET_ALLOW);
    install_filter();
}

/* Refuses, or only pretends to do, a call whose argument has a value, or has any other. */
static void filter_argument(int call, int argument, int other, uint32_t value, uint32_t action) {
    emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, call);
    LOAD(args[argument]);
    emit(BPF_JMP | BPF_JEQ | BPF_K, other, !other, value);
    RETURN(action);
    LOAD(nr);
}

/* What no process of a confined jail asks for. */
static void filter_confined(void) {
    const uint32_t refused = SECCOMP_RET_ERRNO | EPERM;
    refuse_all(CONFINED, sizeof CONFINED / sizeof *CONFINED, EPERM);
    refuse_all((int[]){SYS_socket}, 1, EAFNOSUPPORT);
    /* A descriptor's owner, whom the kernel sends signals. */
    filter_argument(SYS_fcntl, 1, 0, F_SETOWN, refused);
    filter_argument(SYS_fcntl, 1, 0, F_SETOWN_EX, refused);
    filter_argument(SYS_fcntl, 1, 0, F_SETSIG, refused);
    filter_argument(SYS_ioctl, 1, 0, 0x8901 /* FIOSETOWN */, refused);
    filter_argument(SYS_ioctl, 1, 0, 0x8902 /* SIOCSPGRP */, refused);
    /* Of what mknod makes, named pipes. */
    const struct {int call, mode;} makes[] = {
        {SYS_mknodat, 2},
#if defined(__x86_64__)
        {SYS_mknod, 1},
#endif
    };
    for (size_t i = 0; i < sizeof makes / sizeof *makes; i++) {
        emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 5, makes[i].call);
        LOAD(args[makes[i].mode]);
        emit(BPF_ALU | BPF_AND | BPF_K, 0, 0, S_IFMT);
        emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, S_IFIFO);
        RETURN(refused);
        LOAD(nr);
    }
}

/* What the server of a confined jail needs, and no program. */
static void filter_files(void) {
    const uint32_t refused = SECCOMP_RET_ERRNO | EPERM, pretended = SECCOMP_RET_ERRNO;
    LOAD(nr);
    /* What a file system knows of a file beside its mode and times would be the next program's: FS_IOC_* and the like. */
    emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 7, SYS_ioctl);
    LOAD(args[1]);
    emit(BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xff00);
    for (int i = 0; i < 3; i++) emit(BPF_JMP | BPF_JEQ | BPF_K, 2 - i, i == 2, "fvX"[i] << 8);
    RETURN(refused);
    LOAD(nr);
    if (!confined.keeper) {
        refuse_all(UNLANDLOCKED, sizeof UNLANDLOCKED / sizeof *UNLANDLOCKED, 0);
        filter_argument(SYS_utimensat, 1, 1, 0, pretended);      /* a file's by its path, not by a descriptor */
        filter_argument(SYS_sched_setaffinity, 0, 1, 0, pretended); /* another's */
    }
    RETURN(SECCOMP_RET_ALLOW);
    install_filter();
}

/* `enters`: a runtime, whose copies enter the jails. They may call setns for the rest of their lives, and the kernel
   refuses it to those without capabilities. To install a filter costs as much as to start a process: so the copies have
   theirs from the runtime, an init has none until it starts something itself, and the server of a confined jail, which
   needs no more than its programs may do but for filter_files, has it for all of them. */
static void filter_program(int enters) {
    /* The second filter is short on purpose: the kernel walks it for every call number when it is installed. */
    LOAD(nr);
    refuse_all(NAMESPACES, sizeof NAMESPACES / sizeof *NAMESPACES, EPERM);
    if (!enters) refuse_all((const int[]){SYS_setns}, 1, EPERM);
    if (confined.on) filter_confined();
    /* Only these two put descriptors into a socket's queue. Two sockets that lie in each other's outlive all processes,
       with their files and names, until the kernel next looks for garbage. The init may, to the zygote. */
    emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_sendmmsg);
    REFUSE(EPERM);
    emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, SYS_sendmsg);
    LOAD(args[0]);
    emit(BPF_JMP | BPF_JGE | BPF_K, 1, 0, DESCRIPTORS);
    REFUSE(EPERM);
    RETURN(SECCOMP_RET_ALLOW);
    emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, SYS_clone);
    LOAD(args[0]);
    emit(BPF_JMP | BPF_JSET | BPF_K, 0, 1,
         CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET);
    REFUSE(EPERM);
    RETURN(SECCOMP_RET_ALLOW);
    emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, SYS_prlimit64); /* the init has the program's user: not its limits */
    LOAD(args[0]);
    emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0);
    REFUSE(EPERM);
    RETURN(SECCOMP_RET_ALLOW);
    emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SYS_socket);
    emit(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, SYS_socketpair);
    LOAD(args[0]);
    emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1 /* AF_UNIX */);
    REFUSE(EAFNOSUPPORT);
    RETURN(SECCOMP_RET_ALLOW);
    install_filter();
}

/* --- messages ---------------------------------------------------------------------------------------------- */

static int read_all(void *to, size_t count) {
    for (char *at = to; count;) {
        ssize_t got = read(from_host, at, count);
        if (got <= 0) {
            if (got < 0 && errno == EINTR) continue;
            return -1;
        }
        at += got, count -= got;
    }
    return 0;
}

static void write_all(const void *from, size_t count) {
    for (const char *at = from; count;) {
        ssize_t put = write(to_host, at, count);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) _exit(1); /* the host is gone */
        at += put, count -= put;
    }
}

/* The next message; *bytes is the caller's to free. Ends the init when the host has gone. */
static uint32_t receive(char **bytes, uint32_t *length) {
    uint32_t head[2];
    if (read_all(head, sizeof head)) _exit(1);
    if (head[1] > MESSAGE_MAX) die("message too long");
    *length = head[1];
    *bytes = malloc(head[1] + 1);
    if (!*bytes) die("malloc");
    if (read_all(*bytes, head[1])) _exit(1);
    (*bytes)[head[1]] = 0;
    return head[0];
}

static char *next_blob(char **at, char *end, uint32_t *length) {
    if (end - *at < 4) errno = EBADMSG, die("job");
    memcpy(length, *at, 4);
    *at += 4;
    if (end - *at < *length) errno = EBADMSG, die("job");
    char *blob = *at;
    *at += *length;
    return blob;
}

/* A blob of strings that each end in NUL, as a NULL-terminated array. */
static char **strings(char *blob, uint32_t length) {
    size_t count = 0;
    for (uint32_t i = 0; i < length; i++) count += blob[i] == 0;
    char **list = calloc(count + 1, sizeof *list);
    if (!list) die("calloc");
    for (size_t i = 0; i < count; i++, blob += strlen(blob) + 1) list[i] = blob;
    return list;
}

/* --- running one command ----------------------------------------------------------------------------------- */

/* The path that PATH gives for `name`; the name itself when it has a slash or is nowhere. */
static char *find(char *name, char **environment) {
    const char *path = "/usr/local/bin:/usr/bin:/bin", *root = confined.root ? confined.root : "";
    char *full;
    if (strchr(name, '/')) {
        if (*name != '/' || !*root) return name;
        if (asprintf(&full, "%s%s", root, name) < 0) die("asprintf");
        return full;
    }
    for (char **e = environment; *e; e++)
        if (!strncmp(*e, "PATH=", 5)) path = *e + 5;
    for (; *path; path += strcspn(path, ":"), path += *path == ':') {
        if (asprintf(&full, "%s%.*s/%s", root, (int)strcspn(path, ":"), path, name) < 0) die("asprintf");
        if (!access(full, X_OK)) return full;
        free(full);
    }
    return name;
}

/* Moves what a pipe holds into the buffer. 0: nothing more now, -1: end of file, 1: more than a program may print. */
static int drain(int fd, struct buffer *to) {
    for (;;) {
        if (to->used > limits.output_bytes) return 1;
        if (to->used == to->room) {
            size_t room = to->room ? to->room * 4 : 65536;
            if (room > (size_t)limits.output_bytes + 65536) room = (size_t)limits.output_bytes + 65536;
            if (!(to->bytes = realloc(to->bytes, room))) die("realloc");
            to->room = room;
        }
        ssize_t got = read(fd, to->bytes + to->used, to->room - to->used);
        if (got == 0) return -1;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return 0;
        to->used += got;
    }
}

/* --- CPU time ---------------------------------------------------------------------------------------------- */

static pid_t zygote;       /* 0: none */
static int zygote_is_test; /* the last */

static uint64_t time_us(struct timeval user, struct timeval system) {
    return (user.tv_sec + system.tv_sec) * 1000000ull + user.tv_usec + system.tv_usec;
}

static uint64_t ticks;

/* Of a process and of those whom it has waited for; where there are no namespaces, of all below it, too. */
static int count_ticks(pid_t pid) {
    char path[64], text[1024];
    unsigned long long user, system;
    long long others_user, others_system;
    int below = confined.on ? walk(pid, count_ticks) : 0;
    if (pid == zygote && !zygote_is_test) return below;
    snprintf(path, sizeof path, "%d/stat", pid);
    int fd = open_proc(path, O_RDONLY);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (got <= 0) return below; /* it has just gone */
    text[got] = 0;
    char *name_end = strrchr(text, ')'); /* the name is the program's own choice */
    if (name_end && sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld", &user,
                           &system, &others_user, &others_system) == 4)
        ticks += user + system + others_user + others_system;
    return below + 1;
}

/* Of all who live below the init but the zygote, and of those whom they have waited for. */
static uint64_t living_us(void) {
    ticks = 0;
    if (confined.on) {
        walk(getpid(), count_ticks);
    } else {
        DIR *all = opendir("/proc");
        if (!all) die("/proc");
        for (struct dirent *entry; (entry = readdir(all));)
            if (atoi(entry->d_name) > 1) count_ticks(atoi(entry->d_name));
        closedir(all);
    }
    return ticks * 1000000 / sysconf(_SC_CLK_TCK);
}

/* What this jail's programs have used until now, without the init's own work. Only a cgroup's clock misses nothing:
   without one, a process whose parent ignores its end is counted while it lives, and no longer. `at_rest`: before a run,
   when nobody lives but the zygote. */
static uint64_t used_us(int at_rest) {
    char text[256] = {0};
    struct timespec own;
    struct rusage waited_for;
    if (group_clock >= 0) {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own); /* first, so that the sum below holds all of it */
        if (pread(group_clock, text, sizeof text - 1, 0) <= 0) die("the cgroup's clock");
        uint64_t v1 = strtoull(text, NULL, 10) / 1000, own_us = own.tv_sec * 1000000ull + own.tv_nsec / 1000;
        return (sscanf(text, "usage_usec %lu", &v1), v1) - own_us;
    }
    getrusage(RUSAGE_CHILDREN, &waited_for);
    return (at_rest ? 0 : living_us()) + time_us(waited_for.ru_utime, waited_for.ru_stime);
}

static uint64_t used_since(uint64_t before) {
    uint64_t used = used_us(0);
    return used > before ? used - before : 0; /* the two clocks are not read at once */
}

/* Runs between vfork and exec: the memory is the init's, so nothing here may change it but the error. */
static __attribute__((noinline, noreturn)) void become(char *path, char **argv, char **environment, int ends[3],
                                                       int link, volatile int *error) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* The init's own, by the child that has inherited the other: the init may wake up late, and the kernel would not tell
       it from a program that has taken all memory meanwhile. */
    if (write(oom_score, own_score, own_score_bytes) < 0) _exit(126);
    if (dup2(ends[0], 0) < 0 || dup2(ends[1], 1) < 0 || dup2(ends[2], 2) < 0 || fchdir(work_dir)) _exit(126);
    if (link >= 0 && dup2(link, ZYGOTE_LINK) < 0) _exit(126);
    setrlimit(RLIMIT_CPU, &(struct rlimit){span_s, span_s}); /* not on the init, which a program can keep busy */
    if (limits.address_mb) {
        rlim_t bytes = (rlim_t)limits.address_mb << 20;
        setrlimit(RLIMIT_AS, &(struct rlimit){bytes, bytes});
    }
    if (confined.on && !become_program()) _exit(126);
    if (keeps_to_core) sched_setaffinity(0, sizeof cores, &cores);
    execve(path, argv, environment);
    *error = errno;
    _exit(127);
}

static void make_pipe(int ends[2], int ours) {
    if (pipe2(ends, O_CLOEXEC)) die("pipe");
    fcntl(ends[ours], F_SETFL, O_NONBLOCK);
}

/* --- the zygote -------------------------------------------------------------------------------------------- */

static int zygote_ours = -1, zygote_theirs = -1, loadavg = -1;
static pid_t newest; /* the last process that was made here, as far as we were told; -1: there are others */
static int leave_zygote; /* by the next test */
static int late;         /* it begins where an interpreter opens its program, and so saves most of the next test */
static char **with_preload; /* the program's environment, with what makes its first test leave a zygote; then NULL */

__asm__(".section .rodata\nzygote_begin: .incbin \"" ZYGOTE "\"\nzygote_end:\n"
        "warm_begin: .incbin \"" WARM "\"\nwarm_end:\nlate_begin: .incbin \"" LATE "\"\nlate_end:\n.previous");
extern const char zygote_begin[], zygote_end[], warm_begin[], warm_end[], late_begin[], late_end[];
static const char *zygote_path = ZYGOTE_PATH;

static void write_library(const char *path, const char *begin, const char *end) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (fd < 0 || write(fd, begin, end - begin) != end - begin) die(path);
    close(fd);
}

/* Once, in the server: the files that programs and runtimes load. */
static void write_libraries(int warm) {
    if (confined.zygote) zygote_path = confined.zygote;
    late = confined.on && warm;
    if (late)
        write_library(zygote_path, late_begin, late_end);
    else
        write_library(zygote_path, zygote_begin, zygote_end);
    if (!confined.on) write_library(WARM_PATH, warm_begin, warm_end);
}

/* Before a descriptor may no longer be numbered as high. Where it may not even now, there is no zygote. */
static void open_zygote_link(char **environment) {
    int ends[2];
    size_t count = 0;
    const char *others = NULL;
    if (confined.on && !scopes_signals()) return; /* a test is told its own number before exec, see filter_signals */
    for (; environment[count]; count++)
        if (!strncmp(environment[count], "LD_PRELOAD=", 11)) others = environment[count] + 11;
    if (others && !confined.root) return; /* of its image: not ours to change */
    if (!(with_preload = calloc(count + 2, sizeof *with_preload))) die("calloc");
    char **at = with_preload;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environment[i], "LD_PRELOAD=", 11)) *at++ = environment[i];
    if (asprintf(at, "LD_PRELOAD=%s%s%s", zygote_path, others ? ":" : "", others ? others : "") < 0) die("asprintf");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) return;
    zygote_ours = fcntl(ends[0], F_DUPFD_CLOEXEC, DESCRIPTORS);
    zygote_theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, ZYGOTE_LINK + 1);
    loadavg = confined.on ? open_children() : open_proc("loadavg", O_RDONLY);
    close(ends[0]), close(ends[1]);
    if (zygote_ours < 0 || zygote_theirs < 0 || loadavg < 0) zygote_theirs = -1;
}

/* What kind of program a file is. Only one that a dynamic loader starts runs the zygote's code: any other would but find
   its descriptor. */
static enum file_kind kind_of(const char *path) {
    char bytes[4096];
    const Elf64_Ehdr *head = (const void *)bytes;
    int fd = openat(work_dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* it may be anything, a fifo too */
    ssize_t got = fd < 0 ? -1 : pread(fd, bytes, sizeof bytes, 0);
    if (fd >= 0) close(fd);
    if (got >= 2 && !memcmp(bytes, "#!", 2)) return SCRIPT;
    if (got < (ssize_t)sizeof *head || memcmp(bytes, ELFMAG, SELFMAG) || bytes[EI_CLASS] != ELFCLASS64)
        return NO_PROGRAM;
    for (size_t i = 0, at = head->e_phoff; i < head->e_phnum; i++, at += sizeof(Elf64_Phdr)) {
        Elf64_Phdr segment;
        if (head->e_phentsize != sizeof segment || at > got - sizeof segment) return NO_PROGRAM;
        memcpy(&segment, bytes + at, sizeof segment);
        if (segment.p_type == PT_INTERP) return DYNAMIC;
    }
    return STATIC;
}

/* Has the zygote start a test, and returns whether it could be asked. Whether it does is seen when the test announces
   itself, or the zygote ends. */
static int ask_zygote(int ends[3], int last) {
    char byte = last;
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } room = {.head = {CMSG_LEN(3 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec text = {&byte, 1};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};
    memcpy(CMSG_DATA(&room.head), ends, 3 * sizeof(int));
    return sendmsg(zygote_ours, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

/* What was announced until now: a zygote, or a test, or both; of a program that talks without end, not more. The kernel
   numbers processes one after the other, so a number that does not follow the last one says that others were made. */
static void hear(pid_t *child) {
    struct announcement said;
    for (int i = 0; i < 4 && zygote_ours >= 0; i++) {
        if (recv(zygote_ours, &said, sizeof said, MSG_DONTWAIT) != sizeof said) break;
        if (said.pid <= 1) continue;
        if (said.pid != zygote) newest = said.pid == newest + 1 ? said.pid : -1;
        if (said.role == A_ZYGOTE) zygote = said.pid;
        if (said.role == A_TEST) *child = said.pid;
    }
}

/* It has gone: nothing that is still said in its name counts. */
static void forget_zygote(void) {
    zygote = 0;
    if (zygote_theirs < 0 && zygote_ours >= 0) close(zygote_ours), zygote_ours = -1;
}

/* Whether a process, or a thread, was made here that we were not told of, since the first test was started. */
static int made_others(void) {
    if (confined.on) return has_others(zygote);
    char text[128] = {0};
    if (pread(loadavg, text, sizeof text - 1, 0) <= 0) return 1;
    char *number = strrchr(text, ' ');
    return !number || atoi(number) != newest;
}

/* --- limits ----------------------------------------------------------------------------------------------- */

/* Where the machine allows less than `value`, that. gVisor lets nobody set some of them, not even to what they are. */
static void bound(int resource, const char *name, rlim_t value) {
    struct rlimit limit = {value, value};
    if (!setrlimit(resource, &limit)) return;
    if (errno != EPERM || getrlimit(resource, &limit) || limit.rlim_max > value) die(name);
    if (limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(resource, &limit)) die(name);
}
#define BOUND(name, value) bound(name, #name, value)

#define SPARE_S 2 /* whole seconds; the init has killed a run before */

#include "runtime.h"

/* --- answering --------------------------------------------------------------------------------------------- */

#define PATIENCE_US 2000 /* how long a result may wait for the next: each write wakes up the worker */
static char unsent[32768];
static size_t unsent_bytes;
static uint64_t unsent_since;
static int answered;

static void flush(void) {
    write_all(unsent, unsent_bytes);
    unsent_bytes = 0;
}

/* What waits for nobody's answer may wait itself; but a program's first result goes at once, as most of those that
   are wrong are wrong there. */
static void answer(const struct result *result) {
    size_t size = sizeof *result + result->stdout_bytes + result->stderr_bytes;
    if (size > sizeof unsent - unsent_bytes) flush();
    if (size > sizeof unsent) {
        write_all(result, sizeof *result);
        write_all(out.bytes, result->stdout_bytes);
        write_all(err.bytes, result->stderr_bytes);
        return;
    }
    if (!unsent_bytes) unsent_since = now_us();
    char *at = mempcpy(unsent + unsent_bytes, result, sizeof *result);
    at = mempcpy(at, out.bytes, result->stdout_bytes);
    mempcpy(at, err.bytes, result->stderr_bytes);
    unsent_bytes += size;
    if (!ahead || !answered++) flush();
}

/* A message while the init runs ahead can only be a stop. */
static __attribute__((noreturn)) void stop(void) {
    uint32_t head[2];
    struct result result = {.magic = MAGIC, .outcome = STOPPED};
    if (read_all(head, sizeof head)) _exit(1);
    if (head[0] != STOP || head[1]) errno = EBADMSG, die("stop");
    unsent_bytes = 0; /* nobody waits for what has not gone out */
    write_all(&result, sizeof result);
    _exit(0);
}

/* Exec has a program's peak memory begin with the init's: no test shall show what an earlier one read or printed. */
static void forget_peak(void) {
    free(out.bytes), free(err.bytes);
    out = err = (struct buffer){0};
    if (peak >= 0 && write(peak, "5", 1) < 0) die("clear_refs");
}

/* Starts a command with exec. Returns its number, and in *error why it could not be started. */
static pid_t start(char *path, char **argv, char **environment, int ends[3], int link, volatile int *error) {
    static int filtered;
    char *file = path, **words = confined.root ? by_loader(kind_of(path), &file, argv) : argv;
    if (!filtered) {
        confined.on ? filter_files() : filter_program(0);
        filtered = 1;
    }
    if (write(oom_score, "1000", 4) < 0) die("oom_score_adj"); /* inherited: the first to go when memory is short */
    pid_t child = vfork();
    if (child < 0) die("vfork");
    if (!child) become(file, words, environment, ends, link, error);
    return child;
}

#define DEAF_US 2000 /* a run that is shorter has nobody woken up by what it prints, which waits in the pipe */
/* Node's process.exit() drops what the pipe has no room for, which would be none of it in the file of other judges. */
#define OUTPUT_ROOM (1 << 20) /* the most that Linux gives an ordinary user */
#define HIDDEN_US 20000 /* a run that is shorter hides nothing worth a look at the clock */

/* How long a program that has so much CPU time left is not looked at. It may use several cores: the closer, the oftener. */
static uint64_t look_again_us(uint64_t left) {
    return left / 8 > 10000 ? left / 8 : 10000;
}

/* Runs a command to its end or limit, and answers. Returns whether it exited with 0. `more`: it will run again. */
static int run(char *path, char **argv, char **environment, const char *input, size_t input_bytes, struct span span,
               int more) {
    struct result result = {.magic = MAGIC};
    if (!zygote && runtimes.count && argv == runtimes.tests) enter_runtime();
    uint64_t start_us = now_us(), wall_us = span.wall_ms * 1000ull, cpu_us = span.cpu_ms * 1000ull;
    uint64_t end = start_us + left_us, deadline = start_us + (wall_us < left_us ? wall_us : left_us);
    uint64_t used_before = used_us(1), look = start_us + look_again_us(cpu_us), looked = start_us;
    span_s = span.cpu_ms / 1000 + SPARE_S;
    int in_pipe[2], out_pipe[2], err_pipe[2];
    volatile int error = 0;
    if (held > LARGE) forget_peak();
    held = input_bytes, out.used = err.used = 0;
    if (!left_us) { /* the whole program's time is up */
        result.outcome = TIMEOUT, result.code = PROGRAM;
        answer(&result);
        return 0;
    }
    if (confined.keeper) write_stdin(input, input_bytes);
    make_pipe(in_pipe, 1);
    make_pipe(out_pipe, 0);
    fcntl(out_pipe[0], F_SETPIPE_SZ, OUTPUT_ROOM);
    make_pipe(err_pipe, 0);
    size_t written = 0;
    ssize_t put = input_bytes ? write(in_pipe[1], input, input_bytes) : 0; /* mostly all of it: no poll needed */
    if (put > 0) written = put;
    if (written == input_bytes) close(in_pipe[1]), in_pipe[1] = -1;

    int ends[3] = {in_pipe[0], out_pipe[1], err_pipe[1]};
    int lost = 0; /* the zygote, before it has started the test */
    pid_t child = 0; /* a copy of the zygote says who it is */
    const int last = !more || runtimes.count > 1; /* the next test is a copy of another runtime */
    zygote_is_test = zygote && last;
    if (zygote) {
        lost = !ask_zygote(ends, last);
    } else if (more && leave_zygote && zygote_theirs >= 0 && kind_of(path) == DYNAMIC) {
        newest = child = start(path, argv, with_preload, ends, zygote_theirs, &error);
        close(zygote_theirs), zygote_theirs = -1;
    } else {
        child = start(path, argv, environment, ends, -1, &error);
    }
    close(in_pipe[0]), close(out_pipe[1]), close(err_pipe[1]);

    struct rusage usage = {0};
    uint64_t reaped_us = 0; /* CPU time of those who have ended, and of those whom they have waited for */
    int status = 0, ended = 0;
    const uint64_t heard = start_us + DEAF_US;
    struct pollfd fds[5] = {{child_signals, POLLIN, 0},
                            {-1, POLLIN, 0},
                            {-1, POLLIN, 0},
                            {in_pipe[1], POLLOUT, 0},
                            {from_host, ahead ? POLLIN : 0, 0}};
    int deaf = 1;
    while (!ended && !lost) {
        uint64_t now = now_us();
        if (deaf && now >= heard) deaf = 0, fds[1].fd = out_pipe[0], fds[2].fd = err_pipe[0];
        if (now >= deadline) { /* not yet of one that is not asleep, but shares its core with many */
            uint64_t later = start_us + wall_us + limits.patience * used_since(used_before);
            if (now >= later || now >= end) {
                result.outcome = TIMEOUT, result.code = now >= end ? PROGRAM : WALL;
                break;
            }
            if (later < now + 10000) later = now + 10000;
            deadline = later < end ? later : end;
        }
        if (now >= look) {
            uint64_t used = used_since(used_before);
            /* Twice: a process whose parent waits for it at this very moment may have been counted with both. */
            if (used >= cpu_us && (group_clock >= 0 || used_since(used_before) >= cpu_us)) {
                result.outcome = TIMEOUT, result.code = CPU;
                break;
            }
            look = now + look_again_us(used < cpu_us ? cpu_us - used : 0);
        }
        if (unsent_bytes && now >= unsent_since + PATIENCE_US) flush();
        if (confined.on && now >= looked + LOOK_US) {
            if (uses_too_much_disk()) {
                result.outcome = SIGNALED, result.code = SIGXFSZ;
                break;
            }
            looked = now_us();
        }
        uint64_t until = look < deadline ? look : deadline;
        if (unsent_bytes && unsent_since + PATIENCE_US < until) until = unsent_since + PATIENCE_US;
        if (confined.on && looked + LOOK_US < until) until = looked + LOOK_US;
        if (deaf && heard < until) until = heard;
        if (poll(fds, 5, until > now ? (until - now + 999) / 1000 : 0) < 0 && errno != EINTR) die("poll");
        if (fds[4].revents & POLLIN) stop();
        if (fds[4].revents) _exit(1); /* the host is gone */
        for (int i = 1; i <= 2; i++) {
            if (!fds[i].revents) continue;
            int got = drain(fds[i].fd, i == 1 ? &out : &err);
            if (got > 0) result.outcome = OUTPUT_LIMIT;
            if (got < 0) fds[i].fd = -1;
        }
        if (result.outcome) break;
        if (fds[3].revents) {
            put = write(in_pipe[1], input + written, input_bytes - written);
            if (put > 0) written += put;
            if (written == input_bytes || (put < 0 && errno != EAGAIN && errno != EINTR))
                close(in_pipe[1]), in_pipe[1] = fds[3].fd = -1;
        }
        if (fds[0].revents) {
            struct signalfd_siginfo info;
            if (read(child_signals, &info, sizeof info) < 0 && errno != EAGAIN) die("signalfd");
            struct rusage one;
            int how;
            for (pid_t pid; (pid = wait4(-1, &how, WNOHANG, &one)) > 0;) {
                hear(&child);
                if (!child && pid != zygote) child = pid; /* killed before it could say so */
                if (pid == child || pid != zygote) reaped_us += time_us(one.ru_utime, one.ru_stime);
                if (pid == zygote) forget_zygote();
                if (pid == child) ended = 1, status = how, usage = one;
            }
            lost = !child && !zygote;
        }
    }
    result.wall_us = now_us() - start_us;
    if (!ended) hear(&child);

    /* All that is left in this pid namespace, daemons and killed children alike. Whoever has no parent any more is the
       init's child: without children, or with none but the zygote and no process made that we do not know, nobody is
       left. Asked first, as a kill looks at every process of the machine. */
    struct rusage one;
    int how;
    pid_t left = ended ? wait4(-1, &how, WNOHANG, &one) : 0;
    if (left > 0 && left != zygote) reaped_us += time_us(one.ru_utime, one.ru_stime);
    if (left < 0 ? errno != ECHILD : left > 0 || !zygote || !ended || made_others()) {
        pid_t pid;
        do {
            kill_all();
            for (int how_long = 0; (pid = wait4(-1, &how, how_long, &one)) > 0 || (pid < 0 && errno == EINTR);) {
                how_long = WNOHANG;
                if (pid == child) usage = one;
                if (pid > 0 && (pid == child || pid != zygote)) reaped_us += time_us(one.ru_utime, one.ru_stime);
            }
        } while (!pid); /* see reap */
        forget_zygote();
    }
    if (!result.outcome && confined.on && uses_too_much_disk()) result.outcome = SIGNALED, result.code = SIGXFSZ;
    if (!result.outcome && (drain(out_pipe[0], &out) > 0 || drain(err_pipe[0], &err) > 0))
        result.outcome = OUTPUT_LIMIT;
    close(out_pipe[0]), close(err_pipe[0]);
    if (in_pipe[1] >= 0) close(in_pipe[1]);
    uint64_t spent = now_us() - start_us; /* the killing of what was left, too */
    left_us -= spent < left_us ? spent : left_us;
    if (lost) { /* without a zygote, now */
        runtimes.count = 0;
        return run(path, argv, environment, input, input_bytes, span, more);
    }

    if (error) {
        result.outcome = EXEC_FAILED, result.code = error;
    } else if (!result.outcome && WIFSIGNALED(status)) {
        result.outcome = SIGNALED, result.code = WTERMSIG(status);
    } else if (!result.outcome) {
        result.code = WEXITSTATUS(status);
    }
    result.cpu_us = reaped_us;
    if (group_clock >= 0 && result.wall_us >= HIDDEN_US) { /* of processes that nobody waited for, too */
        uint64_t used = used_since(used_before);
        if (used > result.cpu_us) result.cpu_us = used;
    }
    if ((result.outcome == EXITED || result.outcome == SIGNALED) && result.cpu_us >= cpu_us)
        result.outcome = TIMEOUT, result.code = CPU; /* it ended, or met RLIMIT_CPU, between two looks */
    result.memory_kb = usage.ru_maxrss;
    held += out.used + err.used;
    result.stdout_bytes = out.used > limits.output_bytes ? limits.output_bytes : out.used;
    result.stderr_bytes = err.used > STDERR_SENT ? STDERR_SENT : err.used;
    answer(&result);
    /* The first test leaves none, but a late one: where it is the last, as of most programs that are wrong, a zygote would
       be for nobody. */
    leave_zygote |= argv == runtimes.tests;
    return result.outcome == EXITED && result.code == 0;
}

/* --- one jail, one program --------------------------------------------------------------------------------- */

/* Once, in the server: all that is the same for every program. The others are set where the program's limits are known. */
static void bound_resources(void) {
    /* Only the memory limit bounds the stack. As unlimited, not as a large number: glibc would give each thread that. */
    BOUND(RLIMIT_STACK, RLIM_INFINITY);
    BOUND(RLIMIT_AS, RLIM_INFINITY); /* the init's */
    BOUND(RLIMIT_DATA, RLIM_INFINITY);
    BOUND(RLIMIT_LOCKS, RLIM_INFINITY);
    BOUND(RLIMIT_RTTIME, RLIM_INFINITY);
    BOUND(RLIMIT_NICE, 0);
    BOUND(RLIMIT_RTPRIO, 0);
    BOUND(RLIMIT_CORE, 1); /* 0 would not keep the kernel from piping a crash to the host's handler of core dumps */
    BOUND(RLIMIT_MEMLOCK, 65536);
    BOUND(RLIMIT_SIGPENDING, 1024);
}

static void write_file(const char *path, const char *bytes, size_t count) {
    int fd = openat(work_dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) die(path);
    for (ssize_t put; count; bytes += put, count -= put)
        if ((put = write(fd, bytes, count)) < 0) die(path);
    close(fd);
}

/* Once, in the server, as it costs 80 calls: what is not in the bounding set no exec ever gives back. */
static void bound_capabilities(void) {
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap) && !confined.on) die("capability bounding set");
    /* gVisor has none. */
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL) die("ambient capabilities");
}

static void give_up_privileges(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}};
    if (syscall(SYS_capset, &head, none)) die("capset");
    if (prctl(PR_SET_DUMPABLE, 0)) die("dumpable"); /* closes /proc/1/mem, /proc/1/fd and ptrace */
}

static __attribute__((noreturn)) void init(void) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL)) die("pdeathsig");
    /* The server's /proc can be written, the program's cannot: a program never lowers its score. */
    if ((oom_score = open_proc("self/oom_score_adj", O_RDWR)) < 0) die("oom_score_adj");
    if ((own_score_bytes = read(oom_score, own_score, sizeof own_score)) <= 0) die("oom_score_adj");
    peak = open_proc("self/clear_refs", O_WRONLY); /* not every kernel has it */
    if (confined.on)
        become_keeper();
    else if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL)) die("mount /proc");

    char *job;
    uint32_t length, count;
    uint32_t head[2];
    do {
        if (read_all(head, 4)) _exit(0); /* end of file between jobs: the worker is done */
        if (read_all(&head[1], 4)) errno = EBADMSG, die("job");
    } while (head[0] == STOP && !head[1]); /* came when the last program had ended by itself */
    if (head[0] != JOB || head[1] > MESSAGE_MAX) errno = EBADMSG, die("job");
    length = head[1];
    if (!(job = malloc(length + 1))) die("malloc");
    if (read_all(job, length)) _exit(1);
    char *at = job, *end = job + length;
    if (length < sizeof limits) errno = EBADMSG, die("job");
    memcpy(&limits, at, sizeof limits);
    at += sizeof limits;

    if (!confined.on) {
        char options[128];
        snprintf(options, sizeof options, "size=%um,nr_inodes=%u,mode=1777", limits.disk_mb, limits.inodes);
        if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, options)) die("mount /tmp");
    }
    const char *work = confined.folder ? confined.work : WORK;
    if (!confined.keeper && mkdir(work, 0755)) die(work);
    if ((work_dir = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) die(work);
    if (confined.on) remember_free_disk();
    give_up_privileges();

    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGPIPE); /* writing to a program that has closed its input is no reason to die */
    sigprocmask(SIG_BLOCK, &watched, NULL);
    sigdelset(&watched, SIGPIPE);
    if ((child_signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) die("signalfd");

    char *name = next_blob(&at, end, &count), *source, *blob;
    char file_name[256] = {0};
    if (count >= sizeof file_name) errno = ENAMETOOLONG, die("file name");
    memcpy(file_name, name, count);
    source = next_blob(&at, end, &count);
    write_file(file_name, source, count);
    blob = next_blob(&at, end, &count);
    char **compile = strings(blob, count);
    blob = next_blob(&at, end, &count);
    char **execute = strings(blob, count);
    blob = next_blob(&at, end, &count);
    char **environment = strings(blob, count);
    char *inputs = next_blob(&at, end, &count), *inputs_end = inputs + count;
    ahead = inputs < inputs_end;
    while (at < end) {
        name = next_blob(&at, end, &count);
        char extra[256] = {0};
        if (count >= sizeof extra) errno = ENAMETOOLONG, die("file name");
        memcpy(extra, name, count);
        blob = next_blob(&at, end, &count);
        write_file(extra, blob, count);
    }

    char *after_first = inputs;
    if (ahead) next_blob(&after_first, inputs_end, &count);
    if (runtimes.count || !ahead || after_first < inputs_end) open_zygote_link(environment); /* more than one test */
    if (zygote_theirs < 0) runtimes.count = 0;
    runtimes.tests = execute;
    leave_zygote = late;
    /* The server, this init, runtime and zygote count; without namespaces, all that the user runs. */
    unsigned ours = (zygote_theirs >= 0) + runtimes.count + (confined.on ? count_others() : 2);
    BOUND(RLIMIT_NPROC, limits.processes + ours);
    BOUND(RLIMIT_NOFILE, DESCRIPTORS);
    BOUND(RLIMIT_FSIZE, (rlim_t)limits.file_mb << 20); /* the program's files, not those that it is given */

    left_us = limits.program_ms * 1000ull;
    int passed = !*compile || run(find(*compile, environment), compile, environment, "", 0, limits.compile, 0);
    if (*compile && confined.root) make_executable(work_dir);
    char *path = find(*execute, environment), *input;
    while (ahead && passed && inputs < inputs_end) {
        input = next_blob(&inputs, inputs_end, &count);
        passed = run(path, execute, environment, input, count, limits.test, inputs < inputs_end);
    }
    if (ahead) {
        flush();
        _exit(0);
    }
    for (;;) {
        uint32_t kind = receive(&input, &length);
        if (kind != TEST && kind != LAST_TEST) _exit(kind == STOP ? 0 : 1);
        run(path, execute, environment, input, length, limits.test, kind == TEST);
        if (kind == LAST_TEST) _exit(0);
        free(input);
    }
}

/* Server, inits and runtimes stay on one core, and tests begin there. */
static void keep_to_core(int core) {
    cpu_set_t one = {{0}};
    CPU_SET(core, &one);
    keeps_to_core = !sched_getaffinity(0, sizeof cores, &cores) && !sched_setaffinity(0, sizeof one, &one);
}

/* Whatever the shell that started us allows or ignores: what holds in the jail is set there, and may be more. */
static void forget_the_caller(void) {
    for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
        rlim_t most = resource == RLIMIT_NOFILE ? 4 * DESCRIPTORS : RLIM_INFINITY; /* of these the kernel allows no end */
        struct rlimit limit = {most, most};
        if (!setrlimit(resource, &limit)) continue; /* as root; else as much as we may */
        if (getrlimit(resource, &limit)) die("getrlimit");
        if (limit.rlim_cur == limit.rlim_max) continue;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(resource, &limit)) die("setrlimit");
    }
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    umask(022);
}

/* driver launch CGROUP_PROCS ROOT nsjail ...: runs outside, before nsjail. Joins the jail's cgroups (one per line).
   As root, nsjail's child is a user that cannot walk to a root below, say, /root: so ROOT ("" for none) is bound to
   /sys/root, and this file to /sys/driver, on a tmpfs in a mount namespace that goes with nsjail.
   Over /sys, which nsjail does not read: a checkout or a cache may lie below any other folder, /tmp too. */
static void launch(char **argv) {
    const char *root = argv[3];
    if (prctl(PR_SET_PDEATHSIG, SIGKILL)) die("pdeathsig");
    forget_the_caller();
    join_cgroups(argv[2]);
    if (*root) {
        if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) die("mount namespace");
        int self = open(argv[0], O_PATH | O_CLOEXEC), made;
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", self);
        if (chdir(root)) die(root);
        if (mount("tmpfs", "/sys", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")) die("mount /sys");
        if (mkdir("/sys/root", 0755) || mount(".", "/sys/root", NULL, MS_BIND, NULL)) die(root);
        if ((made = open("/sys/driver", O_CREAT | O_WRONLY | O_CLOEXEC, 0755)) < 0) die("/sys/driver");
        close(made);
        if (mount(path, "/sys/driver", NULL, MS_BIND, NULL) || chdir("/")) die("bind the driver");
    }
    execv(argv[4], argv + 4);
    die(argv[4]);
}

int main(int argc, char **argv) {
    if (argc > 4 && !strcmp(argv[1], "launch")) launch(argv);
    if (argc > 1 && !strcmp(argv[1], "landlock")) return print_landlock();
    if (argc > 2 && !strcmp(argv[1], "clear")) return clear(argv + 2);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL)) die("pdeathsig");
    if (argc > 5 && !strcmp(argv[1], "confine")) {
        forget_the_caller();
        confine(argv);
        argc -= 5, argv += 5;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) die("no_new_privs");
    from_host = fcntl(0, F_DUPFD_CLOEXEC, 10);
    to_host = fcntl(1, F_DUPFD_CLOEXEC, 10);
    int log = fcntl(2, F_DUPFD_CLOEXEC, 10);
    if (from_host < 0 || to_host < 0 || log < 0) die("dup");
    int warm = 0;
    for (char **word = argv + 1; *word; word++) {
        if (!strcmp(*word, "warm")) warm = 1;
        if (!strncmp(*word, "core=", 5)) keep_to_core(atoi(*word + 5));
        if (strncmp(*word, "clock=", 6)) continue;
        int clock = atoi(*word + 6);
        if ((group_clock = fcntl(clock, F_DUPFD_CLOEXEC, 10)) < 0) die("the cgroup's clock");
        close(clock);
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC); /* so that no pipe of ours is ever 0, 1 or 2 */
    if (null < 0 || dup3(null, 0, O_CLOEXEC) < 0 || dup3(null, 1, O_CLOEXEC) < 0) die("/dev/null");
    if (dup3(log, 2, O_CLOEXEC) < 0) die("dup");
    write_libraries(warm);
    if (confined.keeper) {
        make_work();
        if ((input_file = open("/dev/stdin", O_WRONLY | O_CLOEXEC)) < 0) die("/dev/stdin");
    }
    if (confined.landlock) make_rulesets();
    /* Seen by every program and owned by the programs' user: what one wrote there, the next would read. */
    if (!confined.on && mount(NULL, "/dev", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL)) die("remount /dev");
    personality(ADDR_NO_RANDOMIZE); /* equal runs print equal addresses; where a filter above us refuses it, they do not */
    mallopt(M_MMAP_THRESHOLD, 1 << 17); /* fixed: what is large is given back when it is freed */
    bound_capabilities();
    bound_resources();
    filter_server();
    if (confined.on) filter_program(0);

    struct result hello = {.magic = MAGIC};
    write_all(&hello, sizeof hello);
    if (warm && !confined.on) hear_of_runtime();
    for (;;) {
        ready_runtimes();
        int namespaces = confined.on ? 0 : CLONE_NEWPID | CLONE_NEWNS;
        long pid = syscall(SYS_clone, namespaces | SIGCHLD, 0, 0, 0, 0);
        if (pid < 0) die("clone");
        if (!pid) init();
        int status;
        while (waitpid(pid, &status, 0) < 0)
            if (errno != EINTR) die("wait");
        if (confined.on) tidy();
        if (status) _exit(1);
        struct pollfd host = {from_host, POLLIN, 0};
        if (poll(&host, 1, 0) > 0 && !(host.revents & POLLIN)) _exit(0); /* end of file */
    }
}
