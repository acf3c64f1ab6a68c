/*
 * What a program serves: methods with a function, in order, and warm-ups.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grove/error.h>

#include "jobs.grove.h"
#include "workers/served.h"

static int n_calls;

static int echo(const Jobs__V1__EchoRequest *request, Jobs__V1__EchoResponse *response)
{
    (void)request;
    (void)response;
    return 0;
}

static int fine(void)
{
    n_calls++;
    return 0;
}

static int bad(void)
{
    n_calls++;
    return GROVE_ENOMEM;
}

static const struct job_service functions = {.echo = echo};

static void test_only_methods_with_a_function_are_served(void **state)
{
    static const struct grove_worker_entry entries[] = {
        {.warm_up = fine}, {.service = &job_service_table, .functions = &functions}};
    struct gv_served served;

    (void)state;
    assert_int_equal(gv_served_init(&served, entries, entries + 2), 0);
    assert_int_equal(served.n, 1);
    assert_ptr_equal(gv_served_at(&served, 1)->method, &job_service_table.methods[JOB_METHOD_ECHO]);
    assert_null(gv_served_at(&served, 0));
    assert_null(gv_served_at(&served, 2));
    gv_served_deinit(&served);
    assert_int_equal(n_calls, 0);
}

static void test_warm_ups_run_until_one_fails(void **state)
{
    static const struct grove_worker_entry entries[] = {
        {.service = &job_service_table, .functions = &functions},
        {.warm_up = fine},
        {.warm_up = bad},
        {.warm_up = fine}};

    (void)state;
    assert_int_equal(gv_served_warm_up(entries, entries + 2), 0);
    assert_int_equal(n_calls, 1);
    assert_int_equal(gv_served_warm_up(entries, entries + 4), GROVE_ENOMEM);
    assert_int_equal(n_calls, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_methods_with_a_function_are_served),
        cmocka_unit_test(test_warm_ups_run_until_one_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
