/* What blocks: runs beside the loop, on threads of its own, and may be left. Names, too. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/world/sockets.h"

struct sum {
    int a, b, sum;
};

static atomic_int n_added;

static int add_slowly(void *argument)
{
    const struct timespec nap = {.tv_nsec = 50000000};
    struct sum *sum = argument;

    (void)nanosleep(&nap, NULL);
    sum->sum = sum->a + sum->b;
    atomic_fetch_add(&n_added, 1);
    return sum->a < 0 ? -EDOM : 0;
}

static void test_a_function_works_on_a_copy_or_on_what_it_is_given(void **state)
{
    struct sum sum = {.a = 1, .b = 2};

    (void)state;
    assert_int_equal(grove_blocking_await(add_slowly, &sum, sizeof sum), 0);
    assert_int_equal(sum.sum, 3);
    sum.a = -1;
    assert_int_equal(grove_blocking_await(NULL, NULL, 0), GROVE_EUSAGE);
    assert_int_equal(grove_blocking_await(add_slowly, &sum, 0), -EDOM);
    assert_string_equal(grove_why(), strerror(EDOM)); /* no word of the failure before */
    assert_int_equal(sum.sum, 1);
    assert_int_equal(grove_blocking_await(NULL, NULL, 0), GROVE_EUSAGE);
    assert_int_equal(grove_blocking_await(add_slowly, &sum, 2 << 20), GROVE_EUSAGE);
}

static atomic_bool released;

/* Not before it may go on: so a slow machine proves nothing else. */
static int add_when_released(void *argument)
{
    const struct timespec nap = {.tv_nsec = 1000000};
    struct sum *sum = argument;

    while (!atomic_load(&released))
        (void)nanosleep(&nap, NULL);
    sum->sum = sum->a + sum->b;
    atomic_fetch_add(&n_added, 1);
    return 0;
}

static void test_a_caller_leaves_at_its_deadline_if_the_argument_was_copied(void **state)
{
    struct sum sum = {.a = 1, .b = 2};

    (void)state;
    n_added = 0;
    atomic_store(&released, false);
    grove_within(10);
    assert_int_equal(grove_blocking_await(add_when_released, &sum, sizeof sum), GROVE_ETIMEDOUT);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_UNKNOWN);
    atomic_store(&released, true);
    while (atomic_load(&n_added) < 1)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(sum.sum, 0); /* what it found was dropped */
}

static struct sum shared;
static int stopped_rc;

static void block_with_pointer(void *argument)
{
    (void)argument;
    stopped_rc = grove_blocking_await(add_when_released, &shared, 0);
}

static void release_later(void *argument)
{
    (void)argument;
    (void)grove_sleep_await(20);
    atomic_store(&released, true);
}

