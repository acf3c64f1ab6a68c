/*
 * Lend, order: what is sent to an actor, and what it sends itself, arrives
 * once and in order, wherever its batches run. Chance lends here (option
 * lend=2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "actors/system.h"
#include "runtime/env.h"
#include "runtime/runtime.h"
#include "stage.h"

#define N       3000
#define SENDERS 3

/* --- who decides ------------------------------------------------------------------------------ */

static struct gv_env env;

/* Every second time to loop 1, a single message. Loop 0 alone asks. */
static uint32_t choose_by_turns(void *world, uint32_t n, enum gv_choice kind)
{
    static uint32_t turn;

    if (kind != GV_CHOICE_LOOP)
        return gv_env_host()->choose(world, n, kind);
    return n == gv_runtime.n_loops ? ++turn % 2 : 0;
}

/* Who wakes another loop is slow to go on: that one is always faster. */
static void wake_and_linger(struct gv_poller *poller)
{
    gv_env_host()->poller_wake(poller);
    (void)usleep(2000);
}

static void open_by_chance(unsigned n_loops)
{
    stage_open_loops(n_loops);
    assert_int_equal(grove_option_set("lend", "2"), 0);
}

/* --- order ------------------------------------------------------------------------------------ */

/* By sender: what came last. Only ever touched by one actor of each test. */
static int64_t last[SENDERS];
static bool disorder;
static unsigned n_by_loop[3];
static struct script marks[SENDERS][N];

/* script->ms is the sender, script->number counts from 1. */
static int act_check_order(struct play *me, struct script *script)
{
    disorder |= script->number != ++last[script->ms];
    n_by_loop[gv_loop_here->index]++;
    me->total++;
    return 0;
}

static void prepare_marks(void)
{
    disorder = false;
    for (unsigned s = 0; s < SENDERS; s++) {
        last[s] = 0;
        n_by_loop[s] = 0;
        for (int i = 0; i < N; i++)
            marks[s][i] = (struct script){.act = act_check_order, .ms = s, .number = i + 1};
    }
}

/* Sends all marks of script->ms to script->to, and waits for room. */
static int act_send_all(struct play *me, struct script *script)
{
    int rc = 0;

    (void)me;
    for (int i = 0; i < N && rc == 0; i++) {
        Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

        request.script = (uintptr_t)&marks[script->ms][i];
        rc = play_perform_send_await(script->to, &request);
    }
    return rc;
}

static void test_messages_to_a_lent_actor_come_once_and_in_order(void **state)
{
    struct script senders[SENDERS];
    Play__V1__PerformResponse responses[SENDERS];
    struct grove_future futures[SENDERS], *all[SENDERS];
    grove_ref receiver;
    int64_t total = 0;

    (void)state;
    open_by_chance(3);
    prepare_marks();
    receiver = stage_spawn_bounded(8, 0);
    for (unsigned s = 0; s < SENDERS; s++) {
        senders[s] = (struct script){.act = act_send_all, .to = receiver, .ms = s};
        all[s] = &futures[s];
        grove_within(60000);
        assert_int_equal(stage_start(stage_spawn_on(s, NULL), &senders[s], &responses[s], all[s]),
                         0);
    }
    assert_int_equal(grove_all_await(all, SENDERS), 0);
    while (total < SENDERS * N)
        assert_int_equal(stage_add(receiver, 0, &total), 0);
    assert_int_equal(total, SENDERS * N);
    assert_false(disorder);
    assert_true(n_by_loop[0] > 0 && n_by_loop[1] > 0 && n_by_loop[2] > 0);
    stage_close();
}

/* Passes one mark on. */
static int act_pass_on(struct play *me, struct script *script)
{
    (void)me;
    return stage_send(script->to, script->next);
}

static void test_what_a_lent_actor_sends_comes_in_order_wherever_it_ran(void **state)
{
    static struct script orders[N];
    grove_ref sender, receiver;
    int64_t total = 0;

    (void)state;
    open_by_chance(3);
    prepare_marks();
    sender = stage_spawn_on(0, NULL);
    receiver = stage_spawn_on(2, NULL);
    for (int i = 0; i < N; i++) {
        orders[i] = (struct script){.act = act_pass_on, .to = receiver, .next = &marks[0][i]};
        while (stage_send(sender, &orders[i]) == GROVE_EFULL)
            assert_int_equal(grove_yield_await(), 0);
    }
    while (total < N)
        assert_int_equal(stage_add(receiver, 0, &total), 0);
    assert_false(disorder);
    assert_true(stage_n_lent() > 0);
    stage_close();
}

static void test_what_was_sent_away_from_home_arrives_before_the_actor_is_back(void **state)
{
    static struct script orders[20];
    grove_ref sender, receiver;
    int64_t total = 0;

    (void)state;
    open_by_chance(3);
    gv_system_deinit();
    env = *gv_env_host();
    env.choose = choose_by_turns;
    env.poller_wake = wake_and_linger;
    gv_system_init(&env);
    assert_int_equal(grove_option_set("spin_us", "0"), 0);
    prepare_marks();
    sender = stage_spawn_on(0, NULL);
    assert_int_equal(
        play_spawn(&stage_player, NULL,
                   &(struct grove_spawn_options){.place = GROVE_ON_LOOP(2), .pinned = true},
                   &receiver),
        0);
    for (int i = 0; i < 20; i++) {
        orders[i] = (struct script){.act = act_pass_on, .to = receiver, .next = &marks[0][i]};
        assert_int_equal(stage_send(sender, &orders[i]), 0);
    }
    while (total < 20)
        assert_int_equal(stage_add(receiver, 0, &total), 0);
    assert_false(disorder);
    assert_in_range(stage_n_lent(), 5, 15);
    stage_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_messages_to_a_lent_actor_come_once_and_in_order),
        stage_test(test_what_a_lent_actor_sends_comes_in_order_wherever_it_ran),
        stage_test(test_what_was_sent_away_from_home_arrives_before_the_actor_is_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
