/*
 * Deadlock: circles of calls are found, long waits are not mistaken for one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

static struct script nothing = {.act = act_nothing};

static void test_an_actor_that_calls_itself_is_told_at_once(void **state)
{
    grove_ref ref = stage_spawn("ouroboros");
    struct script script = {.act = act_relay, .to = ref, .next = &nothing};
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    assert_int_equal(stage_perform(ref, &script), GROVE_EDEADLK);
    assert_string_equal(script.text, "play/ouroboros -> play/ouroboros");
    assert_int_equal(script.failure.started, GROVE_STARTED_NO);
    assert_int_equal(stage_now_ms(), begin_ms);
    assert_int_equal(nothing.n_runs, 0);
}

/* A ring of n actors, each of whose handlers calls the next one. */
static int ring(grove_ref refs[], struct script scripts[], unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        scripts[i] = (struct script){.act = act_relay,
                                     .to = refs[(i + 1) % n],
                                     .next = i + 1 < n ? &scripts[i + 1] : &nothing};
    return stage_perform(refs[0], &scripts[0]);
}

static void test_two_actors_that_call_each_other_are_told_and_named(void **state)
{
    grove_ref refs[2] = {stage_spawn("hen"), stage_spawn("egg")};
    struct script scripts[2];

    (void)state;
    assert_int_equal(ring(refs, scripts, 2), GROVE_EDEADLK);
    assert_int_equal(scripts[1].rc, GROVE_EDEADLK);
    assert_string_equal(scripts[1].text, "play/egg -> play/hen -> play/egg");
    assert_int_equal(scripts[1].failure.started, GROVE_STARTED_NO);
    /* It was passed up; the first call had begun. */
    assert_int_equal(scripts[0].rc, GROVE_EDEADLK);
    assert_int_equal(scripts[0].failure.started, GROVE_STARTED_YES);
    assert_int_equal(stage_add(refs[0], 1, NULL), 0);
    assert_int_equal(stage_add(refs[1], 1, NULL), 0);
}

static void test_rings_of_three_and_of_a_hundred_are_found(void **state)
{
    grove_ref refs[100];
    struct script scripts[100];

    (void)state;
    for (int i = 0; i < 100; i++)
        refs[i] = stage_spawn(i == 0 ? "first" : NULL);
    assert_int_equal(ring(refs, scripts, 3), GROVE_EDEADLK);
    assert_non_null(strstr(scripts[2].text, " -> play/first -> "));
    assert_int_equal(ring(refs, scripts, 100), GROVE_EDEADLK);
    assert_int_equal(scripts[99].rc, GROVE_EDEADLK);
}

static int start_then_all(struct play *me, struct script *script)
{
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2], *both[2] = {&futures[0], &futures[1]};
    struct script *harmless = script->next->next;
    int rc = stage_start(harmless->to, harmless, &responses[0], &futures[0]);

    (void)me;
    if (rc == 0)
        rc = stage_start(script->to, script->next, &responses[1], &futures[1]);
    if (rc == 0)
        rc = grove_all_await(both, 2);
    return stage_note(script, rc);
}

static int start_then_any(struct play *me, struct script *script)
{
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2], *both[2] = {&futures[0], &futures[1]};
    struct script *harmless = script->next->next;
    int rc = stage_start(harmless->to, harmless, &responses[0], &futures[0]);
    unsigned which;

    (void)me;
    if (rc == 0)
        rc = stage_start(script->to, script->next, &responses[1], &futures[1]);
    if (rc == 0)
        rc = grove_any_await(both, 2, &which);
    return stage_note(script, rc);
}

static void test_a_circle_through_one_arm_of_all_is_found(void **state)
{
    grove_ref a = stage_spawn("a"), b = stage_spawn("b");
    struct script harmless = {.act = act_nap, .ms = 30, .to = stage_spawn("c")};
    struct script back = {.act = act_relay, .to = a, .next = &nothing};
    struct script all = {.act = start_then_all, .to = b, .next = &back};

    (void)state;
    /* Only the second arm leads back; the script of the first one hangs behind it. */
    back.next = &harmless;
    back.to = a;
    assert_int_equal(stage_perform(a, &all), GROVE_EDEADLK);
    assert_int_equal(back.rc, GROVE_EDEADLK);
    assert_non_null(strstr(back.text, "play/b -> play/a -> play/b"));
    stage_settle();
}

