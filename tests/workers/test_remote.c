/*
 * Workers of other machines: real programs that join over TLS, and a wire
 * that is cut in the middle of their jobs.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/workers/machines.h"

static grove_ref open_remote(void)
{
    struct grove_pool_options options = machines_pool();

    return open_pool(&options);
}

static void test_a_worker_of_another_machine_answers_and_leaves_when_asked(void **state)
{
    grove_ref pool = open_remote();
    struct grove_process *machine = machine_start(port_of(pool), 2, "ours", "worker");

    (void)state;
    wait_remote(pool, 1);
    assert_int_equal(stats_of(pool).n_remote_workers, 2);
    assert_int_equal(stats_of(pool).n_workers, 0);
    for (unsigned i = 0; i < 20; i++)
        assert_serves(pool);
    machine_stop(machine);
    wait_remote(pool, 0);
    assert_int_equal(stats_of(pool).remote_lost, 0);
    assert_int_equal(stats_of(pool).dropped_peers, 0);
    close_pool(pool);
}

/* In frames of 256 KiB on the wire, through shared memory on either side of it. */
static void test_large_requests_and_answers_travel(void **state)
{
    enum { N_BYTES = 3 << 20 };
    grove_ref pool = open_remote();
    struct grove_process *machine = machine_start(port_of(pool), 1, "ours", "worker");
    Jobs__V1__EchoResponse response = JOBS__V1__ECHO_RESPONSE__INIT;
    char *text = malloc(N_BYTES + 1);

    (void)state;
    assert_non_null(text);
    for (unsigned i = 0; i < N_BYTES; i++)
        text[i] = (char)('a' + i % 23);
    text[N_BYTES] = '\0';
    assert_int_equal(echo(pool, text, &response), 0);
    assert_string_equal(response.text, text);
    free(text);
    machine_stop(machine);
    close_pool(pool);
}

/* --- jobs that end badly -------------------------------------------------------------------------- */

static int crash(grove_ref pool)
{
    Jobs__V1__CrashRequest request = JOBS__V1__CRASH_REQUEST__INIT;
    Jobs__V1__CrashResponse response = JOBS__V1__CRASH_RESPONSE__INIT;

    return job_crash_await(pool, &request, &response);
}

static void test_a_job_that_kills_its_worker_fails_alone_and_the_machine_stays(void **state)
{
    grove_ref pool = open_remote();
    struct grove_process *machine = machine_start(port_of(pool), 1, "ours", "worker");
    Jobs__V1__CrashAgainRequest request = JOBS__V1__CRASH_AGAIN_REQUEST__INIT;
    Jobs__V1__CrashAgainResponse response = JOBS__V1__CRASH_AGAIN_RESPONSE__INIT;

    (void)state;
    wait_remote(pool, 1);
    assert_int_equal(crash(pool), GROVE_ECRASHED);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    assert_int_equal(stats_of(pool).retried, 0);
    assert_serves(pool);

    /* It may run again, and does, once: a job dies with two workers at most. */
    assert_int_equal(job_crash_again_await(pool, &request, &response), GROVE_ECRASHED);
    assert_int_equal(stats_of(pool).retried, 1);
    assert_serves(pool);
    assert_int_equal(stats_of(pool).n_remote, 1);
    assert_int_equal(stats_of(pool).remote_lost, 0);
    machine_stop(machine);
    close_pool(pool);
}

static void test_an_overdue_job_is_killed_there_and_others_go_on(void **state)
{
    grove_ref pool = open_remote();
    struct grove_process *machine = machine_start(port_of(pool), 1, "ours", "worker");
    Jobs__V1__OnceRequest request = once_request(0, 60000000);
    Jobs__V1__OnceResponse response = JOBS__V1__ONCE_RESPONSE__INIT;
    int rc;

    (void)state;
    reset_counts(1);
    wait_remote(pool, 1);
    assert_serves(pool);
    grove_within(400);
    rc = job_once_await(pool, &request, &response);
    assert_int_equal(rc, GROVE_ETIMEDOUT);
    assert_int_equal(count_of(0), 1);
    assert_serves(
        pool); /* The only worker was killed for it, a minute before it would have ended. */
    assert_int_equal(stats_of(pool).n_remote, 1);
    assert_int_equal(stats_of(pool).remote_lost, 0);
    machine_stop(machine);
    close_pool(pool);
}

