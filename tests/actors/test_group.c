/*
 * Groups: who gets a publish, who does not, and that nobody holds up another one.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"
#include "ticker.h"

#include "actors/group.h"
#include "runtime/loop.h"
#include "runtime/runtime.h"

enum { DEPTH = 4 };

static struct seen seen[300];

static uint64_t count(enum grove_dead_reason reason)
{
    uint64_t counts[GROVE_DEAD_REASONS];

    grove_dead_letters_count(counts);
    return counts[reason];
}

static grove_ref group_of(const char *name)
{
    grove_ref group = GROVE_NOBODY;

    assert_int_equal(grove_group_open(name, &group), 0);
    return group;
}

/* A new member of a loop. */
static grove_ref member(grove_ref group, unsigned loop, struct seen *its)
{
    grove_ref ref = ticker_spawn_at(loop, its, DEPTH, 0);

    assert_int_equal(grove_group_join(group, ref), 0);
    return ref;
}

static int publish_note(grove_ref group, uint32_t number, struct grove_published *published)
{
    Ticker__V1__NoteRequest request = TICKER__V1__NOTE_REQUEST__INIT;

    request.number = number;
    return ticker_note_publish(group, &request, published);
}

static int publish_tick(grove_ref group, uint32_t number, size_t bytes,
                        struct grove_published *published)
{
    static uint8_t zeros[100000];
    Ticker__V1__TickRequest request = TICKER__V1__TICK_REQUEST__INIT;

    request.number = number;
    request.load = (ProtobufCBinaryData){bytes, zeros};
    return ticker_tick_publish(group, &request, published);
}

/* All that was sent to them has been handled. */
static void settle(const grove_ref *refs, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(ticker_call_note(refs[i], 0), 0);
}

static void test_every_member_gets_what_is_published_once(void **state)
{
    grove_ref group = group_of("once"), refs[3];
    struct grove_published published;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        refs[i] = member(group, 0, &seen[i]);
    assert_int_equal(grove_group_join(group, refs[0]), 0); /* It is one already. */
    assert_int_equal(publish_note(group, 7, &published), 0);
    assert_int_equal(published.n_here, 3);
    assert_int_equal(published.n_away, 0);
    assert_int_equal(published.n_refused, 0);
    settle(refs, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(seen[i].n, 2);
        assert_int_equal(seen[i].numbers[0], TICKER_NOTE + 7);
    }
    assert_int_equal(grove_group_close(group), 0);
}

static void test_a_full_member_holds_up_nobody_and_is_counted(void **state)
{
    grove_ref group = group_of("full"), slow = member(group, 0, &seen[0]),
              quick = member(group, 0, &seen[1]);
    uint64_t before = count(GROVE_DEAD_FULL);
    struct grove_published published;
    struct grove_dead_letter letter;

    (void)state;
    ticker_nap(slow, &seen[0], 20);
    for (uint32_t i = 1; i <= 10; i++) {
        assert_int_equal(publish_note(group, i, &published), 0);
        assert_int_equal(published.n_here, i <= DEPTH ? 2 : 1);
        assert_int_equal(published.n_refused, i <= DEPTH ? 0 : 1);
        assert_int_equal(grove_yield_await(), 0);
    }
    settle(&quick, 1);
    assert_int_equal(seen[1].n, 11);
    assert_int_equal(seen[0].n, 0);
    assert_int_equal(count(GROVE_DEAD_FULL) - before, 6);
    assert_int_equal(grove_dead_letters_last(&letter, 1), 1);
    assert_true(grove_ref_equal(letter.to, slow));
    settle(&slow, 1);
    assert_int_equal(seen[0].n, DEPTH + 1);
    assert_int_equal(grove_group_close(group), 0);
}

static int act_publish(struct play *me, struct script *script)
{
    (void)me;
    return publish_note(script->to, 1, NULL);
}

