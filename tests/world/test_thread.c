/* Rpcs with isolation = THREAD: they block, their actor is busy, all others go on. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "block.grove.h"
#include "tests/world/sockets.h"

struct device {
    int64_t total;
    int n_inside;
    pthread_t home;
};

static unsigned n_together, n_at_home;

static int init(struct device *me, const void *argument)
{
    (void)argument;
    me->home = pthread_self();
    return 0;
}

static int read_it(struct device *me, const Block__V1__ReadRequest *request,
                   Block__V1__ReadResponse *response)
{
    const struct timespec nap = {.tv_nsec = (long)request->ms * 1000000};

    n_together += me->n_inside++ != 0;
    n_at_home += pthread_equal(me->home, pthread_self()) != 0;
    (void)nanosleep(&nap, NULL);
    me->n_inside--;
    if (request->n > 1000)
        return grove_refuse(BLOCK__V1__REFUSAL__REFUSAL_TOO_MUCH, "%d is too much", request->n);
    if (request->n == -1)
        return grove_fail("the device is broken");
    if (request->n == -2)
        return grove_sleep_await(1); /* nothing may wait on such a thread */
    if (request->n == -3)
        return -EIO;
    me->total += request->n;
    response->total = me->total;
    response->text = grove_printf("%s: %lld", request->name, (long long)me->total);
    response->words = grove_alloc(2 * sizeof(char *));
    response->words[0] = grove_strdup("one");
    response->words[1] = response->text;
    response->n_words = 2;
    return 0;
}

static int look(struct device *me, const Block__V1__LookRequest *request,
                Block__V1__LookResponse *response)
{
    (void)request;
    response->total = me->total;
    return 0;
}

static const struct device_service functions = {
    .state_bytes = sizeof(struct device), .init = init, .read = read_it, .look = look};

static int read_n(grove_ref ref, uint32_t ms, int32_t n, Block__V1__ReadResponse *response)
{
    Block__V1__ReadRequest request = BLOCK__V1__READ_REQUEST__INIT;

    request.ms = ms;
    request.n = n;
    request.name = (char *)"disk";
    *response = (Block__V1__ReadResponse)BLOCK__V1__READ_RESPONSE__INIT;
    return device_read_await(ref, &request, response);
}

static void test_the_call_is_like_any_other_and_runs_on_a_thread(void **state)
{
    Block__V1__ReadResponse response;
    grove_ref ref;

    (void)state;
    n_at_home = 0;
    assert_int_equal(device_spawn(&functions, NULL, NULL, &ref), 0);
    assert_int_equal(read_n(ref, 1, 7, &response), 0);
    assert_int_equal(response.total, 7);
    assert_string_equal(response.text, "disk: 7");
    assert_int_equal(response.n_words, 2);
    assert_string_equal(response.words[1], "disk: 7");
    assert_int_equal(n_at_home, 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
}

static void test_refusals_failures_and_reasons_come_back(void **state)
{
    Block__V1__ReadResponse response;
    grove_ref ref;

    (void)state;
    assert_int_equal(device_spawn(&functions, NULL, NULL, &ref), 0);
    assert_int_equal(read_n(ref, 0, 1001, &response), BLOCK__V1__REFUSAL__REFUSAL_TOO_MUCH);
    assert_string_equal(grove_why(), "1001 is too much");
    assert_int_equal(read_n(ref, 0, -2, &response), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "nothing may wait here"));
    assert_int_equal(read_n(ref, 0, -3, &response), -EIO);
    assert_string_equal(grove_why(), grove_error_text(-EIO)); /* no reason of an earlier call */
    assert_int_equal(read_n(ref, 0, 2, &response), 0);        /* it lives on */
    assert_int_equal(read_n(ref, 0, -1, &response), GROVE_EDOWN);
    assert_string_equal(grove_why(), "the device is broken");
    assert_int_equal(read_n(ref, 0, 1, &response), GROVE_ENOACTOR);
}

struct caller {
    grove_ref ref;
    bool done;
};

static void call_slowly(void *argument)
{
    struct caller *caller = argument;
    Block__V1__ReadResponse response;

    (void)read_n(caller->ref, 300, 1, &response);
    caller->done = true;
}

static void test_the_actor_is_busy_and_nobody_else(void **state)
{
    Block__V1__LookRequest request = BLOCK__V1__LOOK_REQUEST__INIT;
    Block__V1__LookResponse response = BLOCK__V1__LOOK_RESPONSE__INIT;
    struct caller caller = {.done = false};
    grove_ref other;

    (void)state;
    n_together = 0;
    assert_int_equal(device_spawn(&functions, NULL, NULL, &caller.ref), 0);
    assert_int_equal(device_spawn(&functions, NULL, NULL, &other), 0);
    assert_int_equal(grove_go(call_slowly, &caller, NULL, NULL), 0);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(device_look_await(other, &request, &response), 0);
    assert_false(caller.done); /* the other one is not held up */
    assert_int_equal(device_look_await(caller.ref, &request, &response), 0);
    assert_int_equal(response.total, 1); /* this one was handled after the read */
    assert_int_equal(n_together, 0);
    while (!caller.done)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_stop_await(caller.ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(grove_stop_await(other, GROVE_STOP_DRAIN), 0);
}

static void test_a_caller_leaves_at_its_deadline_and_the_state_stays_whole(void **state)
{
    Block__V1__ReadResponse response;
    unsigned long long start_ms;
    grove_ref ref;

    (void)state;
    assert_int_equal(device_spawn(&functions, NULL, NULL, &ref), 0);
    start_ms = grove_now_ms();
    grove_within(10);
    assert_int_equal(read_n(ref, 400, 5, &response), GROVE_ETIMEDOUT);
    assert_true(grove_now_ms() - start_ms < 390);
    assert_int_equal(read_n(ref, 0, 1, &response), 0); /* after the first one */
    assert_int_equal(response.total, 6);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
}

static int set_up(void **state)
{
    (void)state;
    stage_open_loops(2);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_the_call_is_like_any_other_and_runs_on_a_thread),
        stage_test(test_refusals_failures_and_reasons_come_back),
        stage_test(test_the_actor_is_busy_and_nobody_else),
        stage_test(test_a_caller_leaves_at_its_deadline_and_the_state_stays_whole),
    };

    return cmocka_run_group_tests_name("thread", tests, set_up, stage_tear_down);
}
