/* Jails where no namespaces can be had: in most containers. Included by driver.c.
 *
 *   driver confine CGROUPS ROOT PROGRAM KEEPER ...   as the container's root: chroot, and two users of the jail's own
 *   driver confine CGROUPS ROOT FOLDER LANDLOCK ...  as an ordinary user: Landlock, of that version of its interface
 *
 * With root, a program runs in a root of the worker's own (sandbox/driver/linked_root.py) as the user PROGRAM, which
 * nothing else in the container is. The init above it has KEEPER for its real and PROGRAM for its effective user: so it
 * may kill all that PROGRAM runs, by kill(-1), and remove its files, while no program may signal, trace or limit the
 * init. Only the server, which reads nothing that a program wrote, stays root.
 *
 * Without root, init and program are the user who runs all this. The init is in a Landlock domain that reaches the root
 * file system and FOLDER/tmp, and each test in a domain inside that one. A domain signals and traces itself and
 * what is inside it, never what is around it: so kill(-1) means the same as above. Landlock scopes signals from the
 * version 6 of its interface on (Linux 6.12); before, a program may signal its own process group and itself only, and
 * the init finds what to kill by walking down from itself.
 *
 * Either way the server empties the folder between two programs, and is the parent that the kernel gives to whatever
 * an init has left behind.
 */
#include <linux/fs.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#define SCOPES_SIGNALS 6 /* the version of Landlock's interface */

static struct {
    int on;
    uid_t program, keeper; /* 0: an ordinary user's */
    int landlock;          /* the version of its interface; 0: not used */
    const char *root;      /* of an ordinary user's programs; NULL: it is ours, by chroot */
    const char *libraries;        /* the folder of those that are loaded into programs */
    char *folder, *work, *zygote; /* what is emptied, where programs start, the one library that is ours */
    int proc, children;
    int outer, inner; /* Landlock's rulesets, of an init and of a test; -1: none */
} confined = {.proc = -1, .children = -1, .outer = -1, .inner = -1};

/* Whether a program can signal nobody but its like. */
static int scopes_signals(void) {
    return confined.keeper || confined.landlock >= SCOPES_SIGNALS;
}

/* --- entering ------------------------------------------------------------------------------------------------ */

static void join_cgroups(char *files) {
    for (char *file = strtok(files, "\n"); file; file = strtok(NULL, "\n")) {
        int procs = open(file, O_WRONLY | O_CLOEXEC);
        if (procs < 0 || write(procs, "0", 1) < 0) die(file);
        close(procs);
    }
}

/* Out of the way of every descriptor that a program may number. */
static int high(int fd, const char *what) {
    int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 100);
    if (copy < 0) die(what);
    close(fd);
    return copy;
}

/* A file of /proc, which a confined program's root does not have. */
static int open_proc(const char *path, int flags) {
    if (confined.on) return openat(confined.proc, path, flags | O_CLOEXEC);
    char full[64];
    snprintf(full, sizeof full, "/proc/%s", path);
    return open(full, flags | O_CLOEXEC);
}

static int open_children(void) {
    char path[64];
    snprintf(path, sizeof path, "self/task/%d/children", getpid());
    return confined.children = open_proc(path, O_RDONLY);
}

static void confine(char **argv) {
    confined.on = 1;
    join_cgroups(argv[2]);
    confined.proc = high(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), "/proc");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) die("subreaper");
    if (geteuid()) {
        confined.root = argv[3], confined.libraries = argv[4], confined.landlock = atoi(argv[5]);
        if (asprintf(&confined.folder, "%s/tmp", argv[4]) < 0 || asprintf(&confined.work, "%s/w", confined.folder) < 0 ||
            asprintf(&confined.zygote, "%s/zygote.so", argv[4]) < 0)
            die("asprintf");
        if (open_children() < 0) die("/proc/self/task/N/children"); /* without it nobody's descendants can be found */
        close(confined.children);
        return;
    }
    confined.program = atoi(argv[4]), confined.keeper = atoi(argv[5]);
    if (!confined.program || !confined.keeper) errno = EINVAL, die("users");
    if (chroot(argv[3]) || chdir("/")) die(argv[3]);
}

/* --- Landlock ------------------------------------------------------------------------------------------------ */

