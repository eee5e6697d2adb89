// Crashes where it would leave a core dump.
// expect=runtime_error
#include "attack.h"
int main(void) {
    struct rlimit much = {1 << 30, 1 << 30};
    setrlimit(RLIMIT_CORE, &much);
    prctl(PR_SET_DUMPABLE, 1);
    abort();
}
