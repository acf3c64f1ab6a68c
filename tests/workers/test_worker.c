/*
 * The worker's state machine: over streams in memory, with this file as its
 * pool.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <grove/error.h>

#include "grove/link.pb-c.h"
#include "jobs.grove.h"
#include "tests/links/fake.h"
#include "workers/page.h"
#include "workers/worker.h"

#define REPLIES_MAX  8
#define UNFLUSHED_NS 300000u /* worker.h */

static _Alignas(64) uint8_t page[GV_WORKER_PAGE_BYTES];

/* The worker, and what its pool has seen. */
static struct {
    struct gv_worker *worker;
    unsigned n_pages; /* open */
    struct gv_link link;
    bool closed;
    uint8_t token[GV_TOKEN_BYTES];
    unsigned n_methods;
    char methods[8][64]; /* as its HELLO lists them */
    unsigned n_replies;
    struct {
        struct gv_frame frame;
        uint8_t body[128];
    } replies[REPLIES_MAX];
    unsigned n_runs;        /* of functions */
    uint64_t started;       /* on the page, when the last one ran */
    uint64_t job;           /* the same */
    uint64_t took_ns;       /* each takes so long */
    const char *end_reason; /* what the hook says after a job that refused */
} seen;

static struct gv_worker_page *status(void)
{
    return (struct gv_worker_page *)(void *)page;
}

/* --- the functions -------------------------------------------------------------------------------- */

static void note_run(void)
{
    seen.n_runs++;
    seen.started = atomic_load(&status()->started);
    seen.job = atomic_load(&status()->job);
    fake.now_ns += seen.took_ns;
}

static int echo(const Jobs__V1__EchoRequest *request, Jobs__V1__EchoResponse *response)
{
    note_run();
    response->text = request->text;
    response->number = request->number + 1;
    return 0;
}

static int once(const Jobs__V1__OnceRequest *request, Jobs__V1__OnceResponse *response)
{
    note_run();
    response->id = request->id;
    return 0;
}

static int again(const Jobs__V1__AgainRequest *request, Jobs__V1__AgainResponse *response)
{
    note_run();
    response->id = request->id;
    return 0;
}

static int refuse(const Jobs__V1__RefuseRequest *request, Jobs__V1__RefuseResponse *response)
{
    (void)response;
    note_run();
    return request->code;
}

static const struct job_service served = {
    .echo = echo, .once = once, .again = again, .refuse = refuse};
static const struct grove_worker_entry entry = {.service = &job_service_table,
                                                .functions = &served};

static int end_job(void *owner, int code, const char **text)
{
    (void)owner;
    if (code > 0)
        *text = seen.end_reason;
    return code;
}

/* --- its pool ------------------------------------------------------------------------------------- */

static const char *hello_came(void *owner, const Grove__Link__V1__Hello *hello)
{
    Grove__Link__V1__Welcome message = GROVE__LINK__V1__WELCOME__INIT;

    (void)owner;
    if (hello->token.len == GV_TOKEN_BYTES)
        memcpy(seen.token, hello->token.data, GV_TOKEN_BYTES);
    for (size_t i = 0; i < hello->n_methods && i < 8; i++)
        (void)snprintf(seen.methods[seen.n_methods++], sizeof seen.methods[0], "%s",
                       hello->methods[i]->name);
    return gv_link_welcome(&seen.link, &message) == 0 ? NULL : "no memory";
}

static const char *frame_came(void *owner, const struct gv_frame *frame)
{
    unsigned i = seen.n_replies++;

    (void)owner;
    if (frame->type != GV_FRAME_REPLY || i >= REPLIES_MAX
        || frame->body_bytes > sizeof seen.replies[i].body)
        return "this is no answer";
    seen.replies[i].frame = *frame;
    memcpy(seen.replies[i].body, frame->body, frame->body_bytes);
    return NULL;
}

static void link_closed(void *owner)
{
    (void)owner;
    seen.closed = true;
}

static const struct gv_link_events pool_events = {
    .hello = hello_came, .frame = frame_came, .closed = link_closed};

static int page_inherit(void *world, int fd, size_t bytes, struct gv_page *result)
{
    (void)world;
    *result = (struct gv_page){page, bytes, fd};
    seen.n_pages++;
    return 0;
}

static void page_close(void *world, struct gv_page *which)
{
    (void)world;
    (void)which;
    seen.n_pages--;
}

