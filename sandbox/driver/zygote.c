/* Loaded into a program before its first line, where more than one test will run it.
 *
 * To start a program costs a millisecond, and more than half of it passes before main: exec, the dynamic loader, its
 * relocations, and (on a virtual machine) dozens of traps to ask what the processor can do. So the process of one
 * test leaves a copy of itself behind just before main, the zygote, and each further test begins as a copy of the
 * zygote; the last one is the zygote itself. AFL calls this a fork server, Android a zygote.
 *
 * Where this code is not run, or cannot go on, the driver starts the next test with exec. Interpreters get further
 * before they are copied: see warm.c.
 */
#include "copies.h"

__attribute__((constructor)) static void before_main(int count, char **arguments, char **names) {
    (void)count, (void)arguments;
    forget(names, "LD_PRELOAD=");
    leave_zygote();
}