static void test_a_letter_of_a_publish_says_who_published(void **state)
{
    grove_ref group = group_of("letters"), slow = member(group, 0, &seen[0]),
              publisher = stage_spawn("publisher");
    struct script publish = {.act = act_publish, .to = group};
    struct grove_dead_letter letter = {0};

    (void)state;
    ticker_nap(slow, &seen[0], 20);
    for (uint32_t i = 0; i < DEPTH + 1; i++)
        assert_int_equal(stage_perform(publisher, &publish), 0);
    assert_int_equal(grove_dead_letters_last(&letter, 1), 1);
    assert_true(grove_ref_equal(letter.to, slow));
    assert_true(grove_ref_equal(letter.from, publisher));
    settle(&slow, 1);
    assert_int_equal(grove_group_close(group), 0);
}

static void test_of_an_rpc_that_drops_the_oldest_a_slow_member_gets_the_newest(void **state)
{
    grove_ref group = group_of("ticks"), slow = member(group, 0, &seen[0]);
    struct grove_published published;

    (void)state;
    ticker_nap(slow, &seen[0], 20);
    for (uint32_t i = 1; i <= 10; i++) {
        assert_int_equal(publish_tick(group, i, 0, &published), 0);
        assert_int_equal(published.n_here, 1);
    }
    settle(&slow, 1);
    assert_int_equal(seen[0].n, DEPTH + 1);
    assert_int_equal(seen[0].numbers[0], 7);
    assert_int_equal(seen[0].numbers[3], 10);
    assert_int_equal(grove_group_close(group), 0);
}

