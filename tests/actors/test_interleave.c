/*
 * Interleaving: readers among themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "library.h"

/* --- readers ---------------------------------------------------------------------------------- */

static void test_readers_wait_beside_each_other_and_a_writer_waits_for_all_of_them(void **state)
{
    struct visit readers[4], writer = {.kind = WRITE, .act = library_nap, .ms = 10},
                             late = {.kind = READ, .act = library_nap, .ms = 10};
    unsigned long long begin_ms = stage_now_ms();
    grove_ref ref = library_new("library", 0);

    (void)state;
    for (int i = 0; i < 4; i++) {
        readers[i] = (struct visit){.kind = READ, .act = library_nap, .ms = 20};
        assert_int_equal(library_post(ref, &readers[i]), 0);
        if (i < 2)
            assert_int_equal(grove_sleep_await(1), 0); /* Two are inside, two come together. */
    }
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(library_inside, 4);
    assert_int_equal(library_post(ref, &writer), 0);
    assert_int_equal(library_post(ref, &late), 0);
    library_settle();
    /* In whatever order the two that came together began. */
    assert_true(readers[2].most_readers == 4 || readers[3].most_readers == 4);
    for (int i = 0; i < 4; i++)
        assert_true(readers[i].ended < writer.begun);
    assert_int_equal(writer.most_readers, 0);
    /* Who came behind a writer waits behind it. */
    assert_true(late.begun > writer.ended);
    assert_in_range(stage_now_ms() - begin_ms, 40, 55);
}

