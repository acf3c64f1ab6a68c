/*
 * Abandonment of who waits for the outside: its clean-ups run, nothing of it
 * goes on, and nothing is left behind.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "stage.h"

#include "runtime/runtime.h"

#define MUCH 16000000u

enum way { ACCEPT, READ, WRITE, POLL, SIGNAL, CHILD, BLOCKING, FILE_OPEN, FILE_READ };

static struct {
    enum way way;
    char url[64], fifo[64];
    struct grove_listener *listener;
    int ends[2];
    int rc;             /* why it could not begin to wait */
    unsigned n_went_on; /* its wait has returned */
    unsigned n_cleaned; /* one after the other */
    unsigned order[2];
} outside;

static void clean_up_first(void *unused)
{
    (void)unused;
    outside.order[0] = ++outside.n_cleaned;
}

static void clean_up_last(void *unused)
{
    (void)unused;
    outside.order[1] = ++outside.n_cleaned;
}

static int sleep_on_thread(void *us)
{
    (void)usleep(*(unsigned *)us);
    return 0;
}

static int connect_and(enum way way)
{
    static const char bytes[MUCH];
    struct grove_stream *stream;
    char byte;
    size_t n;
    int rc = grove_connect_await(outside.url, &stream);

    if (rc != 0)
        return rc;
    return way == READ ? grove_read_await(stream, &byte, 1, &n)
                       : grove_write_await(stream, bytes, sizeof bytes);
}

static int wait_for_child(void)
{
    static const char *const sleeper[] = {"/bin/sleep", "60", NULL};
    struct grove_process *process;
    int rc = grove_process_spawn(sleeper, NULL, &process);

    return rc != 0 ? rc : grove_process_wait_await(process, NULL);
}

static int wait_for_signal(void)
{
    static const int usr1 = SIGUSR1;
    struct grove_signals *signals;
    int rc = grove_signals_open(&usr1, 1, &signals), number;

    return rc != 0 ? rc : grove_signal_await(signals, &number);
}

/* A fifo: opening it to read waits for who writes, and reading for what he writes. */
static int wait_for_file(enum way way)
{
    struct grove_file *file;
    char byte;
    size_t n;
    int rc = grove_file_open_await(outside.fifo, way == FILE_OPEN ? O_RDONLY : O_RDWR, 0, &file);

    return rc != 0 ? rc : grove_file_read_await(file, &byte, 1, -1, &n);
}

static int wait_outside(void)
{
    unsigned us = 200000, ready;
    struct grove_stream *stream;

    switch (outside.way) {
    case ACCEPT:
        return grove_accept_await(outside.listener, &stream);
    case READ:
    case WRITE:
        return connect_and(outside.way);
    case POLL:
        return grove_poll_await(outside.ends[0], GROVE_READABLE, &ready);
    case SIGNAL:
        return wait_for_signal();
    case CHILD:
        return wait_for_child();
    case BLOCKING:
        return grove_blocking_await(sleep_on_thread, &us, sizeof us);
    case FILE_OPEN:
    case FILE_READ:
        return wait_for_file(outside.way);
    }
    return 0;
}

static void go_wait(void *unused)
{
    (void)unused;
    outside.rc = grove_defer(clean_up_last, NULL);
    if (outside.rc == 0)
        outside.rc = grove_defer(clean_up_first, NULL);
    if (outside.rc == 0) /* It does not leave when it is told to stop. */
        outside.rc = grove_shield_begin(GROVE_SHIELD_MAX_MS);
    if (outside.rc == 0)
        outside.rc = wait_outside();
    outside.n_went_on++;
}

static void abandon_in(enum way way)
{
    struct grove_loop_stats before, after;
    grove_ref ref;

    memset(&outside, 0, sizeof outside);
    outside.way = way;
    (void)snprintf(outside.url, sizeof outside.url, "unix:///tmp/test-abandon-%d",
                   (int)getpid()); /* It fits. */
    (void)snprintf(outside.fifo, sizeof outside.fifo, "/tmp/test-abandon-fifo-%d",
                   (int)getpid()); /* It fits, too. */
    assert_int_equal(pipe(outside.ends), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_listen(outside.url, NULL, &outside.listener), 0);
    assert_int_equal(grove_loop_stats(0, &before), 0);
    assert_int_equal(grove_go(go_wait, NULL, NULL, &ref), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(grove_yield_await(),
                         0); /* Until it waits, however many steps that takes. */
    assert_int_equal(outside.n_went_on, 0);
    assert_int_equal(grove_stop_within_await(ref, GROVE_STOP_NOW, 5), 0);
    assert_int_equal(outside.rc, 0);
    assert_int_equal(outside.n_went_on, 0);
    assert_int_equal(outside.n_cleaned, 2);
    assert_int_equal(outside.order[0], 1);
    assert_int_equal(outside.order[1], 2);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_loop_stats(0, &after), 0);
    assert_int_equal(after.parked, before.parked);
    assert_int_equal(after.actors, before.actors);
    assert_in_range(after.stacks, 0, before.stacks + 2); /* Dispatchers may be left. */
    grove_listener_close(outside.listener);
    assert_int_equal(close(outside.ends[0]) | close(outside.ends[1]), 0);
}

static void test_accepting(void **state)
{
    (void)state;
    abandon_in(ACCEPT);
}

static void test_reading(void **state)
{
    (void)state;
    abandon_in(READ);
}

static void test_writing_more_than_leaves_at_once(void **state)
{
    (void)state;
    abandon_in(WRITE);
}

static void test_waiting_for_a_descriptor(void **state)
{
    (void)state;
    abandon_in(POLL);
}

static void test_waiting_for_a_signal(void **state)
{
    (void)state;
    abandon_in(SIGNAL);
}

static void test_waiting_for_the_end_of_a_child(void **state)
{
    (void)state;
    abandon_in(CHILD);
}

static void test_waiting_for_a_call_on_a_thread_that_has_its_own_memory(void **state)
{
    (void)state;
    abandon_in(BLOCKING);
}

/*
 * The thread that waits for the file then finds an end, whenever it comes to
 * it: this one stays open until all threads are done. What the thread had
 * goes with it.
 */
static void abandon_at_a_fifo(enum way way)
{
    static char fifo[64];
    int end;

    (void)snprintf(fifo, sizeof fifo, "/tmp/test-abandon-fifo-%d", (int)getpid()); /* It fits. */
    assert_int_equal(mkfifo(fifo, 0600), 0);
    abandon_in(way);
    end = open(fifo, O_RDWR);
    assert_true(end >= 0);
    assert_int_equal(write(end, "..", 2), 2);
    assert_int_equal(unlink(fifo), 0);
}

static void test_opening_a_file(void **state)
{
    (void)state;
    abandon_at_a_fifo(FILE_OPEN);
}

static void test_reading_a_file(void **state)
{
    (void)state;
    abandon_at_a_fifo(FILE_READ);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_accepting),
        stage_test(test_reading),
        stage_test(test_writing_more_than_leaves_at_once),
        stage_test(test_waiting_for_a_descriptor),
        stage_test(test_waiting_for_a_signal),
        stage_test(test_waiting_for_the_end_of_a_child),
        stage_test(test_waiting_for_a_call_on_a_thread_that_has_its_own_memory),
        stage_test(test_opening_a_file),
        stage_test(test_reading_a_file),
    };

    return cmocka_run_group_tests_name("abandon_io", tests, stage_set_up, stage_tear_down);
}
