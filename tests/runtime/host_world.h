/*
 * The real world for tests of host_*.c: one poller, opened and closed by
 * the group, and a wait that fails the test when it waits in vain.
 */
#ifndef GV_TEST_HOST_WORLD_H
#define GV_TEST_HOST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/host.h"

enum { WAIT_NS_MAX = 1000000000, N_POLLS_MAX = 100000 };

extern const struct gv_env *env;
extern struct gv_poller *poller;

/* For the setup and teardown of a group. */
int open_world(void **state);
int close_world(void **state);

/* The same on a kernel that knows nothing of what came with Linux 5. */
int open_world_as_before_linux_5(void **state);
int close_world_as_now(void **state);

/* Polls until condition holds. */
#define POLL_UNTIL(condition)                        \
    do {                                             \
        for (int polls = 0; !(condition); polls++) { \
            assert_true(polls < N_POLLS_MAX);        \
            env->poller_poll(poller, WAIT_NS_MAX);   \
        }                                            \
    } while (0)

#endif
