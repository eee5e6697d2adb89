/* What the driver and the processes that copy themselves say to each other. */
#include <sched.h>
#include <sys/resource.h>

#define ZYGOTE_LINK 3 /* the descriptor of the copies' end, in a program before its first line */
#define ZYGOTE_PATH "/dev/zygote.so"
#define WARM_PATH "/dev/warm.so"

enum { A_ZYGOTE = 1, A_TEST, A_RUNTIME, A_SEEDED_RUNTIME };

struct announcement {
    int role;
    union {
        int pid;      /* of a zygote, of a test */
        int programs; /* of a runtime: how many it may serve */
    };
};

/* Init to runtime: how a copy enters the init's jail. With it come four descriptors. */
enum { E_LINK, E_WORK, E_MOUNTS, E_PROCESSES, E_COUNT };
struct entrance {
    struct {
        int resource;
        struct rlimit limit;
    } bounds[5];
    int keeps_to_core; /* the runtime; and tests may go to these: */
    cpu_set_t cores;
};
