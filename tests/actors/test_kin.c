/*
 * Kin: whoever is spawned by an actor ends with it, the newest first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "family.h"

static grove_ref kids[128]; /* by letter: whoever was spawned last */

static int bear(char letter, int place, bool detached)
{
    struct grove_child child = family_child(letter);

    child.options.place = place;
    child.options.detached = detached;
    return grove_spawn(child.service, child.functions, child.argument, &child.options,
                       &kids[(int)letter]);
}

/* Spawns the letters of the script's text: small ones here, capital ones on loop 1, as small ones. */
static int act_bear(struct play *me, struct script *script)
{
    int rc = 0;

    (void)me;
    for (const char *letter = script->text; rc == 0 && *letter != '\0'; letter++)
        rc = *letter >= 'a' ? bear(*letter, GROVE_HERE, script->number)
                            : bear((char)(*letter - 'A' + 'a'), GROVE_ON_LOOP(1), script->number);
    return rc;
}

static int act_bear_and_fail(struct play *me, struct script *script)
{
    (void)act_bear(me, script);
    (void)grove_sleep_await(1); /* so that they are born */
    return grove_fail("on purpose");
}

/* Has `parent` spawn these. */
static void have(grove_ref parent, const char *letters)
{
    struct script script = {.act = act_bear};

    (void)snprintf(script.text, sizeof script.text, "%s", letters);
    assert_int_equal(stage_perform(parent, &script), 0);
    stage_settle();
    assert_int_equal(grove_sleep_await(1), 0);
}

/* In which order they ended. Those that begin together do so in any. */
static const char *ended(void)
{
    static char text[FAMILY_NOTES];
    unsigned n = 0;

    for (const char *note = family.notes; *note != '\0'; note++)
        if (*note < 'a')
            text[n++] = *note;
    text[n] = '\0';
    return text;
}

static int finish(struct grove_future *future)
{
    return grove_all_await(&future, 1);
}

/* A root with these children. */
static grove_ref root_with(const char *letters)
{
    assert_int_equal(bear('p', GROVE_HERE, false), 0);
    have(kids['p'], letters);
    return kids['p'];
}

static int set_up(void **state)
{
    family_begin();
    return stage_set_up(state);
}

static int set_up_two(void **state)
{
    family_begin();
    return stage_set_up_two_loops(state);
}

static int begin(void **state)
{
    (void)state;
    family_begin();
    return 0;
}

/* Nobody is left, and nobody has ended twice. */
static int check(void **state)
{
    for (unsigned i = 'a'; i <= 'z'; i++)
        assert_int_equal(family.n_living[i], 0);
    return stage_check_settled(state);
}

#define kin_test(function) cmocka_unit_test_setup_teardown(function, begin, check)

static void test_children_end_before_their_spawner_the_newest_first(void **state)
{
    grove_ref p = root_with("abc");

    (void)state;
    family.nap_ms['c'] = 30; /* one after the other, however long it takes */
    family.nap_ms['b'] = 20;
    assert_int_equal(grove_stop_await(p, GROVE_STOP_NOW), 0);
    family_wait(8);
    assert_string_equal(ended(), "CBAP");
}

static void test_the_children_of_a_child_end_before_it(void **state)
{
    grove_ref p = root_with("ab");

    (void)state;
    have(kids['a'], "xy");
    have(kids['x'], "z");
    assert_int_equal(grove_stop_await(p, GROVE_STOP_DRAIN), 0);
    family_wait(12);
    assert_string_equal(ended(), "BYZXAP");
}

static void test_a_child_that_ends_by_itself_is_forgotten(void **state)
{
    grove_ref p = root_with("abcd");

    (void)state;
    assert_int_equal(grove_stop_await(kids['b'], GROVE_STOP_NOW), 0);
    assert_int_equal(grove_stop_await(kids['d'], GROVE_STOP_NOW), 0);
    assert_int_equal(family_fail(kids['c']), GROVE_EDOWN);
    assert_int_equal(stage_add(p, 1, NULL), 0);
    have(p, "e");
    family_wait(9);
    assert_int_equal(grove_stop_await(p, GROVE_STOP_NOW), 0);
    family_wait(12);
    assert_string_equal(ended(), "BDCEAP");
}

/* --- who is a child ----------------------------------------------------------------------------- */

static void go_bear(void *argument)
{
    (void)argument;
    (void)bear('g', GROVE_HERE, false);
}

