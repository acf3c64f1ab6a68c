/*
 * Streams at a pool whose worker is a stranger: what it may send, and what
 * becomes of the rest. No process, no socket: tests/workers/yard.h.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <grove/items.h>

#include "actors/call.h"
#include "actors/items.h"
#include "runtime/runtime.h"
#include "tests/workers/yard.h"

/* The caller's end of the stream, as a turn would have it. */
static struct gv_call *caller;

static unsigned n_came(void)
{
    unsigned n = 0;

    for (const struct gv_message *item = caller->sink.items->head; item != NULL; item = item->next)
        n++;
    return n;
}

static const char *text_of_end(void)
{
    assert_non_null(caller->reply);
    return caller->reply->form_flags & GV_FLAG_TEXT ? (const char *)caller->reply->body : "";
}

static void assert_ended(int code)
{
    assert_int_equal(caller->answered, 1);
    assert_non_null(caller->reply);
    assert_int_equal(caller->reply->code, code);
    assert_int_equal(gv_reply_started(caller->reply), GROVE_STARTED_YES);
}

static int close_all(void **state)
{
    int rc;

    if (caller == NULL)
        return yard_close(state);
    rc = yard_close(state);
    if (caller->reply != NULL)
        gv_message_give(&gv_loop_now()->blocks, caller->reply);
    gv_items_free(gv_loop_now(), caller->sink.items);
    gv_call_give(gv_loop_now(), caller);
    caller = NULL;
    return rc;
}

#define stream_test(function) cmocka_unit_test_setup_teardown(function, yard_open, close_all)

/* A stream at a worker that is ready, and a frame for its items. */
static struct gv_job *stream_at_work(struct gv_frame *item)
{
    struct gv_job *job;

    yard_spawn();
    yard_connect();
    assert_int_equal(yard.child->state, GV_CHILD_READY);
    job = yard_job(JOB_METHOD_FEED);
    caller = gv_call_find(yard.loop, job->request->call);
    assert_non_null(caller);
    caller->kind = GV_SINK_STREAM;
    caller->answered = 0;
    caller->reply = NULL;
    caller->sink.items = calloc(1, sizeof *caller->sink.items);
    assert_non_null(caller->sink.items);
    yard_flush();
    assert_ptr_equal(job->child, yard.child);
    assert_true(job->streams);
    *item = (struct gv_frame){.type = GV_FRAME_ITEM,
                              .flags = GV_FRAME_CALLEE,
                              .call = job->id,
                              .budget_us = GV_BUDGET_NONE};
    return job;
}

static const char *comes(struct gv_frame *item, const char *bytes, size_t n_bytes)
{
    item->body = (const uint8_t *)bytes;
    item->body_bytes = n_bytes;
    return item->type == GV_FRAME_ITEM ? gv_job_item_came(yard.child, item)
                                       : gv_job_answered(yard.child, item);
}

static void test_items_beyond_credit_cost_the_worker(void **state)
{
    struct gv_frame item;
    struct gv_job *job = stream_at_work(&item);

    (void)state;
    for (unsigned i = 0; i < GROVE_CREDIT; i++)
        assert_null(comes(&item, "\x08\x01", 2));
    assert_true(gv_job_is_parked(job));
    assert_string_equal(comes(&item, "\x08\x01", 2), "it sent an item beyond its credit");
    assert_int_equal(yard.pool->stats.dropped_frames, 1);
    assert_int_equal(yard.pool->stats.items, GROVE_CREDIT);
    assert_int_equal(n_came(), GROVE_CREDIT);
}

static void test_bytes_beyond_credit_cost_the_worker(void **state)
{
    static char body[GV_STREAM_BYTES + 8] = "\x12\x80\x80\x10"; /* a text of 256 KiB */
    struct gv_frame item;
    struct gv_job *job = stream_at_work(&item);

    (void)state;
    memset(body + 4, 'x', GV_STREAM_BYTES);
    assert_null(comes(&item, "\x08\x01", 2));
    /* The last one may go beyond. */
    assert_null(comes(&item, body, GV_STREAM_BYTES + 4));
    assert_true(gv_job_is_parked(job));
    assert_string_equal(comes(&item, "", 0), "it sent an item beyond its credit");
    assert_int_equal(n_came(), 2);
}

static void test_an_item_that_is_no_message_ends_the_stream_and_costs_the_worker(void **state)
{
    struct gv_frame item;

    (void)state;
    (void)stream_at_work(&item);
    assert_null(comes(&item, "\x08\x01", 2));
    assert_string_equal(comes(&item, "\x12\x7f", 2), "its item is not a valid message");
    assert_ended(GROVE_EBROKEN);
    assert_int_equal(yard.child->jobs.n, 0);
    /* It has ended: this one is of nobody. */
    assert_string_equal(comes(&item, "\x08\x01", 2),
                        "it sent an item of a job that it does not have");
    assert_int_equal(n_came(), 1);
}

