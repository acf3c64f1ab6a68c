/* See host_world.h. */
#include "tests/runtime/host_world.h"

const struct gv_env *env;
struct gv_poller *poller;

int open_world(void **state)
{
    (void)state;
    env = gv_env_host();
    return env->poller_open(env->world, 0, &poller);
}

int close_world(void **state)
{
    (void)state;
    env->poller_close(poller);
    return 0;
}
