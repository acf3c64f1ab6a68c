#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/mailbox.h"

enum { DEPTH_MAX = 4, BYTES_MAX = 4096 };

static struct gv_blocks blocks;
static struct gv_blocks *pools[GV_LOOPS_MAX];
static struct gv_mailbox box;

static int set_up(void **state)
{
    (void)state;
    gv_blocks_init(&blocks, 0, pools);
    gv_mailbox_init(&box);
    return 0;
}

/* The pool asserts that every message has come back. */
static int tear_down(void **state)
{
    struct gv_message *message;

    (void)state;
    while ((message = gv_mailbox_take(&box)) != NULL)
        gv_message_give(&blocks, message);
    assert_true(gv_mailbox_is_empty(&box));
    assert_int_equal(box.load, 0);
    gv_blocks_deinit(&blocks);
    return 0;
}

static struct gv_message *letter(uint64_t call, size_t body_bytes)
{
    struct gv_message *message = gv_message_take(&blocks, body_bytes);

    assert_non_null(message);
    message->call = call;
    return message;
}

static struct gv_message *signal_of(uint64_t call)
{
    struct gv_message *message = letter(call, 0);

    message->method = GV_SIGNAL_STOP;
    return message;
}

static int push(uint64_t call)
{
    return gv_mailbox_push(&box, letter(call, 16), DEPTH_MAX, BYTES_MAX);
}

static uint64_t take(void)
{
    struct gv_message *message = gv_mailbox_take(&box);
    uint64_t call = message != NULL ? message->call : 0;

    if (message != NULL) {
        assert_null(message->next);
        gv_message_give(&blocks, message);
    }
    return call;
}

static void test_messages_leave_in_the_order_they_came(void **state)
{
    (void)state;
    assert_int_equal(take(), 0);
    for (uint64_t round = 0; round < 3; round++) {
        for (uint64_t call = 1; call <= 4; call++)
            assert_int_equal(push(call), 0);
        assert_int_equal(box.head->call, 1);
        for (uint64_t call = 1; call <= 4; call++)
            assert_int_equal(take(), call);
        assert_int_equal(take(), 0);
    }
}

static void test_push_refuses_more_than_depth_max(void **state)
{
    struct gv_message *fifth = letter(5, 16);

    (void)state;
    for (uint64_t call = 1; call <= DEPTH_MAX; call++)
        assert_int_equal(push(call), 0);
    assert_int_equal(gv_mailbox_push(&box, fifth, DEPTH_MAX, BYTES_MAX), GROVE_EFULL);
    assert_int_equal(gv_mailbox_depth(&box), DEPTH_MAX);
    assert_int_equal(take(), 1);
    assert_int_equal(gv_mailbox_push(&box, fifth, DEPTH_MAX, BYTES_MAX), 0);
}

static void test_push_refuses_more_than_bytes_max(void **state)
{
    struct gv_message *third = letter(3, 900);

    (void)state;
    assert_int_equal(gv_mailbox_push(&box, letter(1, 900), 100, 2048), 0);
    assert_int_equal(gv_mailbox_push(&box, letter(2, 900), 100, 2048), 0);
    assert_int_equal(gv_mailbox_bytes(&box), 2048);
    assert_int_equal(gv_mailbox_push(&box, third, 100, 2048), GROVE_EFULL);
    assert_int_equal(gv_mailbox_bytes(&box), 2048);
    assert_int_equal(take(), 1);
    assert_int_equal(gv_mailbox_bytes(&box), 1024);
    gv_message_give(&blocks, third);
}

static void test_a_message_that_never_fits_is_too_big(void **state)
{
    struct gv_message *message = letter(1, 5000);

    (void)state;
    assert_int_equal(gv_mailbox_push(&box, message, DEPTH_MAX, BYTES_MAX), GROVE_ETOOBIG);
    assert_true(gv_mailbox_is_empty(&box));
    gv_message_give(&blocks, message);
}

static void test_depth_and_bytes_do_not_run_into_each_other(void **state)
{
    struct gv_message *big = letter(1, GV_BLOCK_BYTES_MAX - sizeof(struct gv_message));

    (void)state;
    assert_int_equal(gv_mailbox_push(&box, big, 1, GV_MAILBOX_BYTES_MAX), 0);
    assert_int_equal(gv_mailbox_depth(&box), 1);
    assert_int_equal(gv_mailbox_bytes(&box), GV_BLOCK_BYTES_MAX);
    assert_int_equal(take(), 1);
}

static void test_system_messages_overtake_users_but_not_each_other(void **state)
{
    (void)state;
    for (uint64_t call = 1; call <= DEPTH_MAX; call++)
        assert_int_equal(push(call), 0);
    /* A full mailbox takes them. */
    gv_mailbox_push_front(&box, signal_of(101));
    gv_mailbox_push_front(&box, signal_of(102));
    assert_int_equal(gv_mailbox_depth(&box), DEPTH_MAX);
    assert_int_equal(box.head->call, 101);
    assert_int_equal(take(), 101);
    gv_mailbox_push_front(&box, signal_of(103));
    assert_int_equal(take(), 102);
    assert_int_equal(take(), 103);
    for (uint64_t call = 1; call <= DEPTH_MAX; call++)
        assert_int_equal(take(), call);
}

static void test_a_lane_can_be_taken_by_itself(void **state)
{
    struct gv_message *oldest;

    (void)state;
    gv_mailbox_push_front(&box, signal_of(101));
    assert_null(gv_mailbox_take_user(&box));
    assert_int_equal(push(1), 0);
    assert_int_equal(push(2), 0);
    oldest = gv_mailbox_take_user(&box);
    assert_int_equal(oldest->call, 1);
    gv_message_give(&blocks, oldest);
    assert_int_equal(take(), 101);
    assert_int_equal(take(), 2);
}