static void set_up_world(void)
{
    fake_reset();
    fake.env.page_inherit = page_inherit;
    fake.env.page_close = page_close;
    fake.a.peer = &fake.b;
    fake.b.peer = &fake.a;
    memset(&seen, 0, sizeof seen);
    memset(page, 0, sizeof page);
    status()->magic = GV_WORKER_PAGE_MAGIC;
    memset(status()->token, 0x5a, GV_TOKEN_BYTES);
    (void)snprintf(status()->url, sizeof status()->url, "ipc:///pool/s");
}

static int open_worker(void)
{
    struct gv_worker_options options = {
        .env = &fake.env, .first = &entry, .end = &entry + 1, .hooks = {.end = end_job}};

    return gv_worker_open(&options, &seen.worker);
}

static int set_up(void **state)
{
    struct gv_link_options options = {
        .env = &fake.env, .events = &pool_events, .name = "pool", .class = GV_PEER_WORKER};

    (void)state;
    set_up_world();
    if (open_worker() != 0)
        return -1;
    gv_link_accept(&seen.link, &options, &fake.b);
    gv_link_flush(&seen.link); /* the preface */
    fake_run();
    return seen.link.state == GV_LINK_READY ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    gv_link_close(&seen.link);
    fake_run();
    if (!gv_worker_has_ended(seen.worker) || !seen.closed)
        return -1;
    gv_worker_close(seen.worker);
    return seen.n_pages == 0 ? 0 : -1;
}

/* --- helpers -------------------------------------------------------------------------------------- */

/* The number that the worker gave this method. */
static uint16_t number_of(const char *name)
{
    for (unsigned i = 0; i < seen.n_methods; i++)
        if (strcmp(strchr(seen.methods[i], '/') + 1, name) == 0)
            return (uint16_t)(i + 1);
    fail_msg("the worker has no %s", name);
    return 0;
}

static void send_frame(const struct gv_frame *frame, const char *body, size_t n_bytes)
{
    assert_int_equal(
        gv_link_send(&seen.link, frame, (const uint8_t *)(body != NULL ? body : ""), n_bytes), 0);
    gv_link_flush(&seen.link);
    fake_run();
}

static void send_job(uint16_t method, uint64_t call, const char *body)
{
    struct gv_frame frame = {
        .type = GV_FRAME_CALL, .method = method, .call = call, .budget_us = GV_BUDGET_NONE};

    send_frame(&frame, body, body != NULL ? strlen(body) : 0);
}

static void send_word(uint8_t type, uint64_t call)
{
    send_frame(&(struct gv_frame){.type = type, .call = call, .budget_us = GV_BUDGET_NONE}, "", 0);
}

/* Runs the next job, which must be possible at once, and counts the answers that have left before it. */
static unsigned replies_before_next(void)
{
    assert_true(gv_worker_can_run(seen.worker));
    fake_run();

    unsigned n_replies = seen.n_replies;
    gv_worker_run_one(seen.worker);
    return n_replies;
}

static void run_all(void)
{
    while (gv_worker_can_run(seen.worker)) {
        while (gv_worker_can_run(seen.worker))
            gv_worker_run_one(seen.worker);
        fake_run();
    }
    fake_run();
}

/* The only answer says this; returns its text, good until the next call. */
static const char *assert_failed(int code, enum grove_class class, enum grove_started started)
{
    static char text[128];
    const struct gv_frame *frame = &seen.replies[0].frame;
    Grove__Link__V1__Failure *failure;

    assert_int_equal(seen.n_replies, 1);
    assert_int_equal(gv_frame_class(frame), class);
    assert_int_equal(gv_frame_started(frame), started);
    failure = grove__link__v1__failure__unpack(NULL, frame->body_bytes, seen.replies[0].body);
    assert_non_null(failure);
    assert_int_equal(failure->code, code);
    (void)snprintf(text, sizeof text, "%s", failure->text);
    grove__link__v1__failure__free_unpacked(failure, NULL);
    return text;
}

/* --- greeting ------------------------------------------------------------------------------------- */

