// Becomes itself again and again.
// expect=timeout test_s=0.7
#include "attack.h"
int main(int argc, char **argv) { (void)argc; for (;;) execv(argv[0], argv); }
