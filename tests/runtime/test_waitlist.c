#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <grove/error.h>

#include "runtime/block.h"
#include "runtime/waitlist.h"

enum { BYTES_MAX = 1 << 20 };

static struct gv_blocks blocks;
static struct gv_blocks *pools[GV_LOOPS_MAX];
static struct gv_waitlist list;

static int set_up(void **state)
{
    (void)state;
    gv_blocks_init(&blocks, 0, pools);
    list = (struct gv_waitlist){0};
    return 0;
}

/* The pool asserts that every message has come back; no table of peers is left when nobody waits. */
static int tear_down(void **state)
{
    (void)state;
    while (list.n > 0)
        gv_message_give(&blocks, gv_waitlist_take(&list));
    assert_null(list.peers);
    assert_null(list.head);
    gv_blocks_deinit(&blocks);
    return 0;
}

/* A call of a sender on a loop. */
static struct gv_message *call_of(unsigned loop, uint64_t from, uint64_t number, size_t bytes)
{
    struct gv_message *message = gv_message_take(&blocks, bytes);

    assert_non_null(message);
    message->from = from;
    message->call = (uint64_t)loop << 56 | number;
    return message;
}

/* Puts it into the list; gives it back if it is refused. */
static int push(struct gv_message *message)
{
    int rc = gv_waitlist_push(&list, message, BYTES_MAX);

    if (rc != 0)
        gv_message_give(&blocks, message);
    return rc;
}

static void take(uint64_t number)
{
    struct gv_message *message = gv_waitlist_take(&list);

    assert_int_equal(message->call & 0xffffffff, number);
    gv_message_give(&blocks, message);
}

static void test_who_came_first_is_taken_first(void **state)
{
    struct gv_message *message;

    (void)state;
    for (uint64_t i = 1; i <= 5; i++)
        assert_int_equal(push(call_of(0, 77, i, 0)), 0);
    message = gv_waitlist_remove(&list, 5);
    assert_int_equal(message->call, 5);
    gv_message_give(&blocks, message);
    message = gv_waitlist_remove(&list, 2);
    assert_int_equal(message->call, 2);
    gv_message_give(&blocks, message);
    assert_null(gv_waitlist_remove(&list, 2));
    assert_int_equal(push(call_of(0, 77, 6, 0)), 0);
    take(1);
    take(3);
    take(4);
    take(6);
    assert_int_equal(list.n, 0);
}

static void test_a_sender_that_floods_leaves_room_for_all_others(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= GV_WAIT_PEER_MAX; i++)
        assert_int_equal(push(call_of(0, 77, i, 0)), 0);
    assert_int_equal(push(call_of(0, 77, 9999, 0)), GROVE_EFULL);
    assert_int_equal(push(call_of(0, 79, 1, 0)), 0);
    assert_int_equal(push(call_of(1, 81, 1, 0)), 0);
    /* A place that is free again is its own. */
    take(1);
    assert_int_equal(push(call_of(0, 77, 9999, 0)), 0);
    assert_int_equal(push(call_of(0, 77, 9998, 0)), GROVE_EFULL);
}

static void test_who_has_no_task_is_one_sender_on_each_loop(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= GV_WAIT_PEER_MAX; i++)
        assert_int_equal(push(call_of(3, 0, i, 0)), 0);
    assert_int_equal(push(call_of(3, 0, 9999, 0)), GROVE_EFULL);
    assert_int_equal(push(call_of(4, 0, 1, 0)), 0);
    assert_int_equal(push(call_of(3, 77, 1, 0)), 0);
}

static void test_a_loop_that_floods_leaves_room_for_the_other_loops(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= GV_WAIT_LOOP_MAX; i++)
        assert_int_equal(push(call_of(2, 2 * i + 1, i, 0)), 0);
    assert_int_equal(push(call_of(2, 1, 1, 0)), GROVE_EFULL);
    assert_int_equal(push(call_of(0, 1, 1, 0)), 0);
    assert_int_equal(push(call_of(62, 1, 1, 0)), 0);
}

