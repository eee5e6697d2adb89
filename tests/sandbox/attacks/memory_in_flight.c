// Two sockets, each in flight through the other, hold 40 MiB of a file that has no name: only the kernel's collector
// of garbage frees it.
// expect=passed memory_mb=128 disk_mb=64
#include "attack.h"
static void pass(int through, int what[2]) {
    char room[CMSG_SPACE(2 * sizeof(int))] = {0}, byte = 0;
    struct iovec io = {&byte, 1};
    struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS, head->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(head), what, 2 * sizeof(int));
    if (sendmsg(through, &message, 0) < 0) perror("sendmsg"), exit(1);
}
int main(void) {
    static char megabyte[1 << 20];
    int file = open("/tmp/file", O_CREAT | O_RDWR, 0600), a[2], b[2];
    for (int i = 0; i < 40; i++) if (write(file, megabyte, sizeof megabyte) < 0) return 1;
    unlink("/tmp/file");
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, a) || socketpair(AF_UNIX, SOCK_STREAM, 0, b)) return 1;
    pass(a[0], (int[]){a[1], file});
    pass(b[0], (int[]){b[1], a[0]});
    return done();
}