/* What may be asked of a file and of a folder, by the version that brought it. */
#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define READ_AND_EXECUTE (READ | LANDLOCK_ACCESS_FS_EXECUTE)
#define OF_A_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | (1ull << 14) /* truncate */)

static uint64_t all_of_files(int version) {
    uint64_t all = (1ull << 13) - 1;        /* execute to make_sym */
    if (version >= 2) all |= 1ull << 13;    /* refer: link and rename between folders */
    if (version >= 3) all |= 1ull << 14;    /* truncate */
    if (version >= 5) all |= 1ull << 15;    /* ioctl of devices */
    return all;
}

struct ruleset {
    uint64_t files, network, scopes;
};

static int new_ruleset(struct ruleset wanted) {
    /* An older kernel refuses a structure with fields that it does not know, unless they are 0 and left out. */
    size_t size = confined.landlock >= 6 ? 24 : confined.landlock >= 4 ? 16 : 8;
    return syscall(SYS_landlock_create_ruleset, &wanted, size, 0);
}

static void permit(int rules, const char *path, uint64_t rights) {
    struct landlock_path_beneath_attr beneath = {rights & all_of_files(confined.landlock),
                                                 open(path, O_PATH | O_CLOEXEC)};
    if (beneath.parent_fd < 0) return; /* what is not there needs no permission */
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0)) die(path);
    close(beneath.parent_fd);
}

/* Once, in the server: the same for all programs. */
static void make_rulesets(void) {
    int version = confined.landlock;
    int rules = new_ruleset((struct ruleset){all_of_files(version), version >= 4 ? 3 : 0, version >= 6 ? 3 : 0});
    if (rules < 0) die("landlock");
    permit(rules, confined.root, READ_AND_EXECUTE);
    permit(rules, confined.folder, all_of_files(version) & ~(1ull << 15));
    permit(rules, confined.libraries, READ_AND_EXECUTE);
    permit(rules, "/proc", READ);
    static const char *devices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) permit(rules, devices[i], OF_A_FILE);
    confined.outer = high(rules, "landlock");
    if (version >= SCOPES_SIGNALS) confined.inner = high(new_ruleset((struct ruleset){0, 0, 3}), "landlock");
}

/* --- what a confined program may ask of the kernel, beside what no program may ------------------------------------ */

/* Other processes and their files would notice these, where no namespace hides them. */
static const int CONFINED[] = {SYS_pidfd_send_signal, SYS_inotify_init1, SYS_inotify_add_watch,
                               SYS_bind, SYS_connect, SYS_listen, /* names of sockets */
                               SYS_msgsnd, SYS_msgrcv, SYS_msgctl, SYS_semop, SYS_semtimedop, SYS_semctl,
#if defined(__x86_64__)
                               SYS_inotify_init,
#endif
};
/* What Landlock does not look at: an ordinary user's program could change the rights, owners and attributes of all files
   that are the user's. So these do nothing, and success is answered; what a compiler has made is executable without. */
static const int UNLANDLOCKED[] = {SYS_fchmodat, 452 /* fchmodat2 */, SYS_fchownat, SYS_setxattr, SYS_lsetxattr,
                                   SYS_removexattr, SYS_lremovexattr,
#if defined(__x86_64__)
                                   SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat,
#endif
};

/* --- init and program ---------------------------------------------------------------------------------------- */

/* Waits until a child has ended, takes all that have, and returns whether others are left. They are to be killed again: a
   kernel like gVisor lets a process that forks at that very moment escape a kill(-1). */
static int reap(void) {
    pid_t pid;
    for (int how_long = 0; (pid = waitpid(-1, NULL, how_long)) > 0 || (pid < 0 && errno == EINTR);) how_long = WNOHANG;
    return !pid;
}

static void killed_with_the_server(int signal) {
    (void)signal;
    if (scopes_signals()) {
        do kill(-1, SIGKILL); while (reap());
    }
    _exit(1);
}

static void nothing(int signal) {
    (void)signal;
}

