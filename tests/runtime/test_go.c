/*
 * Go: greenlets, mailbox bounds, waiting lists, receive.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <grove/call.h>
#include <grove/task.h>

#include "ground.h"

static struct {
    int rc[10], n, value;
    bool done;
    grove_ref self;
} seen;

static void set_up(void)
{
    memset(&seen, 0, sizeof seen);
    ground_open(NULL, NULL);
}

static void tear_down(void)
{
    ground_drain();
    ground_close();
}

static void copy_argument(void *argument)
{
    seen.value = *(int *)argument;
    seen.self = grove_self();
    seen.rc[0] = grove_sleep_await(3);
    seen.value += *(int *)argument;
    seen.done = true;
}

static void test_a_greenlet_runs_first_when_its_maker_waits_and_owns_its_argument(void **state)
{
    int argument = 21;
    grove_ref ref;

    (void)state;
    set_up();
    assert_int_equal(grove_go(copy_argument, &argument,
                              &(struct grove_spawn_options){.argument_bytes = sizeof argument},
                              &ref),
                     0);
    argument = -1;
    assert_int_equal(seen.value, 0);
    assert_int_equal(grove_sleep_await(10), 0);
    assert_true(seen.done);
    assert_int_equal(seen.value, 42);
    assert_true(grove_ref_equal(seen.self, ref));
    assert_int_equal(seen.rc[0], 0);
    assert_null(gv_slot_find(gv_ref_id(ref)));
    tear_down();
}

static void count_yields(void *argument)
{
    (void)argument;
    for (int i = 0; i < 1000; i++)
        if (grove_yield_await() == 0)
            seen.n++;
}

static void test_yields_of_several_take_turns(void **state)
{
    (void)state;
    set_up();
    for (int i = 0; i < 3; i++)
        assert_int_equal(grove_go(count_yields, NULL, NULL, NULL), 0);
    tear_down();
    assert_int_equal(seen.n, 3000);
}

static void wait_in_every_way(void *argument)
{
    struct gv_message *message;

    (void)argument;
    seen.rc[0] = grove_sleep_await(100000);
    seen.rc[1] = grove_sleep_await(1);
    seen.rc[2] = grove_yield_await();
    seen.rc[3] = gv_receive(gv_loop_here, GROVE_INFINITE, &message);
    seen.rc[4] = gv_receive(gv_loop_here, 0, &message);
    seen.rc[5] = grove_sleep_await(0);
    seen.n = 6;
}

static void test_a_stopped_greenlet_waits_no_more_in_any_way(void **state)
{
    grove_ref ref;

    (void)state;
    set_up();
    assert_int_equal(grove_go(wait_in_every_way, NULL, NULL, &ref), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    gv_task_cancel(gv_loop_here, gv_slot_find(gv_ref_id(ref)));
    tear_down();
    assert_int_equal(seen.n, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(seen.rc[i], GROVE_ECANCELED);
}

static void test_a_greenlet_stopped_before_it_ran_still_runs_to_tidy_up(void **state)
{
    grove_ref ref;

    (void)state;
    set_up();
    assert_int_equal(grove_go(wait_in_every_way, NULL, NULL, &ref), 0);
    gv_task_cancel(gv_loop_here, gv_slot_find(gv_ref_id(ref)));
    tear_down();
    assert_int_equal(seen.n, 6);
    assert_int_equal(seen.rc[0], GROVE_ECANCELED);
}

/* --- receive ---------------------------------------------------------------------------------- */

static void receive_some(void *argument)
{
    struct gv_message *message;

    (void)argument;
    while ((seen.rc[0] = gv_receive(gv_loop_here, 10, &message)) == 0) {
        seen.n++;
        seen.value = (int)message->call;
        gv_message_give(&gv_loop_here->blocks, message);
    }
}

static int push(struct gv_task *task, uint64_t call)
{
    struct gv_message *message = gv_message_take(&gv_loop_here->blocks, 0);
    int rc;

    message->call = call;
    rc = gv_task_push(gv_loop_here, task, message);
    if (rc != 0)
        gv_message_give(&gv_loop_here->blocks, message);
    return rc;
}