static void test_the_bytes_of_a_sender_and_of_a_loop_are_bounded(void **state)
{
    enum { HALF = BYTES_MAX / 2 };

    (void)state;
    assert_int_equal(push(call_of(0, 77, 1, HALF)), 0);
    assert_int_equal(push(call_of(0, 77, 2, HALF)), GROVE_EFULL); /* By the envelopes. */
    assert_int_equal(push(call_of(0, 77, 2, HALF - 1000)), 0);
    assert_int_equal(push(call_of(0, 77, 3, 0)), 0);
    for (uint64_t i = 3; i <= 129; i++)
        assert_int_equal(push(call_of(0, 2 * i + 101, i, HALF - 48)), i < 129 ? 0 : GROVE_EFULL);
    assert_int_equal(push(call_of(1, 3, 1, HALF)), 0);
}

static void test_what_is_bounded_elsewhere_is_not_counted(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 2 * GV_WAIT_PEER_MAX; i++) {
        struct gv_message *ahead = call_of(255, 77, 0, 0), *sent = call_of(0, 77, 0, 0);

        ahead->form_flags |= GV_FLAG_COUNTED;
        assert_int_equal(push(ahead), 0);
        assert_int_equal(push(sent), 0);
    }
    assert_null(list.peers);
    assert_int_equal(push(call_of(0, 77, 1, 0)), 0);
}

static void test_the_oldest_of_a_method_is_found(void **state)
{
    struct gv_message *message;

    (void)state;
    for (uint64_t i = 1; i <= 6; i++) {
        message = call_of(0, 77, i, 0);
        message->method = (uint16_t)(i % 2 + 1);
        assert_int_equal(push(message), 0);
    }
    for (uint64_t i = 1; i <= 5; i += 2) {
        message = gv_waitlist_take_oldest(&list, 2);
        assert_int_equal(message->call, i);
        gv_message_give(&blocks, message);
    }
    assert_null(gv_waitlist_take_oldest(&list, 2));
    take(2);
}

/* Many senders come and go in an order of chance; each has its full share whenever it has nothing here. */
static void test_shares_are_exact_whoever_comes_and_goes(void **state)
{
    enum { SENDERS = 300, STEPS = 60000 };
    unsigned n_of[SENDERS] = {0};
    uint32_t chance = 1;

    (void)state;
    for (unsigned i = 1; i <= STEPS; i++) {
        unsigned sender;

        chance = chance * 1664525 + 1013904223;
        sender = (chance >> 8) % SENDERS;
        if (chance >> 31 && list.n > 0) {
            struct gv_message *message = gv_waitlist_take(&list);

            n_of[message->from / 2]--;
            gv_message_give(&blocks, message);
        } else if (push(call_of(sender % 3, 2 * sender + 1, i, 0)) == 0) {
            n_of[sender]++;
        }
    }
    for (unsigned sender = 0; sender < SENDERS; sender++) {
        while (push(call_of(sender % 3, 2 * sender + 1, 1, 0)) == 0)
            n_of[sender]++;
        if (sender < 60)
            assert_int_equal(n_of[sender], GV_WAIT_PEER_MAX);
    }
}

int main(void)
{
#define WITH_LIST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_LIST(test_who_came_first_is_taken_first),
        WITH_LIST(test_a_sender_that_floods_leaves_room_for_all_others),
        WITH_LIST(test_who_has_no_task_is_one_sender_on_each_loop),
        WITH_LIST(test_a_loop_that_floods_leaves_room_for_the_other_loops),
        WITH_LIST(test_the_bytes_of_a_sender_and_of_a_loop_are_bounded),
        WITH_LIST(test_what_is_bounded_elsewhere_is_not_counted),
        WITH_LIST(test_the_oldest_of_a_method_is_found),
        WITH_LIST(test_shares_are_exact_whoever_comes_and_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