static void test_a_machine_that_is_asked_to_end_finishes_what_it_has(void **state)
{
    grove_ref pool = open_remote();
    struct grove_process *machine = machine_start(port_of(pool), 1, "ours", "worker");
    Jobs__V1__OnceRequest request = once_request(0, 300000);
    Jobs__V1__OnceResponse response = JOBS__V1__ONCE_RESPONSE__INIT;
    struct grove_future future;

    (void)state;
    reset_counts(1);
    wait_remote(pool, 1);
    assert_int_equal(job_once_start(pool, &request, &response, &future), 0);
    while (count_of(0) == 0)
        assert_int_equal(grove_sleep_await(1), 0);
    machine_stop(machine);
    assert_int_equal(grove_future_await(&future), 0);
    assert_int_equal(count_of(0), 1);
    assert_int_equal(stats_of(pool).remote_lost, 0);
    close_pool(pool);
}

static void test_progress_of_a_job_is_heard_from_there(void **state)
{
    grove_ref pool = open_remote();
    struct grove_process *machine = machine_start(port_of(pool), 1, "ours", "worker");
    Jobs__V1__TellRequest request = JOBS__V1__TELL_REQUEST__INIT;
    Jobs__V1__TellResponse response = JOBS__V1__TELL_RESPONSE__INIT;
    struct grove_progress progress = {.fraction = 0};
    struct grove_future future;
    unsigned n = 0;

    (void)state;
    request.n_steps = 4;
    request.step_us = 1000;
    request.text = "%";
    assert_int_equal(job_tell_start(pool, &request, &response, &future), 0);
    while (grove_progress_await(&future, &progress))
        n++;
    assert_int_equal(grove_future_await(&future), 0);
    assert_true(n > 0);
    assert_true(progress.fraction == 1);
    assert_string_equal(progress.note, "4");
    assert_int_equal(stats_of(pool).progressed, 4);
    machine_stop(machine);
    close_pool(pool);
}

/* --- a wire that is cut --------------------------------------------------------------------------- */

static void test_a_cut_wire_leaves_one_job_unknown_and_the_other_is_done_elsewhere(void **state)
{
    struct grove_pool_options options = machines_pool();
    grove_ref pool = open_pool(&options);
    struct wire *wire = wire_open(port_of(pool));
    struct grove_process *machine = machine_start(wire_port(wire), 2, "ours", "worker");
    Jobs__V1__OnceRequest once = once_request(0, 600000000);
    Jobs__V1__OnceResponse once_response = JOBS__V1__ONCE_RESPONSE__INIT;
    Jobs__V1__AgainRequest again = JOBS__V1__AGAIN_REQUEST__INIT;
    Jobs__V1__AgainResponse again_response = JOBS__V1__AGAIN_RESPONSE__INIT;
    struct grove_future futures[2];

    (void)state;
    reset_counts(2);
    wait_remote(pool, 1);
    again.counts = once.counts;
    again.id = 1;
    again.busy_us = 1500000;
    grove_within(50000);
    assert_int_equal(job_once_start(pool, &once, &once_response, &futures[0]), 0);
    assert_int_equal(job_again_start(pool, &again, &again_response, &futures[1]), 0);
    while (count_of(0) == 0 || count_of(1) == 0)
        assert_int_equal(grove_sleep_await(1), 0);
    wire_cut(wire);

    /* Neither end is told: it is silence alone that says so. */
    assert_int_equal(grove_future_await(&futures[0]), GROVE_EUNKNOWN);
    assert_int_equal(grove_failure()->class, GROVE_UNKNOWN);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_UNKNOWN);
    assert_int_equal(stats_of(pool).n_remote, 0);
    assert_int_equal(stats_of(pool).remote_lost, 1);
    assert_int_equal(stats_of(pool).dropped_peers, 0);

    wire_heal(wire);
    assert_int_equal(grove_future_await(&futures[1]), 0);
    assert_int_equal(count_of(0), 1);
    assert_int_equal(count_of(1), 2);
    assert_serves(pool); /* The job that nobody waited for any more was ended. */
    machine_stop(machine);
    wire_close(wire);
    close_pool(pool);
}