static int act_go(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return grove_go(go_bear, NULL, NULL, NULL);
}

static void test_what_main_a_greenlet_or_a_detaching_actor_spawns_is_nobodys_child(void **state)
{
    struct script detach = {.act = act_bear, .text = "d", .number = 1}, go = {.act = act_go};
    grove_ref p = root_with("a");

    (void)state;
    assert_int_equal(stage_perform(p, &detach), 0);
    assert_int_equal(stage_perform(p, &go), 0);
    family_wait(4);
    assert_int_equal(grove_stop_await(p, GROVE_STOP_NOW), 0);
    family_wait(6);
    assert_string_equal(ended(), "AP");
    assert_int_equal(stage_add(kids['d'], 1, NULL), 0);
    assert_int_equal(stage_add(kids['g'], 1, NULL), 0);
    assert_int_equal(grove_stop_await(kids['d'], GROVE_STOP_NOW), 0);
    assert_int_equal(grove_stop_await(kids['g'], GROVE_STOP_NOW), 0);
}

static int late_rc;

static void deinit_bears(struct play *me)
{
    (void)me;
    late_rc = bear('l', GROVE_HERE, false);
}

static void test_deinit_spawns_no_children(void **state)
{
    struct play_service functions = stage_player;
    grove_ref ref;

    (void)state;
    functions.deinit = deinit_bears;
    assert_int_equal(grove_spawn(&play_service_table, &functions, NULL, NULL, &ref), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(late_rc, GROVE_ESTOPPING);
    family_wait(0);
}

/* Stops p in this mode while its child naps and has mail; what the nap and the mail's caller heard. */
static void stop_busy(enum grove_stop_mode mode, int *nap_rc, int *mail_rc)
{
    struct script nap = {.act = act_nap, .ms = 50}, mail = {.act = act_nothing};
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    grove_ref p = root_with("a");

    assert_int_equal(stage_start(kids['a'], &nap, &responses[0], &futures[0]), 0);
    assert_int_equal(stage_start(kids['a'], &mail, &responses[1], &futures[1]), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_await(p, mode), 0);
    *nap_rc = finish(&futures[0]);
    *mail_rc = finish(&futures[1]);
    family_wait(4);
    assert_string_equal(ended(), "AP");
    stage_settle();
}

static void test_children_stop_in_the_mode_of_their_spawner(void **state)
{
    int nap_rc, mail_rc;

    (void)state;
    stop_busy(GROVE_STOP_DRAIN, &nap_rc, &mail_rc);
    assert_int_equal(nap_rc, 0);
    assert_int_equal(mail_rc, 0);
    family_begin();
    stop_busy(GROVE_STOP_NOW, &nap_rc, &mail_rc);
    assert_int_equal(nap_rc, 0);
    assert_int_equal(mail_rc, GROVE_ENOACTOR);
    family_begin();
    stop_busy(GROVE_STOP_KILL, &nap_rc, &mail_rc);
    assert_int_equal(nap_rc, GROVE_ECANCELED);
    assert_int_equal(mail_rc, GROVE_ENOACTOR);
}

static void test_a_harder_stop_reaches_those_that_are_stopping_already(void **state)
{
    struct script nap = {.act = act_nap, .ms = 3600000};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref p = root_with("ab");

    (void)state;
    grove_within(GROVE_INFINITE);
    assert_int_equal(stage_start(kids['a'], &nap, &response, &future), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop(p, GROVE_STOP_DRAIN), 0);
    assert_int_equal(grove_sleep_await(20), 0);
    family_wait(4);
    assert_int_equal(stage_add(p, 1, NULL), GROVE_ESTOPPING);
    assert_int_equal(grove_stop_await(p, GROVE_STOP_KILL), 0);
    assert_int_equal(finish(&future), GROVE_ECANCELED);
    family_wait(6);
    assert_string_equal(ended(), "BAP");
}

static void test_a_stop_deadline_holds_for_the_children_too(void **state)
{
    struct script naps[2];
    unsigned long long began_ms;
    grove_ref p = root_with("ab");

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        naps[i] = (struct script){.act = act_nap, .ms = 3600000};
        assert_int_equal(stage_send(kids['a' + (int)i], &naps[i]), 0);
    }
    assert_int_equal(grove_sleep_await(1), 0);
    began_ms = stage_now_ms();
    assert_int_equal(grove_stop_within_await(p, GROVE_STOP_DRAIN, 100), 0);
    assert_in_range(stage_now_ms() - began_ms, 100, 150);
    family_wait(6);
    assert_string_equal(ended(), "BAP");
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(naps[i].n_ends, 0); /* They were abandoned. */
        stage_abandoned();
    }
}