static void test_who_has_left_or_ended_gets_nothing(void **state)
{
    grove_ref group = group_of("leave"), left = member(group, 0, &seen[0]),
              ended = member(group, 0, &seen[1]), stays = member(group, 0, &seen[2]), members[4];
    struct grove_published published;

    (void)state;
    assert_int_equal(grove_group_members(group, members, 4), 3);
    assert_int_equal(grove_group_leave(group, left), 0);
    assert_int_equal(grove_group_leave(group, left), GROVE_ENOACTOR);
    assert_int_equal(grove_stop_await(ended, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_group_members(group, members, 4), 1);
    assert_true(grove_ref_equal(members[0], stays));
    assert_int_equal(publish_note(group, 1, &published), 0);
    assert_int_equal(published.n_here, 1);
    assert_int_equal(published.n_refused, 0);
    assert_int_equal(gv_group_entries(group), 1); /* It has met the dead, and buried them. */
    settle(&left, 1);
    assert_int_equal(seen[0].n, 1); /* What settle sends. */
    assert_int_equal(grove_group_join(group, ended), GROVE_ENOACTOR);
    assert_int_equal(grove_group_close(group), 0);
}

static void test_a_group_belongs_to_its_name_until_it_is_closed(void **state)
{
    grove_ref group = group_of("board"), same = group_of("board"), other = group_of("boarD");

    (void)state;
    (void)member(group, 0, &seen[0]);
    assert_true(grove_ref_equal(group, same));
    assert_false(grove_ref_equal(group, other));
    assert_int_equal(grove_group_close(group), 0);
    assert_int_equal(grove_group_close(same), GROVE_ENOACTOR);
    assert_int_equal(publish_note(group, 1, NULL), GROVE_ENOACTOR);
    assert_int_equal(grove_group_join(group, grove_self()), GROVE_ENOACTOR);
    assert_int_equal(grove_group_members(group, NULL, 0), GROVE_ENOACTOR);
    same = group_of("board");
    assert_false(grove_ref_equal(group, same));
    assert_int_equal(grove_group_members(same, NULL, 0), 0);
    assert_int_equal(grove_group_close(same), 0);
    assert_int_equal(grove_group_close(other), 0);
}

static void test_a_send_to_a_group_publishes_and_a_call_is_refused_with_a_word(void **state)
{
    Ticker__V1__NoteRequest request = TICKER__V1__NOTE_REQUEST__INIT;
    Ticker__V1__NoteResponse response = TICKER__V1__NOTE_RESPONSE__INIT;
    struct grove_future future;
    grove_ref group = group_of("send"),
              refs[2] = {member(group, 0, &seen[0]), member(group, 0, &seen[1])};

    (void)state;
    assert_int_equal(ticker_send_note(group, 5), 0);
    settle(refs, 2);
    assert_int_equal(seen[0].numbers[0], TICKER_NOTE + 5);
    assert_int_equal(seen[1].numbers[0], TICKER_NOTE + 5);
    assert_int_equal(ticker_note_await(group, &request, &response), GROVE_ENOTSUP);
    assert_string_equal(grove_why(), "a group answers nothing and makes nobody wait: _publish or "
                                     "_send to it");
    assert_int_equal(ticker_note_send_await(group, &request), GROVE_ENOTSUP);
    assert_int_equal(ticker_note_start(group, &request, &response, &future), GROVE_ENOTSUP);
    assert_int_equal(grove_stop(group, GROVE_STOP_NOW), GROVE_ENOACTOR);
    assert_int_equal(grove_group_join(group, group), GROVE_EUSAGE);
    assert_int_equal(grove_group_close(group), 0);
    assert_int_equal(ticker_send_note(group, 5), GROVE_ENOACTOR);
}

static void test_what_is_no_name_of_a_group_is_refused(void **state)
{
    char longest[GROVE_NAME_MAX + 2];
    grove_ref group;

    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[GROVE_NAME_MAX + 1] = '\0';
    assert_int_equal(grove_group_open(longest, &group), GROVE_EUSAGE);
    assert_string_equal(grove_why(), "grove_group_open: a group needs a name of 1 to 127 bytes");
    assert_int_equal(grove_group_open("", &group), GROVE_EUSAGE);
    longest[GROVE_NAME_MAX] = '\0';
    assert_int_equal(grove_group_open(longest, &group), 0);
    assert_int_equal(grove_group_close(group), 0);
}

static void test_members_of_the_dead_take_no_room(void **state)
{
    grove_ref group = group_of("brief"), stays = member(group, 0, &seen[0]), found;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        grove_ref brief = ticker_spawn_at(0, &seen[1], 0, 0);

        assert_int_equal(grove_group_join(group, brief), 0);
        assert_int_equal(grove_stop_await(brief, GROVE_STOP_NOW), 0);
    }
    assert_int_equal(grove_group_members(group, &found, 1), 1);
    assert_true(grove_ref_equal(found, stays));
    assert_in_range(gv_group_entries(group), 1, 16);
    assert_int_equal(grove_group_close(group), 0);
}

static void test_groups_that_are_closed_make_room_for_others(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < GV_GROUPS_MAX + 10; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "passing/%u", i); /* It fits. */
        assert_int_equal(grove_group_close(group_of(name)), 0);
    }
}

/* --- over loops ------------------------------------------------------------------------------- */

static void test_members_on_other_loops_get_it_in_one_message_for_each_loop(void **state)
{
    enum { N = 150 };
    grove_ref group = group_of("wide"), refs[2 * N];
    uint64_t sent = gv_loop_here->stats.sent_far;
    struct grove_published published;

    (void)state;
    for (unsigned i = 0; i < 2 * N; i++)
        refs[i] = member(group, i % 2, &seen[i]);
    assert_int_equal(grove_yield_await(), 0);
    sent = gv_loop_here->stats.sent_far;
    assert_int_equal(publish_note(group, 3, &published), 0);
    assert_int_equal(publish_tick(group, 4, 2000, &published), 0);
    assert_int_equal(grove_yield_await(), 0);
    assert_in_range(gv_loop_here->stats.sent_far - sent, 2, 4);
    assert_int_equal(published.n_here, N);
    assert_int_equal(published.n_away, N);
    settle(refs, 2 * N);
    for (unsigned i = 0; i < 2 * N; i++) {
        assert_int_equal(seen[i].n, 3);
        assert_int_equal(seen[i].numbers[0], TICKER_NOTE + 3);
        assert_int_equal(seen[i].numbers[1], 4);
    }
    assert_int_equal(grove_group_close(group), 0);
}

