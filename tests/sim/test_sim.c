/* <grove/sim.h>, one seed at a time. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <grove.h>

#include "jobs.grove.h"

#define HOUR_MS 3600000u

/* Most runs have no faults but those that they ask for. */
static struct grove_sim_result result;
static const struct grove_sim_options calm = {.calm = true};

static int run(void (*function)(void *), void *argument, uint64_t seed)
{
    grove_sim_run(seed, &calm, function, argument, &result);
    if (result.failed)
        print_message("seed %d: %s\n", (int)seed, result.why);
    return result.failed;
}

/* --- the verdict ---------------------------------------------------------------------------------- */

static void say_it_is_wrong(void *argument)
{
    (void)argument;
    assert_true(grove_sim_check(1 + 1 == 2, "sums are wrong"));
    assert_false(grove_sim_check(1 + 1 == 3, "%d is not 3", 2));
    assert_false(grove_sim_check(false, "this comes second"));
}

static void test_the_first_failed_check_is_told(void **state)
{
    (void)state;
    assert_true(run(say_it_is_wrong, NULL, 1));
    assert_string_equal(result.why, "2 is not 3");
}

static void say_nothing(void *argument)
{
    (void)argument;
}

static void test_a_run_without_a_failed_check_passes(void **state)
{
    (void)state;
    assert_false(run(say_nothing, NULL, 1));
    assert_string_equal(result.why, "");
}

static void test_outside_of_a_simulation_a_check_does_nothing(void **state)
{
    (void)state;
    assert_false(grove_sim_seed(NULL));
    assert_false(grove_sim_check(false, "nobody hears it"));
    grove_sim_note("nor this");
    assert_int_equal(grove_sim_fault(GROVE_SIM_DIE, 0), GROVE_EUSAGE);
    assert_int_equal(grove_sim_signal(SIGTERM), 0);
}

/* --- seeds ---------------------------------------------------------------------------------------- */

static void draw(void *argument)
{
    uint64_t *drawn = argument, seed = 0;

    assert_true(grove_sim_seed(&seed));
    for (unsigned i = 0; i < 8; i++)
        drawn[i] = grove_random() ^ grove_choose(1000) ^ (uint64_t)grove_wall_ms();
    drawn[8] = seed;
    assert_int_equal(grove_sleep_await(grove_choose(100)), 0);
}

static void test_the_same_seed_is_the_same_run(void **state)
{
    uint64_t first[9], again[9], other[9], hash;

    (void)state;
    assert_false(run(draw, first, 7));
    hash = result.hash;
    assert_false(run(draw, again, 7));
    assert_true(result.hash == hash);
    assert_memory_equal(first, again, sizeof first);
    assert_false(run(draw, other, 8));
    assert_true(result.hash != hash);
    assert_memory_not_equal(first, other, sizeof first);
    assert_true(first[8] == 7 && other[8] == 8);
}

static void choose(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < 1000; i++) {
        assert_in_range(grove_choose(3), 0, 2);
        assert_int_equal(grove_choose(1), 0);
    }
}

static void test_a_choice_is_below_its_bound(void **state)
{
    (void)state;
    assert_false(run(choose, NULL, 3));
}

/* --- time ----------------------------------------------------------------------------------------- */

static void sleep_an_hour(void *argument)
{
    (void)argument;
    assert_int_equal(grove_sleep_await(HOUR_MS), 0);
}

static void test_time_jumps_to_where_something_happens(void **state)
{
    (void)state;
    assert_false(run(sleep_an_hour, NULL, 4));
    assert_true(result.passed_ns >= HOUR_MS * UINT64_C(1000000));
    assert_true(result.passed_ns < HOUR_MS * UINT64_C(1001000));
}

static void work_long(void *argument)
{
    unsigned long long began_ms = grove_now_ms();

    (void)argument;
    grove_sim_pass_ms(500);
    grove_sim_check(grove_now_ms() - began_ms >= 500, "time has not passed");
}

static void test_work_takes_the_time_it_says(void **state)
{
    (void)state;
    assert_false(run(work_long, NULL, 5));
}

static bool never(void *argument)
{
    ++*(unsigned *)argument;
    return false;
}

static void wait_in_vain(void *argument)
{
    assert_false(grove_sim_until_await(never, argument, 1000));
}