static void test_a_queued_request_is_taken_back_from_any_place(void **state)
{
    (void)state;
    for (uint64_t gone = 1; gone <= 4; gone++) {
        struct gv_message *message;

        for (uint64_t call = 1; call <= 4; call++)
            assert_int_equal(push(call), 0);
        message = gv_mailbox_remove(&box, gone);
        assert_non_null(message);
        assert_int_equal(message->call, gone);
        assert_null(message->next);
        gv_message_give(&blocks, message);
        assert_null(gv_mailbox_remove(&box, gone));
        assert_int_equal(gv_mailbox_depth(&box), 3);
        /* The order of the rest, and the end of the lane, are whole. */
        assert_int_equal(push(5), 0);
        for (uint64_t call = 1; call <= 5; call++) {
            if (call != gone)
                assert_int_equal(take(), call);
        }
        assert_int_equal(take(), 0);
    }
}

static void test_the_only_request_is_taken_back(void **state)
{
    struct gv_message *message;

    (void)state;
    assert_null(gv_mailbox_remove(&box, 9));
    assert_int_equal(push(9), 0);
    message = gv_mailbox_remove(&box, 9);
    assert_non_null(message);
    gv_message_give(&blocks, message);
    assert_true(gv_mailbox_is_empty(&box));
    assert_int_equal(push(1), 0);
    assert_int_equal(take(), 1);
}

static void test_a_detached_batch_stays_charged_until_it_is_home(void **state)
{
    struct gv_mailbox batch = {0};
    struct gv_message *message;
    uint64_t charge;

    (void)state;
    for (uint64_t call = 1; call <= 4; call++)
        assert_int_equal(push(call), 0);
    charge = gv_mailbox_detach(&box, &batch, 3);
    assert_int_equal(gv_mailbox_depth(&batch), 3);
    assert_int_equal(gv_mailbox_depth(&box), 4);
    assert_int_equal(charge, batch.load);
    message = gv_mailbox_take(&batch);
    assert_int_equal(message->call, 1);
    gv_message_give(&blocks, message);
    gv_mailbox_rejoin(&box, &batch, charge);
    assert_true(gv_mailbox_is_empty(&batch));
    assert_int_equal(gv_mailbox_depth(&box), 3);
    for (uint64_t call = 2; call <= 4; call++)
        assert_int_equal(take(), call);
    assert_int_equal(box.load, 0);
}

static void test_a_batch_may_be_all_there_is(void **state)
{
    struct gv_mailbox batch = {0};
    uint64_t charge;

    (void)state;
    assert_int_equal(gv_mailbox_detach(&box, &batch, 3), 0);
    assert_int_equal(push(1), 0);
    assert_int_equal(push(2), 0);
    charge = gv_mailbox_detach(&box, &batch, 64);
    assert_true(gv_mailbox_is_empty(&box));
    assert_int_equal(push(3), 0);
    gv_mailbox_rejoin(&box, &batch, charge);
    for (uint64_t call = 1; call <= 3; call++)
        assert_int_equal(take(), call);
    assert_int_equal(push(4), 0);
    assert_int_equal(take(), 4);
}

static void test_a_tick_of_a_timer_is_never_pushed_out(void **state)
{
    struct gv_message *tick = letter(1, 16), *plain = letter(2, 16), *newer = letter(3, 16);

    (void)state;
    tick->form_flags = GV_FORM_TICK;
    assert_int_equal(gv_mailbox_push(&box, tick, DEPTH_MAX, BYTES_MAX), 0);
    assert_false(gv_mailbox_can_push_out(&box, newer, 1, BYTES_MAX));
    assert_int_equal(gv_mailbox_push(&box, plain, DEPTH_MAX, BYTES_MAX), 0);
    assert_ptr_equal(gv_mailbox_take_oldest(&box, plain->method), plain);
    assert_null(gv_mailbox_take_oldest(&box, tick->method));
    assert_int_equal(take(), 1);
    gv_message_give(&blocks, plain);
    gv_message_give(&blocks, newer);
}

static void test_what_is_put_back_comes_first_and_is_charged(void **state)
{
    struct gv_mailbox list;

    (void)state;
    gv_mailbox_init(&list);
    assert_int_equal(gv_mailbox_push(&list, letter(1, 16), DEPTH_MAX, BYTES_MAX), 0);
    assert_int_equal(gv_mailbox_push(&list, letter(2, 16), DEPTH_MAX, BYTES_MAX), 0);
    assert_int_equal(push(3), 0);
    gv_mailbox_push_front(&box, signal_of(9));
    gv_mailbox_put_back(&box, &list);
    assert_int_equal(gv_mailbox_depth(&box), 3);
    assert_true(gv_mailbox_is_empty(&list));
    assert_int_equal(take(), 9);
    for (uint64_t call = 1; call <= 3; call++)
        assert_int_equal(take(), call);
}

#define with_box(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_box(test_what_is_put_back_comes_first_and_is_charged),
        with_box(test_a_tick_of_a_timer_is_never_pushed_out),
        with_box(test_messages_leave_in_the_order_they_came),
        with_box(test_push_refuses_more_than_depth_max),
        with_box(test_push_refuses_more_than_bytes_max),
        with_box(test_a_message_that_never_fits_is_too_big),
        with_box(test_depth_and_bytes_do_not_run_into_each_other),
        with_box(test_system_messages_overtake_users_but_not_each_other),
        with_box(test_a_lane_can_be_taken_by_itself),
        with_box(test_a_queued_request_is_taken_back_from_any_place),
        with_box(test_the_only_request_is_taken_back),
        with_box(test_a_detached_batch_stays_charged_until_it_is_home),
        with_box(test_a_batch_may_be_all_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
