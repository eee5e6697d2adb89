/* What the driver and the zygote say to each other. */
#define ZYGOTE_LINK 3 /* the descriptor of the zygote's end, in a program before its first line */
#define ZYGOTE_PATH "/dev/zygote.so"

enum { A_ZYGOTE = 1, A_TEST = 2 };

struct announcement {
    int role, pid;
};
