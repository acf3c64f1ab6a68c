/*
 * Two versions of one .proto at the two ends of a link over TLS: the machine
 * was built with the older one, this program with the newer. What fits is
 * answered, what does not is refused by method, and the log says of each what
 * differs, once.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shapes.grove.h"
#include "tests/workers/machines.h"

static char log_path[64];
static int old_stderr;

/* --- the newer functions, for workers here ---------------------------------------------------------- */

static int same(const Shapes__V1__SameRequest *request, Shapes__V1__SameResponse *response)
{
    response->number = request->number + 2;
    return 0;
}

static int grown(const Shapes__V1__GrownRequest *request, Shapes__V1__GrownResponse *response)
{
    response->number = request->number + 2;
    response->remark = request->reason;
    return 0;
}

static int turned(const Shapes__V1__TurnedRequest *request, Shapes__V1__TurnedResponse *response)
{
    response->number = (uint32_t)atoi(request->number) + 2;
    return 0;
}

static int flowing(const Shapes__V1__FlowingRequest *request, struct shape_flowing_sink *sink)
{
    Shapes__V1__FlowingItem item = SHAPES__V1__FLOWING_ITEM__INIT;

    item.number = request->number + 2;
    return shape_flowing_emit_await(sink, &item);
}

static int added(const Shapes__V1__AddedRequest *request, Shapes__V1__AddedResponse *response)
{
    response->number = request->number + 2;
    return 0;
}

static const struct shape_service shapes = {
    .same = same, .grown = grown, .turned = turned, .flowing = flowing, .added = added};

GROVE_WORKER(shape, &shapes);

/* --- calls: the number that came, or how it failed ---------------------------------------------------- */

static int call_same(grove_ref pool)
{
    Shapes__V1__SameRequest request = SHAPES__V1__SAME_REQUEST__INIT;
    Shapes__V1__SameResponse response = SHAPES__V1__SAME_RESPONSE__INIT;
    int rc = shape_same_await(pool, &request, &response);

    return rc == 0 ? (int)response.number : rc;
}

/* remark gets what the newer field says. */
static int call_grown(grove_ref pool, char remark[16])
{
    Shapes__V1__GrownRequest request = SHAPES__V1__GROWN_REQUEST__INIT;
    Shapes__V1__GrownResponse response = SHAPES__V1__GROWN_RESPONSE__INIT;
    int rc;

    request.reason = "growth";
    rc = shape_grown_await(pool, &request, &response);
    if (rc != 0)
        return rc;
    (void)snprintf(remark, 16, "%s", response.remark); /* It fits. */
    return (int)response.number;
}

static int call_turned(grove_ref pool)
{
    Shapes__V1__TurnedRequest request = SHAPES__V1__TURNED_REQUEST__INIT;
    Shapes__V1__TurnedResponse response = SHAPES__V1__TURNED_RESPONSE__INIT;
    int rc;

    request.number = "0";
    rc = shape_turned_await(pool, &request, &response);
    return rc == 0 ? (int)response.number : rc;
}

static int call_flowing(grove_ref pool)
{
    Shapes__V1__FlowingRequest request = SHAPES__V1__FLOWING_REQUEST__INIT;
    Shapes__V1__FlowingItem item = SHAPES__V1__FLOWING_ITEM__INIT;
    struct shape_flowing_stream stream;
    int rc = shape_flowing_open(pool, &request, &stream);

    if (rc == 0)
        rc = shape_flowing_next_await(&stream, &item);
    return rc == 0 ? (int)item.number : rc;
}

static int call_added(grove_ref pool)
{
    Shapes__V1__AddedRequest request = SHAPES__V1__ADDED_REQUEST__INIT;
    Shapes__V1__AddedResponse response = SHAPES__V1__ADDED_RESPONSE__INIT;
    int rc = shape_added_await(pool, &request, &response);

    return rc == 0 ? (int)response.number : rc;
}

static void assert_refused(int rc, const char *part)
{
    assert_int_equal(rc, GROVE_ENOTSUP);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    if (strstr(grove_why(), part) == NULL)
        fail_msg("no \"%s\" in: %s", part, grove_why());
}

/* --- the log ---------------------------------------------------------------------------------------- */

static unsigned n_lines(const char *one, const char *other)
{
    char line[1024];
    FILE *file = fopen(log_path, "r");
    unsigned n = 0;

    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        n += strstr(line, one) != NULL && strstr(line, other) != NULL;
    (void)fclose(file); /* It was only read. */
    return n;
}

