/*
 * Names: who has one, when it is free again, and what the table costs.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grove/name.h>

#include "stage.h"

#include "actors/name.h"

static void test_a_name_leads_to_who_was_registered(void **state)
{
    grove_ref a = stage_spawn("a"), b = stage_spawn("b"), found = GROVE_NOBODY;
    struct script note = {.act = act_nothing};

    (void)state;
    assert_int_equal(grove_whereis("first", &found), GROVE_ENOACTOR);
    assert_true(grove_ref_is_nobody(found));
    assert_int_equal(grove_register("first", a), 0);
    assert_int_equal(grove_register("second", b), 0);
    assert_int_equal(grove_register("also second", b), 0);
    assert_int_equal(grove_whereis("first", &found), 0);
    assert_true(grove_ref_equal(found, a));
    assert_int_equal(grove_whereis("second", &found), 0);
    assert_true(grove_ref_equal(found, b));
    assert_int_equal(grove_whereis("also second", &found), 0);
    assert_int_equal(stage_perform(found, &note), 0);
    assert_int_equal(note.n_runs, 1);
}

static void test_a_taken_name_is_refused_and_its_holder_is_named(void **state)
{
    grove_ref holder = stage_spawn("till-1"), other = stage_spawn("till-2"), found;
    char text[GROVE_REF_TEXT_BYTES];

    (void)state;
    assert_int_equal(grove_register("till", holder), 0);
    assert_int_equal(grove_register("till", holder), 0); /* It is so already. */
    assert_int_equal(grove_register("till", other), -EEXIST);
    assert_non_null(strstr(grove_why(), "\"till\" belongs to play/till-1"));
    assert_non_null(strstr(grove_why(), grove_ref_print(holder, text)));
    assert_int_equal(grove_whereis("till", &found), 0);
    assert_true(grove_ref_equal(found, holder));
}

