/*
 * Monitors: who is told of whose end, when, and what is not told.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/actor.h"
#include "actors/watching.h"
#include "runtime/slot.h"
#include "watcher.h"

static int act_fail(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return grove_fail("the books do not balance");
}

/* --- what is told ------------------------------------------------------------------------------- */

static void test_a_watcher_is_told_once_that_an_actor_was_stopped(void **state)
{
    grove_ref who = spawn_watcher(NULL), whom = stage_spawn(NULL);

    (void)state;
    watch(who, whom);
    assert_int_equal(grove_stop_await(whom, GROVE_STOP_DRAIN), 0);
    wait_for_notes(1);
    assert_int_equal(noted.last.reason, GROVE_DOWN_STOPPED);
    assert_true(noted.last.monitor == monitor);
    assert_true(grove_ref_equal(noted.last.ref, whom));
    assert_string_equal(noted.why, "");
    assert_int_equal(grove_sleep_await(10), 0);
    assert_int_equal(noted.n_downs, 1);
}

static void test_a_watcher_is_told_that_an_actor_was_killed(void **state)
{
    struct script nap = {.act = act_nap, .ms = 100000};
    grove_ref who = spawn_watcher(NULL), whom = stage_spawn(NULL);

    (void)state;
    watch(who, whom);
    assert_int_equal(stage_send(whom, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop(whom, GROVE_STOP_KILL), 0);
    wait_for_notes(1);
    assert_int_equal(noted.last.reason, GROVE_DOWN_KILLED);
    stage_settle();
}

static void test_a_watcher_is_told_why_an_actor_failed(void **state)
{
    struct script fails = {.act = act_fail};
    grove_ref who = spawn_watcher(NULL), whom = stage_spawn(NULL);

    (void)state;
    watch(who, whom);
    assert_int_equal(stage_perform(whom, &fails), GROVE_EDOWN);
    wait_for_notes(1);
    assert_int_equal(noted.last.reason, GROVE_DOWN_FAILED);
    assert_string_equal(noted.why, "the books do not balance");
}

static int init_badly(struct play *me, const void *argument)
{
    (void)me;
    (void)argument;
    return grove_sleep_await(1) == 0 ? -EIO : 0;
}

static void test_an_init_that_fails_is_a_failure(void **state)
{
    static struct play_service bad;
    grove_ref who = spawn_watcher(NULL), whom = GROVE_NOBODY;

    (void)state;
    bad = stage_player;
    bad.init = init_badly;
    assert_int_equal(play_spawn(&bad, NULL, NULL, &whom), 0);
    watch(who, whom);
    wait_for_notes(1);
    assert_int_equal(noted.last.reason, GROVE_DOWN_FAILED);
    assert_string_equal(noted.why, grove_error_name(-EIO));
}

static void test_who_watches_the_dead_is_told_at_once(void **state)
{
    grove_ref who = spawn_watcher(NULL), whom = stage_spawn(NULL);

    (void)state;
    assert_int_equal(grove_stop_await(whom, GROVE_STOP_NOW), 0);
    watch(who, whom);
    wait_for_notes(1);
    assert_int_equal(noted.last.reason, GROVE_DOWN_NOACTOR);
    assert_true(grove_ref_equal(noted.last.ref, whom));
    watch(who, GROVE_NOBODY);
    wait_for_notes(2);
    assert_int_equal(noted.last.reason, GROVE_DOWN_NOACTOR);
}

static void test_each_monitor_of_many_tells(void **state)
{
    grove_ref whom = stage_spawn(NULL), who = spawn_watcher(NULL);

    (void)state;
    for (unsigned i = 0; i < N_MANY; i++)
        watch(who, whom);
    assert_int_equal(grove_stop(whom, GROVE_STOP_NOW), 0);
    wait_for_notes(N_MANY);
    for (unsigned i = 1; i < N_MANY; i++)
        assert_true(noted.told[i] != noted.told[i - 1]);
}

static void test_a_down_function_may_wait_and_may_fail(void **state)
{
    grove_ref who = spawn_watcher(NULL), a = stage_spawn(NULL), b = stage_spawn(NULL);

    (void)state;
    noted.nap_ms = 5;
    watch(who, a);
    watch(who, b);
    assert_int_equal(grove_stop(a, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_stop(b, GROVE_STOP_NOW), 0);
    wait_for_notes(2);
    assert_int_equal(stage_add(who, 1, NULL), 0);
    assert_string_equal(noted.seen, "DDa");
}

static void fail_down(struct play *me, const struct grove_down *down)
{
    (void)me;
    (void)grove_fail("cannot go on without %s",
                     grove_down_reason_name(down->reason)); /* Its code goes nowhere. */
}

static void test_a_failure_in_down_ends_the_watcher_which_others_are_told(void **state)
{
    static struct play_service fragile;
    grove_ref who = spawn_watcher(NULL), middle = GROVE_NOBODY, whom = stage_spawn(NULL);

    (void)state;
    fragile = stage_player;
    fragile.down = fail_down;
    assert_int_equal(play_spawn(&fragile, NULL, NULL, &middle), 0);
    watch(middle, whom);
    watch(who, middle);
    assert_int_equal(grove_stop(whom, GROVE_STOP_NOW), 0);
    wait_for_notes(1);
    assert_int_equal(noted.last.reason, GROVE_DOWN_FAILED);
    assert_string_equal(noted.why, "cannot go on without STOPPED");
}

/* --- order -------------------------------------------------------------------------------------- */

static void check_order(grove_ref who, grove_ref whom, unsigned n)
{
    struct script script = {.act = act_send_and_fail, .to = who, .number = n};

    watch(who, whom);
    assert_int_equal(stage_perform(whom, &script), GROVE_EDOWN);
    assert_int_equal(script.rc, 0);
    wait_for_notes(n + 1);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(noted.seen[i], 'a');
    assert_int_equal(noted.seen[n], 'D');
}

static void test_down_comes_after_all_that_the_dead_has_sent(void **state)
{
    grove_ref who = spawn_watcher(NULL);

    (void)state;
    check_order(who, stage_spawn(NULL), 100);
}

static void test_down_comes_after_all_that_the_dead_has_sent_from_afar(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        grove_ref who = spawn_watcher(&(struct grove_spawn_options){.place = GROVE_ON_LOOP(i % 2)});

        check_order(who, stage_spawn_on((i + 1) % 2, NULL), 100);
        assert_int_equal(grove_stop_await(who, GROVE_STOP_NOW), 0);
    }
}

static void test_down_waits_behind_what_waits_for_room_from_afar(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct grove_spawn_options options = {.place = GROVE_ON_LOOP(i % 2), .depth_max = 2};
        struct script script = {.act = act_send_and_fail, .number = 40};
        grove_ref who = spawn_watcher(&options), whom = stage_spawn_on((i + 1) % 2, NULL);
        unsigned n_adds = 0;

        script.to = who;
        watch(who, whom);
        (void)stage_perform(whom, &script); /* EDOWN, or EFULL of a plain send: it then lives on. */
        (void)grove_stop(whom, GROVE_STOP_DRAIN); /* Gone already is as good. */
        for (unsigned k = 0; noted.n_downs == 0 && k < 100000; k++)
            assert_int_equal(grove_sleep_await(1), 0);
        assert_int_equal(grove_stop_await(who, GROVE_STOP_DRAIN), 0);
        assert_int_equal(noted.n_downs, 1);
        while (noted.seen[n_adds] == 'a')
            n_adds++;
        assert_int_equal(noted.n_seen, n_adds + 1);
        assert_true(n_adds >= 1);
    }
}