static void test_an_any_with_another_arm_is_no_circle(void **state)
{
    grove_ref a = stage_spawn("a"), b = stage_spawn("b");
    struct script harmless = {.act = act_nap, .ms = 5, .to = stage_spawn("c")};
    struct script back = {.act = act_relay, .to = a, .next = &harmless};
    struct script any = {.act = start_then_any, .to = b, .next = &back};

    (void)state;
    assert_int_equal(stage_perform(a, &any), 0);
    stage_settle();
    assert_int_equal(any.rc, 0);
    assert_int_equal(back.rc, GROVE_ECANCELED); /* It came too late, and nobody asks any more. */
}

static int send_back(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

    (void)me;
    request.script = (uintptr_t)script->next;
    return stage_note(script, play_perform_send_await(script->to, &request));
}

static void test_a_circle_through_a_full_mailbox_is_found(void **state)
{
    grove_ref full = stage_spawn_bounded(1, 0), other = stage_spawn("other");
    struct script back = {.act = send_back, .to = full, .next = &nothing};
    struct script script = {.act = act_relay, .to = other, .next = &back};
    Play__V1__PerformResponse response;
    struct grove_future future;

    (void)state;
    assert_int_equal(stage_start(full, &script, &response, &future), 0);
    /* So that `full` is parked in its call when its one place is taken. */
    back.act = act_nap;
    back.ms = 10;
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_send(full, &nothing), 0);
    back.act = send_back;
    assert_int_equal(grove_future_await(&future), 0);

    /* Again, with the handler of `other` sending into the full mailbox. */
    script.next = &back;
    {
        struct script wait = {.act = act_nap, .ms = 5};

        assert_int_equal(stage_send(other, &wait), 0);
        assert_int_equal(stage_start(full, &script, &response, &future), 0);
        assert_int_equal(grove_sleep_await(2), 0);
        assert_int_equal(stage_send(full, &nothing), 0);
        assert_int_equal(grove_future_await(&future), GROVE_EDEADLK);
        assert_int_equal(back.rc, GROVE_EDEADLK);
        assert_int_equal(back.failure.started, GROVE_STARTED_NO);
    }
}

static int stop_target(struct play *me, struct script *script)
{
    (void)me;
    return stage_note(script, grove_stop_await(script->to, (enum grove_stop_mode)script->ms));
}

static void
test_to_await_the_end_of_who_waits_for_oneself_is_a_circle_unless_it_is_killed(void **state)
{
    grove_ref a = stage_spawn("a"), b = stage_spawn("b");
    struct script stop = {.act = stop_target, .to = a, .ms = GROVE_STOP_NOW};
    struct script call = {.act = act_relay, .to = b, .next = &stop};

    (void)state;
    assert_int_equal(stage_perform(a, &call), GROVE_EDEADLK);
    assert_int_equal(stop.rc, GROVE_EDEADLK);
    assert_int_equal(stage_add(a, 1, NULL), 0);
    stop.ms = GROVE_STOP_KILL;
    assert_int_equal(stage_perform(a, &call), GROVE_ECANCELED);
    stage_settle();
    assert_int_equal(stop.rc, GROVE_ECANCELED); /* Nobody waits for b any more, either. */
}

static grove_ref kid;

static int spawn_kid(struct play *me, struct script *script)
{
    int rc = play_spawn(&stage_player, NULL, NULL, &kid);

    (void)me;
    return stage_note(script, rc == 0 ? stage_send(kid, script->next) : rc);
}

static int nap_then_stop(struct play *me, struct script *script)
{
    int rc = grove_sleep_await(10);

    return rc == 0 ? stop_target(me, script) : stage_note(script, rc);
}

/* It waits for its child without a turn of its own: that is no edge. */
static void
test_a_circle_through_one_that_waits_for_its_children_ends_at_their_deadlines(void **state)
{
    grove_ref parent = stage_spawn("parent"), stopper = stage_spawn("stopper");
    struct script stop = {.act = nap_then_stop, .to = parent, .ms = GROVE_STOP_NOW};
    struct script back = {.act = act_relay, .to = stopper, .next = &nothing};
    struct script spawn = {.act = spawn_kid, .next = &back};
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    nothing.n_runs = 0;
    assert_int_equal(stage_send(stopper, &stop), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_perform(parent, &spawn), 0);
    stage_settle();
    /* The child, which is to end, is the first whose time is over; then everything else goes on. */
    assert_int_equal(back.rc, GROVE_ETIMEDOUT);
    assert_int_equal(back.failure.started, GROVE_STARTED_NO);
    assert_int_equal(stop.rc, 0);
    assert_in_range(stage_now_ms() - begin_ms, 5000, 5020);
    assert_int_equal(nothing.n_runs, 0);
}