static void test_a_wait_that_is_too_long_fails_the_seed(void **state)
{
    unsigned n = 0;

    (void)state;
    assert_true(run(wait_in_vain, &n, 6));
    assert_string_equal(result.why, "not done after 1000 ms");
    assert_true(n > 10);
}

/* --- workers and faults --------------------------------------------------------------------------- */

static int once(const Sim__Jobs__V1__OnceRequest *request, Sim__Jobs__V1__OnceResponse *response)
{
    grove_sim_pass_ms(5);
    if (request->job == 13)
        return grove_refuse(13, "not this one");
    response->job = request->job;
    return 0;
}

static int again(const Sim__Jobs__V1__AgainRequest *request, Sim__Jobs__V1__AgainResponse *response)
{
    grove_sim_pass_ms(5);
    response->job = request->job;
    return grove_can_await() ? GROVE_EUSAGE : 0;
}

static const struct job_service functions = {.once = once, .again = again};
GROVE_WORKER(job, &functions);

static int call_once(grove_ref pool, uint32_t job)
{
    Sim__Jobs__V1__OnceRequest request = SIM__JOBS__V1__ONCE_REQUEST__INIT;
    Sim__Jobs__V1__OnceResponse response = SIM__JOBS__V1__ONCE_RESPONSE__INIT;
    int rc;

    request.job = job;
    grove_within(2000);
    rc = job_once_await(pool, &request, &response);
    grove_sim_check(rc != 0 || response.job == job, "job %u got the answer of job %u", job,
                    response.job);
    return rc;
}

static int call_again(grove_ref pool, uint32_t job)
{
    Sim__Jobs__V1__AgainRequest request = SIM__JOBS__V1__AGAIN_REQUEST__INIT;
    Sim__Jobs__V1__AgainResponse response = SIM__JOBS__V1__AGAIN_RESPONSE__INIT;

    request.job = job;
    grove_within(8000);
    return job_again_await(pool, &request, &response);
}

static grove_ref open_pool(void)
{
    struct grove_pool_options options = {.n_workers = 1};
    grove_ref pool;

    assert_int_equal(grove_pool_open(&options, &pool), 0);
    return pool;
}

static void refuse(void *argument)
{
    grove_ref pool = open_pool();

    (void)argument;
    assert_int_equal(call_once(pool, 1), 0);
    assert_int_equal(call_once(pool, 13), 13);
    assert_string_equal(grove_why(), "not this one");
    assert_int_equal(grove_pool_close_await(pool, 1000), 0);
}

static void test_workers_run_the_functions_of_this_program(void **state)
{
    (void)state;
    assert_false(run(refuse, NULL, 9));
}

/* One fault strikes the only worker; then all goes on. */
static void strike(void *argument)
{
    enum grove_sim_fault kind = *(enum grove_sim_fault *)argument;
    grove_ref pool = open_pool();
    unsigned n_tries = 0;
    int rc;

    grove_sim_check(call_once(pool, 1) == 0, "without faults the first call fails");
    grove_sim_check(grove_sim_count(kind) == 0, "it has happened before it was asked for");
    rc = grove_sim_fault(kind, 1);
    grove_sim_check(rc == 0, "it cannot happen: %s", grove_error_name(rc));
    for (uint32_t job = 2; job < 6; job++) {
        rc = call_once(pool, job);
        grove_sim_check(rc == 0 || rc == GROVE_ECRASHED || rc == GROVE_ETIMEDOUT,
                        "job %u ended with %s", job, grove_error_name(rc));
    }
    grove_sim_check(grove_sim_count(kind) == 1, "it has happened %d times",
                    (int)grove_sim_count(kind));
    grove_sim_allow(0);
    while (call_again(pool, 7) != 0 && ++n_tries < 10)
        continue;
    grove_sim_check(n_tries < 10, "the pool does not mend");
    grove_sim_check(grove_sim_fault(kind, 99) == (kind == GROVE_SIM_CLOCK ? 0 : GROVE_ENOACTOR),
                    "there is a worker 99");
    assert_int_equal(grove_pool_close_await(pool, 1000), 0);
}