static void test_a_reader_waits_for_a_writer_that_waits(void **state)
{
    struct visit writer = {.kind = WRITE, .act = library_nap, .ms = 20},
                 reader = {.kind = READ, .act = library_nothing};
    grove_ref ref = library_new(NULL, 0);

    (void)state;
    assert_int_equal(library_post(ref, &writer), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(library_call(ref, &reader), 0);
    assert_true(reader.begun > writer.ended);
}

static void test_only_the_reader_whose_caller_left_is_cancelled(void **state)
{
    struct visit readers[3];
    grove_ref ref = library_new(NULL, 0);

    (void)state;
    for (int i = 0; i < 3; i++)
        readers[i] = (struct visit){.kind = READ, .act = library_nap, .ms = 50};
    assert_int_equal(library_post(ref, &readers[0]), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(library_post(ref, &readers[1]), 0);
    grove_within(10);
    assert_int_equal(library_call(ref, &readers[2]), GROVE_ETIMEDOUT);
    library_settle();
    assert_int_equal(readers[0].rc, 0);
    assert_int_equal(readers[1].rc, 0);
    assert_int_equal(readers[2].rc, GROVE_ECANCELED);
}

static void test_a_kill_cancels_all_of_them_and_nothing_is_begun_any_more(void **state)
{
    struct visit readers[3], writer = {.kind = WRITE, .act = library_nothing};
    grove_ref ref = library_new(NULL, 0);

    (void)state;
    for (int i = 0; i < 3; i++) {
        readers[i] = (struct visit){.kind = READ, .act = library_nap, .ms = 500};
        assert_int_equal(library_post(ref, &readers[i]), 0);
        assert_int_equal(grove_sleep_await(1), 0);
    }
    assert_int_equal(library_post(ref, &writer), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(readers[i].rc, GROVE_ECANCELED);
    assert_int_equal(library_inside, 0);
    assert_int_equal(writer.begun, 0);
}

static void test_a_drain_waits_for_all_of_them_and_what_is_queued(void **state)
{
    struct visit readers[3], writer = {.kind = WRITE, .act = library_nap, .ms = 1};
    grove_ref ref = library_new(NULL, 0);

    (void)state;
    for (int i = 0; i < 3; i++) {
        readers[i] = (struct visit){.kind = READ, .act = library_nap, .ms = 20};
        assert_int_equal(library_post(ref, &readers[i]), 0);
        assert_int_equal(grove_sleep_await(1), 0);
    }
    assert_int_equal(library_post(ref, &writer), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    assert_true(writer.ended > 0);
    assert_int_equal(readers[0].rc, 0);
}

static void test_many_readers_more_than_come_in_at_once(void **state)
{
    enum { MANY = 300 };
    static struct visit readers[MANY];
    unsigned long long begin_ms = stage_now_ms();
    struct visit writer = {.kind = WRITE, .act = library_nothing};
    grove_ref ref = library_new(NULL, 0);

    (void)state;
    for (int i = 0; i < MANY; i++) {
        readers[i] = (struct visit){.kind = READ, .act = library_nap, .ms = 10};
        assert_int_equal(library_post(ref, &readers[i]), 0);
    }
    assert_int_equal(library_call(ref, &writer), 0);
    for (int i = 0; i < MANY; i++)
        assert_true(readers[i].ended > 0 && readers[i].ended < writer.begun);
    /* 64 at a time, and who has ended makes room. */
    assert_in_range(stage_now_ms() - begin_ms, 50, 80);
}

/* A reader beside another that was let in, and has not begun. */
static void let_in(grove_ref ref, struct visit *visit, struct grove_future *future)
{
    static Play__V1__ReadResponse response;
    Play__V1__ReadRequest request = PLAY__V1__READ_REQUEST__INIT;

    request.script = (uintptr_t)visit;
    assert_int_equal(library_read_start(ref, &request, &response, future), 0);
}

static void
test_a_reader_that_was_let_in_and_is_given_up_before_it_begins_never_begins(void **state)
{
    struct visit first = {.kind = READ, .act = library_nap, .ms = 10},
                 second = {.kind = READ, .act = library_nothing};
    struct grove_future future;
    grove_ref ref = library_new(NULL, 0);

    (void)state;
    assert_int_equal(library_post(ref, &first), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    let_in(ref, &second, &future);
    grove_future_cancel(&future);
    library_settle();
    assert_int_equal(second.begun, 0);
}

static void
test_a_reader_that_was_let_in_before_a_stop_and_begins_behind_it_never_begins(void **state)
{
    struct visit first = {.kind = READ, .act = library_nap, .ms = 10},
                 second = {.kind = READ, .act = library_nothing};
    struct grove_future future;
    grove_ref ref = library_new(NULL, 0);

    (void)state;
    assert_int_equal(library_post(ref, &first), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    let_in(ref, &second, &future);
    assert_int_equal(grove_stop(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_future_await(&future), GROVE_ENOACTOR);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_int_equal(second.begun, 0);
}

static int leave_late(struct visit *visit)
{
    if (grove_shield_begin(1000) == 0)
        (void)grove_sleep_await(visit->ms); /* Nothing ends it. */
    grove_shield_end();
    return 0;
}

static void test_while_those_inside_end_a_stopped_one_lets_nobody_in(void **state)
{
    enum { MANY = 65 }; /* one more than come in */
    static struct visit readers[MANY];
    grove_ref ref = library_new(NULL, 0);

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        readers[i] = (struct visit){.kind = READ, .act = leave_late, .ms = 10 + i};
        assert_int_equal(library_post(ref, &readers[i]), 0);
    }
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
    assert_true(readers[MANY - 2].ended > 0);
    assert_int_equal(readers[MANY - 1].begun, 0);
}

static void test_readers_that_come_in_make_room_for_those_who_wait_for_it(void **state)
{
    struct visit writer = {.kind = WRITE, .act = library_nap, .ms = 5}, readers[4];
    struct grove_future futures[4];
    grove_ref ref = GROVE_NOBODY;

    (void)state;
    assert_int_equal(library_spawn(&library_functions, NULL,
                                   &(struct grove_spawn_options){.depth_max = 2}, &ref),
                     0);
    assert_int_equal(library_post(ref, &writer), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    for (unsigned i = 0; i < 4; i++) {
        readers[i] = (struct visit){.kind = READ, .act = library_nap, .ms = 20};
        let_in(ref, &readers[i], &futures[i]); /* Two are queued, two wait for room. */
    }
    assert_int_equal(grove_sleep_await(10), 0);
    assert_int_equal(library_inside, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(grove_future_await(&futures[i]), 0);
}

/* --- circles ---------------------------------------------------------------------------------- */

static void
test_a_reader_that_asks_back_as_a_reader_is_no_circle_but_as_a_writer_it_is(void **state)
{
    grove_ref a = library_new("a", 0), b = library_new("b", 0);
    struct visit inner = {.kind = READ, .act = library_nothing};
    struct visit back = {.kind = WRITE, .act = library_ask, .to = a, .next = &inner};
    struct visit outer = {.kind = READ, .act = library_ask, .to = b, .next = &back};

    (void)state;
    assert_int_equal(library_call(a, &outer), 0);
    assert_true(inner.begun > outer.begun && inner.ended < outer.ended);
    inner.kind = WRITE;
    assert_int_equal(library_call(a, &outer), GROVE_EDEADLK);
    assert_string_equal(back.text, "library/b -> library/a -> library/b");
}

static void test_one_reader_in_a_circle_is_told_though_others_only_sleep(void **state)
{
    grove_ref a = library_new("a", 0), b = library_new("b", 0);
    struct visit sleeper = {.kind = READ, .act = library_nap, .ms = 20};
    struct visit inner = {.kind = WRITE, .act = library_nothing};
    struct visit back = {.kind = WRITE, .act = library_ask, .to = a, .next = &inner};
    struct visit outer = {.kind = READ, .act = library_ask, .to = b, .next = &back};
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    assert_int_equal(library_post(a, &sleeper), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(library_call(a, &outer), GROVE_EDEADLK);
    assert_in_range(stage_now_ms() - begin_ms, 1, 5);
    library_settle();
}

static void test_a_reader_behind_a_waiting_writer_may_close_a_circle(void **state)
{
    grove_ref a = library_new("a", 0), b = library_new("b", 0);
    struct visit inner = {.kind = READ, .act = library_nothing},
                 writer = {.kind = WRITE, .act = library_nothing};
    struct visit back = {.kind = WRITE, .act = library_ask, .to = a, .next = &inner};
    struct visit pause = {.kind = WRITE, .act = library_nap, .ms = 10};
    struct visit outer = {.kind = READ, .act = library_ask, .to = b, .next = &back};

    (void)state;
    assert_int_equal(library_post(b, &pause), 0);
    assert_int_equal(library_post(a, &outer), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(library_post(a, &writer), 0); /* Nobody overtakes it. */
    library_settle();
    assert_int_equal(back.rc, GROVE_EDEADLK);
    assert_true(writer.begun > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        library_test(test_a_reader_that_asks_back_as_a_reader_is_no_circle_but_as_a_writer_it_is),
        library_test(test_readers_wait_beside_each_other_and_a_writer_waits_for_all_of_them),
        library_test(test_a_reader_waits_for_a_writer_that_waits),
        library_test(test_only_the_reader_whose_caller_left_is_cancelled),
        library_test(test_a_kill_cancels_all_of_them_and_nothing_is_begun_any_more),
        library_test(test_a_drain_waits_for_all_of_them_and_what_is_queued),
        library_test(test_many_readers_more_than_come_in_at_once),
        library_test(test_a_reader_that_was_let_in_and_is_given_up_before_it_begins_never_begins),
        library_test(test_a_reader_that_was_let_in_before_a_stop_and_begins_behind_it_never_begins),
        library_test(test_while_those_inside_end_a_stopped_one_lets_nobody_in),
        library_test(test_readers_that_come_in_make_room_for_those_who_wait_for_it),
        library_test(test_one_reader_in_a_circle_is_told_though_others_only_sleep),
        library_test(test_a_reader_behind_a_waiting_writer_may_close_a_circle),
    };

    return cmocka_run_group_tests_name("interleaving", tests, stage_set_up, stage_tear_down);
}
