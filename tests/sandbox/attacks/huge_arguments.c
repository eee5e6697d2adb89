// Arguments and environment as large as the kernel allows, then larger.
// expect=passed
#include "attack.h"
int main(int argc, char **argv) {
    if (argc > 1) return done();
    size_t most = 100;
    char *word = malloc(100001), **words = calloc(101, sizeof *words);
    memset(word, 'x', 100000), word[100000] = 0;
    for (; most; most--) {
        for (size_t i = 0; i < most; i++) words[i] = word;
        words[most] = NULL;
        execve(argv[0], words, words);
        if (errno != E2BIG) return perror("execve"), 1;
    }
    return 1;
}