static void test_items_after_the_end_or_of_others_cost_the_worker(void **state)
{
    struct gv_frame item, reply;

    (void)state;
    (void)stream_at_work(&item);
    reply = item;
    reply.type = GV_FRAME_REPLY;
    reply.aux = gv_frame_outcome(GROVE_DONE, GROVE_STARTED_YES, 0);
    assert_null(comes(&reply, NULL, 0));
    assert_ended(GROVE_EEND);
    assert_int_equal(yard.pool->stats.done, 1);
    assert_string_equal(comes(&item, "\x08\x01", 2),
                        "it sent an item of a job that it does not have");
    assert_string_equal(comes(&reply, NULL, 0), "it answered a job that it does not have");
    assert_int_equal(n_came(), 0);
}

static void test_an_item_of_a_job_with_one_answer_costs_the_worker(void **state)
{
    struct gv_frame item;
    struct gv_job *job;

    (void)state;
    yard_spawn();
    yard_connect();
    job = yard_job(JOB_METHOD_ECHO);
    yard_flush();
    item = (struct gv_frame){.type = GV_FRAME_ITEM, .call = job->id};
    assert_string_equal(comes(&item, "", 0), "it sent an item of a job that has but one answer");
    assert_int_equal(yard.pool->stats.dropped_frames, 1);
}

static void test_an_end_that_has_a_body_is_broken(void **state)
{
    struct gv_frame reply;

    (void)state;
    (void)stream_at_work(&reply);
    reply.type = GV_FRAME_REPLY;
    reply.aux = gv_frame_outcome(GROVE_DONE, GROVE_STARTED_YES, 0);
    assert_string_equal(comes(&reply, "\x08\x01", 2), "its stream ends with a body");
    assert_ended(GROVE_EBROKEN);
}

/* Its page says that the job never began; its items say the contrary. */
static void test_who_has_sent_items_has_begun_whatever_it_says(void **state)
{
    struct gv_frame item;

    (void)state;
    (void)stream_at_work(&item);
    assert_null(comes(&item, "\x08\x01", 2));
    yard_begun(0);
    yard_exit(SIGKILL);
    gv_link_close(&yard.child->link);
    yard_flush();
    assert_ended(GROVE_ECRASHED);
    assert_string_equal(text_of_end(), "the worker process died after 1 items had come");
    assert_int_equal(yard.pool->stats.retried, 0);
}

static void test_items_on_their_way_to_who_has_left_are_no_fault(void **state)
{
    struct gv_frame item;
    struct gv_job *job = stream_at_work(&item);

    (void)state;
    gv_job_give_up(job, GROVE_ECANCELED);
    assert_null(comes(&item, "\x08\x01", 2));
    assert_int_equal(n_came(), 0);
    assert_int_equal(yard.pool->stats.dropped_frames, 0);
}

static void test_credit_of_a_reader_reaches_the_worker_once(void **state)
{
    struct gv_message *message = NULL;
    struct gv_frame item;
    struct gv_job *job = stream_at_work(&item);
    struct gv_credit credit = {job->request->call, 4, 2};

    (void)state;
    assert_null(comes(&item, "\x08\x01", 2));
    assert_null(comes(&item, "\x08\x01", 2));
    for (unsigned i = 0; i < 2; i++) {
        message = gv_message_take(&yard.loop->blocks, sizeof credit);
        assert_non_null(message);
        memcpy(message->body, &credit, sizeof credit);
        gv_pool_credit(yard.pool, message);
        credit.call = 4711; /* Of nobody. */
    }
    assert_int_equal(job->items_left, GROVE_CREDIT);
    assert_int_equal(job->bytes_left, GV_STREAM_BYTES);
}

/* No other job waits behind a stream, which may wait for its reader. */
static void test_a_worker_with_a_stream_gets_nothing_else(void **state)
{
    struct gv_frame item;
    struct gv_job *job, *other;

    (void)state;
    job = stream_at_work(&item);
    other = yard_job(JOB_METHOD_ECHO);
    yard_flush();
    assert_ptr_equal(job->child, yard.child);
    assert_null(other->child);
    assert_int_equal(yard.pool->queue.n_waiting, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        stream_test(test_items_beyond_credit_cost_the_worker),
        stream_test(test_bytes_beyond_credit_cost_the_worker),
        stream_test(test_an_item_that_is_no_message_ends_the_stream_and_costs_the_worker),
        stream_test(test_items_after_the_end_or_of_others_cost_the_worker),
        stream_test(test_an_item_of_a_job_with_one_answer_costs_the_worker),
        stream_test(test_an_end_that_has_a_body_is_broken),
        stream_test(test_who_has_sent_items_has_begun_whatever_it_says),
        stream_test(test_items_on_their_way_to_who_has_left_are_no_fault),
        stream_test(test_credit_of_a_reader_reaches_the_worker_once),
        stream_test(test_a_worker_with_a_stream_gets_nothing_else),
    };

    if (yard_begin() != 0)
        return 1;
    return yard_end(cmocka_run_group_tests(tests, NULL, NULL));
}
