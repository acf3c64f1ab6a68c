/*
 * One worker process and its successors: birth, greeting, leaving, death,
 * and how long each is waited for.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "runtime/options.h"
#include "tests/workers/yard.h"

static void tick(uint32_t ms)
{
    yard_pass(ms);
    gv_child_tick(yard.child, yard.loop->now_ms, yard.loop->now_ns);
}

/* --- birth ---------------------------------------------------------------------------------------- */

static void test_a_child_is_born_with_a_page_that_says_where_to_dial(void **state)
{
    static const uint8_t zeros[GV_TOKEN_BYTES];
    const struct gv_worker_page *page;

    (void)state;
    yard_spawn();
    page = gv_child_page(yard.child);
    assert_int_equal(page->magic, GV_WORKER_PAGE_MAGIC);
    assert_string_equal(page->url, yard.pool->url);
    assert_string_equal(page->name, "yard");
    assert_memory_not_equal(page->token, zeros, sizeof zeros);
    assert_string_equal(yard.program, "/proc/self/exe");
    assert_string_equal(yard.argument, "--grove-worker=yard");
}

static void test_a_child_is_as_nice_as_the_option_says(void **state)
{
    char error[GV_OPTION_ERROR_BYTES];
    int nice;

    (void)state;
    yard_spawn();
    assert_int_equal(yard.nice, 5);
    assert_int_equal(gv_option_set("worker_nice", "7", error), 0);
    yard_exit(SIGKILL); /* Its successor is born. */
    nice = yard.nice;
    assert_int_equal(gv_option_set("worker_nice", "5", error), 0);
    assert_int_equal(nice, 7);
}

static void test_a_spawn_that_fails_leaves_nothing(void **state)
{
    (void)state;
    yard.spawn_rc = -EAGAIN;
    assert_int_equal(gv_child_spawn(yard.child), -EAGAIN);
    assert_int_equal(yard.child->state, GV_CHILD_RESTING);
    assert_int_equal(yard.n_pages, 0);
}

static void test_a_child_with_its_token_is_ready(void **state)
{
    (void)state;
    yard_spawn();
    yard_connect();
    assert_int_equal(yard.child->state, GV_CHILD_READY);
    assert_int_equal(yard.pool->stats.dropped_peers, 0);
}

static void test_a_child_with_another_token_is_dropped_and_killed(void **state)
{
    (void)state;
    yard.wrong_token = true;
    yard_spawn();
    yard_connect();
    assert_int_equal(yard.child->state, GV_CHILD_DYING);
    assert_int_equal(yard.pool->stats.dropped_peers, 1);
    assert_int_equal(yard.n_killed, 1);
}

static void test_a_peer_that_is_another_process_is_dropped(void **state)
{
    (void)state;
    yard_spawn();
    yard.child->pid++; /* The stream's peer has the one before. */
    yard_connect();
    assert_int_equal(yard.child->state, GV_CHILD_DYING);
    assert_int_equal(yard.pool->stats.dropped_peers, 1);
}

static void test_a_birth_takes_no_longer_than_its_bound(void **state)
{
    (void)state;
    yard_spawn();
    tick(yard.pool->birth_ms - 1);
    assert_int_equal(yard.n_killed, 0);
    tick(1);
    assert_int_equal(yard.n_killed, 1);
}

/* --- death ---------------------------------------------------------------------------------------- */

static void test_an_exit_alone_is_no_death_while_answers_may_come(void **state)
{
    (void)state;
    yard_spawn();
    yard_connect();
    (void)yard_job(JOB_METHOD_ECHO);
    yard_flush();
    yard_exit(9);
    assert_int_equal(yard.child->state, GV_CHILD_DYING);
    yard_work(); /* What it had written before arrives. */
    assert_int_equal(yard.n_outcomes, 1);
    assert_int_equal(yard.code, 0);
    assert_int_equal(yard.n_spawned, 1);
    gv_link_close(&yard.child->link);
    fake_run();
    assert_int_equal(yard.n_spawned, 2);
}

static void test_a_child_whose_stream_ends_is_killed_and_replaced_after_its_exit(void **state)
{
    (void)state;
    yard_spawn();
    yard_connect();
    gv_link_close(&yard.child->link);
    fake_run();
    assert_int_equal(yard.child->state, GV_CHILD_DYING);
    assert_int_equal(yard.n_killed, 1);
    assert_int_equal(yard.n_spawned, 1);
    yard_exit(9);
    assert_int_equal(yard.n_spawned, 2);
    assert_int_equal(yard.child->state, GV_CHILD_SPAWNING);
}

static void test_a_stream_held_open_by_a_grandchild_is_closed(void **state)
{
    (void)state;
    yard_spawn();
    yard_connect();
    yard_exit(9);
    tick(GV_CHILD_CORPSE_MS - 1);
    fake_run();
    assert_int_equal(yard.n_spawned, 1);
    tick(1);
    fake_run();
    assert_int_equal(yard.n_spawned, 2);
}

