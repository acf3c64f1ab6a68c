/*
 * Monitors: their end, and who is told by letters.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/actor.h"
#include "runtime/slot.h"
#include "watcher.h"

/* --- demonitor ---------------------------------------------------------------------------------- */

/* Watches, sees to it that DOWN lies in its own mailbox, and wants it no more. */
static int act_want_no_more(struct play *me, struct script *script)
{
    int rc = grove_monitor(script->to, &monitor);

    (void)me;
    if (rc == 0)
        rc = grove_stop_await(script->to, GROVE_STOP_NOW);
    if (rc == 0)
        rc = grove_sleep_await(script->ms);
    return rc == 0 ? grove_demonitor(monitor) : rc;
}

static void test_after_demonitor_no_down_comes_although_it_was_on_its_way(void **state)
{
    grove_ref who = spawn_watcher(NULL), whom = stage_spawn(NULL);
    struct script script = {.act = act_want_no_more, .to = whom, .ms = 5};

    (void)state;
    assert_int_equal(stage_perform(who, &script), 0);
    assert_int_equal(stage_add(who, 1, NULL), 0);
    assert_string_equal(noted.seen, "a");
}

static void test_after_demonitor_no_down_comes_from_afar(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        grove_ref who = spawn_watcher(&(struct grove_spawn_options){.place = GROVE_ON_LOOP(1)});
        struct script script = {
            .act = act_want_no_more, .to = stage_spawn_on(0, NULL), .ms = i % 2};

        assert_int_equal(stage_perform(who, &script), 0);
        assert_int_equal(stage_add(who, 1, NULL), 0);
        assert_int_equal(grove_stop_await(who, GROVE_STOP_DRAIN), 0);
        assert_string_equal(noted.seen, "a");
    }
}

static int act_demonitor(struct play *me, struct script *script)
{
    (void)me;
    return script->rc = grove_demonitor((grove_monitor_id)script->number);
}

static void test_demonitor_ends_the_one_it_names_and_says_what_is_over(void **state)
{
    grove_ref who = spawn_watcher(NULL), whom = stage_spawn(NULL);
    struct script script = {.act = act_demonitor};
    grove_monitor_id kept;

    (void)state;
    watch(who, whom);
    kept = monitor;
    watch(who, whom);
    script.number = (int64_t)monitor;
    assert_int_equal(stage_perform(who, &script), 0);
    assert_int_equal(stage_perform(who, &script), GROVE_ENOACTOR);
    assert_int_equal(grove_stop(whom, GROVE_STOP_NOW), 0);
    wait_for_notes(1);
    assert_true(noted.last.monitor == kept);
    script.number = (int64_t)kept;
    assert_int_equal(stage_perform(who, &script), GROVE_ENOACTOR);
    assert_int_equal(grove_demonitor(kept), GROVE_ENOACTOR); /* of somebody else, too */
}

static void test_any_of_many_monitors_can_be_ended_in_any_order(void **state)
{
    static grove_monitor_id all[N_MANY];
    grove_ref whom = stage_spawn(NULL);
    struct grove_letter letter;
    unsigned n_left = 0;

    (void)state;
    for (unsigned i = 0; i < N_MANY; i++)
        assert_int_equal(grove_monitor(whom, &all[i]), 0);
    for (unsigned i = 0; i < N_MANY; i++)
        if ((i * 7919u) % 3 != 0) {
            assert_int_equal(grove_demonitor(all[(i * 7919u) % N_MANY]), 0);
            all[(i * 7919u) % N_MANY] = 0;
        }
    for (unsigned i = 0; i < N_MANY; i++)
        n_left += all[i] != 0;
    assert_int_equal(grove_stop(whom, GROVE_STOP_NOW), 0);
    for (unsigned i = 0; i < n_left; i++) {
        struct grove_scope scope;

        grove_scope_begin(&scope);
        assert_int_equal(grove_receive_await(1000, &letter), 0);
        for (unsigned k = 0; k < N_MANY; k++)
            if (all[k] == letter.down->monitor)
                all[k] = 0;
        grove_scope_end(&scope);
    }
    for (unsigned k = 0; k < N_MANY; k++)
        assert_true(all[k] == 0);
    assert_int_equal(grove_receive_await(10, &letter), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "grove_monitor"));
}

