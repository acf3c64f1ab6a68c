/*
 * Two machines as the kernel sees them: two network namespaces with a cable
 * between them, which is pulled out in the middle of jobs and put back. Where
 * such namespaces cannot be made, without root or without ip, it is skipped;
 * test_remote has the same with a wire of its own.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/workers/machines.h"

#define SKIPPED 77

static pid_t other; /* has the other network */
static char other_text[16];

static int command(const char *format)
{
    char text[256];

    (void)snprintf(text, sizeof text, format, other); /* It fits. */
    return system(text);
}

/* Ours and the other's, with a cable. False if it cannot be done here. */
static bool make_networks(void)
{
    int up[2];
    char byte;

    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0 || pipe(up) != 0)
        return false;
    other = fork();
    if (other == 0) {
        (void)close(up[0]);
        if (unshare(CLONE_NEWNET) != 0 || write(up[1], "u", 1) != 1)
            _exit(1);
        (void)close(up[1]);
        for (;;)
            pause();
    }
    (void)close(up[1]);
    if (other < 0 || read(up[0], &byte, 1) != 1)
        return false;
    (void)close(up[0]);
    (void)snprintf(other_text, sizeof other_text, "%d", (int)other); /* It fits. */
    return command("ip link set lo up && ip link add cable0 type veth peer name cable1 netns %d"
                   " && ip addr add 10.77.0.1/24 dev cable0 && ip link set cable0 up")
               == 0
           && command("nsenter -n -t %d sh -c 'ip addr add 10.77.0.2/24 dev cable1 && ip link set "
                      "cable1 up && ip link set lo up'")
                  == 0;
}

static void test_a_cable_pulled_out_in_the_middle_of_jobs_and_put_back(void **state)
{
    struct grove_pool_options options = machines_pool();
    Jobs__V1__OnceRequest once = once_request(0, 600000000);
    Jobs__V1__OnceResponse once_response = JOBS__V1__ONCE_RESPONSE__INIT;
    Jobs__V1__AgainRequest again = JOBS__V1__AGAIN_REQUEST__INIT;
    Jobs__V1__AgainResponse again_response = JOBS__V1__AGAIN_RESPONSE__INIT;
    struct grove_future futures[2];
    struct grove_process *machine;
    grove_ref pool;

    (void)state;
    reset_counts(2);
    options.listen = "tls+tcp://10.77.0.1:0";
    pool = open_pool(&options);
    machine = machine_start(port_of(pool), 2, "ours", "worker");
    wait_remote(pool, 1);
    assert_serves(pool);

    again.counts = once.counts;
    again.id = 1;
    again.busy_us = 1500000;
    grove_within(50000);
    assert_int_equal(job_once_start(pool, &once, &once_response, &futures[0]), 0);
    assert_int_equal(job_again_start(pool, &again, &again_response, &futures[1]), 0);
    while (count_of(0) == 0 || count_of(1) == 0)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(command("ip link set cable0 down"), 0);
    assert_int_equal(grove_future_await(&futures[0]), GROVE_EUNKNOWN);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_UNKNOWN);
    assert_int_equal(stats_of(pool).n_remote, 0);

    assert_int_equal(command("ip link set cable0 up"), 0);
    assert_int_equal(grove_future_await(&futures[1]), 0);
    assert_int_equal(count_of(0), 1);
    assert_int_equal(count_of(1), 2);
    assert_int_equal(stats_of(pool).remote_lost, 1);
    assert_serves(pool);
    machine_stop(machine);
    close_pool(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cable_pulled_out_in_the_middle_of_jobs_and_put_back),
    };
    int n_failed = 0;
    bool made = false;

    /* A worker process of ours is in our network already. */
    if (getenv("GROVE_POOL_WORKER") == NULL)
        made = make_networks();
    if (made || getenv("GROVE_POOL_WORKER") != NULL) {
        if (pools_begin(&argc, &argv) != 0)
            return EXIT_FAILURE;
        machine_dials = "10.77.0.1";
        machine_network = other_text;
        machines_open();
        n_failed = cmocka_run_group_tests(tests, NULL, NULL);
        machines_close();
    }
    if (other > 0) {
        (void)kill(other, SIGKILL);
        (void)waitpid(other, NULL, 0);
    }
    return made ? pools_end(n_failed) : SKIPPED;
}