static void test_a_full_mailbox_does_not_refuse_it(void **state)
{
    struct script nap = {.act = act_nap, .ms = 10};
    grove_ref who = spawn_watcher(&(struct grove_spawn_options){.depth_max = 1});
    grove_ref whom = stage_spawn(NULL);
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;

    (void)state;
    watch(who, whom);
    assert_int_equal(stage_send(who, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(play_add_send(who, &request), 0);
    assert_int_equal(play_add_send(who, &request), GROVE_EFULL);
    assert_int_equal(grove_stop_await(whom, GROVE_STOP_NOW), 0);
    wait_for_notes(2);
    assert_string_equal(noted.seen, "aD");
    stage_settle();
    assert_int_equal(play_add_send(who, &request),
                     0); /* and the count of the mailbox is right again */
    wait_for_notes(3);
}

/* --- what is not allowed ------------------------------------------------------------------------ */

static int act_watch_self(struct play *me, struct script *script)
{
    (void)me;
    return stage_note(script, grove_monitor(grove_self(), NULL));
}

static void test_who_cannot_be_told_cannot_watch(void **state)
{
    grove_ref whom = stage_spawn(NULL), who = stage_spawn(NULL);
    struct script script = {.act = act_watch, .to = whom};

    (void)state;
    assert_int_equal(stage_perform(who, &script), GROVE_EUSAGE);
    assert_non_null(strstr(script.text, ".down"));
    script.act = act_watch_self;
    who = spawn_watcher(NULL);
    assert_int_equal(stage_perform(who, &script), GROVE_EUSAGE);
    assert_non_null(strstr(script.text, "its own end"));
    assert_string_equal(grove_down_reason_name(GROVE_DOWN_FENCED), "FENCED");
    assert_string_equal(grove_down_reason_name((enum grove_down_reason)99), "?");
}

static void test_a_watcher_has_so_many_monitors_and_no_more(void **state)
{
    struct gv_watching *set = NULL;
    struct gv_watch taken;

    (void)state;
    for (uint64_t i = 1; i <= GV_MONITORS_MAX; i++) {
        assert_int_equal(gv_watching_reserve(&set), 0);
        gv_watching_put(set, (struct gv_watch){.number = i});
    }
    assert_int_equal(gv_watching_reserve(&set), GROVE_EFULL);
    assert_true(gv_watching_take(set, 7, &taken));
    assert_int_equal(gv_watching_reserve(&set), 0);
    free(set);
}

int main(void)
{
    const struct CMUnitTest one_loop[] = {
        stage_test(test_a_watcher_is_told_once_that_an_actor_was_stopped),
        stage_test(test_a_watcher_is_told_that_an_actor_was_killed),
        stage_test(test_a_watcher_is_told_why_an_actor_failed),
        stage_test(test_an_init_that_fails_is_a_failure),
        stage_test(test_who_watches_the_dead_is_told_at_once),
        stage_test(test_each_monitor_of_many_tells),
        stage_test(test_a_down_function_may_wait_and_may_fail),
        stage_test(test_a_failure_in_down_ends_the_watcher_which_others_are_told),
        stage_test(test_down_comes_after_all_that_the_dead_has_sent),
        stage_test(test_a_full_mailbox_does_not_refuse_it),
        stage_test(test_who_cannot_be_told_cannot_watch),
        stage_test(test_a_watcher_has_so_many_monitors_and_no_more),
    };
    const struct CMUnitTest two_loops[] = {
        stage_test(test_down_comes_after_all_that_the_dead_has_sent_from_afar),
        stage_test(test_down_waits_behind_what_waits_for_room_from_afar),
    };
    int n_failed = cmocka_run_group_tests(one_loop, stage_set_up, stage_tear_down);

    return n_failed + cmocka_run_group_tests(two_loops, stage_set_up_two_loops, stage_tear_down);
}
