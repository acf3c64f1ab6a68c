/*
 * Place: where tasks live, and their refs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <grove/task.h>

#include "ground.h"

static _Atomic(unsigned) n_here[2];

static void note_loop(struct worker *me)
{
    n_here[gv_loop_here->index]++;
    ground_end(me);
}

static void test_a_task_runs_on_its_home(void **state)
{
    (void)state;
    ground_open_loops(2);
    n_here[0] = n_here[1] = 0;
    for (unsigned i = 0; i < 100; i++)
        (void)ground_worker(i % 2, note_loop, NULL);
    ground_drain();
    assert_int_equal(n_here[0], 50);
    assert_int_equal(n_here[1], 50);
    ground_close();
}

static void sleep_then_count(void *argument)
{
    (void)argument;
    (void)grove_sleep_await(20);
    n_here[gv_loop_here->index]++;
}

static void go_anywhere(unsigned n)
{
    struct grove_spawn_options options = {.place = GROVE_ANYWHERE};

    n_here[0] = n_here[1] = 0;
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(grove_go(sleep_then_count, NULL, &options, NULL), 0);
}

static void test_anywhere_spreads_tasks_evenly(void **state)
{
    (void)state;
    ground_open_loops(2);
    for (unsigned life = 0; life < 3; life++) {
        go_anywhere(40);
        ground_drain();
        assert_int_equal(n_here[0], 20);
        assert_int_equal(n_here[1], 20);
    }
    ground_close();
}

static void nap(void *argument)
{
    (void)argument;
    (void)grove_sleep_await(40);
}

static void test_tasks_at_home_drive_nobody_to_other_loops(void **state)
{
    (void)state;
    ground_open_loops(2);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(grove_go(nap, NULL, NULL, NULL), 0);
    go_anywhere(40);
    ground_drain();
    assert_int_equal(n_here[0], 20);
    assert_int_equal(n_here[1], 20);
    ground_close();
}

static void test_a_task_that_was_never_started_takes_no_place(void **state)
{
    struct grove_spawn_options wrong = {.place = GROVE_ANYWHERE, .depth_max = UINT32_MAX};

    (void)state;
    ground_open_loops(2);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(grove_go(nap, NULL, &wrong, NULL), GROVE_EUSAGE);
    go_anywhere(40);
    ground_drain();
    assert_int_equal(n_here[0], 20);
    assert_int_equal(n_here[1], 20);
    ground_close();
}

static void test_places_that_are_none_are_refused(void **state)
{
    static const int places[] = {GROVE_ON_LOOP(2), 64, INT32_MAX, -2, INT32_MIN};
    struct gv_task *task;
    grove_ref ref;

    (void)state;
    ground_open_loops(2);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        assert_int_equal(grove_go(sleep_then_count, NULL,
                                  &(struct grove_spawn_options){.place = places[i]}, &ref),
                         GROVE_EUSAGE);
    assert_int_equal(gv_place_task(gv_loop_here, 0, NULL, GV_SLOT_BYTES_MAX + 1, &task),
                     GROVE_ETOOBIG);
    gv_runtime.closing = true;
    assert_int_equal(grove_go(sleep_then_count, NULL, NULL, &ref), GROVE_ESTOPPING);
    ground_close();
}

static void test_a_ref_names_its_task_in_this_process_alone(void **state)
{
    struct worker *worker;
    grove_ref ref;
    char text[GROVE_REF_TEXT_BYTES];

    (void)state;
    ground_open(NULL, NULL);
    worker = ground_worker(0, note_loop, NULL);
    ref = gv_task_ref(&worker->task);
    assert_int_equal(gv_ref_id(ref), gv_task_id(&worker->task));
    assert_int_equal(gv_ref_kind(ref), GROVE_REF_ACTOR);
    assert_false(grove_ref_is_nobody(ref));
    assert_int_equal(strncmp(grove_ref_print(ref, text), "actor/", 6), 0);
    ref.node_kind += UINT64_C(1) << 16;
    assert_int_equal(gv_ref_id(ref), 0);
    assert_int_equal(gv_ref_id(GROVE_NOBODY), 0);
    ref = (grove_ref){UINT64_MAX, UINT64_MAX};
    assert_int_equal(gv_ref_id(ref), 0);
    assert_true(strlen(grove_ref_print(ref, text)) < GROVE_REF_TEXT_BYTES);
    assert_string_equal(grove_ref_print(GROVE_NOBODY, text), "none/0.0");
    ground_drain();
    ground_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_task_runs_on_its_home),
        cmocka_unit_test(test_anywhere_spreads_tasks_evenly),
        cmocka_unit_test(test_tasks_at_home_drive_nobody_to_other_loops),
        cmocka_unit_test(test_a_task_that_was_never_started_takes_no_place),
        cmocka_unit_test(test_places_that_are_none_are_refused),
        cmocka_unit_test(test_a_ref_names_its_task_in_this_process_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
