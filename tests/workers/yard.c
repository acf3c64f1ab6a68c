#include "tests/workers/yard.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/init.h>

#include "actors/call.h"
#include "actors/service.h"
#include "actors/system.h"
#include "runtime/log.h"
#include "runtime/options.h"
#include "runtime/runtime.h"

#define PID 42 /* as the streams in memory say */

struct yard yard;

static struct gv_env runtime_env;
static struct {
    char text[4096];
    size_t used;
} lines; /* of the log, since the test began */
static struct {
    void (*exited)(void *owner, int status, int signal);
    void *owner;
} process;
static _Alignas(
    64) uint8_t pages[2][GV_WORKER_PAGE_BYTES]; /* of the child; one with another token */
static uint64_t now_ns = UINT64_C(1000000000);

/* --- the world ------------------------------------------------------------------------------------ */

static uint64_t yard_now_ns(void *world)
{
    (void)world;
    return now_ns;
}

static uint64_t yard_random(void *world)
{
    static uint64_t last = UINT64_C(0x123456789abcdef);

    (void)world;
    return ++last;
}

static void log_write(void *world, const char *line, size_t n_bytes)
{
    int n;

    (void)world;
    n = snprintf(lines.text + lines.used, sizeof lines.text - lines.used, "%.*s\n", (int)n_bytes,
                 line);
    if (n > 0 && (size_t)n < sizeof lines.text - lines.used)
        lines.used += (size_t)n;
}

static int process_spawn(struct gv_poller *poller, const struct gv_process_options *options,
                         void (*exited)(void *owner, int status, int signal), void *owner,
                         struct gv_process **result)
{
    (void)poller;
    if (yard.spawn_rc != 0)
        return yard.spawn_rc;
    (void)snprintf(yard.program, sizeof yard.program, "%s", options->program);
    (void)snprintf(yard.argument, sizeof yard.argument, "%s", options->arguments[1]);
    yard.nice = options->nice;
    yard.n_spawned++;
    process.exited = exited;
    process.owner = owner;
    *result = NULL; /* Only this file looks into it. */
    return 0;
}

static int process_pid(const struct gv_process *which)
{
    (void)which;
    return PID;
}

static int process_kill(struct gv_process *which, int signal)
{
    (void)which;
    yard.n_killed += signal == SIGKILL;
    return 0;
}

static int page_open(void *world, size_t bytes, struct gv_page *page)
{
    (void)world;
    memset(pages[0], 0, sizeof pages[0]);
    *page = (struct gv_page){pages[0], bytes, GV_WORKER_PAGE_FD};
    yard.n_pages++;
    return 0;
}

static int page_inherit(void *world, int fd, size_t bytes, struct gv_page *page)
{
    (void)world;
    memcpy(pages[1], pages[0], sizeof pages[1]);
    ((struct gv_worker_page *)(void *)pages[1])->token[0] ^= 1;
    *page = (struct gv_page){pages[yard.wrong_token], bytes, fd};
    yard.n_pages++;
    return 0;
}

static void page_close(void *world, struct gv_page *page)
{
    (void)world;
    (void)page;
    yard.n_pages--;
}

/* A door that nobody will come to. */
static int listen_to_nobody(struct gv_poller *poller, const char *url,
                            const struct gv_listen_events *events, void *owner,
                            struct gv_listener **listener)
{
    (void)poller;
    (void)url;
    (void)events;
    (void)owner;
    *listener = NULL;
    return 0;
}

/* --- begin and end -------------------------------------------------------------------------------- */

int yard_begin(void)
{
    char error[GV_OPTION_ERROR_BYTES];

    runtime_env = *gv_env_host();
    runtime_env.now_ns = yard_now_ns;
    runtime_env.listen = listen_to_nobody;
    if (gv_option_set("loops", "1", error) != 0)
        return 1;
    gv_system_init(&runtime_env);
    return gv_loop_now() == NULL || gv_method_index(&job_service_table, 0) == 0;
}

int yard_end(int n_failed)
{
    return n_failed + (grove_deinit() != 0);
}

int yard_open(void **state)
{
    (void)state;
    (void)yard_log();
    memset(&lines, 0, sizeof lines);
    fake_reset();
    fake.env.log_write = log_write;
    fake.env.now_ns = yard_now_ns;
    fake.env.random = yard_random;
    fake.env.process_spawn = process_spawn;
    fake.env.process_pid = process_pid;
    fake.env.process_kill = process_kill;
    fake.env.page_open = page_open;
    fake.env.page_inherit = page_inherit;
    fake.env.page_close = page_close;
    fake.a.peer = &fake.b;
    fake.b.peer = &fake.a;

    yard = (struct yard){.loop = gv_loop_now()};
    yard.pool = calloc(1, sizeof *yard.pool + sizeof *yard.child);
    if (yard.pool == NULL)
        return -1;
    yard.pool->loop = yard.loop;
    yard.pool->env = &fake.env;
    yard.pool->n_places = 1;
    yard.pool->n_least = yard.pool->n_most = yard.pool->n_wanted = 1;
    yard.pool->credits = 2;
    yard.pool->birth_ms = 10000;
    yard.pool->grace_ms = 100;
    yard.pool->directory_fd = -1;
    gv_letters_init(&yard.pool->letters, &(struct grove_pool_options){0});
    gv_quarantine_init(&yard.pool->quarantine, &(struct grove_pool_options){0});
    (void)snprintf(yard.pool->name, sizeof yard.pool->name, "yard");
    (void)snprintf(yard.pool->url, sizeof yard.pool->url, "ipc:///yard/s");
    yard.child = &yard.pool->children[0];
    yard.child->is_used = true;
    gv_crew_init(yard.pool);
    return 0;
}

