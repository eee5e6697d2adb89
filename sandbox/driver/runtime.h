/* The runtimes that a language's programs are copied from (warm.c), as server and init see them. Included by driver.c.
 *
 * The server starts each, in a mount namespace of its own with an empty folder of programs, and waits until it has come to
 * its place. It is outside of every program's pid namespace: no program can see it, signal it or read its memory. It
 * holds two capabilities over the jail's user namespace, with which its copies enter those of an init; they give them
 * up before anything else.
 *
 * What chance decides while a runtime starts (the seed of its hashes, say) is the same for all of its copies. So each serves
 * as many programs as warm.c says, and then another is started; and where warm.c says that tests want seeds of their own,
 * there are several, and each test of a program is a copy of the next.
 */
#define SEEDS 5 /* runtimes of a language whose tests want seeds of their own */
#define START_MS 10000 /* for a runtime to start */
#define ENTER_MS 2000  /* for a copy to enter a jail */

struct runtime {
    pid_t pid;      /* in the server; 0: none */
    int link, left; /* programs that it will still serve */
};

static struct {
    char **argv, **environment;
    char **tests; /* in an init: the argv of what are its copies, and no compiler */
    int count;    /* 0: the language wants none, or it cannot be had, or an init has given it up */
    int next;     /* in an init: whose copy the next test is */
    struct runtime each[SEEDS];
} runtimes;

/* --- in the server ------------------------------------------------------------------------------------------- */

static void keep_capabilities(void) {
    static const int kept[] = {CAP_SYS_ADMIN, CAP_SYS_CHROOT};
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};
    for (int i = 0; i < 2; i++) data->effective |= 1u << kept[i];
    data->permitted = data->inheritable = data->effective;
    if (syscall(SYS_capset, &head, data)) die("capset");
    for (int i = 0; i < 2; i++)
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0)) die("ambient capabilities");
}

/* As a test is started; but for its limits, which each copy sets, and with all its libraries bound at once: else each copy
   would look up anew what a short program calls. */
static __attribute__((noreturn)) void become_runtime(int link) {
    int in[2], out[2];
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || setpgid(0, 0)) die("the runtime's group");
    if (unshare(CLONE_NEWNS) || mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=4k,mode=1777")) die("/tmp");
    if (mkdir(WORK, 0755) || chdir(WORK)) die(WORK);
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) die("pipe");
    if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || dup2(out[1], 2) < 0 || dup2(link, ZYGOTE_LINK) < 0) die("dup");
    BOUND(RLIMIT_NOFILE, DESCRIPTORS);
    keep_capabilities();
    filter_program(1);
    execve(find(*runtimes.argv, runtimes.environment), runtimes.argv, runtimes.environment);
    _exit(127);
}

static void end_runtime(struct runtime *one) {
    int status;
    if (!one->pid) return;
    kill(one->pid, SIGKILL);
    while (waitpid(one->pid, &status, 0) < 0 && errno == EINTR) {}
    close(one->link);
    one->pid = 0;
}

/* Returns whether it has come to its place. */
static int start_runtime(struct runtime *one) {
    int ends[2];
    struct announcement said = {0};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) die("socketpair");
    if ((one->link = fcntl(ends[0], F_DUPFD_CLOEXEC, DESCRIPTORS)) < 0) die("the runtime's link");
    close(ends[0]);
    if ((one->pid = fork()) < 0) die("fork");
    if (!one->pid) become_runtime(ends[1]);
    close(ends[1]);
    poll(&(struct pollfd){one->link, POLLIN, 0}, 1, START_MS);
    if (recv(one->link, &said, sizeof said, MSG_DONTWAIT) != sizeof said) return 0;
    if (said.role != A_RUNTIME && said.role != A_SEEDED_RUNTIME) return 0;
    runtimes.count = said.role == A_SEEDED_RUNTIME ? SEEDS : 1;
    one->left = said.programs - 1;
    return 1;
}

