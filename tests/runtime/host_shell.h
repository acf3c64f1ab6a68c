/*
 * Shell scripts as children of the tests: how they end, and what they say.
 */
#ifndef GV_TEST_HOST_SHELL_H
#define GV_TEST_HOST_SHELL_H

#include "tests/runtime/host_world.h"

/* How a child ended. */
struct end {
    unsigned n; /* upcalls */
    int status;
    int signal;
    uint64_t at_ns;
};

/* For process_spawn; the owner is a struct end. */
void on_exited(void *owner, int status, int signal);

/* Runs a shell script with the descriptors given; what it prints on 3 may be read afterwards. */
struct gv_process *spawn_shell(const char *script, const int *fds, unsigned n_fds, struct end *end);

/* What the script writes to its descriptor 3. */
void run_shell(const char *script, char *text, size_t room);

#endif
