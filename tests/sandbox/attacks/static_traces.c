// A program without a dynamic loader, which would not run the zygote's code, is told nothing of it.
// expect=passed tests=6 user=wrong_output
#include "zygote_traces.c"