static int begin(void **state)
{
    int fd;

    (void)state;
    (void)snprintf(log_path, sizeof log_path, "/tmp/test-versions-%d",
                   (int)getpid()); /* It fits. */
    fd = open(log_path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    old_stderr = fcntl(2, F_DUPFD_CLOEXEC, 3);
    return fd < 0 || old_stderr < 0 || dup2(fd, 2) != 2 || close(fd) != 0 ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    (void)dup2(old_stderr, 2); /* Else the failures of other tests are not seen, which is seen. */
    (void)close(old_stderr);
    (void)unlink(log_path);
    return 0;
}

/* --- */

static void test_an_older_machine_does_what_fits_and_is_asked_for_nothing_else(void **state)
{
    struct grove_pool_options options = machines_pool();
    grove_ref pool = open_pool(&options);
    struct grove_process *machine = machine_start(port_of(pool), 1, "ours", "worker");
    char remark[16] = "?";

    (void)state;
    wait_remote(pool, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(call_same(pool), 1);
        assert_int_equal(call_grown(pool, remark), 1);
        assert_string_equal(remark, ""); /* It knows of no such field. */
        assert_refused(call_turned(pool), "TurnedRequest.number");
        assert_refused(call_flowing(pool), "answers once, not with a stream");
        assert_refused(call_added(pool), "");
    }
    assert_int_equal(stats_of(pool).n_remote, 1);
    assert_int_equal(stats_of(pool).dropped_peers, 0);

    /* What differs is told once, and not again when the machine comes again. */
    machine_stop(machine);
    machine = machine_start(port_of(pool), 1, "ours", "worker");
    wait_remote(pool, 1);
    assert_int_equal(call_grown(pool, remark), 1);
    assert_refused(call_turned(pool), "TurnedRequest.number");
    assert_int_equal(n_lines("link.schema", "ShapeService/Same"), 0);
    assert_int_equal(n_lines("link.schema", "ShapeService/Grown verdict=additive"), 1);
    assert_int_equal(n_lines("link.schema", "ShapeService/Turned verdict=refused"), 1);
    assert_int_equal(n_lines("link.schema", "ShapeService/Flowing verdict=refused"), 1);
    machine_stop(machine);
    close_pool(pool);
}

static void test_where_programs_differ_a_job_goes_to_who_can_do_it(void **state)
{
    struct grove_pool_options options = machines_pool();
    struct grove_process *machine;
    char remark[16] = "?";
    grove_ref pool;

    (void)state;
    options.only_remote = false;
    options.n_workers = 1;
    pool = open_pool(&options);
    machine = machine_start(port_of(pool), 1, "ours", "worker");
    wait_ready(pool, 2);
    /* More at once than the worker here may hold: none of them goes where it would be refused. */
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(call_turned(pool), 2);
        assert_int_equal(call_flowing(pool), 2);
        assert_int_equal(call_added(pool), 2);
        assert_in_range(call_same(pool), 1, 2);
        assert_in_range(call_grown(pool, remark), 1, 2);
    }
    machine_stop(machine);
    close_pool(pool);
}

static void test_a_busy_worker_that_can_do_it_is_waited_for(void **state)
{
    struct grove_pool_options options = machines_pool();
    Shapes__V1__TurnedRequest request = SHAPES__V1__TURNED_REQUEST__INIT;
    Shapes__V1__TurnedResponse responses[40];
    struct grove_future futures[40];
    struct grove_process *machine;
    grove_ref pool;

    (void)state;
    options.only_remote = false;
    options.n_workers = 1;
    options.credits = 1;
    pool = open_pool(&options);
    machine = machine_start(port_of(pool), 1, "ours", "worker");
    wait_ready(pool, 2);
    request.number = "40";
    for (unsigned i = 0; i < 40; i++) {
        shapes__v1__turned_response__init(&responses[i]);
        assert_int_equal(shape_turned_start(pool, &request, &responses[i], &futures[i]), 0);
    }
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(grove_future_await(&futures[i]), 0);
        assert_int_equal(responses[i].number, 42);
    }
    machine_stop(machine);
    close_pool(pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_older_machine_does_what_fits_and_is_asked_for_nothing_else),
        cmocka_unit_test(test_where_programs_differ_a_job_goes_to_who_can_do_it),
        cmocka_unit_test(test_a_busy_worker_that_can_do_it_is_waited_for),
    };
    int n_failed;

    /* An additive difference is no warning. */
    if (grove_option_set("log_level", "3") != 0)
        return EXIT_FAILURE;
    if (pools_begin(&argc, &argv) != 0)
        return EXIT_FAILURE;
    machines_open();
    machine_program = GV_BUILD_ROOT "/tests/workers/before/shapes_worker";
    n_failed = cmocka_run_group_tests(tests, begin, end);
    machines_close();
    return pools_end(n_failed);
}
