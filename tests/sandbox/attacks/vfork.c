// A child that shares its memory and never lets it go.
// expect=timeout test_s=0.5
#include "attack.h"
int main(void) { if (!vfork()) for (;;) pause(); return done(); }