/* In the init, before it reads anything: from here on it is no more than the programs are, but out of their reach. */
static void become_keeper(void) {
    uid_t program = confined.program, keeper = confined.keeper;
    if (keeper) {
        if (syscall(SYS_setgroups, 0, NULL) || syscall(SYS_setresgid, program, program, program)) die("setgid");
        if (syscall(SYS_setresuid, keeper, program, keeper)) die("setuid");
    } else {
        if (syscall(SYS_landlock_restrict_self, confined.outer, 0)) die("landlock");
    }
    signal(SIGTERM, killed_with_the_server);
    signal(SIGXFSZ, nothing); /* an input may be larger than a program's files; handled, not ignored: exec forgets it */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM)) die("pdeathsig"); /* after setuid, which forgets it */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) die("subreaper");
}

/* Before Linux 6.12: a process may signal its process group, which is the test's own, and itself; what it has started,
   its group only. */
static int filter_signals(void) {
    const uint32_t load = BPF_LD | BPF_W | BPF_ABS, equal = BPF_JMP | BPF_JEQ | BPF_K, answer = BPF_RET | BPF_K;
    struct sock_filter code[] = {
        {load, 0, 0, offsetof(struct seccomp_data, nr)},
        {equal, 5, 0, SYS_kill},
        {equal, 4, 0, SYS_tkill},
        {equal, 3, 0, SYS_tgkill},
        {equal, 2, 0, SYS_rt_sigqueueinfo},
        {equal, 1, 0, SYS_rt_tgsigqueueinfo},
        {answer, 0, 0, SECCOMP_RET_ALLOW},
        {load, 0, 0, offsetof(struct seccomp_data, args[0])},
        {equal, 2, 0, 0},
        {equal, 1, 0, getpid()},
        {answer, 0, 0, SECCOMP_RET_ERRNO | EPERM},
        {answer, 0, 0, SECCOMP_RET_ALLOW},
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    return !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

/* In the child, last before exec. Returns whether it worked. */
static int become_program(void) {
    uid_t program = confined.program;
    if (confined.keeper && syscall(SYS_setresuid, program, program, program)) return 0;
    if (confined.inner >= 0 && syscall(SYS_landlock_restrict_self, confined.inner, 0)) return 0;
    if (setsid() < 0) return 0;
    if (!scopes_signals() && !filter_signals()) return 0;
    return !prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* For `driver landlock`: the version of its interface, 0 where the kernel or a filter above us refuses it. */
static int print_landlock(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    printf("%ld\n", version > 0 ? version : 0);
    return 0;
}

/* --- an ordinary user's root, which no chroot makes its own ------------------------------------------------------ */

#if defined(__x86_64__)
#define LOADER "/lib64/ld-linux-x86-64.so.2"
#else
#define LOADER "/lib/ld-linux-aarch64.so.1"
#endif

enum file_kind { NO_PROGRAM, STATIC, DYNAMIC, SCRIPT };

/* How exec is to start a program of the root: by the root's own loader, since the kernel would take the container's; a
   script by the root's env, whose exec libfakechroot has in hand. Nothing changes where there is a root by chroot. */
static char **by_loader(enum file_kind kind, char **path, char **argv) {
    size_t count = 0;
    if (!confined.root || (kind != DYNAMIC && kind != SCRIPT)) return argv;
    while (argv[count]) count++;
    char **longer = calloc(count + 5, sizeof *longer), **at = longer, *loader;
    if (!longer || asprintf(&loader, "%s" LOADER, confined.root) < 0) die("calloc");
    *at++ = loader;
    if (kind == DYNAMIC) {
        *at++ = "--argv0", *at++ = argv[0], *at++ = *path;
        memcpy(at, argv + 1, count * sizeof *at);
    } else {
        if (asprintf(at++, "%s/usr/bin/env", confined.root) < 0) die("asprintf");
        memcpy(at, argv, (count + 1) * sizeof *at);
    }
    *path = loader;
    return longer;
}

/* What a compiler has made cannot be made executable by it, see UNLANDLOCKED. */
static void make_executable(int folder) {
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *files = copy < 0 ? NULL : fdopendir(copy);
    struct stat status;
    for (struct dirent *file; files && (file = readdir(files));) {
        int fd = openat(folder, file->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 && !fstat(fd, &status) && S_ISREG(status.st_mode)) fchmod(fd, 0755);
        if (fd >= 0) close(fd);
    }
    if (files) closedir(files);
}

/* How many processes and threads the user runs already, as the kernel counts them with the programs'. */
static unsigned count_others(void) {
    if (confined.keeper) return 0;
    int fd = openat(confined.proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *processes = fd < 0 ? NULL : fdopendir(fd);
    unsigned count = 0;
    for (struct dirent *entry; processes && (entry = readdir(processes));) {
        char path[300];
        struct stat status;
        if (*entry->d_name < '0' || *entry->d_name > '9') continue;
        snprintf(path, sizeof path, "%s/task", entry->d_name);
        if (!fstatat(confined.proc, path, &status, 0) && status.st_uid == geteuid()) count += status.st_nlink - 2;
    }
    if (processes) closedir(processes);
    return count;
}

static int input_file = -1; /* the server's, as programs may only read it */

/* Where there is no /proc, /dev/stdin is a file with the input: programs often read theirs by that name. Before each run it
   is made to hold that and nothing else; to empty it after each program would have the disk written. */
static void write_stdin(const char *input, size_t bytes) {
    struct stat status;
    off_t at = 0;
    for (ssize_t put; bytes; at += put, bytes -= put)
        if ((put = pwrite(input_file, input + at, bytes, at)) <= 0) break; /* the disk is full */
    if (!fstat(input_file, &status) && status.st_size > at && ftruncate(input_file, at)) die("/dev/stdin");
}

/* --- who is left, and an end to them --------------------------------------------------------------------------- */

/* Whether the init has children other than the zygote. Whoever lost its parent is the init's child, too. */
static int has_others(pid_t zygote) {
    char text[256] = {0};
    if (confined.children < 0 || pread(confined.children, text, sizeof text - 1, 0) < 0) return 1;
    char *end;
    for (char *at = text;; at = end) {
        long pid = strtol(at, &end, 10);
        if (end == at) return 0;
        if (pid != zygote) return 1;
    }
}

/* The children of a process, all its threads', one by one, to `visit`. */
static int walk(pid_t pid, int (*visit)(pid_t)) {
    char path[64], text[4096];
    int found = 0;
    snprintf(path, sizeof path, "%d/task", pid);
    int fd = open_proc(path, O_RDONLY | O_DIRECTORY);
    DIR *tasks = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        if (*task->d_name == '.') continue;
        snprintf(path, sizeof path, "%d/task/%.16s/children", pid, task->d_name);
        int file = open_proc(path, O_RDONLY);
        ssize_t got = file < 0 ? -1 : read(file, text, sizeof text - 1);
        if (file >= 0) close(file);
        if (got <= 0) continue;
        text[got] = 0;
        char *end;
        for (char *at = text;; at = end) {
            long child = strtol(at, &end, 10);
            if (end == at) break;
            found += visit(child);
        }
    }
    if (tasks) closedir(tasks);
    return found;
}

/* Where a process is stopped already, that counts as nothing new. */
static int stop_and_descend(pid_t pid) {
    char path[32], text[512] = {0};
    snprintf(path, sizeof path, "%d/stat", pid);
    int file = open_proc(path, O_RDONLY);
    if (file < 0 || read(file, text, sizeof text - 1) < 0) text[0] = 0;
    if (file >= 0) close(file);
    char *state = strrchr(text, ')');
    int fresh = state && state[1] && !strchr("TZXx", state[2]);
    if (fresh) kill(pid, SIGSTOP);
    return fresh + walk(pid, stop_and_descend);
}

static int kill_and_descend(pid_t pid) {
    walk(pid, kill_and_descend);
    kill(pid, SIGKILL);
    return 1;
}

static void kill_descendants(void) {
    for (int round = 0; round < 100 && walk(getpid(), stop_and_descend); round++) {}
    walk(getpid(), kill_and_descend);
}

/* In the init: all that programs have started here, and nothing else. */
static void kill_all(void) {
    if (!confined.on || scopes_signals())
        kill(-1, SIGKILL);
    else
        kill_descendants();
}

/* --- files, which no tmpfs of a program's own bounds --------------------------------------------------------------- */

#define LOOK_US 50000 /* how long a program may write before somebody looks */
#define DEEPEST 60    /* folders within folders, where files are counted */

static struct statvfs free_before;

static void remember_free_disk(void) {
    if (fstatvfs(work_dir, &free_before)) die("statvfs");
}

struct usage {
    uint64_t bytes, files;
};

static void count_files(int folder, int depth, struct usage *used) {
    DIR *files = fdopendir(folder);
    struct stat status;
    for (struct dirent *file; files && (file = readdir(files));) {
        if (!strcmp(file->d_name, ".") || !strcmp(file->d_name, "..")) continue;
        if (fstatat(folder, file->d_name, &status, AT_SYMLINK_NOFOLLOW)) continue;
        used->bytes += status.st_blocks * 512, used->files++;
        if (!S_ISDIR(status.st_mode)) continue;
        int below = depth ? openat(folder, file->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (below >= 0)
            count_files(below, depth - 1, used);
        else
            used->files = UINT64_MAX / 2; /* hidden on purpose */
    }
    if (files) closedir(files);
}

static struct usage hidden;

/* Files that a process has open and no folder has any more. */
static int count_open_files(pid_t pid) {
    char path[300];
    struct stat own, status;
    snprintf(path, sizeof path, "%d/fd", pid);
    int fd = open_proc(path, O_RDONLY | O_DIRECTORY);
    DIR *open_files = fd < 0 ? NULL : fdopendir(fd);
    fstat(work_dir, &own);
    for (struct dirent *file; open_files && (file = readdir(open_files));)
        if (*file->d_name != '.' && !fstatat(fd, file->d_name, &status, 0) && S_ISREG(status.st_mode) &&
            status.st_dev == own.st_dev && !status.st_nlink)
            hidden.bytes += status.st_blocks * 512;
    if (open_files) closedir(open_files);
    return walk(pid, count_open_files);
}

/* Whether a program's files are more than its limits. The file system's own count is asked first: it costs nothing, but
   others write there as well. */
static int uses_too_much_disk(void) {
    struct statvfs now;
    uint64_t most = (uint64_t)limits.disk_mb << 20;
    if (fstatvfs(work_dir, &now)) return 0;
    int64_t blocks = free_before.f_bfree - now.f_bfree, files = free_before.f_ffree - now.f_ffree;
    int counts_files = now.f_files > 0; /* btrfs and gVisor do not */
    if (counts_files && blocks * (int64_t)now.f_frsize <= (int64_t)most && files <= (int64_t)limits.inodes) return 0;
    struct usage used = {0};
    hidden = used;
    int top = openat(work_dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top >= 0) count_files(top, DEEPEST, &used);
    walk(getpid(), count_open_files);
    return used.bytes + hidden.bytes > most || used.files > limits.inodes;
}

/* --- the server, between two programs --------------------------------------------------------------------------- */

/* Ends what an init has left; mostly there is nothing. */
static void sweep(void) {
    int status;
    while (waitpid(-1, &status, WNOHANG) >= 0) {
        if (confined.keeper) {
            pid_t killer = fork();
            if (killer < 0) die("fork");
            if (!killer) {
                become_keeper();
                kill(-1, SIGKILL);
                _exit(0);
            }
        } else {
            kill_descendants(); /* of the server, which is in no domain: it may signal everybody, so not -1 */
        }
        reap();
    }
}

/* Empties a folder of all but `kept`, however deep it is: what lies below a folder in it is first moved up. Nobody else is
   at work in it any more; links are removed, never followed. */
static void empty(int top, const char *kept) {
    static unsigned serial;
    for (int full = 1; full;) {
        int removed = full = 0;
        int copy = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *folder = copy < 0 ? NULL : fdopendir(copy);
        if (!folder) die("the programs' folder");
        for (struct dirent *entry; (entry = readdir(folder));) {
            const char *name = entry->d_name;
            if (!strcmp(name, ".") || !strcmp(name, "..") || (kept && !strcmp(name, kept))) continue;
            if (!unlinkat(top, name, 0) || !unlinkat(top, name, AT_REMOVEDIR)) {
                removed++;
                continue;
            }
            full = 1;
            fchmodat(top, name, 0700, 0); /* a folder, as a link would have been removed; so below */
            int below = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            DIR *inner = below < 0 ? NULL : fdopendir(below);
            for (struct dirent *one; inner && (one = readdir(inner));) {
                if (!strcmp(one->d_name, ".") || !strcmp(one->d_name, "..")) continue;
                if (unlinkat(below, one->d_name, 0) && unlinkat(below, one->d_name, AT_REMOVEDIR)) {
                    char moved[32];
                    fchmodat(below, one->d_name, 0700, 0);
                    do snprintf(moved, sizeof moved, ".moved-%u", serial++);
                    while (renameat2(below, one->d_name, top, moved, RENAME_NOREPLACE) && errno == EEXIST);
                }
                removed++;
            }
            if (inner) closedir(inner);
            if (!unlinkat(top, name, AT_REMOVEDIR)) removed++;
        }
        closedir(folder);
        if (full && !removed) errno = EBUSY, die("emptying the programs' folder");
    }
}

static int open_folder(const char *path) {
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static struct stat fresh; /* a folder that no program has been in */
static int fresh_attributes, reusable;

/* Of root's programs, which start in it. On a disk a new folder for each would cost as much as a test. */
static void make_work(void) {
    struct statfs disk;
    if (mkdir(WORK, 0755) || chown(WORK, confined.program, confined.program) || stat(WORK, &fresh)) die(WORK);
    int folder = open_folder(WORK);
    if (ioctl(folder, FS_IOC_GETFLAGS, &fresh_attributes)) fresh_attributes = -1;
    /* Others count in their folders' entries how many have been there. */
    reusable = !fstatfs(folder, &disk) && (disk.f_type == EXT4_SUPER_MAGIC || disk.f_type == OVERLAYFS_SUPER_MAGIC);
    close(folder);
}

/* Empties the folder, and returns whether only its number and age tell it from a new one then. (Of a generation or project
   that a program had given it nobody is told: such calls are refused.) */
static int is_fresh_again(int folder) {
    struct stat now;
    int attributes;
    if (!reusable || folder < 0 || fstat(folder, &now)) return 0;
    if (now.st_ino != fresh.st_ino || now.st_mode != fresh.st_mode) return 0;
    empty(folder, NULL);
    if (ioctl(folder, FS_IOC_GETFLAGS, &attributes)) attributes = -1;
    return !fstat(folder, &now) && now.st_uid == fresh.st_uid && now.st_gid == fresh.st_gid &&
           now.st_nlink == fresh.st_nlink && now.st_size == fresh.st_size && now.st_blocks == fresh.st_blocks &&
           attributes == fresh_attributes && !flistxattr(folder, NULL, 0) && !futimens(folder, NULL);
}

/* Leaves nothing of a program's: no process, no file, and no text in what stands for /dev/null. */
static void tidy(void) {
    sweep();
    int folder = open_folder(confined.keeper ? "/tmp" : confined.folder), kept = 0;
    if (folder < 0) die("the programs' folder");
    if (confined.keeper) {
        int work = open_folder(WORK);
        kept = is_fresh_again(work);
        if (work >= 0) close(work);
    }
    empty(folder, kept ? strrchr(WORK, '/') + 1 : NULL);
    close(folder);
    if (!confined.keeper) return;
    if (!kept) make_work();
    struct stat status;
    if (!stat("/dev/null", &status) && S_ISREG(status.st_mode) && (status.st_size || status.st_blocks) &&
        truncate("/dev/null", 0))
        die("/dev/null");
}

/* For `driver clear FOLDER [PROGRAM KEEPER]`: what a jail has left whose server was killed. Outside of any jail. */
static int clear(char **argv) {
    int status, folder = open_folder(argv[0]);
    if (argv[1]) {
        confined.program = atoi(argv[1]), confined.keeper = atoi(argv[2]);
        pid_t killer = confined.program && confined.keeper ? fork() : -1;
        if (killer < 0) die("clear");
        if (!killer) {
            become_keeper();
            /* They are nobody's children of ours: until their last call has ended. */
            for (int round = 0; round < 20 && !kill(-1, SIGKILL); round++) usleep(1000);
            _exit(0);
        }
        if (waitpid(killer, &status, 0) < 0) die("wait");
    }
    if (folder >= 0) empty(folder, NULL);
    return 0;
}
