// Becomes another user, by calls, by a program of its own with the setuid bit, by those of the root file system.
// expect=passed user=wrong_output
#include "attack.h"
#include <grp.h>
int main(int argc, char **argv) {
    if (argc > 1) return geteuid() == atoi(argv[1]) ? 0 : 1;
    char again[40];
    snprintf(again, sizeof again, "./program %d", geteuid());
    REFUSED(setuid(0));
    REFUSED(seteuid(0));
    REFUSED(setresuid(1001, 1001, 1001));
    REFUSED(setgid(0));
    REFUSED(setgroups(0, NULL));
    REFUSED(chown("program", 0, 0));
    REFUSED(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    REFUSED(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0));
    HOLDS(!chmod("program", 06755));
    HOLDS(!system(again));
    HOLDS(system("for p in $(find / -xdev -perm -4000 -type f 2>/dev/null); do "
                 "echo id | timeout 2 $p -c 'id -u' 2>/dev/null </dev/null | grep -x 0 && exit 1; done; exit 0") == 0);
    HOLDS(mknod("node", S_IFBLK | 0600, 0x0100) == -1 && mknod("node", S_IFCHR | 0600, 0x0101) == -1);
    return done();
}