static void test_a_name_is_free_once_its_holder_has_ended(void **state)
{
    grove_ref holder = stage_spawn(NULL), heir = stage_spawn(NULL), found = heir;

    (void)state;
    assert_int_equal(grove_register("throne", holder), 0);
    assert_int_equal(grove_stop_await(holder, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_whereis("throne", &found), GROVE_ENOACTOR);
    assert_int_equal(grove_register("throne", holder), GROVE_ENOACTOR);
    assert_int_equal(grove_register("throne", heir), 0);
    assert_int_equal(grove_whereis("throne", &found), 0);
    assert_true(grove_ref_equal(found, heir));
}

static void test_a_name_is_kept_while_its_holder_stops_and_can_be_taken_back(void **state)
{
    struct script nap = {.act = act_nap, .ms = 5};
    grove_ref holder = stage_spawn(NULL), found;

    (void)state;
    assert_int_equal(grove_register("desk", holder), 0);
    assert_int_equal(stage_send(holder, &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop(holder, GROVE_STOP_DRAIN), 0);
    assert_int_equal(grove_whereis("desk", &found), 0);
    assert_int_equal(grove_unregister("desk"), 0);
    assert_int_equal(grove_whereis("desk", &found), GROVE_ENOACTOR);
    assert_int_equal(grove_unregister("desk"), GROVE_ENOACTOR);
    stage_settle();
}

static void go_receive(void *argument)
{
    struct grove_letter letter;

    *(int *)argument = grove_receive_await(GROVE_INFINITE, &letter);
}

static void test_greenlets_have_names_too(void **state)
{
    grove_ref green, found;
    int rc = 1;

    (void)state;
    assert_int_equal(grove_go(go_receive, &rc, NULL, &green), 0);
    assert_int_equal(grove_register("green", green), 0);
    assert_int_equal(grove_whereis("green", &found), 0);
    assert_int_equal(stage_send(found, NULL), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(rc, 0);
    assert_int_equal(grove_whereis("green", &found), GROVE_ENOACTOR);
}

static void test_what_is_no_name_is_refused_with_a_reason(void **state)
{
    char longest[GROVE_NAME_MAX + 2];
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[GROVE_NAME_MAX + 1] = '\0';
    assert_int_equal(grove_register(longest, ref), GROVE_EUSAGE);
    assert_string_equal(grove_why(), "grove_register: the name xxxxxxxxxxxxxxxxxxxx... has more "
                                     "than 127 bytes");
    assert_int_equal(grove_whereis("", &ref), GROVE_EUSAGE);
    assert_int_equal(grove_unregister(NULL), GROVE_EUSAGE);
    assert_string_equal(grove_why(), "grove_unregister: there is no name; give it 1 to 127 bytes");
    longest[GROVE_NAME_MAX] = '\0';
    assert_int_equal(grove_register(longest, ref), 0);
    assert_int_equal(grove_register("nobody", GROVE_NOBODY), GROVE_ENOACTOR);
}

static void test_names_of_the_dead_take_no_room(void **state)
{
    enum { N = 20000 };
    grove_ref ref = stage_spawn(NULL), found;
    char name[32];

    (void)state;
    assert_int_equal(grove_register("stays", ref), 0);
    for (int i = 0; i < N; i++) {
        grove_ref brief = stage_spawn(NULL);

        (void)snprintf(name, sizeof name, "brief/%d", i); /* It fits. */
        assert_int_equal(grove_register(name, brief), 0);
        assert_int_equal(grove_stop_await(brief, GROVE_STOP_NOW), 0);
    }
    /* What is left of 20 000 is what fits the smallest tables. */
    assert_in_range(gv_names_entries(), 1, 16 * 64);
    assert_int_equal(grove_whereis("stays", &found), 0);
    assert_true(grove_ref_equal(found, ref));
    assert_int_equal(grove_whereis("brief/7", &found), GROVE_ENOACTOR);
}

static void test_many_names_are_all_found(void **state)
{
    enum { N = 5000 };
    grove_ref *refs = calloc(N, sizeof *refs), found;
    char name[32];

    (void)state;
    assert_non_null(refs);
    for (int i = 0; i < N; i++) {
        refs[i] = stage_spawn(NULL);
        (void)snprintf(name, sizeof name, "many/%d", i); /* It fits. */
        assert_int_equal(grove_register(name, refs[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        (void)snprintf(name, sizeof name, "many/%d", i); /* It fits. */
        assert_int_equal(grove_whereis(name, &found), 0);
        assert_true(grove_ref_equal(found, refs[i]));
        assert_int_equal(grove_unregister(name), 0);
    }
    free(refs);
}

/* --- over loops ------------------------------------------------------------------------------- */

struct race {
    struct script script;
    unsigned n_won;
    unsigned n_lost;
};

/* Takes names that somebody of the other loop wants, too. */
static int take_names(struct play *me, struct script *script)
{
    struct race *race = (struct race *)script;
    char name[32];

    (void)me;
    for (int i = 0; i < 2000; i++) {
        grove_ref found;
        int rc;

        (void)snprintf(name, sizeof name, "race/%d", i); /* It fits. */
        rc = grove_register(name, grove_self());
        race->n_won += rc == 0;
        race->n_lost += rc == -EEXIST;
        if (grove_whereis(name, &found) != 0)
            return -EIO;
    }
    return 0;
}

static void test_of_two_loops_that_want_a_name_one_gets_it(void **state)
{
    struct race races[2] = {{.script.act = take_names}, {.script.act = take_names}};
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];
    grove_ref who[2] = {stage_spawn_on(0, "here"), stage_spawn_on(1, "there")};

    (void)state;
    for (int i = 0; i < 2; i++) {
        grove_within(GROVE_INFINITE);
        assert_int_equal(stage_start(who[i], &races[i].script, &responses[i], &futures[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(grove_future_await(&futures[i]), 0);
    assert_int_equal(races[0].n_won + races[1].n_won, 2000);
    assert_int_equal(races[0].n_lost + races[1].n_lost, 2000);
}

static void test_the_end_of_a_far_holder_frees_its_name_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        grove_ref ref = stage_spawn_on(1, NULL), found;

        assert_int_equal(grove_register("far", ref), 0);
        assert_int_equal(grove_whereis("far", &found), 0);
        assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
        assert_int_equal(grove_whereis("far", &found), GROVE_ENOACTOR);
    }
}

/* --- from one life of the runtime to the next --------------------------------------------------- */

static void test_names_end_with_the_runtime(void **state)
{
    grove_ref found;

    (void)state;
    stage_open();
    assert_int_equal(grove_register("old", stage_spawn(NULL)), 0);
    stage_close();
    assert_int_equal(gv_names_entries(), 0);
    stage_open();
    (void)stage_spawn(NULL);
    assert_int_equal(grove_whereis("old", &found), GROVE_ENOACTOR);
    stage_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_a_name_leads_to_who_was_registered),
        stage_test(test_a_taken_name_is_refused_and_its_holder_is_named),
        stage_test(test_a_name_is_free_once_its_holder_has_ended),
        stage_test(test_a_name_is_kept_while_its_holder_stops_and_can_be_taken_back),
        stage_test(test_greenlets_have_names_too),
        stage_test(test_what_is_no_name_is_refused_with_a_reason),
        stage_test(test_names_of_the_dead_take_no_room),
        stage_test(test_many_names_are_all_found),
    };
    const struct CMUnitTest far_tests[] = {
        stage_test(test_of_two_loops_that_want_a_name_one_gets_it),
        stage_test(test_the_end_of_a_far_holder_frees_its_name_at_once),
    };
    const struct CMUnitTest own_tests[] = {
        cmocka_unit_test(test_names_end_with_the_runtime),
    };

    return cmocka_run_group_tests(tests, stage_set_up, stage_tear_down)
           + cmocka_run_group_tests(far_tests, stage_set_up_two_loops, stage_tear_down)
           + cmocka_run_group_tests(own_tests, NULL, NULL);
}
