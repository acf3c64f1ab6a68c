/*
 * A program in which somebody cannot be stopped, in the way that its argument
 * names: stuck_program WAY. It prints "over" and exits with 0 if it gets to
 * its end.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <grove/blocking.h>

#include "stage.h"

#define EVER_MS 30000u

/* --- who holds a loop up ---------------------------------------------------------------------- */

static void burn(unsigned ms)
{
    struct timespec now;
    long long until_ms;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* It exists everywhere. */
    until_ms = now.tv_sec * 1000LL + now.tv_nsec / 1000000 + ms;
    do
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    while (now.tv_sec * 1000LL + now.tv_nsec / 1000000 < until_ms);
}

static int act_burn(struct play *me, struct script *script)
{
    (void)me;
    burn(script->ms);
    return 0;
}

static int act_rest_and_burn(struct play *me, struct script *script)
{
    (void)grove_sleep_await(20);
    return act_burn(me, script);
}

static int act_block(struct play *me, struct script *script)
{
    (void)me;
    (void)usleep(script->ms * 1000);
    return 0;
}

static int sleep_on_thread(void *ms)
{
    (void)usleep(*(unsigned *)ms * 1000);
    return 0;
}

/* Its argument lies on this stack: so the stack cannot be taken away. */
static int act_on_thread(struct play *me, struct script *script)
{
    (void)me;
    return grove_blocking_await(sleep_on_thread, &script->ms, 0);
}

/* The argument is copied. */
static int act_on_thread_apart(struct play *me, struct script *script)
{
    unsigned ms = script->ms;

    (void)me;
    return grove_blocking_await(sleep_on_thread, &ms, sizeof ms);
}

static struct script stuck;

static grove_ref begin(unsigned loop, int (*act)(struct play *, struct script *), unsigned ms)
{
    grove_ref who = stage_spawn_on(loop, "mule");

    stuck = (struct script){.act = act, .ms = ms};
    (void)stage_send(who, &stuck);
    (void)grove_sleep_await(50);
    return who;
}

/* --- one actor ---------------------------------------------------------------------------------- */

static void kill_in_100_ms(unsigned loop, int (*act)(struct play *, struct script *), unsigned ms)
{
    (void)grove_stop_within_await(begin(loop, act, ms), GROVE_STOP_KILL, 100);
}

static void on_cpu(void)
{
    kill_in_100_ms(1, act_burn, EVER_MS);
}

static void blocked(void)
{
    kill_in_100_ms(1, act_block, EVER_MS);
}

static void on_thread(void)
{
    kill_in_100_ms(1, act_on_thread, EVER_MS);
    (void)grove_sleep_await(EVER_MS);
}

static void late(void)
{
    kill_in_100_ms(1, act_burn, 600);
}

/* The one that is stopped waits, and its loop is held up by another one. */
static void other(void)
{
    static struct script nap = {.act = act_nap, .ms = 60000};
    grove_ref who = stage_spawn_on(1, "patient");

    (void)stage_send(who, &nap);
    (void)begin(1, act_burn, 2000);
    (void)grove_stop_within_await(who, GROVE_STOP_KILL, 100);
}

static grove_ref mule_at_home;

static void go_kill(void *unused)
{
    (void)unused;
    (void)grove_sleep_await(100);
    (void)grove_stop_within(mule_at_home, GROVE_STOP_KILL, 100);
}

/* Its supervisor kills it, on a loop that hears nothing. */
static void child(void)
{
    struct grove_child child = {.service = &play_service_table,
                                .functions = &stage_player,
                                .options = {.place = GROVE_ON_LOOP(1), .label = "mule"},
                                .rule = {.shutdown_ms = 100}};
    grove_ref top, who;

    if (grove_supervise(NULL, &top) != 0 || grove_supervisor_add_await(top, &child, &who) != 0)
        exit(1);
    stuck = (struct script){.act = act_burn, .ms = EVER_MS};
    (void)stage_send(who, &stuck);
    (void)grove_sleep_await(50);
    (void)grove_supervisor_remove_await(top, who);
}

/* Loop 0 itself, stopped by another loop. */
static void at_home(void)
{
    mule_at_home = stage_spawn_on(0, "mule");
    (void)grove_go(go_kill, NULL, &(struct grove_spawn_options){.place = GROVE_ON_LOOP(1)}, NULL);
    stuck = (struct script){.act = act_burn, .ms = EVER_MS};
    (void)stage_send(mule_at_home, &stuck);
    (void)grove_sleep_await(1);
}

/* --- the process -------------------------------------------------------------------------------- */

static void go_signal(void *unused)
{
    (void)unused;
    (void)grove_sleep_await(100);
    (void)kill(getpid(), SIGTERM);
}

static void signal_soon(void)
{
    (void)grove_go(go_signal, NULL, &(struct grove_spawn_options){.place = GROVE_ON_LOOP(1)}, NULL);
}

static void terminate_home(void)
{
    grove_ref who = stage_spawn_on(0, "mule");

    signal_soon();
    stuck = (struct script){.act = act_burn, .ms = EVER_MS};
    (void)stage_send(who, &stuck);
    (void)grove_run_await();
}

static void terminate_far(void)
{
    (void)grove_terminate_on_signals();
    (void)begin(1, act_burn, EVER_MS);
    (void)kill(getpid(), SIGTERM);
    (void)grove_run_await();
}

static void terminate_main(void)
{
    (void)grove_terminate_on_signals();
    signal_soon();
    (void)grove_sleep_await(1);
    burn(EVER_MS);
}

static void deinit_home(void)
{
    grove_ref who = stage_spawn_on(0, "mule");

    stuck = (struct script){.act = act_rest_and_burn, .ms = EVER_MS};
    (void)stage_send(who, &stuck);
    (void)grove_sleep_await(5);
}

static void deinit_thread(void)
{
    (void)begin(1, act_on_thread_apart, EVER_MS);
}

/* --- its start ---------------------------------------------------------------------------------- */

static void early(void)
{
    (void)grove_terminate_on_signals();
    if (grove_terminating())
        exit(1);
    (void)kill(getpid(), SIGTERM);
    for (unsigned i = 0; i < 1000 && !grove_terminating(); i++)
        burn(1); /* A long start, without an await. */
    if (!grove_terminating() || grove_terminated_await() != SIGTERM || grove_run_await() != 0)
        exit(1);
}

static void early_unasked(void)
{
    (void)stage_spawn_on(0, NULL);
    (void)kill(getpid(), SIGTERM);
    burn(1000);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } ways[] = {
        {"cpu", on_cpu},
        {"blocked", blocked},
        {"thread", on_thread},
        {"late", late},
        {"other", other},
        {"home", at_home},
        {"child", child},
        {"terminate home", terminate_home},
        {"terminate far", terminate_far},
        {"terminate main", terminate_main},
        {"deinit home", deinit_home},
        {"deinit thread", deinit_thread},
        {"early", early},
        {"early unasked", early_unasked},
    };

    (void)grove_init(&argc, &argv);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if (argc == 2 && strcmp(argv[1], ways[i].name) == 0) {
            ways[i].run();
            if (grove_deinit() != 0)
                return 1;
            (void)printf("over\n");
            return 0;
        }
    return 2;
}
