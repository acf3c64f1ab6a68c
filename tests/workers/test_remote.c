/*
 * Workers of other machines: real programs that join over TLS, and a wire
 * that is cut in the middle of their jobs.
 */
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_worker_of_another_machine_answers_and_leaves_when_asked),
    };
    int n_failed;

    if (pools_begin(&argc, &argv) != 0)
        return EXIT_FAILURE;
    machines_open();
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    machines_close();
    return pools_end(n_failed);
}