static void test_who_passed_a_pointer_stays_until_the_function_has_returned(void **state)
{
    grove_ref who;

    (void)state;
    shared = (struct sum){.a = 4, .b = 5};
    stopped_rc = 1;
    atomic_store(&released, false);
    assert_int_equal(grove_go(block_with_pointer, NULL, NULL, &who), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    /* It begins when main waits, which is after the kill. */
    assert_int_equal(grove_go(release_later, NULL, NULL, NULL), 0);
    assert_int_equal(grove_stop_await(who, GROVE_STOP_KILL), 0);
    assert_int_equal(shared.sum, 9);
    assert_int_equal(stopped_rc, 0);
}

/* --- who does not wait for whom ---------------------------------------------------------------- */

static atomic_int n_blocked;
static unsigned n_begun, n_back, n_ended;

/* At least 50 ms, and until it may go on: so a slow machine proves nothing else. */
static int block(void *argument)
{
    const struct timespec nap = {.tv_nsec = 50000000};

    (void)argument;
    atomic_fetch_add(&n_blocked, 1);
    do
        (void)nanosleep(&nap, NULL);
    while (!atomic_load(&released));
    return 0;
}

static void be_blocked(void *argument)
{
    (void)argument;
    n_begun++;
    if (grove_blocking_await(block, NULL, 0) == 0)
        n_back++;
    n_ended++;
}

/* libuv's own pool has four threads for all: there each of these would take 50 ms. */
static void test_four_blockers_delay_neither_names_nor_files(void **state)
{
    struct grove_addresses addresses;
    struct grove_file_status status;
    char *bytes;
    size_t n_bytes;

    (void)state;
    n_back = 0;
    atomic_store(&n_blocked, 0);
    atomic_store(&released, false);
    for (int i = 0; i < 4; i++)
        assert_int_equal(grove_go(be_blocked, NULL, NULL, NULL), 0);
    while (atomic_load(&n_blocked) < 4)
        assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(grove_lookup_await("localhost", &addresses), 0);
    assert_int_equal(grove_file_status_await("/", &status), 0);
    assert_int_equal(grove_file_load_await("/etc/passwd", 1 << 20, &bytes, &n_bytes), 0);
    assert_int_equal(n_back, 0); /* all four block still */
    atomic_store(&released, true);
    while (n_back < 4)
        assert_int_equal(grove_sleep_await(1), 0);
}

static _Atomic unsigned n_ordered;
static unsigned order[2];

static int note_order(void *number)
{
    order[atomic_fetch_add(&n_ordered, 1)] = *(const unsigned *)number;
    return 0;
}

static void be_noted(void *number)
{
    (void)grove_blocking_await(note_order, number, 0);
}

/* The first to use the pool, so that it has one thread and no more. */
static void test_the_pool_has_so_many_threads_and_places_and_keeps_the_order(void **state)
{
    static unsigned numbers[2] = {1, 2};

    (void)state;
    stage_close();
    stage_open_loops(1);
    assert_int_equal(grove_option_set("blocking_threads", "1"), 0);
    assert_int_equal(grove_option_set("blocking_queue", "2"), 0);
    n_back = n_begun = n_ended = 0;
    atomic_store(&n_blocked, 0);
    atomic_store(&released, false);
    assert_int_equal(grove_go(be_blocked, NULL, NULL, NULL), 0);
    while (atomic_load(&n_blocked) < 1)
        assert_int_equal(grove_sleep_await(1), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(grove_go(be_noted, &numbers[i], NULL, NULL), 0);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(grove_blocking_await(block, NULL, 0), GROVE_EFULL);
    atomic_store(&released, true);
    while (atomic_load(&n_ordered) < 2 || n_ended < 1)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    stage_close();
    stage_open_loops(1);
}

static unsigned n_refused;
static char refusal[256];

static void be_blocked_or_refused(void *argument)
{
    int rc;

    (void)argument;
    n_begun++;
    rc = grove_blocking_await(block, NULL, 0);
    n_back += rc == 0;
    if (rc == GROVE_EFULL) {
        n_refused++;
        (void)snprintf(refusal, sizeof refusal, "%s", grove_why()); /* It fits. */
    }
    n_ended++;
}

/* However many threads there are by now, and however late they wake: nobody who got one comes back before the last. */
static void test_the_queue_of_the_pool_is_bounded(void **state)
{
    (void)state;
    stage_close();
    stage_open_loops(1);
    assert_int_equal(grove_option_set("blocking_threads", "1"), 0);
    assert_int_equal(grove_option_set("blocking_queue", "2"), 0);
    n_back = n_begun = n_ended = n_refused = 0;
    atomic_store(&released, false);
    while (n_refused == 0 && n_begun < 100) {
        unsigned before = n_begun;

        assert_int_equal(grove_go(be_blocked_or_refused, NULL, NULL, NULL), 0);
        while (n_begun == before)
            assert_int_equal(grove_yield_await(), 0);
    }
    assert_int_equal(n_back, 0);
    atomic_store(&released, true);
    while (n_ended < n_begun)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(n_refused, 1);
    assert_int_equal(n_back, n_begun - 1);
    assert_non_null(strstr(refusal, "run what blocks: too much of it is under way"));
}

/* --- names ---------------------------------------------------------------------------------------- */

static void test_names_and_numbers_are_looked_up(void **state)
{
    struct grove_addresses addresses = {.n = 99};
    char host[GROVE_HOST_BYTES];

    (void)state;
    assert_int_equal(grove_lookup_await("127.0.0.1", &addresses), 0);
    assert_int_equal(addresses.n, 1);
    assert_string_equal(addresses.text[0], "127.0.0.1");
    assert_int_equal(grove_lookup_await("::1", &addresses), 0);
    assert_string_equal(addresses.text[0], "::1");
    assert_int_equal(grove_lookup_await("", &addresses), GROVE_EUSAGE);
    assert_int_equal(grove_lookup_name_await("localhost", host), GROVE_EUSAGE);
    assert_int_equal(grove_lookup_name_await("127.0.0.1", host), 0);
    assert_true(host[0] != '\0');
}

/* "invalid" never exists (RFC 2606); without a network nobody may be there to say so. */
static void test_a_name_that_does_not_exist_is_named(void **state)
{
    struct grove_addresses addresses;
    struct grove_stream *stream;
    int rc;

    (void)state;
    rc = grove_lookup_await("no-such-host.invalid", &addresses);
    assert_true(rc == -ENOENT || rc == -EAGAIN || rc == GROVE_ETIMEDOUT);
    assert_non_null(strstr(grove_why(), "look up no-such-host.invalid: "));
    grove_within(1);
    rc = grove_connect_await("tcp://no-such-host.invalid:1", &stream);
    assert_true(rc == -ENOENT || rc == -EAGAIN || rc == GROVE_ETIMEDOUT);
}

static int set_up(void **state)
{
    (void)state;
    stage_open_loops(1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_the_pool_has_so_many_threads_and_places_and_keeps_the_order),
        stage_test(test_a_function_works_on_a_copy_or_on_what_it_is_given),
        stage_test(test_a_caller_leaves_at_its_deadline_if_the_argument_was_copied),
        stage_test(test_who_passed_a_pointer_stays_until_the_function_has_returned),
        stage_test(test_four_blockers_delay_neither_names_nor_files),
        stage_test(test_names_and_numbers_are_looked_up),
        stage_test(test_a_name_that_does_not_exist_is_named),
        stage_test(test_the_queue_of_the_pool_is_bounded),
    };

    return cmocka_run_group_tests_name("blocking", tests, set_up, stage_tear_down);
}
