/* See host_world.h. */
#include "tests/runtime/host_world.h"

#include "runtime/log.h"

const struct gv_env *env;
struct gv_poller *poller;

int open_world(void **state)
{
    (void)state;
    env = gv_env_host();
    gv_log_open(env);
    return env->poller_open(env->world, 0, &poller);
}

int close_world(void **state)
{
    (void)state;
    env->poller_close(poller);
    return 0;
}

int open_world_as_before_linux_5(void **state)
{
    gv_host_old_kernel = true;
    return open_world(state);
}

int close_world_as_now(void **state)
{
    gv_host_old_kernel = false;
    return close_world(state);
}