static void test_a_long_wait_is_no_circle(void **state)
{
    grove_ref refs[4];
    struct script scripts[4];
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    for (int i = 0; i < 4; i++)
        refs[i] = stage_spawn(NULL);
    for (int i = 0; i < 3; i++)
        scripts[i] = (struct script){.act = act_relay, .to = refs[i + 1], .next = &scripts[i + 1]};
    scripts[3] = (struct script){.act = act_nap, .ms = 4000};
    assert_int_equal(stage_perform(refs[0], &scripts[0]), 0);
    assert_in_range(stage_now_ms() - begin_ms, 4000, 4010);
}

static int answer_then_call(struct play *me, struct script *script)
{
    (void)me;
    return stage_note(script, stage_add(script->to, 1, NULL));
}

static void test_who_has_its_answer_already_is_waited_for_without_a_circle(void **state)
{
    grove_ref a = stage_spawn("a"), b = stage_spawn("b");
    struct script answered = {.act = act_nothing};
    struct script first = {.act = act_relay, .to = b, .next = &answered};
    struct script back = {.act = answer_then_call, .to = a};
    struct script nap = {.act = act_nap, .ms = 5};
    Play__V1__PerformResponse response;
    struct grove_future future;

    (void)state;
    /* b: nap, then the call of a, then at once a message in which it calls a, which is ready but has not run. */
    assert_int_equal(stage_send(b, &nap), 0);
    assert_int_equal(stage_start(a, &first, &response, &future), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(stage_send(b, &back), 0);
    assert_int_equal(grove_future_await(&future), 0);
    stage_settle();
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(back.n_ends, 1);
    assert_int_equal(back.rc, 0);
}

static int spawn_child(struct play *me, struct script *script);

static struct script *child_script;

static int call_parent(struct play *me, const void *argument)
{
    (void)me;
    (void)argument;
    return stage_note(child_script, stage_add(child_script->to, 1, NULL));
}

static int spawn_child(struct play *me, struct script *script)
{
    static struct play_service calling;
    grove_ref ref;

    (void)me;
    calling = stage_player;
    calling.init = call_parent;
    return stage_note(script, play_spawn_await(&calling, NULL, NULL, &ref));
}

static void test_a_child_whose_init_calls_its_waiting_spawner_is_told(void **state)
{
    grove_ref parent = stage_spawn("parent");
    struct script script = {.act = spawn_child}, child = {.to = parent};

    (void)state;
    child_script = &child;
    assert_int_equal(stage_perform(parent, &script), GROVE_EDEADLK);
    assert_int_equal(child.rc, GROVE_EDEADLK);
    assert_int_equal(script.failure.started, GROVE_STARTED_YES);
}

static void test_greenlets_are_part_of_circles_too(void **state)
{
    grove_ref a = stage_spawn("a");
    struct script back = {.act = act_relay, .next = &nothing};
    struct script green = {.to = a, .next = &back};
    struct grove_spawn_options label = {.label = "reed"};

    (void)state;
    assert_int_equal(grove_go(go_relay, &green, &label, &back.to), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(back.rc, GROVE_EDEADLK);
    assert_string_equal(back.text, "play/a -> greenlet/reed -> play/a");
    assert_int_equal(green.rc, GROVE_EDEADLK);
}

/* --- over loops ------------------------------------------------------------------------------- */

static void check_far_ring(const unsigned loops[], unsigned n)
{
    grove_ref refs[8];
    struct script scripts[8];
    unsigned long long begin_ms = stage_now_ms();
    unsigned n_told = 0, n_told_begun = 0;
    int rc;

    for (unsigned i = 0; i < n; i++)
        refs[i] = stage_spawn_on(loops[i], (const char *[]){"n0", "n1", "n2", "n3"}[i]);
    rc = ring(refs, scripts, n);
    assert_int_equal(rc, GROVE_EDEADLK);
    /* A few ms for the probes; generous for a machine that is busy with others. */
    assert_in_range(stage_now_ms() - begin_ms, 0, 1500);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(scripts[i].rc, GROVE_EDEADLK);
        n_told += strstr(scripts[i].text, " -> ") != NULL;
        if (scripts[i].failure.started == GROVE_STARTED_NO)
            n_told_begun += i + 1 < n && scripts[i + 1].n_runs > 0;
    }
    assert_true(n_told >= 1);
    /* NO is never said of a call whose handler had begun. */
    assert_int_equal(n_told_begun, 0);
    stage_settle();
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(stage_add(refs[i], 1, NULL), 0);
}

static void test_circles_over_two_loops_are_found_in_a_few_ms_and_named(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        check_far_ring((const unsigned[]){0, 1}, 2);
        check_far_ring((const unsigned[]){1, 0}, 2);
        check_far_ring((const unsigned[]){0, 0, 1}, 3);
        check_far_ring((const unsigned[]){0, 1, 1}, 3);
        check_far_ring((const unsigned[]){1, 0, 1, 0}, 4);
        check_far_ring((const unsigned[]){0, 0, 1, 1}, 4);
    }
}

