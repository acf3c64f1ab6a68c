/*
 * Rpcs of an actor that run in workers: they are sent to the actor and
 * answered by a pool.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "tests/workers/pools.h"

struct desk {
    uint32_t n;
};

static int sit(struct desk *me, const Jobs__V1__SitRequest *request,
               Jobs__V1__SitResponse *response)
{
    response->n = ++me->n;
    return request->ms > 0 ? grove_sleep_await(request->ms) : 0;
}

static int compute(const Jobs__V1__ComputeRequest *request, Jobs__V1__ComputeResponse *response)
{
    response->square = request->number * request->number;
    response->pid = getpid();
    return 0;
}

static int compute_elsewhere(const Jobs__V1__ComputeElsewhereRequest *request,
                             Jobs__V1__ComputeElsewhereResponse *response)
{
    (void)request;
    response->pid = getpid();
    return 0;
}

static const struct desk_service desk_functions = {.state_bytes = sizeof(struct desk),
                                                   .sit = sit,
                                                   .compute = compute,
                                                   .compute_elsewhere = compute_elsewhere};
GROVE_WORKER(desk, &desk_functions);

static grove_ref new_desk(void)
{
    grove_ref desk;

    assert_int_equal(desk_spawn_await(&desk_functions, NULL, NULL, &desk), 0);
    return desk;
}

static int square(grove_ref ref, int64_t number, Jobs__V1__ComputeResponse *response)
{
    Jobs__V1__ComputeRequest request = JOBS__V1__COMPUTE_REQUEST__INIT;

    jobs__v1__compute_response__init(response);
    request.number = number;
    return desk_compute_await(ref, &request, response);
}

/* The one worker of this pool has this pid. */
static void assert_worker(grove_ref pool, int64_t pid)
{
    int its = 0;

    assert_int_equal(grove_pool_pids(pool, &its, 1), 1);
    assert_int_equal(pid, its);
}

static void test_a_worker_rpc_of_an_actor_passes_its_mailbox_by(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1}), desk = new_desk();
    Jobs__V1__SitRequest request = JOBS__V1__SIT_REQUEST__INIT;
    Jobs__V1__SitResponse sat = JOBS__V1__SIT_RESPONSE__INIT;
    Jobs__V1__ComputeResponse response;
    struct grove_future future;

    (void)state;
    request.ms = 4000000;
    grove_within(GROVE_INFINITE);
    assert_int_equal(desk_sit_start(desk, &request, &sat, &future), 0);
    for (int i = 0; i < 3; i++) { /* The actor is busy for more than an hour. */
        assert_int_equal(square(desk, 12 + i, &response), 0);
        assert_int_equal(response.square, (12 + i) * (12 + i));
        assert_worker(pool, response.pid);
    }
    assert_int_equal(square(pool, 5, &response), 0); /* As well by the ref of the pool. */
    assert_int_equal(response.square, 25);
    grove_future_cancel(&future);
    assert_int_equal(grove_stop_await(desk, GROVE_STOP_NOW), 0);
    close_pool(pool);
}

static void test_an_rpc_goes_to_the_pool_that_it_names(void **state)
{
    grove_ref here = open_pool(&(struct grove_pool_options){.n_workers = 1}), desk = new_desk();
    grove_ref there, found;
    Jobs__V1__ComputeElsewhereRequest request = JOBS__V1__COMPUTE_ELSEWHERE_REQUEST__INIT;
    Jobs__V1__ComputeElsewhereResponse response = JOBS__V1__COMPUTE_ELSEWHERE_RESPONSE__INIT;
    Jobs__V1__ComputeResponse computed;

    (void)state;
    there = open_pool(&(struct grove_pool_options){.n_workers = 1, .name = "elsewhere"});
    assert_int_equal(desk_compute_elsewhere_await(desk, &request, &response), 0);
    assert_worker(there, response.pid);
    assert_int_equal(square(desk, 1, &computed), 0);
    assert_worker(here, computed.pid);
    assert_int_equal(grove_whereis("pool/elsewhere", &found), 0);
    assert_true(grove_ref_equal(found, there));
    close_pool(there);
    assert_int_equal(grove_whereis("pool/elsewhere", &found), GROVE_ENOACTOR);
    assert_int_equal(grove_stop_await(desk, GROVE_STOP_NOW), 0);
    close_pool(here);
}

static void test_without_its_pool_it_fails_and_says_what_to_do(void **state)
{
    grove_ref desk = new_desk();
    Jobs__V1__ComputeRequest request = JOBS__V1__COMPUTE_REQUEST__INIT;
    Jobs__V1__ComputeResponse response;
    struct grove_future future;

    (void)state;
    memset(&future, 1, sizeof future);
    assert_int_equal(square(desk, 1, &response), GROVE_EUNAVAILABLE);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_string_equal(grove_why(),
                        "jobs.v1.DeskService/Compute runs in the pool \"workers\", and there is "
                        "none; call grove_pool_open with that name first");
    assert_int_equal(desk_compute_send(desk, &request), GROVE_EUNAVAILABLE);
    assert_int_equal(desk_compute_start(desk, &request, &response, &future), GROVE_EUNAVAILABLE);
    assert_int_equal(future.call, 0); /* An await of it is refused. */
    assert_int_equal(grove_stop_await(desk, GROVE_STOP_NOW), 0);
}

static void test_the_ref_of_nobody_leads_to_no_pool(void **state)
{
    grove_ref pool = open_pool(&(struct grove_pool_options){.n_workers = 1}), desk = new_desk();
    Jobs__V1__ComputeResponse response;

    (void)state;
    assert_int_equal(grove_stop_await(desk, GROVE_STOP_NOW), 0);
    assert_int_equal(square(desk, 1, &response), GROVE_ENOACTOR);
    assert_int_equal(square(GROVE_NOBODY, 1, &response), GROVE_ENOACTOR);
    close_pool(pool);
}

static void test_of_two_pools_with_one_name_the_first_is_found(void **state)
{
    grove_ref first = open_pool(&(struct grove_pool_options){.n_workers = 1}), desk = new_desk();
    grove_ref second = open_pool(&(struct grove_pool_options){.n_workers = 1});
    Jobs__V1__ComputeResponse response;

    (void)state;
    assert_int_equal(square(desk, 1, &response), 0);
    assert_worker(first, response.pid);
    assert_int_equal(square(second, 1, &response), 0);
    assert_worker(second, response.pid);
    assert_int_equal(grove_stop_await(desk, GROVE_STOP_NOW), 0);
    close_pool(second);
    close_pool(first);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_worker_rpc_of_an_actor_passes_its_mailbox_by),
        cmocka_unit_test(test_an_rpc_goes_to_the_pool_that_it_names),
        cmocka_unit_test(test_without_its_pool_it_fails_and_says_what_to_do),
        cmocka_unit_test(test_the_ref_of_nobody_leads_to_no_pool),
        cmocka_unit_test(test_of_two_pools_with_one_name_the_first_is_found),
    };

    if (pools_begin(&argc, &argv) != 0)
        return 1;
    return pools_end(cmocka_run_group_tests(tests, NULL, NULL));
}