static void test_receive_takes_mail_and_gives_up_without(void **state)
{
    struct gv_task *task;
    grove_ref ref;

    (void)state;
    set_up();
    assert_int_equal(grove_go(receive_some, NULL, NULL, &ref), 0);
    task = gv_slot_find(gv_ref_id(ref));
    assert_int_equal(push(task, 1), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(seen.n, 1);
    assert_int_equal(push(task, 2), 0);
    assert_int_equal(push(task, 3), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.value, 3);
    tear_down();
    assert_int_equal(seen.rc[0], GROVE_ETIMEDOUT);
}

/* --- waiting lists ---------------------------------------------------------------------------- */

static void sleep_then_receive(void *argument)
{
    struct gv_message *message;

    (void)argument;
    (void)grove_sleep_await(10);
    while (gv_receive(gv_loop_here, 1, &message) == 0) {
        seen.rc[seen.n++ % 10] = (int)message->call;
        gv_message_give(&gv_loop_here->blocks, message);
    }
}

static struct gv_task *full_greenlet(void)
{
    struct gv_task *task;
    grove_ref ref;

    assert_int_equal(
        grove_go(sleep_then_receive, NULL, &(struct grove_spawn_options){.depth_max = 2}, &ref), 0);
    task = gv_slot_find(gv_ref_id(ref));
    assert_int_equal(push(task, 1), 0);
    assert_int_equal(push(task, 2), 0);
    assert_int_equal(push(task, 3), GROVE_EFULL);
    for (uint64_t call = 3; call <= 6; call++) {
        struct gv_message *message = gv_message_take(&gv_loop_here->blocks, 0);

        message->call = call;
        assert_int_equal(gv_task_wait_for_room(task, message), 0);
    }
    return task;
}

static void test_who_waits_for_room_is_let_in_in_order(void **state)
{
    (void)state;
    set_up();
    (void)full_greenlet();
    tear_down();
    assert_int_equal(seen.n, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(seen.rc[i], i + 1);
}

static void take_back(struct gv_task *task, uint64_t call, bool found)
{
    struct gv_message *message = gv_task_take_back(gv_loop_here, task, call);

    assert_int_equal(message != NULL, found);
    if (message != NULL)
        gv_message_give(&gv_loop_here->blocks, message);
}

static void test_messages_are_taken_back_from_the_mailbox_and_the_list(void **state)
{
    struct gv_task *task;

    (void)state;
    set_up();
    task = full_greenlet();
    take_back(task, 6, true); /* the last one of the list */
    take_back(task, 3, true); /* the first one */
    take_back(task, 99, false);
    take_back(task, 1, true); /* makes room for 4 */
    take_back(task, 4, true);
    tear_down();
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.rc[0], 2);
    assert_int_equal(seen.rc[1], 5);
}

static void test_mail_and_waiters_of_a_task_that_ends_are_orphaned(void **state)
{
    struct gv_task *task;

    (void)state;
    set_up();
    task = full_greenlet();
    gv_task_orphan_mail(gv_loop_here, task, GROVE_ENOACTOR);
    assert_int_equal(ground_orphaned, 6);
    tear_down();
    assert_int_equal(seen.n, 0);
}

static void test_bounds_beyond_the_fields_are_refused(void **state)
{
    struct gv_task task = {.flags = 0};

    (void)state;
    set_up();
    assert_int_equal(gv_task_bound(&task, 0, 0), 0);
    assert_int_equal(task.bounds.depth_max, 1024);
    assert_int_equal(task.bounds.bytes_max_64k, 16);
    assert_int_equal(gv_task_bound(&task, (1u << 20) - 1, 255u << 20), 0);
    assert_int_equal(task.bounds.depth_max, (1u << 20) - 1);
    assert_int_equal(gv_task_bound(&task, 1u << 20, 0), GROVE_EUSAGE);
    assert_int_equal(gv_task_bound(&task, 0, 256u << 20), GROVE_EUSAGE);
    assert_int_equal(gv_task_bound(&task, 1, 1), 0);
    assert_int_equal(task.bounds.bytes_max_64k, 1);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_greenlet_runs_first_when_its_maker_waits_and_owns_its_argument),
        cmocka_unit_test(test_yields_of_several_take_turns),
        cmocka_unit_test(test_a_stopped_greenlet_waits_no_more_in_any_way),
        cmocka_unit_test(test_a_greenlet_stopped_before_it_ran_still_runs_to_tidy_up),
        cmocka_unit_test(test_receive_takes_mail_and_gives_up_without),
        cmocka_unit_test(test_who_waits_for_room_is_let_in_in_order),
        cmocka_unit_test(test_messages_are_taken_back_from_the_mailbox_and_the_list),
        cmocka_unit_test(test_mail_and_waiters_of_a_task_that_ends_are_orphaned),
        cmocka_unit_test(test_bounds_beyond_the_fields_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