static void test_each_fault_of_a_worker_can_be_asked_for_and_mends(void **state)
{
    static const enum grove_sim_fault kinds[] = {
        GROVE_SIM_DIE,    GROVE_SIM_HANG,    GROVE_SIM_LIE,  GROVE_SIM_CUT,       GROVE_SIM_LOSE,
        GROVE_SIM_DOUBLE, GROVE_SIM_REORDER, GROVE_SIM_FLIP, GROVE_SIM_PARTITION, GROVE_SIM_CLOCK,
    };

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            enum grove_sim_fault kind = kinds[i];

            assert_false(run(strike, &kind, seed));
        }
}

static void ask_for_lateness(void *argument)
{
    (void)argument;
    assert_int_equal(grove_sim_fault(GROVE_SIM_LATE, 0), GROVE_EUSAGE);
    assert_int_equal(grove_sim_fault(GROVE_SIM_DIE, 0), GROVE_ENOACTOR);
}

static void test_what_is_in_the_order_of_things_cannot_be_asked_for(void **state)
{
    (void)state;
    assert_false(run(ask_for_lateness, NULL, 1));
}

/* --- the world ------------------------------------------------------------------------------------ */

static bool served;

static void serve(void *argument)
{
    struct grove_listener *listener = *(struct grove_listener **)argument;
    struct grove_stream *stream;
    char line[32];

    assert_int_equal(grove_accept_await(listener, &stream), 0);
    if (grove_read_line_await(stream, line, sizeof line, NULL) == 0)
        grove_sim_check(grove_write_await(stream, line, strlen(line)) == 0, "no answer");
    grove_stream_close(stream);
    served = true;
}

static bool is_served(void *argument)
{
    (void)argument;
    return served;
}

static void talk(void *argument)
{
    struct grove_spawn_options options = {.argument_bytes = sizeof(void *)};
    struct grove_listener *listener;
    struct grove_stream *stream;
    char text[6] = "";

    (void)argument;
    served = false;
    assert_int_equal(grove_listen("tcp://127.0.0.1:7000", NULL, &listener), 0);
    assert_int_equal(grove_go(serve, &listener, &options, NULL), 0);
    assert_int_equal(grove_connect_await("tcp://127.0.0.1:7000", &stream), 0);
    assert_int_equal(grove_write_await(stream, "hello\n", 6), 0);
    assert_int_equal(grove_read_all_await(stream, text, 5), 0);
    grove_sim_check(strcmp(text, "hello") == 0, "heard \"%s\"", text);
    grove_stream_close(stream);
    assert_true(grove_sim_until_await(is_served, NULL, 10000));
    grove_listener_close(listener);
}

static void test_tcp_is_a_pipe_in_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++)
        assert_false(run(talk, NULL, seed));
}

static void reach_out(void *argument)
{
    const char *const arguments[] = {"/bin/true", NULL};
    struct grove_addresses addresses;
    struct grove_process *process;
    struct grove_stream *stream;
    int rc;

    (void)argument;
    rc = grove_process_spawn(arguments, NULL, &process);
    grove_sim_check(rc == GROVE_ENOSIM, "a child process: %s", grove_error_name(rc));
    rc = grove_lookup_await("example.org", &addresses);
    grove_sim_check(rc == GROVE_ENOSIM, "a name: %s", grove_error_name(rc));
    rc = grove_stream_from(0, &stream);
    grove_sim_check(rc == GROVE_ENOSIM, "a descriptor: %s", grove_error_name(rc));
}

static void test_what_cannot_be_simulated_says_so(void **state)
{
    (void)state;
    assert_false(run(reach_out, NULL, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_failed_check_is_told),
        cmocka_unit_test(test_a_run_without_a_failed_check_passes),
        cmocka_unit_test(test_outside_of_a_simulation_a_check_does_nothing),
        cmocka_unit_test(test_the_same_seed_is_the_same_run),
        cmocka_unit_test(test_a_choice_is_below_its_bound),
        cmocka_unit_test(test_time_jumps_to_where_something_happens),
        cmocka_unit_test(test_work_takes_the_time_it_says),
        cmocka_unit_test(test_a_wait_that_is_too_long_fails_the_seed),
        cmocka_unit_test(test_workers_run_the_functions_of_this_program),
        cmocka_unit_test(test_each_fault_of_a_worker_can_be_asked_for_and_mends),
        cmocka_unit_test(test_what_is_in_the_order_of_things_cannot_be_asked_for),
        cmocka_unit_test(test_tcp_is_a_pipe_in_memory),
        cmocka_unit_test(test_what_cannot_be_simulated_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
