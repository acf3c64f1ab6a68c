/*
 * Abandonment of actors that have several turns open: readers, and what a
 * grant has let in. All of them end, and whoever called is told.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "library.h"

#define NEVER_MS 1000000u

static unsigned n_cleaned;

/* In the stead of the end that a visit does not come to any more. */
static void clean_up(void *visit)
{
    ((struct visit *)visit)->ended = ++library_events;
    library_inside--;
    n_cleaned++;
}

#define MARK UINT64_C(0x6b65707421212121)

struct local {
    struct visit *visit;
    uint64_t mark;
};

/* Its argument lies in the frame of the handler, as that left it. */
static void clean_up_local(void *argument)
{
    const volatile struct local *local = argument;

    if (local->mark == MARK)
        clean_up(local->visit);
}

/* Runs before it, and needs much of the stack. */
static void scribble(void *unused)
{
    volatile char much[4096];

    (void)unused;
    for (size_t i = 0; i < sizeof much; i++)
        much[i] = 1;
}

/* Never gives up: only an abandonment ends it. */
static int insist(struct visit *visit)
{
    struct local local = {visit, MARK};

    if (grove_defer(clean_up_local, &local) != 0 || grove_defer(scribble, NULL) != 0)
        return -EIO;
    for (;;)
        if (grove_sleep_await(NEVER_MS) != 0)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
}

static Play__V1__ReadResponse ignored;

static void start_reader(grove_ref ref, struct visit *visit, struct grove_future *future)
{
    Play__V1__ReadRequest request = PLAY__V1__READ_REQUEST__INIT;

    request.script = (uintptr_t)visit;
    grove_within(GROVE_INFINITE);
    assert_int_equal(library_read_start(ref, &request, &ignored, future), 0);
    assert_int_equal(grove_sleep_await(1), 0);
}

static uint32_t n_parked(void)
{
    struct grove_loop_stats stats;

    assert_int_equal(grove_loop_stats(0, &stats), 0);
    return (uint32_t)stats.parked;
}

static int begin(void **state)
{
    n_cleaned = 0;
    return library_start_over(state);
}

static int end(void **state)
{
    (void)state;
    assert_int_equal(library_inside, 0);
    assert_int_equal(n_parked(), 0);
    return 0;
}

static void test_all_readers_are_abandoned_and_all_their_callers_told(void **state)
{
    struct visit readers[3], writer = {.kind = WRITE, .act = library_nothing};
    grove_ref ref = library_new("library", 0);
    struct grove_future futures[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        readers[i] = (struct visit){.kind = READ, .act = insist};
        start_reader(ref, &readers[i], &futures[i]);
    }
    assert_int_equal(library_inside, 3);
    assert_int_equal(library_post(ref, &writer), 0);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 5), 0);
    assert_int_equal(n_cleaned, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(grove_future_await(&futures[i]), GROVE_EDOWN);
        assert_int_equal(futures[i].started, GROVE_STARTED_YES);
        assert_non_null(strstr(grove_why(), "stop deadline"));
    }
    assert_int_equal(writer.begun, 0);
}

static void test_those_that_are_left_when_the_first_of_them_has_ended(void **state)
{
    struct visit readers[3];
    grove_ref ref = library_new(NULL, 0);
    struct grove_future futures[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        readers[i] = (struct visit){.kind = READ, .act = i == 0 ? library_nap : insist, .ms = 5};
        start_reader(ref, &readers[i], &futures[i]);
    }
    assert_int_equal(grove_future_await(&futures[0]), 0);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_DRAIN, 5), 0);
    assert_int_equal(n_cleaned, 2);
    for (int i = 1; i < 3; i++)
        assert_int_equal(grove_future_await(&futures[i]), GROVE_EDOWN);
}

static void test_one_of_them_that_ends_by_itself_before_is_answered(void **state)
{
    struct visit readers[2] = {{.kind = READ, .act = insist},
                               {.kind = READ, .act = library_nap, .ms = 3}};
    grove_ref ref = library_new(NULL, 0);
    struct grove_future futures[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        start_reader(ref, &readers[i], &futures[i]);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 20), 0);
    assert_int_equal(grove_future_await(&futures[1]), 0);
    assert_int_equal(grove_future_await(&futures[0]), GROVE_EDOWN);
    assert_int_equal(n_cleaned, 1);
}

static void waiting_clean_up(void *visit)
{
    if (grove_shield_begin(100) == 0 && grove_sleep_await(10) == 0)
        ((struct visit *)visit)->end_rc = 1;
    grove_shield_end();
}

static int insist_and_clean_slowly(struct visit *visit)
{
    return grove_defer(waiting_clean_up, visit) != 0 ? -EIO : insist(visit);
}

static void test_their_clean_ups_may_wait_and_the_actor_ends_behind_them(void **state)
{
    struct visit readers[3];
    grove_ref ref = library_new(NULL, 0);
    struct grove_future futures[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        readers[i] = (struct visit){.kind = READ, .act = insist_and_clean_slowly};
        start_reader(ref, &readers[i], &futures[i]);
    }
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_KILL, 5), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(readers[i].end_rc, 1);
        assert_int_equal(grove_future_await(&futures[i]), GROVE_EDOWN);
    }
    assert_int_equal(n_cleaned, 3);
}

