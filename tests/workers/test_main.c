/*
 * The worker process: what surrounds a job in it, and when it ends.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/sanitize.h"
#include "tests/workers/pools.h"

#define ONLY_WORKER GV_BUILD_ROOT "/tests/workers/only_worker"

static grove_ref open_one(void)
{
    return open_pool(
        &(struct grove_pool_options){.n_workers = 1, .credits = 1, .program = ONLY_WORKER});
}

static int refuse(grove_ref pool, int code, const char *text)
{
    Jobs__V1__RefuseRequest request = JOBS__V1__REFUSE_REQUEST__INIT;
    Jobs__V1__RefuseResponse response = JOBS__V1__REFUSE_RESPONSE__INIT;

    request.code = code;
    request.text = (char *)text;
    return job_refuse_await(pool, &request, &response);
}

static void test_the_reason_of_one_job_is_not_the_next_ones(void **state)
{
    grove_ref pool;

    (void)state;
    pool = open_one();
    assert_int_equal(refuse(pool, JOBS__V1__REFUSAL__REFUSAL_NOT_TODAY, "tomorrow"),
                     JOBS__V1__REFUSAL__REFUSAL_NOT_TODAY);
    assert_string_equal(grove_failure()->text, "tomorrow");
    assert_int_equal(refuse(pool, JOBS__V1__REFUSAL__REFUSAL_NOT_TODAY, ""),
                     JOBS__V1__REFUSAL__REFUSAL_NOT_TODAY);
    assert_string_equal(grove_failure()->text, "");
    close_pool(pool);
}

static void test_a_refusal_that_is_not_of_the_enum_is_named(void **state)
{
    grove_ref pool;

    (void)state;
    pool = open_one();
    assert_int_equal(refuse(pool, 17, ""), GROVE_EFOREIGN);
    assert_non_null(strstr(grove_failure()->text, "17"));
    close_pool(pool);
}

static void test_memory_of_a_job_is_given_back_after_it(void **state)
{
    grove_ref pool;
    Jobs__V1__BigRequest request = JOBS__V1__BIG_REQUEST__INIT;
    Jobs__V1__BigResponse response = JOBS__V1__BIG_RESPONSE__INIT;
    struct grove_scope scope;
    char line[256];
    long kilobytes = 0;
    int pid;
    FILE *file;

    (void)state;
    pool = open_one();
    wait_ready(pool, 1);
    request.bytes = 4 << 20;
    for (unsigned i = 0; i < 40; i++) {
        grove_scope_begin(&scope);
        assert_int_equal(job_big_await(pool, &request, &response), 0);
        grove_scope_end(&scope);
    }
    assert_int_equal(grove_pool_pids(pool, &pid, 1), 1);
    (void)snprintf(line, sizeof line, "/proc/%d/status", pid); /* It fits. */
    file = fopen(line, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "RssAnon:", 8) == 0)
            kilobytes = strtol(line + 8, NULL, 10);
    assert_int_equal(fclose(file), 0);
    assert_in_range(kilobytes, 1, GV_SANITIZED ? 400 << 10 : 80 << 10); /* 160 MiB were made. */
    close_pool(pool);
}

static void test_a_worker_without_its_pools_page_fails_with_one(void **state)
{
    int status;

    (void)state;
    status = system("GROVE_POOL_WORKER=1 " ONLY_WORKER " 3</dev/null 2>/dev/null");
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void test_a_worker_ignores_the_signals_of_the_terminal(void **state)
{
    grove_ref pool;
    int pid;

    (void)state;
    pool = open_one();
    wait_ready(pool, 1);
    assert_int_equal(grove_pool_pids(pool, &pid, 1), 1);
    assert_int_equal(kill(pid, SIGINT), 0);
    assert_int_equal(kill(pid, SIGHUP), 0);
    assert_serves(pool);
    assert_int_equal(stats_of(pool).restarts, 0);
    close_pool(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_reason_of_one_job_is_not_the_next_ones),
        cmocka_unit_test(test_a_refusal_that_is_not_of_the_enum_is_named),
        cmocka_unit_test(test_memory_of_a_job_is_given_back_after_it),
        cmocka_unit_test(test_a_worker_without_its_pools_page_fails_with_one),
        cmocka_unit_test(test_a_worker_ignores_the_signals_of_the_terminal),
    };

    if (pools_begin(&argc, &argv) != 0)
        return 1;
    return pools_end(cmocka_run_group_tests(tests, NULL, NULL));
}
