// Two sockets, all of whose ends are in flight through each other, hold 40 MiB of a file that has no name and a name
// that the next program could read: only the kernel's collector of garbage would free them, whenever it next runs.
// expect=passed memory_mb=128 disk_mb=64 root=runtime_error user=runtime_error
#include "attack.h"
static char room[CMSG_SPACE(3 * sizeof(int))], byte;
static struct iovec io = {&byte, 1};
static struct msghdr *with(int first, int second, int third) {
    static struct mmsghdr message;
    message.msg_hdr = (struct msghdr){0, 0, &io, 1, room, sizeof room, 0};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message.msg_hdr);
    head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS, head->cmsg_len = CMSG_LEN(3 * sizeof(int));
    memcpy(CMSG_DATA(head), (int[]){first, second, third}, 3 * sizeof(int));
    return &message.msg_hdr;
}
int main(void) {
    static char megabyte[1 << 20];
    static struct sockaddr_un name = {AF_UNIX, "\0for the next"};
    int file = open("/tmp/file", O_CREAT | O_RDWR, 0600), a[2], b[2];
    for (int i = 0; i < 40; i++) if (write(file, megabyte, sizeof megabyte) < 0) return 1;
    unlink("/tmp/file");
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, a) || socketpair(AF_UNIX, SOCK_STREAM, 0, b)) return 1;
    if (bind(a[1], (struct sockaddr *)&name, sizeof name)) return 1;
    REFUSED(sendmsg(a[0], with(a[1], file, file), 0));
    REFUSED(sendmmsg(b[0], (struct mmsghdr *)with(b[1], a[0], b[0]), 1, 0)); /* both ends: no exit closes them */
    return done();
}
