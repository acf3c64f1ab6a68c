/*
 * Honest load: many actors with short turns, calls, sleeps and now and then a
 * millisecond of computing, on all loops, for as long as TEST_HONEST_S says
 * (default 4 s, an hour in the soak). The stall watch must stay silent:
 * nobody computes or blocks for long, however little CPU there is for us.
 *
 * It fails with the reports of stalls that were on CPU, blocked or on a disk.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stage.h"

#define PLAYERS    256u
#define CLIENTS    64u
#define COMPUTE_US 1000u
#define SECOND_NS  UINT64_C(1000000000)

static grove_ref players[PLAYERS];
static uint64_t until_ns;

static uint64_t cpu_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); /* It exists. */
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* As much CPU time as an honest handler takes. */
static int compute(struct play *me, struct script *script)
{
    uint64_t end_ns = cpu_ns() + COMPUTE_US * 1000u;

    (void)me;
    (void)script;
    while (cpu_ns() < end_ns)
        continue;
    return 0;
}

static void client(void *number)
{
    struct script computes = {.act = compute}, naps = {.act = act_nap, .ms = 3};
    unsigned k = (unsigned)(uintptr_t)number;

    while (grove_now_ns() < until_ns) {
        grove_ref who = players[grove_random() % PLAYERS];
        struct grove_scope scope;
        int rc = 0;

        grove_scope_begin(&scope);
        if (++k % 64 == 0)
            rc = stage_perform(who, &computes);
        else if (k % 16 == 0)
            rc = stage_perform(who, &naps);
        else
            rc = stage_add(who, 1, NULL);
        grove_scope_end(&scope);
        /* On a machine with too little CPU some come too late, or find no room: that is no stall. */
        if (rc > 0 || rc == GROVE_EUSAGE) {
            (void)fprintf(stderr, "stall_honest: %s: %s\n", grove_error_name(rc), grove_why());
            abort();
        }
        if (k % 32 == 0 && grove_sleep_await(1 + k % 5) != 0)
            return;
    }
}

static int judge(void)
{
    static struct grove_stall stalls[64];
    struct grove_stall_counts counts;
    unsigned n = grove_stalls(0, stalls, 64);
    static char text[4096];
    uint64_t n_false;

    grove_stall_count(&counts);
    n_false = counts.n_kind[GROVE_STALL_ON_CPU] + counts.n_kind[GROVE_STALL_BLOCKED]
              + counts.n_kind[GROVE_STALL_DISK];
    (void)printf("stall_honest: %" PRIu64 " on CPU, %" PRIu64 " blocked, %" PRIu64 " disk, %" PRIu64
                 " starved\n",
                 counts.n_kind[GROVE_STALL_ON_CPU], counts.n_kind[GROVE_STALL_BLOCKED],
                 counts.n_kind[GROVE_STALL_DISK], counts.n_kind[GROVE_STALL_STARVED]);
    for (unsigned i = 0; i < n; i++)
        if (stalls[i].kind != GROVE_STALL_STARVED
            && grove_stall_text(stalls[i].number, text, sizeof text) == 0)
            (void)fprintf(stderr, "%s\n", text);
    return n_false == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *seconds = getenv("TEST_HONEST_S");
    int rc;

    if (grove_init(&argc, &argv) != 0)
        return 2;
    until_ns = grove_now_ns() + (uint64_t)(seconds != NULL ? atoi(seconds) : 4) * SECOND_NS;
    for (unsigned i = 0; i < PLAYERS; i++)
        players[i] = stage_spawn_on(i % grove_loops(), NULL);
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct grove_spawn_options options = {.place = GROVE_ON_LOOP(i % grove_loops())};

        if (grove_go(client, (void *)(uintptr_t)i, &options, NULL) != 0)
            return 2;
    }
    while (grove_now_ns() < until_ns)
        (void)grove_sleep_await(100); /* main is never stopped. */
    rc = judge();
    return grove_deinit() == 0 ? rc : 3;
}