static void test_a_stopped_machine_is_noticed_and_local_workers_take_over(void **state)
{
    struct grove_pool_options options = machines_pool();
    struct grove_process *machine;
    grove_ref pool;

    (void)state;
    options.only_remote = false;
    options.n_workers = 1;
    pool = open_pool(&options);
    machine = machine_start(port_of(pool), 1, "ours", "worker");
    wait_ready(pool, 2);
    assert_int_equal(stats_of(pool).n_remote, 1);
    assert_int_equal(grove_process_kill(machine, SIGSTOP), 0);
    for (unsigned i = 0; i < 8; i++)
        assert_serves(pool);
    wait_remote(pool, 0);
    assert_int_equal(stats_of(pool).remote_lost, 1);
    assert_serves(pool);

    assert_int_equal(grove_process_kill(machine, SIGCONT), 0);
    wait_remote(pool, 1);
    machine_stop(machine);
    close_pool(pool);
}

static void test_a_pool_that_ends_lets_its_machines_go_and_its_successor_has_them_back(void **state)
{
    struct grove_pool_options options = machines_pool();
    grove_ref pool = open_pool(&options);
    unsigned port = port_of(pool);
    struct grove_process *machine = machine_start(port, 1, "ours", "worker");
    char url[64];

    (void)state;
    wait_remote(pool, 1);
    assert_serves(pool);
    close_pool(pool);
    (void)snprintf(url, sizeof url, "tls+tcp://127.0.0.1:%u", port); /* It fits. */
    options.listen = url;
    pool = open_pool(&options);
    wait_remote(pool, 1);
    assert_serves(pool);
    machine_stop(machine);
    close_pool(pool);
}

/* --- who may not come in --------------------------------------------------------------------------- */

