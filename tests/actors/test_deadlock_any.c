/*
 * Deadlock, with an `any`: it is a circle only if each arm leads back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

static struct script nothing = {.act = act_nothing};

/* Whom any_of_arms asks, and for what. */
static struct {
    grove_ref to[3];
    struct script *scripts[3];
    unsigned n;
} arms;

static int any_of_arms(struct play *me, struct script *script)
{
    Play__V1__PerformResponse responses[3];
    struct grove_future futures[3], *all[3] = {&futures[0], &futures[1], &futures[2]};
    unsigned which;
    int rc = 0;

    (void)me;
    for (unsigned i = 0; i < arms.n && rc == 0; i++)
        rc = stage_start(arms.to[i], arms.scripts[i], &responses[i], &futures[i]);
    if (rc == 0)
        rc = grove_any_await(all, arms.n, &which);
    return stage_note(script, rc);
}

/*
 * hub waits for any of left and right, each of which calls it back after
 * its pause. One of the three is told, in `told`, what stands in `text`.
 */
static void knot(const unsigned loops[3], struct script *any, struct script backs[2])
{
    grove_ref hub = stage_spawn_on(loops[0], "hub");
    unsigned long long begin_ms = stage_now_ms();

    arms.n = 2;
    arms.to[0] = stage_spawn_on(loops[1], "left");
    arms.to[1] = stage_spawn_on(loops[2], "right");
    for (unsigned i = 0; i < 2; i++) {
        backs[i] = (struct script){.act = act_relay, .to = hub, .next = &nothing};
        arms.scripts[i] = &backs[i];
    }
    *any = (struct script){.act = any_of_arms};
    nothing.n_runs = 0;
    assert_int_equal(stage_perform(hub, any), GROVE_EDEADLK);
    assert_in_range(stage_now_ms() - begin_ms, 0, 1500);
    stage_settle();
    assert_int_equal(any->rc, GROVE_EDEADLK);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(stage_add(arms.to[i], 1, NULL), 0);
}

/* One of those that closed the circle, with its words. */
static const struct script *told_of(const struct script *any, const struct script backs[2])
{
    const struct script *all[3] = {&backs[1], &backs[0], any};

    for (unsigned i = 0; i < 3; i++)
        if (all[i]->rc == GROVE_EDEADLK && strstr(all[i]->text, " -> ") != NULL)
            return all[i];
    fail_msg("nobody was told");
    return NULL;
}

static void test_an_any_each_of_whose_arms_leads_back_is_a_circle_and_named(void **state)
{
    struct script any, backs[2];
    const struct script *told;
    char words[128];

    (void)state;
    knot((const unsigned[]){0, 0, 0}, &any, backs);
    told = told_of(&any, backs);
    (void)snprintf(words, sizeof words,
                   "play/%s -> play/hub -> play/%s; play/hub waits for any of 2, and all of them "
                   "lead back",
                   told == &backs[0] ? "left" : "right", told == &backs[0] ? "left" : "right");
    assert_string_equal(told->text, words);
    assert_int_equal(told->failure.started, GROVE_STARTED_NO);
    /* The other one is given up when the hub has heard. */
    assert_int_equal(backs[told == &backs[0]].rc, GROVE_ECANCELED);
}

static void test_an_any_over_loops_each_of_whose_arms_leads_back_is_found_and_named(void **state)
{
    static const unsigned loops[][3] = {{0, 1, 1}, {1, 0, 0}, {0, 0, 1}, {0, 1, 0}, {1, 1, 0}};

    (void)state;
    for (unsigned i = 0; i < 15; i++) {
        struct script any, backs[2];

        knot(loops[i % 5], &any, backs);
        assert_non_null(strstr(told_of(&any, backs)->text,
                               "; play/hub waits for any of 2, and all of them lead back"));
    }
}

static void test_an_any_over_loops_with_an_arm_that_may_come_is_no_circle(void **state)
{
    grove_ref hub = stage_spawn_on(0, "hub"), left = stage_spawn_on(1, "left");
    struct script back = {.act = act_relay, .to = hub, .next = &nothing};
    struct script nap = {.act = act_nap, .ms = 300}, any = {.act = any_of_arms};

    (void)state;
    arms.n = 2;
    arms.to[0] = left;
    arms.scripts[0] = &back;
    arms.to[1] = stage_spawn_on(1, "right");
    arms.scripts[1] = &nap;
    assert_int_equal(stage_perform(hub, &any), 0);
    stage_settle();
    assert_int_equal(any.rc, 0);
    assert_int_equal(nap.rc, 0);
    assert_int_equal(back.rc, GROVE_ECANCELED); /* Nobody asks any more. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_an_any_each_of_whose_arms_leads_back_is_a_circle_and_named),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_an_any_over_loops_each_of_whose_arms_leads_back_is_found_and_named),
        stage_test(test_an_any_over_loops_with_an_arm_that_may_come_is_no_circle),
    };
    int n = cmocka_run_group_tests_name("deadlock, any", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("deadlock, any, far", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
