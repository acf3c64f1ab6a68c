#include "letters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct script nothing = {.act = act_nothing};

uint64_t letters_count(enum grove_dead_reason reason)
{
    uint64_t counts[GROVE_DEAD_REASONS];

    grove_dead_letters_count(counts);
    return counts[reason];
}

struct grove_dead_letter letters_last(void)
{
    struct grove_dead_letter letter = {0};

    assert_int_equal(grove_dead_letters_last(&letter, 1), 1);
    return letter;
}

_Atomic(unsigned) letters_n_napping;

/* Says that it has begun, and sleeps. */
static int nap_at(struct play *me, struct script *script)
{
    letters_n_napping++;
    return act_nap(me, script);
}

grove_ref letters_napper(unsigned loop, struct script *nap, uint32_t ms)
{
    struct grove_spawn_options options = {
        .place = GROVE_ON_LOOP(loop), .depth_max = DEPTH, .pinned = true};
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(play_spawn_await(&stage_player, NULL, &options, &ref), 0);
    *nap = (struct script){.act = nap_at, .ms = ms};
    letters_n_napping = 0;
    assert_int_equal(stage_send(ref, nap), 0);
    do
        assert_int_equal(grove_sleep_await(1), 0);
    while (letters_n_napping == 0);
    return ref;
}

void letters_kill(unsigned n)
{
    struct grove_spawn_options options = {.depth_max = n + 1};
    struct script nap = {.act = act_nap, .ms = 5};
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(play_spawn(&stage_player, NULL, &options, &ref), 0);
    assert_int_equal(stage_send(ref, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(stage_send(ref, &nothing), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
}