static void test_who_is_not_allowed_gets_no_job(void **state)
{
    grove_ref pool = open_remote();
    struct grove_process *other = machine_start(port_of(pool), 1, "ours", "other");
    struct grove_process *stranger = machine_start(port_of(pool), 1, "theirs", "worker");

    (void)state;
    for (unsigned i = 0; i < 10000 && stats_of(pool).remote_refused == 0; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_true(stats_of(pool).remote_refused > 0);
    assert_int_equal(stats_of(pool).n_remote, 0);
    grove_process_close(
        stranger); /* It may not be up yet; what it was told, test_strangers tells. */
    machine_stop(other);
    assert_int_equal(stats_of(pool).n_remote, 0);
    close_pool(pool);
}

static void test_bytes_that_no_worker_sends_cut_the_machine_off_until_it_comes_again(void **state)
{
    grove_ref pool = open_remote();
    struct grove_process *machine = machine_start(port_of(pool), 1, "ours", "worker");
    Jobs__V1__CrashRequest request = JOBS__V1__CRASH_REQUEST__INIT;
    Jobs__V1__CrashResponse response = JOBS__V1__CRASH_RESPONSE__INIT;

    (void)state;
    wait_remote(pool, 1);
    /* Its worker answers with what is no message: the agent passes it on as it is. */
    request.how = 5;
    assert_int_equal(job_crash_await(pool, &request, &response), GROVE_EBROKEN);
    assert_int_equal(stats_of(pool).dropped_peers, 1);
    wait_remote(pool, 1);
    assert_serves(pool);
    machine_stop(machine);
    close_pool(pool);
}

/* --- what cannot be --------------------------------------------------------------------------------- */

static void assert_refused(const struct grove_pool_options *options, const char *part)
{
    grove_ref pool;

    assert_int_equal(grove_pool_open(options, &pool), GROVE_EUSAGE);
    if (strstr(grove_why(), part) == NULL)
        fail_msg("no \"%s\" in: %s", part, grove_why());
}

static void test_options_that_cannot_be_are_told_with_what_to_say_instead(void **state)
{
    struct grove_pool_options options = machines_pool();
    char url[8];
    grove_ref pool;

    (void)state;
    options.listen = "tcp://127.0.0.1:7000";
    assert_refused(&options, "say tls+tcp://HOST:PORT");
    options.listen = "tls+tcp://127.0.0.1";
    assert_refused(&options, "listen is tls+tcp://HOST:PORT");
    options.listen = "tls+tcp://127.0.0.1:0";
    options.allow = NULL;
    assert_refused(&options, "must say who may come");
    options.allow = "one,,two";
    assert_refused(&options, "names of 1 to 63 bytes");
    options.allow = "*";
    options.heartbeat_ms = 49;
    assert_refused(&options, "50 to 60 000");
    options.heartbeat_ms = 0;
    options.remote_max = 257;
    assert_refused(&options, "at most 256");
    options.remote_max = 0;
    options.n_workers = 1;
    assert_refused(&options, "only_remote has no n_workers");
    options.n_workers = 0;
    options.listen = NULL;
    assert_refused(&options, "needs listen");
    options.only_remote = false;
    assert_refused(&options, "are for pools that listen");

    pool = open_pool(&(struct grove_pool_options){.n_workers = 1});
    assert_int_equal(grove_pool_url(pool, url, sizeof url), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "does not listen"));
    close_pool(pool);
    pool = open_remote();
    assert_int_equal(grove_pool_url(pool, url, sizeof url), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "there is room for 8"));
    close_pool(pool);
}

static void test_a_pool_with_no_good_certificate_is_not_opened(void **state)
{
    struct grove_pool_options options = machines_pool();
    grove_ref pool;

    (void)state;
    options.cert = "/nowhere.pem";
    assert_int_equal(grove_pool_open(&options, &pool), -ENOENT);
    options = machines_pool();
    options.key = machines_file("ours", "worker.key");
    assert_int_equal(grove_pool_open(&options, &pool), -EINVAL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_worker_of_another_machine_answers_and_leaves_when_asked),
        cmocka_unit_test(test_large_requests_and_answers_travel),
        cmocka_unit_test(test_a_job_that_kills_its_worker_fails_alone_and_the_machine_stays),
        cmocka_unit_test(test_an_overdue_job_is_killed_there_and_others_go_on),
        cmocka_unit_test(test_a_machine_that_is_asked_to_end_finishes_what_it_has),
        cmocka_unit_test(test_progress_of_a_job_is_heard_from_there),
        cmocka_unit_test(test_a_cut_wire_leaves_one_job_unknown_and_the_other_is_done_elsewhere),
        cmocka_unit_test(test_a_stopped_machine_is_noticed_and_local_workers_take_over),
        cmocka_unit_test(
            test_a_pool_that_ends_lets_its_machines_go_and_its_successor_has_them_back),
        cmocka_unit_test(test_who_is_not_allowed_gets_no_job),
        cmocka_unit_test(test_bytes_that_no_worker_sends_cut_the_machine_off_until_it_comes_again),
        cmocka_unit_test(test_options_that_cannot_be_are_told_with_what_to_say_instead),
        cmocka_unit_test(test_a_pool_with_no_good_certificate_is_not_opened),
    };
    int n_failed;

    if (pools_begin(&argc, &argv) != 0)
        return EXIT_FAILURE;
    machines_open();
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    machines_close();
    return pools_end(n_failed);
}