static void test_a_ring_of_500_over_two_loops_is_found_and_named_in_part(void **state)
{
    static grove_ref refs[500];
    static struct script scripts[500];

    (void)state;
    for (unsigned i = 0; i < 500; i++)
        refs[i] = stage_spawn_on(i % 2, NULL);
    assert_int_equal(ring(refs, scripts, 500), GROVE_EDEADLK);
    stage_settle();
    assert_int_equal(scripts[499].rc, GROVE_EDEADLK);
    assert_non_null(strstr(scripts[499].text, " -> ... -> play/"));
}

static void test_an_end_that_is_awaited_over_loops_is_part_of_circles(void **state)
{
    grove_ref a = stage_spawn_on(0, "a"), b = stage_spawn_on(1, "b");
    struct script stop = {.act = stop_target, .to = a, .ms = GROVE_STOP_NOW};
    struct script call = {.act = act_relay, .to = b, .next = &stop};

    (void)state;
    assert_int_equal(stage_perform(a, &call), GROVE_EDEADLK);
    stage_settle();
    assert_int_equal(stop.rc, GROVE_EDEADLK);
    assert_string_equal(stop.text, "play/b -> play/a -> play/b");
}

static void test_a_long_far_wait_is_no_circle(void **state)
{
    grove_ref a = stage_spawn_on(0, "a"), b = stage_spawn_on(1, "b"), c = stage_spawn_on(0, "c");
    struct script nap = {.act = act_nap, .ms = 30};
    struct script second = {.act = act_relay, .to = c, .next = &nap};
    struct script first = {.act = act_relay, .to = b, .next = &second};

    (void)state;
    assert_int_equal(stage_perform(a, &first), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_an_actor_that_calls_itself_is_told_at_once),
        stage_test(test_two_actors_that_call_each_other_are_told_and_named),
        stage_test(test_rings_of_three_and_of_a_hundred_are_found),
        stage_test(test_a_circle_through_one_arm_of_all_is_found),
        stage_test(test_an_any_with_another_arm_is_no_circle),
        stage_test(test_a_circle_through_a_full_mailbox_is_found),
        stage_test(test_to_await_the_end_of_who_waits_for_oneself_is_a_circle_unless_it_is_killed),
        stage_test(test_a_circle_through_one_that_waits_for_its_children_ends_at_their_deadlines),
        stage_test(test_a_long_wait_is_no_circle),
        stage_test(test_who_has_its_answer_already_is_waited_for_without_a_circle),
        stage_test(test_a_child_whose_init_calls_its_waiting_spawner_is_told),
        stage_test(test_greenlets_are_part_of_circles_too),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_circles_over_two_loops_are_found_in_a_few_ms_and_named),
        stage_test(test_a_ring_of_500_over_two_loops_is_found_and_named_in_part),
        stage_test(test_an_end_that_is_awaited_over_loops_is_part_of_circles),
        stage_test(test_a_long_far_wait_is_no_circle),
    };
    int n = cmocka_run_group_tests_name("deadlock", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("deadlock, far", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
