// The good program after each attack in C: answers, and says whatever it should not find.
#include "../attack.h"
#include <dirent.h>
static void list(const char *path, const char *expected) {
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.' && !strstr(expected, entry->d_name)) printf("found %s/%s\n", path, entry->d_name);
}
int main(void) {
    char line[100];
    if (!fgets(line, sizeof line, stdin)) return 1;
    list(getenv("TMPDIR"), "w");
    list(".", "program.b64 program");
    for (int pid = 3; pid < 70; pid++)
        if (pid != getpid() && !kill(pid, 0)) printf("found process %d\n", pid);
    char socket[200]; /* the network namespace is that of all programs of a jail */
    FILE *sockets = getppid() == 1 ? fopen("/proc/net/unix", "r") : NULL; /* else there is no such namespace */
    if (sockets && !fgets(socket, sizeof socket, sockets)) return 1;
    while (sockets && fgets(socket, sizeof socket, sockets)) printf("found socket %s", socket);
    fputs(line, stdout);
}
