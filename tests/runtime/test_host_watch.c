/* Watches: readiness of descriptors that are not ours. */
#include <fcntl.h>
#include <unistd.h>

#include "tests/runtime/host_world.h"

struct look {
    unsigned n_readable;
    unsigned n_writable;
    struct gv_watch *watch;
};

static void on_ready(void *owner, bool readable, bool writable)
{
    struct look *look = owner;

    look->n_readable += readable;
    look->n_writable += writable;
    if (look->n_readable == 3)
        env->watch_close(look->watch);
}

static int watch(struct look *look, int fd, bool readable, bool writable)
{
    struct gv_watch_options options = {fd, readable, writable, on_ready, look};

    *look = (struct look){.watch = NULL};
    return env->watch_open(poller, &options, &look->watch);
}

static void test_a_watch_tells_of_readiness_each_time_until_it_is_closed(void **state)
{
    struct look reader, writer;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(watch(&reader, ends[0], true, false), 0);
    assert_int_equal(watch(&writer, ends[1], false, true), 0);
    env->poller_poll(poller, 0);
    assert_int_equal(reader.n_readable, 0);
    assert_int_equal(writer.n_writable, 1);
    env->watch_close(writer.watch);

    assert_int_equal(write(ends[1], "x", 1), 1);
    POLL_UNTIL(reader.n_readable == 3);
    env->poller_poll(poller, 0);
    assert_int_equal(reader.n_readable, 3);
    assert_int_equal(writer.n_writable, 1);
    assert_int_equal(reader.n_writable, 0);
    assert_int_equal(close(ends[0]) | close(ends[1]), 0);
}

static void test_a_pipe_without_a_reader_is_ready_to_be_tried(void **state)
{
    struct look writer;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(watch(&writer, ends[1], false, true), 0);
    POLL_UNTIL(writer.n_writable > 0);
    env->watch_close(writer.watch);
    env->poller_poll(poller, 0);
    assert_int_equal(close(ends[1]), 0);
    assert_true(watch(&writer, 999, true, false) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_watch_tells_of_readiness_each_time_until_it_is_closed),
        cmocka_unit_test(test_a_pipe_without_a_reader_is_ready_to_be_tried),
    };

    return cmocka_run_group_tests_name("host_watch", tests, open_world, close_world);
}