static void test_a_crash_is_a_warning_that_names_the_job(void **state)
{
    const struct gv_job *job;
    char text[128];

    (void)state;
    yard_spawn();
    yard_connect();
    job = yard_job(JOB_METHOD_ONCE);
    yard_flush();
    yard_begun(job->seq);
    (void)snprintf(text, sizeof text, "pid=42 status=-1 signal=11 ready=1 job=%llu method=%s",
                   (unsigned long long)job->id, job->method->name); /* It fits. */
    yard_exit(SIGSEGV);
    assert_non_null(strstr(yard_log(), " warn worker.died "));
    assert_non_null(strstr(yard_log(), text));
}

static void test_a_crash_whose_stream_ended_first_is_a_warning_too(void **state)
{
    (void)state;
    yard_spawn();
    yard_connect();
    gv_link_close(&yard.child->link);
    fake_run();
    yard_exit(SIGSEGV);
    assert_non_null(strstr(yard_log(), " warn worker.died "));
    assert_null(strstr(yard_log(), " job=")); /* It did nothing. */
}

static void test_a_kill_from_outside_is_a_warning(void **state)
{
    (void)state;
    yard_spawn();
    yard_connect();
    yard_exit(SIGKILL);
    assert_non_null(strstr(yard_log(), " warn worker.died "));
}

static void test_a_death_that_the_pool_wanted_is_no_warning(void **state)
{
    (void)state;
    yard_spawn();
    yard_connect();
    gv_child_leave(yard.child);
    tick(GV_POOL_LEAVE_MS);
    assert_int_equal(yard.n_killed, 1);
    yard_exit(SIGKILL);
    assert_null(strstr(yard_log(), "worker.died"));
}

static void test_a_frame_that_no_worker_sends_costs_the_worker(void **state)
{
    static const uint8_t types[] = {GV_FRAME_PROGRESS, GV_FRAME_STARTED, GV_FRAME_ITEM,
                                    GV_FRAME_PONG};

    for (unsigned i = 0; i < sizeof types; i++) {
        struct gv_frame frame = {.type = types[i], .budget_us = GV_BUDGET_NONE};
        struct gv_link *link;

        if (i > 0)
            assert_int_equal(yard_close(state) + yard_open(state), 0);
        yard_spawn();
        yard_connect();
        link = fake.a.owner; /* the worker's end */
        assert_int_equal(gv_link_send(link, &frame, NULL, 0), 0);
        gv_link_flush(link);
        yard_flush();
        assert_int_equal(yard.n_killed, 1);
        assert_int_equal(yard.pool->stats.dropped_frames, 1);
        assert_int_equal(yard.pool->stats.dropped_peers, 1);
    }
}

static void test_who_rests_cannot_be_killed(void **state)
{
    (void)state;
    gv_child_kill(yard.child);
    assert_int_equal(yard.child->state, GV_CHILD_RESTING);
    assert_int_equal(yard.n_killed, 0);
}

/* --- leaving -------------------------------------------------------------------------------------- */

static void test_who_is_told_to_leave_does_its_jobs_and_goes(void **state)
{
    (void)state;
    yard_spawn();
    yard_connect();
    (void)yard_job(JOB_METHOD_ECHO);
    yard_flush();
    gv_child_leave(yard.child);
    yard_flush();
    assert_false(gv_worker_has_ended(yard.worker));
    yard_work();
    assert_true(gv_worker_has_ended(yard.worker));
    assert_int_equal(yard.code, 0);
    assert_int_equal(yard.n_killed, 0);
}

static void test_who_does_not_leave_in_time_is_killed(void **state)
{
    (void)state;
    yard_spawn();
    yard_connect();
    gv_child_leave(yard.child);
    tick(GV_POOL_LEAVE_MS - 1);
    assert_int_equal(yard.n_killed, 0);
    tick(1);
    assert_int_equal(yard.n_killed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        yard_test(test_a_child_is_born_with_a_page_that_says_where_to_dial),
        yard_test(test_a_child_is_as_nice_as_the_option_says),
        yard_test(test_a_spawn_that_fails_leaves_nothing),
        yard_test(test_a_child_with_its_token_is_ready),
        yard_test(test_a_child_with_another_token_is_dropped_and_killed),
        yard_test(test_a_peer_that_is_another_process_is_dropped),
        yard_test(test_a_birth_takes_no_longer_than_its_bound),
        yard_test(test_an_exit_alone_is_no_death_while_answers_may_come),
        yard_test(test_a_child_whose_stream_ends_is_killed_and_replaced_after_its_exit),
        yard_test(test_a_stream_held_open_by_a_grandchild_is_closed),
        yard_test(test_a_crash_is_a_warning_that_names_the_job),
        yard_test(test_a_crash_whose_stream_ended_first_is_a_warning_too),
        yard_test(test_a_kill_from_outside_is_a_warning),
        yard_test(test_a_death_that_the_pool_wanted_is_no_warning),
        yard_test(test_a_frame_that_no_worker_sends_costs_the_worker),
        yard_test(test_who_rests_cannot_be_killed),
        yard_test(test_who_is_told_to_leave_does_its_jobs_and_goes),
        yard_test(test_who_does_not_leave_in_time_is_killed),
    };

    if (yard_begin() != 0)
        return 1;
    return yard_end(cmocka_run_group_tests(tests, NULL, NULL));
}