static void test_a_worker_shows_its_token_and_the_methods_it_has_functions_for(void **state)
{
    static const char *const names[] = {"Again", "Echo", "Once", "Refuse"};

    (void)state;
    assert_memory_equal(seen.token, status()->token, GV_TOKEN_BYTES);
    assert_int_equal(seen.n_methods, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(number_of(names[i]), i + 1);
}

static void test_a_page_of_something_else_is_refused_and_closed(void **state)
{
    (void)state;
    set_up_world();
    status()->magic++;
    assert_int_equal(open_worker(), GROVE_EPROTO);
    assert_int_equal(seen.n_pages, 0);
    assert_false(fake.a.dialled);
}

/* --- jobs ----------------------------------------------------------------------------------------- */

static void test_a_job_comes_in_and_its_result_goes_out(void **state)
{
    Jobs__V1__EchoResponse *response;

    (void)state;
    assert_false(gv_worker_can_run(seen.worker));
    send_job(number_of("Echo"), 77, "\x0a\x02hi\x10\x29");
    run_all();
    assert_int_equal(seen.n_replies, 1);
    assert_int_equal(seen.replies[0].frame.call, 77);
    assert_int_equal(gv_frame_class(&seen.replies[0].frame), GROVE_DONE);
    response = jobs__v1__echo_response__unpack(NULL, seen.replies[0].frame.body_bytes,
                                               seen.replies[0].body);
    assert_non_null(response);
    assert_string_equal(response->text, "hi");
    assert_int_equal(response->number, 42);
    jobs__v1__echo_response__free_unpacked(response, NULL);
}

static void test_an_unknown_method_is_not_supported(void **state)
{
    (void)state;
    send_job((uint16_t)(seen.n_methods + 1), 1, NULL);
    run_all();
    (void)assert_failed(GROVE_ENOTSUP, GROVE_FAILED, GROVE_STARTED_NO); /* It has no text. */
}

static void test_a_body_that_is_no_message_never_reaches_the_function(void **state)
{
    (void)state;
    send_job(number_of("Echo"), 1, "\x0a\x7f");
    run_all();
    assert_string_not_equal(assert_failed(GROVE_EPROTO, GROVE_FAILED, GROVE_STARTED_NO), "");
    assert_int_equal(seen.n_runs, 0);
    assert_int_equal(atomic_load(&status()->started), 0);
}

static void test_a_refusal_goes_back_with_its_text(void **state)
{
    (void)state;
    seen.end_reason = "come back tomorrow";
    send_job(number_of("Refuse"), 1, "\x08\x02");
    run_all();
    assert_string_equal(
        assert_failed(JOBS__V1__REFUSAL__REFUSAL_NOT_TODAY, GROVE_REFUSED, GROVE_STARTED_YES),
        "come back tomorrow");
}

static void test_a_job_whose_time_has_passed_is_not_begun(void **state)
{
    struct gv_frame frame = {.type = GV_FRAME_CALL, .call = 1, .budget_us = 1000};

    (void)state;
    frame.method = number_of("Echo");
    send_frame(&frame, NULL, 0);
    fake.now_ns += 1000000;
    run_all();
    (void)assert_failed(GROVE_ETIMEDOUT, GROVE_FAILED, GROVE_STARTED_NO); /* It has no text. */
    assert_int_equal(seen.n_runs, 0);
}

static void test_a_cancelled_job_is_answered_and_not_begun(void **state)
{
    (void)state;
    send_job(number_of("Once"), 5, NULL);
    send_word(GV_FRAME_CANCEL, 5);
    run_all();
    (void)assert_failed(GROVE_ECANCELED, GROVE_FAILED, GROVE_STARTED_NO); /* It has no text. */
    assert_int_equal(seen.n_runs, 0);
}

static void test_a_cancel_for_another_job_changes_nothing(void **state)
{
    (void)state;
    send_job(number_of("Once"), 5, NULL);
    send_word(GV_FRAME_CANCEL, 6);
    run_all();
    assert_int_equal(seen.n_runs, 1);
}

/* --- the page ------------------------------------------------------------------------------------- */

static void test_the_page_names_the_job_before_its_function_runs(void **state)
{
    (void)state;
    send_job(number_of("Echo"), 70, NULL);
    send_job(0, 71, NULL); /* Counted, and never begun. */
    send_job(number_of("Echo"), 72, NULL);
    assert_int_equal(atomic_load(&status()->started), 0);
    run_all();
    assert_int_equal(seen.n_runs, 2);
    assert_int_equal(seen.started, 3);
    assert_int_equal(seen.job, 72);
}

static void test_the_page_counts_an_answer_as_flushed_when_it_has_left(void **state)
{
    (void)state;
    send_job(number_of("Echo"), 1, NULL);
    (void)replies_before_next();
    assert_false(gv_worker_can_run(seen.worker)); /* It is written, and has not left. */
    assert_int_equal(atomic_load(&status()->flushed), 0);
    fake_run();
    assert_false(gv_worker_can_run(seen.worker));
    assert_int_equal(atomic_load(&status()->flushed), 1);
}

/* --- when answers leave --------------------------------------------------------------------------- */

static void test_answers_wait_while_jobs_do_but_no_longer_than_their_bound(void **state)
{
    (void)state;
    for (uint64_t call = 1; call <= 6; call++)
        send_job(number_of("Echo"), call, NULL);
    seen.took_ns = UNFLUSHED_NS / 3;
    /* With the fourth the first answer would be too old. */
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(replies_before_next(), i < 3 ? 0 : 3);
    run_all();
    assert_int_equal(seen.n_replies, 6);
}

static void test_answers_do_not_wait_for_a_job_that_is_long_or_unknown(void **state)
{
    (void)state;
    for (uint64_t call = 2; call <= 5; call++)
        send_job(number_of(call % 2 ? "Again" : "Echo"), call, NULL);
    assert_int_equal(replies_before_next(), 0);
    seen.took_ns = UNFLUSHED_NS;
    assert_int_equal(replies_before_next(), 1); /* the first of its kind */
    seen.took_ns = 0;
    assert_int_equal(replies_before_next(), 1);
    assert_int_equal(replies_before_next(), 3); /* its kind took long */
}

static void test_answers_leave_before_a_job_that_may_not_run_twice(void **state)
{
    (void)state;
    send_job(number_of("Echo"), 1, NULL);
    send_job(number_of("Once"), 2, NULL);
    assert_int_equal(replies_before_next(), 0);
    assert_false(gv_worker_can_run(seen.worker));
    fake_run();
    assert_int_equal(seen.n_replies, 1);
    assert_true(gv_worker_can_run(seen.worker));
    assert_int_equal(seen.n_runs, 1);
}

/* --- the end -------------------------------------------------------------------------------------- */

static void test_a_drained_worker_ends_when_its_last_answer_has_left(void **state)
{
    (void)state;
    send_job(number_of("Echo"), 1, NULL);
    send_word(GV_FRAME_DRAIN, 0);
    assert_false(gv_worker_has_ended(seen.worker));
    assert_int_equal(replies_before_next(), 0);
    assert_false(gv_worker_can_run(seen.worker));
    assert_false(gv_worker_has_ended(seen.worker));
    fake_run();
    assert_true(gv_worker_has_ended(seen.worker));
    assert_int_equal(seen.n_replies, 1);
}

static void test_the_end_of_the_stream_ends_a_worker_with_jobs_left(void **state)
{
    (void)state;
    send_job(number_of("Echo"), 1, NULL);
    gv_link_close(&seen.link);
    fake_run();
    assert_true(gv_worker_has_ended(seen.worker));
    assert_false(gv_worker_can_run(seen.worker));
    assert_int_equal(seen.n_runs, 0);
}

#define worker_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        worker_test(test_a_worker_shows_its_token_and_the_methods_it_has_functions_for),
        cmocka_unit_test(test_a_page_of_something_else_is_refused_and_closed),
        worker_test(test_a_job_comes_in_and_its_result_goes_out),
        worker_test(test_an_unknown_method_is_not_supported),
        worker_test(test_a_body_that_is_no_message_never_reaches_the_function),
        worker_test(test_a_refusal_goes_back_with_its_text),
        worker_test(test_a_job_whose_time_has_passed_is_not_begun),
        worker_test(test_a_cancelled_job_is_answered_and_not_begun),
        worker_test(test_a_cancel_for_another_job_changes_nothing),
        worker_test(test_the_page_names_the_job_before_its_function_runs),
        worker_test(test_the_page_counts_an_answer_as_flushed_when_it_has_left),
        worker_test(test_answers_wait_while_jobs_do_but_no_longer_than_their_bound),
        worker_test(test_answers_do_not_wait_for_a_job_that_is_long_or_unknown),
        worker_test(test_answers_leave_before_a_job_that_may_not_run_twice),
        worker_test(test_a_drained_worker_ends_when_its_last_answer_has_left),
        worker_test(test_the_end_of_the_stream_ends_a_worker_with_jobs_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
