// Fills the table of files: empty files, directories in directories, links.
// expect=passed root=runtime_error user=runtime_error inodes=500
#include "attack.h"
int main(void) {
    int made = 0;
    char name[32];
    for (int i = 0; i < 400; i++) sprintf(name, "f%d", i), made += open(name, O_CREAT, 0600) >= 0 || (errno == EMFILE);
    for (int i = 0; i < 400; i++) sprintf(name, "l%d", i), made += !link("program", name);
    for (int i = 0; i < 400; i++) sprintf(name, "s%d", i), made += !symlink("/etc/passwd", name);
    for (int i = 0; i < 400 && !mkdir("d", 0700) && !chdir("d"); i++) made++;
    HOLDS(made > 300 && made < 800);
    return done();
}
