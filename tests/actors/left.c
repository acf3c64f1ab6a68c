#include "left.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "actors/call.h"
#include "runtime/loop.h"
#include "runtime/runtime.h"
#include "stage.h"

/* Call records that are open on loop 0. */
static unsigned n_calls(void)
{
    const struct gv_calls *calls = gv_runtime.loops[0]->calls;
    unsigned n = 0;

    for (uint32_t i = 0; i < calls->n_chunks * GV_CALL_CHUNK; i++)
        n += calls->chunks[i / GV_CALL_CHUNK][i % GV_CALL_CHUNK].open;
    return n;
}

struct left {
    uint64_t stacks, parked, actors, blocks;
    unsigned calls;
    uint32_t timers;
};

static struct left look(void)
{
    struct grove_loop_stats stats;

    assert_int_equal(grove_loop_stats(0, &stats), 0);
    return (struct left){.stacks = stats.stacks,
                         .parked = stats.parked,
                         .actors = stats.actors,
                         .blocks = gv_runtime.loops[0]->blocks.n_taken,
                         .calls = n_calls(),
                         .timers = gv_runtime.loops[0]->wheel.n_armed};
}

static struct left before;

int left_look_before(void **state)
{
    (void)state;
    /* A dispatcher's stack exists from the first turn on. */
    assert_int_equal(grove_sleep_await(1), 0);
    (void)grove_stop_await(stage_spawn(NULL), GROVE_STOP_NOW);
    before = look();
    return 0;
}

int left_look_after(void **state)
{
    struct left after;

    assert_int_equal(grove_sleep_await(1), 0);
    after = look();
    assert_int_equal(after.parked, before.parked);
    assert_int_equal(after.actors, before.actors);
    assert_int_equal(after.blocks, before.blocks);
    assert_int_equal(after.calls, before.calls);
    assert_int_equal(after.timers, before.timers);
    assert_in_range(after.stacks, 0, before.stacks + 1); /* Two dispatchers may be left. */
    return stage_check_settled(state);
}