/* Nothing may be left, whatever the test did. */
int yard_close(void **state)
{
    (void)state;
    yard.pool->state = GV_POOL_ENDING;
    gv_crew_end(yard.pool, true);
    if (yard.child->state != GV_CHILD_RESTING && !yard.child->has_exited)
        yard_exit(SIGKILL);
    if (yard.child->has_link)
        gv_link_close(&yard.child->link);
    fake_run();
    if (yard.worker != NULL)
        gv_worker_close(yard.worker);
    yard.loop->flushes = NULL; /* Only this pool has any. */
    if (yard.child->state != GV_CHILD_RESTING || yard.n_pages != 0)
        return -1;
    gv_pool_free(yard.pool);
    return 0;
}

/* --- what happens --------------------------------------------------------------------------------- */

static int echo(const Jobs__V1__EchoRequest *request, Jobs__V1__EchoResponse *response)
{
    response->text = request->text;
    return 0;
}

static int once(const Jobs__V1__OnceRequest *request, Jobs__V1__OnceResponse *response)
{
    response->id = request->id;
    return 0;
}

static int feed(const Jobs__V1__FeedRequest *request, struct job_feed_sink *sink)
{
    Jobs__V1__FeedItem item = JOBS__V1__FEED_ITEM__INIT;

    (void)request;
    return job_feed_emit_await(sink, &item);
}

static const struct job_service functions = {.echo = echo, .once = once, .feed = feed};
static const struct grove_worker_entry entry = {.service = &job_service_table,
                                                .functions = &functions};

void yard_spawn(void)
{
    gv_crew_spawn(yard.pool);
    assert_int_equal(yard.child->state, GV_CHILD_SPAWNING);
}

void yard_connect(void)
{
    struct gv_worker_options options = {
        .env = &fake.env, .page_fd = GV_WORKER_PAGE_FD, .first = &entry, .end = &entry + 1};

    assert_int_equal(gv_worker_open(&options, &yard.worker), 0);
    gv_child_connected(yard.child, &fake.b);
    for (unsigned i = 0; i < 3; i++)
        yard_flush();
}

void yard_flush(void)
{
    struct gv_flush *flush = yard.loop->flushes;

    fake_run();
    if (flush != NULL) {
        yard.loop->flushes = NULL;
        flush->queued = false;
        flush->run(flush);
    }
    fake_run();
}

void yard_work(void)
{
    yard_flush();
    while (gv_worker_can_run(yard.worker)) {
        while (gv_worker_can_run(yard.worker))
            gv_worker_run_one(yard.worker);
        fake_run(); /* Some jobs wait until the answers before them have left. */
    }
    fake_run();
}

void yard_pass(uint32_t ms)
{
    now_ns += (uint64_t)ms * 1000000;
    yard.loop->now_ns = now_ns;
    yard.loop->now_ms = gv_epoch_ms(now_ns);
    gv_wheel_advance(&yard.loop->wheel, gv_epoch_grains(now_ns));
}

void yard_exit(int signal)
{
    process.exited(process.owner, -1, signal);
}

const char *yard_log(void)
{
    if (yard.loop != NULL && yard.loop->log != NULL)
        gv_log_flush(yard.loop->log);
    return lines.text;
}

/* --- jobs ----------------------------------------------------------------------------------------- */

static void heard(void *owner, const struct gv_outcome *outcome)
{
    (void)owner;
    yard.n_outcomes++;
    yard.code = outcome->code;
    yard.started = outcome->started;
    (void)snprintf(yard.text, sizeof yard.text, "%s", outcome->text != NULL ? outcome->text : "");
}

static void patience_ended(struct gv_timer *timer)
{
    struct gv_job *job = (struct gv_job *)(void *)((char *)timer - offsetof(struct gv_job, timer));

    gv_job_give_up(job, GROVE_ETIMEDOUT);
}

struct gv_job *yard_job(unsigned method)
{
    static const uint64_t no_bytes;
    uint16_t index = gv_method_index(&job_service_table, method);
    struct gv_message *request = gv_message_take(&yard.loop->blocks, sizeof no_bytes);
    struct gv_call *call = gv_call_take(yard.loop, 0, index, 0);
    struct gv_job *job;

    assert_true(request != NULL && call != NULL);
    call->kind = GV_SINK_CALLBACK;
    call->sink.callback.function = heard;
    call->sink.callback.owner = NULL;
    request->call = call->id;
    request->method = index;
    request->deadline_ms = 0;
    request->form_flags = GV_FORM_PACKED;
    memcpy(request->body, &no_bytes, sizeof no_bytes); /* An empty message is a valid one. */
    job = gv_job_take(&yard.pool->queue, request, yard.loop->now_ms);
    assert_non_null(job);
    job->pool = yard.pool;
    gv_timer_init(&job->timer, patience_ended);
    gv_job_wait(&yard.pool->queue, job, false);
    gv_pool_flush_later(yard.pool);
    return job;
}

void yard_begun(uint64_t seq)
{
    atomic_store(&gv_child_page(yard.child)->started, seq);
}

void assert_heard(int code, enum grove_started started)
{
    assert_int_equal(yard.n_outcomes, 1);
    assert_int_equal(yard.code, code);
    assert_int_equal(yard.started, started);
}
