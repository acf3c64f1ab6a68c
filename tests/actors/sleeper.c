#include "sleeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sleepers sleepers;
struct play_service sleeper_functions;

/* In place of the player's state. */
struct sleeper {
    struct play play;
    char letter;
    unsigned char rest[SLEEPER_BYTES - sizeof(struct play) - 1];
};

static void note(char what)
{
    unsigned i = sleepers.n_begun++;

    if (i < SLEEPER_NOTES - 1) {
        sleepers.at_ms[i] = stage_now_ms();
        sleepers.notes[i] = what;
    }
    sleepers.n_notes++;
}

static int sleeper_init(struct play *play, const void *argument)
{
    struct sleeper *me = (struct sleeper *)play;
    static const struct sleeper zeros;

    if (memcmp(me, &zeros, sizeof zeros) != 0)
        sleepers.n_dirty++;
    memset(me->rest, 1, sizeof me->rest);
    me->letter = *(const char *)argument;
    me->play.total = sleepers.saved[(int)me->letter];
    note(me->letter);
    if (sleepers.n_bad_inits > 0) {
        sleepers.n_bad_inits--;
        return grove_fail("%c does not get up", me->letter);
    }
    return 0;
}

static void sleeper_deinit(struct play *play)
{
    struct sleeper *me = (struct sleeper *)play;

    if (sleepers.nap_ms > 0)
        (void)grove_sleep_await(sleepers.nap_ms); /* It ends, however. */
    sleepers.saved[(int)me->letter] = me->play.total;
    note((char)(me->letter - 'a' + 'A'));
}

static void sleeper_down(struct play *play, const struct grove_down *down)
{
    (void)play;
    (void)down;
    sleepers.n_downs++;
}

void sleeper_begin(void)
{
    memset(&sleepers, 0, sizeof sleepers);
    sleeper_functions = stage_player;
    sleeper_functions.state_bytes = sizeof(struct sleeper);
    sleeper_functions.init = sleeper_init;
    sleeper_functions.deinit = sleeper_deinit;
    sleeper_functions.down = sleeper_down;
}

grove_ref sleeper_spawn(char letter, uint32_t after_ms, const struct grove_spawn_options *options)
{
    struct grove_spawn_options full =
        options != NULL ? *options : (struct grove_spawn_options){.label = NULL};
    grove_ref ref = GROVE_NOBODY;

    full.passivate_after_ms = after_ms;
    full.argument_bytes = 1;
    assert_int_equal(play_spawn(&sleeper_functions, &letter, &full, &ref), 0);
    return ref;
}

uint64_t sleeper_count_passive(void)
{
    struct grove_loop_stats stats;
    uint64_t n = 0;

    for (unsigned i = 0; grove_loop_stats(i, &stats) == 0; i++)
        n += stats.passive;
    return n;
}

int act_passivate(struct play *me, struct script *script)
{
    (void)me;
    return stage_note(script, grove_passivate());
}

void sleeper_send_to_sleep(grove_ref who)
{
    struct script script = {.act = act_passivate};
    uint64_t n = sleeper_count_passive();

    assert_int_equal(stage_perform(who, &script), 0);
    while (sleeper_count_passive() == n)
        assert_int_equal(grove_sleep_await(1), 0);
}