static void test_a_full_member_of_another_loop_makes_dead_letters_there(void **state)
{
    grove_ref group = group_of("far"), slow = member(group, 1, &seen[0]),
              quick = ticker_spawn_at(1, &seen[1], 0, 0);
    uint64_t before = count(GROVE_DEAD_FULL);
    struct grove_published published;

    (void)state;
    assert_int_equal(grove_group_join(group, quick), 0);
    ticker_nap(slow, &seen[0], 100);
    for (uint32_t i = 1; i <= 100; i++) {
        assert_int_equal(publish_note(group, i, &published), 0);
        assert_int_equal(published.n_away, 2);
    }
    settle(&quick, 1);
    assert_int_equal(seen[1].n, 101);
    settle(&slow, 1);
    assert_int_equal(seen[0].n - 1 + (count(GROVE_DEAD_FULL) - before), 100);
    assert_int_equal(grove_group_close(group), 0);
}

/* Of a pair, what is published and what is sent comes in that order. */
static void test_publishes_and_sends_of_one_keep_their_order(void **state)
{
    grove_ref group = group_of("order"), refs[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        refs[i] = ticker_spawn_at(i, &seen[i], 2000, 0);
        assert_int_equal(grove_group_join(group, refs[i]), 0);
    }
    for (uint32_t i = 1; i <= 1000; i += 2) {
        assert_int_equal(publish_note(group, i, NULL), 0);
        for (unsigned k = 0; k < 2; k++)
            assert_int_equal(ticker_send_note(refs[k], i + 1), 0);
        if (i % 64 == 63)
            assert_int_equal(grove_yield_await(), 0);
    }
    settle(refs, 2);
    for (unsigned k = 0; k < 2; k++) {
        assert_int_equal(seen[k].n, 1001);
        for (uint32_t i = 0; i < 1000; i++)
            assert_int_equal(seen[k].numbers[i], TICKER_NOTE + i + 1);
    }
    assert_int_equal(grove_group_close(group), 0);
}

/* Joins and leaves on loop 1 as fast as it can. */
static int come_and_go(struct play *me, struct script *script)
{
    grove_ref brief[8];

    (void)me;
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 8; i++) {
            if (play_spawn(&stage_player, NULL, NULL, &brief[i]) != 0
                || grove_group_join(script->to, brief[i]) != 0)
                return -EIO;
        }
        for (int i = 0; i < 8; i += 2)
            if (grove_group_leave(script->to, brief[i]) != 0)
                return -EIO;
        for (int i = 0; i < 8; i++)
            (void)grove_stop(brief[i], GROVE_STOP_NOW); /* It lives. */
        if (grove_yield_await() != 0)
            return -EIO;
    }
    return 0;
}

static void test_who_stays_gets_all_while_others_come_and_go(void **state)
{
    enum { N = 500 };
    grove_ref group = group_of("busy"), refs[2];
    struct script crowd = {.act = come_and_go, .to = group};
    Play__V1__PerformResponse response;
    struct grove_future future;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        refs[i] = ticker_spawn_at(i, &seen[i], 2000, 0);
        assert_int_equal(grove_group_join(group, refs[i]), 0);
    }
    grove_within(GROVE_INFINITE);
    assert_int_equal(stage_start(stage_spawn_on(1, "crowd"), &crowd, &response, &future), 0);
    for (uint32_t i = 1; i <= N; i++) {
        assert_int_equal(publish_note(group, i, NULL), 0);
        assert_int_equal(grove_yield_await(), 0);
    }
    assert_int_equal(grove_future_await(&future), 0);
    settle(refs, 2);
    for (unsigned k = 0; k < 2; k++) {
        assert_int_equal(seen[k].n, N + 1);
        for (uint32_t i = 0; i < N; i++)
            assert_int_equal(seen[k].numbers[i], TICKER_NOTE + i + 1);
    }
    assert_int_equal(grove_group_close(group), 0);
}