static void stubborn_clean_up(void *visit)
{
    if (grove_shield_begin(GROVE_SHIELD_MAX_MS) == 0)
        ((struct visit *)visit)->rc = grove_sleep_await(NEVER_MS);
}

static int insist_and_clean_for_ever(struct visit *visit)
{
    return grove_defer(stubborn_clean_up, visit) != 0 ? -EIO : insist(visit);
}

static void test_a_second_deadline_ends_the_waits_of_their_clean_ups(void **state)
{
    struct visit visits[2] = {{.kind = READ, .act = insist_and_clean_for_ever, .rc = 1},
                              {.kind = READ, .act = insist_and_clean_for_ever, .rc = 1}};
    struct grove_future futures[2];

    (void)state;
    for (int n = 1; n <= 2; n++) {
        grove_ref ref = library_new(NULL, 0);

        n_cleaned = 0;
        for (int i = 0; i < n; i++)
            start_reader(ref, &visits[i], &futures[i]);
        assert_int_equal(grove_stop_within(ref, GROVE_STOP_NOW, 5), 0);
        assert_int_equal(grove_sleep_await(10), 0);
        assert_int_equal(n_cleaned, n); /* The next clean-up of each waits. */
        assert_int_equal(visits[n - 1].rc, 1);
        assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 5), 0);
        for (int i = 0; i < n; i++) {
            assert_int_equal(visits[i].rc, GROVE_ECANCELED);
            assert_int_equal(grove_future_await(&futures[i]), GROVE_EDOWN);
            visits[i].rc = 1;
        }
        assert_int_equal(n_cleaned, n);
    }
}

/* A grant is open, and who asked by it insists; stops the granting actor. */
static void abandon_a_grant(uint32_t within_ms)
{
    grove_ref a = library_new("a", 0), b = library_new("b", 0);
    struct visit inner = {.kind = WRITE, .act = insist};
    struct visit back = {.kind = WRITE, .act = library_ask, .to = a, .next = &inner};
    struct visit outer = {.kind = CONSULT, .act = library_ask_with_grant, .to = b, .next = &back};
    Play__V1__ConsultRequest request = PLAY__V1__CONSULT_REQUEST__INIT;
    Play__V1__ConsultResponse response;
    struct grove_future future;

    request.script = (uintptr_t)&outer;
    grove_within(within_ms);
    assert_int_equal(library_consult_start(a, &request, &response, &future), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_true(inner.begun > outer.begun);
    assert_int_equal(inner.ended, 0);
    assert_int_equal(grove_stop_within_await(a, GROVE_STOP_NOW, 5), 0);
    assert_int_equal(inner.ended > 0, 1);
    assert_int_equal(n_cleaned, 1);
    assert_int_equal(grove_future_await(&future),
                     within_ms == GROVE_INFINITE ? GROVE_EDOWN : GROVE_ETIMEDOUT);
    assert_int_equal(grove_sleep_await(1), 0);
    /* Whom a had asked is alive, and was told: nobody waits for it, and its own call has failed. */
    assert_true(back.ended > 0);
    assert_true(back.rc == GROVE_ECANCELED || back.rc == GROVE_EDOWN || back.rc == GROVE_ETIMEDOUT);
    assert_int_equal(grove_stop_await(b, GROVE_STOP_NOW), 0);
    assert_int_equal(outer.ended, 0);
    library_inside--; /* It was abandoned, and had deferred nothing. */
}

static void test_a_turn_with_a_grant_and_the_one_it_let_in(void **state)
{
    (void)state;
    abandon_a_grant(GROVE_INFINITE);
}

static void test_one_that_waits_for_the_end_of_those_it_has_let_in(void **state)
{
    (void)state;
    abandon_a_grant(2);
}

static void
test_one_that_its_caller_has_called_finds_its_locals_and_the_caller_goes_on(void **state)
{
    grove_ref a = library_new("a", 0), b = library_new("b", 0);
    struct visit inner = {.kind = WRITE, .act = insist};
    struct visit outer = {.kind = WRITE, .act = library_ask, .to = b, .next = &inner};

    (void)state;
    assert_int_equal(library_post(a, &outer), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_within_await(b, GROVE_STOP_NOW, 5), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(n_cleaned, 1);
    assert_int_equal(outer.rc, GROVE_EDOWN);
    assert_true(outer.ended > inner.ended);
    assert_int_equal(grove_stop_await(a, GROVE_STOP_NOW), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define beside_test(function) cmocka_unit_test_setup_teardown(function, begin, end)
        beside_test(test_all_readers_are_abandoned_and_all_their_callers_told),
        beside_test(test_those_that_are_left_when_the_first_of_them_has_ended),
        beside_test(test_one_of_them_that_ends_by_itself_before_is_answered),
        beside_test(test_their_clean_ups_may_wait_and_the_actor_ends_behind_them),
        beside_test(test_a_second_deadline_ends_the_waits_of_their_clean_ups),
        beside_test(test_one_that_its_caller_has_called_finds_its_locals_and_the_caller_goes_on),
        beside_test(test_a_turn_with_a_grant_and_the_one_it_let_in),
        beside_test(test_one_that_waits_for_the_end_of_those_it_has_let_in),
    };

    return cmocka_run_group_tests_name("abandon, beside", tests, stage_set_up, stage_tear_down);
}