/* Before each program. A runtime that does not come to its place is not tried again. */
static void ready_runtimes(void) {
    for (int i = 0; i < runtimes.count; i++) {
        struct runtime *one = &runtimes.each[i];
        if (one->pid && one->left-- > 0 && !poll(&(struct pollfd){one->link, POLLIN, 0}, 1, 0)) continue;
        end_runtime(one);
        if (start_runtime(one)) continue;
        for (i = 0; i < SEEDS; i++) end_runtime(&runtimes.each[i]);
        runtimes.count = 0;
    }
}

/* The host's first message, where the language wants a runtime: blobs, its argv and environment. */
static void hear_of_runtime(void) {
    uint32_t length, count;
    char *bytes, ours[] = "LD_PRELOAD=" WARM_PATH "\0LD_BIND_NOW=1";
    if (receive(&bytes, &length) != RUNTIME) errno = EBADMSG, die("runtime");
    char *at = bytes, *end = bytes + length, *words = next_blob(&at, end, &count);
    char **argv = strings(words, count);
    char *names = next_blob(&at, end, &count);
    char *longer = malloc(count + sizeof ours);
    if (!longer) die("malloc");
    mempcpy(mempcpy(longer, names, count), ours, sizeof ours);
    runtimes.environment = strings(longer, count + sizeof ours);
    for (char **name = runtimes.environment; name[2]; name++) /* of its image: not ours to change */
        if (!strncmp(*name, "LD_PRELOAD=", 11) || !strncmp(*name, "LD_BIND_NOW=", 12)) return;
    runtimes.argv = argv, runtimes.count = 1;
}

/* --- in an init ---------------------------------------------------------------------------------------------- */

/* A copy of the next runtime, as the program's zygote. Nobody lives in this pid namespace. */
static void enter_runtime(void) {
    const int link = runtimes.each[runtimes.next].link;
    static int fds[E_COUNT];
    static struct entrance to;
    if (!fds[E_MOUNTS]) {
        rlim_t bytes = limits.address_mb ? (rlim_t)limits.address_mb << 20 : RLIM_INFINITY;
        const int kinds[] = {RLIMIT_CPU, RLIMIT_AS, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_FSIZE};
        for (int i = 0; i < 5; i++) {
            to.bounds[i].resource = kinds[i];
            if (getrlimit(kinds[i], &to.bounds[i].limit)) die("getrlimit");
        }
        uint32_t seconds = limits.test.cpu_ms / 1000 + SPARE_S;
        to.bounds[0].limit = (struct rlimit){seconds, seconds};
        if (limits.address_mb) to.bounds[1].limit = (struct rlimit){bytes, bytes};
        to.keeps_to_core = keeps_to_core, to.cores = cores;
        fds[E_LINK] = zygote_theirs, fds[E_WORK] = work_dir;
        fds[E_MOUNTS] = open_proc("self/ns/mnt", O_RDONLY), fds[E_PROCESSES] = open_proc("self/ns/pid", O_RDONLY);
    }
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof fds)];
    } room = {.head = {CMSG_LEN(sizeof fds), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec text = {&to, sizeof to};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof room};
    struct announcement said = {0};
    char stale[sizeof said];
    memcpy(CMSG_DATA(&room.head), fds, sizeof fds);
    while (recv(zygote_theirs, stale, sizeof stale, MSG_DONTWAIT) > 0) {} /* to and from an earlier zygote */
    while (recv(zygote_ours, stale, sizeof stale, MSG_DONTWAIT) > 0) {}
    struct pollfd events[3] = {{zygote_ours, POLLIN, 0}, {link, 0, 0}, {child_signals, POLLIN, 0}};
    int gone = sendmsg(link, &message, MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof to;
    while (!gone && poll(events, 3, ENTER_MS) > 0) {
        if (recv(zygote_ours, &said, sizeof said, MSG_DONTWAIT) == sizeof said && said.role == A_ZYGOTE) {
            zygote = newest = said.pid;
            runtimes.next = (runtimes.next + 1) % runtimes.count;
            return;
        }
        struct signalfd_siginfo info;
        while (read(child_signals, &info, sizeof info) > 0) {} /* of those killed before, mostly */
        gone = events[1].revents || waitpid(-1, NULL, WNOHANG) > 0;
    }
    shutdown(link, SHUT_RDWR); /* the server sees it, and starts another */
    runtimes.count = 0;
    do kill_all(); while (reap());
}