static void test_a_stop_deadline_may_come_when_they_are_stopping_already(void **state)
{
    struct script nap = {.act = act_nap, .ms = 3600000};
    grove_ref p = root_with("ab");

    (void)state;
    assert_int_equal(stage_send(kids['a'], &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop(p, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_sleep_await(20), 0);
    assert_int_equal(grove_stop_within_await(p, GROVE_STOP_NOW, 50), 0);
    family_wait(6);
    assert_string_equal(ended(), "BAP");
    assert_int_equal(nap.n_ends, 0);
    stage_abandoned();
}

/* --- failures, restarts ------------------------------------------------------------------------- */

static void test_who_fails_takes_his_children_with_him(void **state)
{
    struct script nap = {.act = act_nap, .ms = 3600000};
    grove_ref p = root_with("ab");

    (void)state;
    assert_int_equal(stage_send(kids['a'], &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(family_fail(p), GROVE_EDOWN);
    family_wait(6);
    assert_string_equal(ended(), "BAP");
    assert_int_equal(nap.n_ends, 1);
}

static void test_a_spawner_begins_anew_without_children_when_they_have_ended(void **state)
{
    grove_ref top = family_supervisor(GROVE_ONE_FOR_ONE), p = family_add(top, 'p');
    struct script last = {.act = act_bear_and_fail, .text = "c"};

    (void)state;
    have(p, "ab");
    family.nap_ms['b'] = 20;
    assert_int_equal(stage_perform(p, &last), GROVE_EDOWN);
    assert_int_equal(stage_add(p, 1, NULL), 0); /* It has waited for the new incarnation. */
    family_wait(9);
    assert_string_equal(ended(), "CBAP");
    have(p, "d");
    assert_int_equal(grove_stop_await(top, GROVE_STOP_NOW), 0);
    family_wait(12);
    assert_string_equal(ended(), "CBAPDP");
}

/* Behind a shield calls `to`, after a while. */
static int act_call_up(struct play *me, struct script *script)
{
    struct script nothing = {.act = act_nothing};
    int rc;

    (void)me;
    rc = grove_shield_begin(60000);
    if (rc == 0 && script->ms > 0)
        rc = grove_sleep_await(script->ms);
    if (rc == 0)
        rc = stage_note(script, stage_perform(script->to, &nothing));
    grove_shield_end();
    script->number = (int64_t)stage_now_ms();
    return rc;
}

static int act_nap_and_fail(struct play *me, struct script *script)
{
    (void)me;
    (void)grove_sleep_await(script->ms);
    return grove_fail("on purpose");
}

/* A grandchild calls its ancestor, ms after that has begun a nap of 10 ms, at the end of which it fails. */
static void call_up(uint32_t ms)
{
    grove_ref top = family_supervisor(GROVE_ONE_FOR_ONE), p = family_add(top, 'p');
    struct script fail = {.act = act_nap_and_fail, .ms = 10}, up = {.act = act_call_up, .to = p};
    struct script stranger = {.act = act_nothing};
    Play__V1__PerformResponse response;
    struct grove_future future;
    unsigned long long began_ms = stage_now_ms();

    up.ms = ms;
    have(p, "a");
    have(kids['a'], "b");
    assert_int_equal(stage_send(p, &fail), 0);
    assert_int_equal(stage_send(kids['b'], &up), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(stage_start(p, &stranger, &response, &future), 0);
    assert_int_equal(finish(&future), 0); /* Strangers wait, and are served. */
    stage_settle();
    assert_int_equal(up.rc, GROVE_EDOWN);
    assert_int_equal(up.failure.started, GROVE_STARTED_NO);
    assert_in_range((unsigned long long)up.number - began_ms, 10, 60); /* not at its deadline */
    family_wait(7);
    assert_string_equal(ended(), "BAP");
    assert_int_equal(grove_stop_await(top, GROVE_STOP_NOW), 0);
}

static void test_a_descendants_call_fails_at_once_while_its_ancestor_waits_for_it(void **state)
{
    (void)state;
    call_up(20);
}

static void test_so_does_one_that_was_queued_when_the_ancestor_failed(void **state)
{
    (void)state;
    call_up(0);
}

static void test_who_rests_in_a_group_waits_for_the_end_of_its_children(void **state)
{
    grove_ref top = family_supervisor(GROVE_ONE_FOR_ALL), p, q;
    struct script up = {.act = act_call_up, .ms = 5};
    unsigned long long began_ms;

    (void)state;
    p = family_add(top, 'p');
    q = family_add(top, 'q');
    up.to = p;
    have(p, "a");
    assert_int_equal(stage_send(kids['a'], &up), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    began_ms = stage_now_ms();
    assert_int_equal(family_fail(q), GROVE_EDOWN);
    family_wait(8);
    assert_string_equal(ended(), "QAP");
    assert_true(stage_now_ms() - began_ms < 1000);
    stage_settle();
    assert_int_equal(up.rc, GROVE_EDOWN);
    assert_int_equal(grove_stop_await(top, GROVE_STOP_NOW), 0);
}

/* --- several loops ------------------------------------------------------------------------------ */

static void test_children_on_other_loops_end_in_their_place(void **state)
{
    grove_ref p = root_with("aBcD");

    (void)state;
    have(kids['b'], "xY"); /* b lives on loop 1, as does y. */
    have(kids['d'], "z");
    assert_int_equal(grove_stop_await(p, GROVE_STOP_NOW), 0);
    family_wait(16);
    assert_string_equal(ended(), "ZDCYXBAP");
}

static void test_a_far_child_that_ends_by_itself_gives_its_slot_back(void **state)
{
    struct grove_loop_stats before, after;
    grove_ref p = root_with("");

    (void)state;
    assert_int_equal(grove_loop_stats(1, &before), 0);
    for (unsigned i = 0; i < 300; i++) {
        family_begin();
        have(p, "ABC");
        assert_int_equal(grove_stop(kids['b'], GROVE_STOP_NOW), 0);
        assert_int_equal(grove_stop_await(kids['c'], GROVE_STOP_KILL), 0);
        assert_int_equal(grove_stop_await(kids['a'], GROVE_STOP_DRAIN), 0);
        assert_int_equal(stage_add(kids['c'], 1, NULL), GROVE_ENOACTOR);
    }
    do
        assert_int_equal(grove_loop_stats(1, &after), 0);
    while (after.actors != before.actors && grove_sleep_await(1) == 0);
    assert_int_equal(grove_stop_await(p, GROVE_STOP_NOW), 0);
    family.n_living['p'] = 0; /* It was forgotten with the notes. */
}

static void test_the_end_of_the_process_ends_children_first(void **state)
{
    (void)state;
    (void)root_with("aBc");
    have(kids['a'], "x");
    family_wait(5);
    assert_int_equal(grove_deinit(), 0);
    assert_string_equal(ended(), "CBXAP");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kin_test(test_children_end_before_their_spawner_the_newest_first),
        kin_test(test_the_children_of_a_child_end_before_it),
        kin_test(test_a_child_that_ends_by_itself_is_forgotten),
        kin_test(test_what_main_a_greenlet_or_a_detaching_actor_spawns_is_nobodys_child),
        kin_test(test_deinit_spawns_no_children),
        kin_test(test_children_stop_in_the_mode_of_their_spawner),
        kin_test(test_a_harder_stop_reaches_those_that_are_stopping_already),
        kin_test(test_a_stop_deadline_holds_for_the_children_too),
        kin_test(test_a_stop_deadline_may_come_when_they_are_stopping_already),
        kin_test(test_who_fails_takes_his_children_with_him),
        kin_test(test_a_spawner_begins_anew_without_children_when_they_have_ended),
        kin_test(test_a_descendants_call_fails_at_once_while_its_ancestor_waits_for_it),
        kin_test(test_so_does_one_that_was_queued_when_the_ancestor_failed),
        kin_test(test_who_rests_in_a_group_waits_for_the_end_of_its_children),
    };
    const struct CMUnitTest far[] = {
        kin_test(test_children_end_before_their_spawner_the_newest_first),
        kin_test(test_the_children_of_a_child_end_before_it),
        kin_test(test_children_on_other_loops_end_in_their_place),
        kin_test(test_a_far_child_that_ends_by_itself_gives_its_slot_back),
        kin_test(test_the_end_of_the_process_ends_children_first),
    };
    int failed = cmocka_run_group_tests_name("one loop", tests, set_up, stage_tear_down);

    return failed + cmocka_run_group_tests_name("two loops", far, set_up_two, stage_tear_down);
}