static void test_who_ends_watches_nobody_any_more(void **state)
{
    grove_ref who = spawn_watcher(NULL), whom = stage_spawn(NULL);
    const struct gv_actor *watched = (struct gv_actor *)gv_slot_find(whom.slot_generation);

    (void)state;
    watch(who, whom);
    assert_non_null(gv_actor_rare(watched)->waitlist.watchers);
    assert_int_equal(grove_stop_await(who, GROVE_STOP_NOW), 0);
    assert_null(gv_actor_rare(watched)->waitlist.watchers);
    assert_int_equal(grove_stop_await(whom, GROVE_STOP_NOW), 0);
    assert_int_equal(noted.n_downs, 0);
}

/* --- greenlets and main ------------------------------------------------------------------------- */

struct seen {
    grove_ref whom;
    int rc;
    bool has_method;
    struct grove_down down;
    unsigned n_letters;
};

static void go_watch(void *argument)
{
    struct seen *seen = argument;
    struct grove_letter letter;

    seen->rc = grove_monitor(seen->whom, NULL);
    while (seen->rc == 0 && seen->down.reason == 0) {
        seen->rc = grove_receive_await(GROVE_INFINITE, &letter);
        seen->n_letters++;
        if (seen->rc == 0 && letter.down != NULL) {
            seen->down = *letter.down;
            seen->has_method = letter.method != NULL;
        }
    }
}

static void test_a_greenlet_is_told_by_a_letter_after_the_others(void **state)
{
    struct seen seen = {.whom = stage_spawn(NULL)};
    struct script script = {.act = act_send_and_fail, .number = 3};

    (void)state;
    assert_int_equal(grove_go(go_watch, &seen, NULL, &script.to), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_perform(seen.whom, &script), GROVE_EDOWN);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(seen.rc, 0);
    assert_int_equal(seen.n_letters, 4);
    assert_false(seen.has_method);
    assert_int_equal(seen.down.reason, GROVE_DOWN_FAILED);
}

static void go_nothing(void *argument)
{
    (void)argument;
    (void)grove_sleep_await(3); /* It ends, however. */
}

static void test_main_watches_greenlets_and_actors(void **state)
{
    grove_ref green = GROVE_NOBODY, actor = stage_spawn(NULL);
    struct grove_letter letter;
    grove_monitor_id one, other;

    (void)state;
    assert_int_equal(grove_go(go_nothing, NULL, NULL, &green), 0);
    assert_int_equal(grove_monitor(green, &one), 0);
    assert_int_equal(grove_monitor(actor, &other), 0);
    assert_int_equal(grove_receive_await(0, &letter), GROVE_ETIMEDOUT);
    assert_int_equal(grove_receive_await(GROVE_INFINITE, &letter), 0);
    assert_non_null(letter.down);
    assert_true(letter.down->monitor == one);
    assert_int_equal(letter.down->reason, GROVE_DOWN_STOPPED);
    assert_true(grove_ref_equal(letter.from, green));
    assert_int_equal(grove_stop(actor, GROVE_STOP_KILL), 0);
    assert_int_equal(grove_receive_await(1000, &letter), 0);
    assert_true(letter.down->monitor == other);
    assert_int_equal(letter.down->reason, GROVE_DOWN_KILLED);
}

static void test_main_is_told_from_afar_and_leaves_monitors_behind(void **state)
{
    struct grove_letter letter;
    grove_ref near = stage_spawn_on(0, NULL);

    (void)state;
    assert_int_equal(grove_monitor(near, NULL), 0); /* The end of main forgets it. */
    for (unsigned i = 0; i < 50; i++) {
        grove_ref far = stage_spawn_on(1, NULL);

        assert_int_equal(grove_monitor(far, NULL), 0);
        assert_int_equal(grove_stop(far, GROVE_STOP_NOW), 0);
        assert_int_equal(grove_receive_await(5000, &letter), 0);
        assert_true(grove_ref_equal(letter.down->ref, far));
    }
}

int main(void)
{
    const struct CMUnitTest one_loop[] = {
        stage_test(test_after_demonitor_no_down_comes_although_it_was_on_its_way),
        stage_test(test_demonitor_ends_the_one_it_names_and_says_what_is_over),
        stage_test(test_any_of_many_monitors_can_be_ended_in_any_order),
        stage_test(test_who_ends_watches_nobody_any_more),
        stage_test(test_a_greenlet_is_told_by_a_letter_after_the_others),
        stage_test(test_main_watches_greenlets_and_actors),
    };
    const struct CMUnitTest two_loops[] = {
        stage_test(test_after_demonitor_no_down_comes_from_afar),
        stage_test(test_main_is_told_from_afar_and_leaves_monitors_behind),
    };
    int n_failed = cmocka_run_group_tests(one_loop, stage_set_up, stage_tear_down);

    return n_failed + cmocka_run_group_tests(two_loops, stage_set_up_two_loops, stage_tear_down);
}