struct gate {
    struct script script;
    _Atomic(bool) entered, open;
};

/* Holds its loop on purpose, as a handler that eats CPU does. */
static int hold(struct play *me, struct script *script)
{
    struct gate *gate = (struct gate *)script;

    (void)me;
    gate->entered = true;
    while (!gate->open)
        continue;
    return 0;
}

static void test_a_loop_that_stands_still_is_not_flooded_by_publishing(void **state)
{
    static struct gate gate = {.script.act = hold};
    grove_ref group = group_of("held"), there = member(group, 1, &seen[0]),
              here = ticker_spawn_at(0, &seen[1], 0, 0), holder = stage_spawn_on(1, "holder");
    uint64_t before = count(GROVE_DEAD_FULL);
    struct grove_published published;
    uint32_t n_away = 0, n_refused = 0, n_here = 0;

    (void)state;
    assert_int_equal(grove_group_join(group, here), 0);
    assert_int_equal(stage_send(holder, &gate.script), 0);
    while (!gate.entered)
        assert_int_equal(grove_sleep_await(1), 0);
    for (uint32_t i = 0; i < GV_WINDOW_MAX + 500; i++) {
        assert_int_equal(publish_note(group, i, &published), 0);
        n_away += published.n_away;
        n_refused += published.n_refused;
        n_here += published.n_here;
        assert_int_equal(grove_yield_await(), 0);
    }
    assert_int_equal(n_here, GV_WINDOW_MAX + 500);
    assert_int_equal(n_away + n_refused, GV_WINDOW_MAX + 500);
    assert_in_range(n_refused, 490, 510);
    gate.open = true;
    settle(&there, 1);
    assert_int_equal(seen[0].n - 1 + (count(GROVE_DEAD_FULL) - before), GV_WINDOW_MAX + 500);
    /* What has come there has made room. */
    assert_int_equal(publish_note(group, 1, &published), 0);
    assert_int_equal(published.n_refused, 0);
    settle(&there, 1);
    assert_int_equal(grove_group_close(group), 0);
}

/* Messages between the loops are counted, and one loop stands still: nobody may be lent to it. */
static int set_up_without_lending(void **state)
{
    (void)state;
    stage_open_loops_unlent(2);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_every_member_gets_what_is_published_once),
        stage_test(test_a_full_member_holds_up_nobody_and_is_counted),
        stage_test(test_a_letter_of_a_publish_says_who_published),
        stage_test(test_of_an_rpc_that_drops_the_oldest_a_slow_member_gets_the_newest),
        stage_test(test_who_has_left_or_ended_gets_nothing),
        stage_test(test_a_group_belongs_to_its_name_until_it_is_closed),
        stage_test(test_a_send_to_a_group_publishes_and_a_call_is_refused_with_a_word),
        stage_test(test_what_is_no_name_of_a_group_is_refused),
        stage_test(test_members_of_the_dead_take_no_room),
        stage_test(test_groups_that_are_closed_make_room_for_others),
    };
    const struct CMUnitTest still_tests[] = {
        stage_test(test_members_on_other_loops_get_it_in_one_message_for_each_loop),
        stage_test(test_a_loop_that_stands_still_is_not_flooded_by_publishing),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_a_full_member_of_another_loop_makes_dead_letters_there),
        stage_test(test_publishes_and_sends_of_one_keep_their_order),
        stage_test(test_who_stays_gets_all_while_others_come_and_go),
    };

    return cmocka_run_group_tests(tests, stage_set_up, stage_tear_down)
           + cmocka_run_group_tests(still_tests, set_up_without_lending, stage_tear_down)
           + cmocka_run_group_tests(far_tests, stage_set_up_two_loops, stage_tear_down);
}
