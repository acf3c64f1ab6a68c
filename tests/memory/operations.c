#include "tests/memory/operations.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <grove.h>
#include <grove/refmessage.h>

#include "memory.grove.h"
#include "runtime/doom.h"
#include "runtime/place.h"
#include "runtime/runtime.h"

#define WITHIN_MS 2000u
#define NOTES     40u
#define TEXT_MAX  20000u /* more than a slab's block holds */

/* --- the parties ---------------------------------------------------------------------------------- */

struct party {
    unsigned n_notes;
};

static int echo(struct party *me, const Memory__V1__EchoRequest *request,
                Memory__V1__EchoResponse *response)
{
    int rc = grove_sleep_await(1);

    (void)me;
    response->text = request->text;
    response->n_words = request->n_words;
    response->words = request->words;
    return rc;
}

static char long_text[TEXT_MAX + 1];
static unsigned n_ticks;

/* Without text: has itself told long ones from now on. */
static int note(struct party *me, const Memory__V1__NoteRequest *request,
                Memory__V1__NoteResponse *response)
{
    Memory__V1__NoteRequest again = MEMORY__V1__NOTE_REQUEST__INIT;

    (void)response;
    me->n_notes++;
    n_ticks += strlen(request->text) == TEXT_MAX;
    if (request->text[0] != '\0')
        return 0;
    memset(long_text, 'x', TEXT_MAX);
    again.text = long_text;
    return party_note_every(1, 1, GROVE_FIXED_RATE, &again);
}

static int relay(struct party *me, const Memory__V1__RelayRequest *request,
                 Memory__V1__RelayResponse *response)
{
    Memory__V1__RelayRequest back = MEMORY__V1__RELAY_REQUEST__INIT;

    (void)me;
    back.to = request->from;
    back.from = request->to;
    grove_within(WITHIN_MS);
    return party_relay_await(grove_ref_from_message(request->to), &back, response);
}

static const struct party_service functions = {
    .state_bytes = sizeof(struct party), .echo = echo, .note = note, .relay = relay};

static int grind(const Memory__V1__GrindRequest *request, Memory__V1__GrindResponse *response)
{
    response->text = request->text;
    return 0;
}

static const struct mill_service mill = {.grind = grind};
GROVE_WORKER(mill, &mill);

static grove_ref here, there;

static int spawn_here(void)
{
    struct grove_spawn_options options = {.place = GROVE_ON_LOOP(0), .label = "here"};

    return party_spawn(&functions, NULL, &options, &here);
}

static int spawn_there(void)
{
    struct grove_spawn_options options = {.place = GROVE_ON_LOOP(1), .label = "there"};

    return party_spawn(&functions, NULL, &options, &there);
}

static int spawn_both(void)
{
    int rc = spawn_here();

    return rc != 0 ? rc : spawn_there();
}

/* --- messages ------------------------------------------------------------------------------------- */

static int call(grove_ref ref)
{
    char *words[] = {"short", "of", "memory"};
    Memory__V1__EchoRequest request = MEMORY__V1__ECHO_REQUEST__INIT;
    Memory__V1__EchoResponse response = MEMORY__V1__ECHO_RESPONSE__INIT;
    struct grove_scope scope;
    int rc;

    memset(long_text, 'x', TEXT_MAX);
    request.text = long_text;
    request.words = words;
    request.n_words = 3;
    grove_scope_begin(&scope);
    grove_within(WITHIN_MS);
    rc = party_echo_await(ref, &request, &response);
    if (rc == 0 && (response.n_words != 3 || strcmp(response.words[2], "memory") != 0))
        rc = GROVE_ECORRUPT;
    grove_scope_end(&scope);
    return rc;
}

static int call_local(void)
{
    return call(here);
}

static int call_far(void)
{
    return call(there);
}

static int send_far(void)
{
    Memory__V1__NoteRequest request = MEMORY__V1__NOTE_REQUEST__INIT;

    memset(long_text, 'x', TEXT_MAX);
    request.text = long_text;
    for (unsigned i = 0; i < NOTES; i++) {
        int rc = party_note_send_await(there, &request);

        if (rc != 0)
            return rc;
    }
    return grove_yield_await();
}

static int all_of_some(void)
{
    Memory__V1__EchoRequest request = MEMORY__V1__ECHO_REQUEST__INIT;
    Memory__V1__EchoResponse responses[4];
    struct grove_future futures[4], *pointers[4];
    struct grove_scope scope;
    unsigned n = 0;
    int rc = 0;

    grove_scope_begin(&scope);
    request.text = "all together";
    while (n < 4 && rc == 0) {
        memory__v1__echo_response__init(&responses[n]);
        grove_within(WITHIN_MS);
        rc = party_echo_start(n % 2 == 0 ? here : there, &request, &responses[n], &futures[n]);
        pointers[n] = &futures[n];
        n += rc == 0;
    }
    if (n > 0) {
        int all = grove_all_await(pointers, n);

        rc = rc != 0 ? rc : all;
    }
    for (unsigned i = 0; i < n; i++)
        grove_future_cancel(&futures[i]);
    grove_scope_end(&scope);
    return rc;
}

static int deadlock(void)
{
    Memory__V1__RelayRequest request = MEMORY__V1__RELAY_REQUEST__INIT;
    Memory__V1__RelayResponse response = MEMORY__V1__RELAY_RESPONSE__INIT;
    Grove__V1__Ref to, from;
    int rc;

    grove_ref_to_message(&to, there);
    grove_ref_to_message(&from, here);
    request.to = &to;
    request.from = &from;
    grove_within(WITHIN_MS);
    rc = party_relay_await(here, &request, &response);
    return rc == GROVE_EDEADLK ? 0 : rc == 0 ? GROVE_ECORRUPT : rc;
}

/* --- tasks ---------------------------------------------------------------------------------------- */

static int spawn(void)
{
    struct grove_spawn_options options = {.label = "a child", .argument_bytes = 100};
    char argument[100] = "its argument";
    grove_ref child;
    int rc = party_spawn_await(&functions, argument, &options, &child);

    if (rc != 0)
        return rc;
    rc = call(child);
    /* Without memory for the signal it is stopped at the end. */
    (void)grove_stop_await(child, GROVE_STOP_NOW);
    return rc;
}

static volatile int slept;

static void sleeper(void *argument)
{
    char big[2000];

    memset(big, 1, sizeof big);
    slept += 1 + grove_sleep_await(*(const unsigned *)argument) + (big[7] == 0);
}

static int timer(void)
{
    struct grove_spawn_options options = {.argument_bytes = sizeof(unsigned)};
    unsigned ms = 2;
    int rc = grove_go(sleeper, &ms, &options, NULL);

    if (rc == 0)
        rc = grove_sleep_await(5);
    return rc;
}

static int spawn_ticking(void)
{
    Memory__V1__NoteRequest request = MEMORY__V1__NOTE_REQUEST__INIT;
    int rc = spawn_here();

    if (rc == 0)
        rc = party_note_send(here, &request);
    while (rc == 0 && n_ticks == 0)
        rc = grove_sleep_await(1);
    return rc;
}

/* Each tick is a copy, and so a request for memory; one that cannot be made is late, not lost. */
static int tick(void)
{
    unsigned before = n_ticks;
    int rc = 0;

    for (unsigned ms = 0; ms < 20 && rc == 0 && n_ticks == before; ms++)
        rc = grove_sleep_await(1);
    return rc == 0 && n_ticks == before ? GROVE_ENOMEM : rc;
}

static void receiver(void *argument)
{
    Memory__V1__EchoResponse response = MEMORY__V1__ECHO_RESPONSE__INIT;
    struct grove_letter letter;

    (void)argument;
    if (grove_receive_await(WITHIN_MS, &letter) != 0)
        return;
    response.text = "received";
    (void)grove_letter_answer(&letter, 0, &response.base); /* Its caller hears it, too. */
}

static int receive(void)
{
    Memory__V1__EchoRequest request = MEMORY__V1__ECHO_REQUEST__INIT;
    Memory__V1__EchoResponse response = MEMORY__V1__ECHO_RESPONSE__INIT;
    struct grove_scope scope;
    grove_ref ref;
    int rc = grove_go(receiver, NULL, NULL, &ref);

    if (rc != 0)
        return rc;
    request.text = "a letter";
    grove_scope_begin(&scope);
    grove_within(WITHIN_MS);
    rc = party_echo_await(ref, &request, &response);
    grove_scope_end(&scope);
    (void)grove_stop_await(ref, GROVE_STOP_KILL); /* It may be gone. */
    return rc;
}

static int monitor(void)
{
    struct grove_spawn_options options = {.place = GROVE_ON_LOOP(1)};
    grove_monitor_id id;
    grove_ref child;
    int rc = party_spawn(&functions, NULL, &options, &child);

    if (rc != 0)
        return rc;
    rc = grove_monitor(child, &id);
    if (rc == 0)
        rc = grove_demonitor(id);
    if (rc == 0)
        rc = grove_register("watched", child);
    (void)grove_unregister("watched");             /* It may have none. */
    (void)grove_stop_await(child, GROVE_STOP_NOW); /* As in spawn. */
    return rc;
}

#define CHILDREN 3u
#define HELD_MAX 40000u /* blocks of a STOP; more than lie about */

static int spawn_children(struct party *me, const void *argument)
{
    struct grove_spawn_options options = {.place = GROVE_ON_LOOP(1)};
    int rc = 0;

    (void)me;
    (void)argument;
    for (unsigned i = 0; i < CHILDREN && rc == 0; i++)
        rc = party_spawn(&functions, NULL, &options, NULL);
    return rc;
}

/* Both loops have run a turn, so that each has a stack for the next one. */
static int spawn_and_call_both(void)
{
    int rc = spawn_both();

    rc = rc == 0 ? call(here) : rc;
    return rc == 0 ? call(there) : rc;
}

/* A family ends while there is no memory to tell a far child: that is told when there is some again. */
static int family(void)
{
    static struct party_service parents;
    struct gv_loop *loop = gv_loop_now();
    static struct gv_message *held[HELD_MAX];
    struct gv_message *message = NULL;
    unsigned n_held = 0;
    bool none_left;
    grove_ref ref;
    int rc;

    parents = functions;
    parents.init = spawn_children;
    rc = party_spawn_await(&parents, NULL, NULL, &ref);
    if (rc != 0)
        return rc;
    (void)grove_sleep_await(5); /* What the births took has come home. */
    while (n_held < HELD_MAX
           && (message = gv_message_take(&loop->blocks, sizeof(struct gv_stop_body))) != NULL)
        held[n_held++] = message;
    none_left = n_held < HELD_MAX
                && (message = gv_message_take(&loop->blocks, sizeof(struct gv_stop_body))) == NULL;
    if (n_held < HELD_MAX && message != NULL)
        held[n_held++] = message;
    rc = grove_stop(ref, GROVE_STOP_NOW); /* Here that takes no memory. */
    (void)grove_sleep_await(3);           /* main is not stopped. */
    if (rc == 0 && none_left && gv_slot_find(gv_ref_id(ref)) == NULL)
        rc = GROVE_ECORRUPT; /* It has not waited for its children. */
    while (n_held > 0)
        gv_message_give(&loop->blocks, held[--n_held]);
    for (unsigned i = 0; rc == 0 && i < WITHIN_MS && gv_slot_find(gv_ref_id(ref)) != NULL; i++)
        (void)grove_sleep_await(1);
    return rc == 0 && gv_slot_find(gv_ref_id(ref)) != NULL ? GROVE_ECORRUPT : rc;
}

static int publish(void)
{
    Memory__V1__NoteRequest request = MEMORY__V1__NOTE_REQUEST__INIT;
    grove_ref group;
    int rc = grove_group_open("all of them", &group);

    if (rc != 0)
        return rc;
    request.text = "to whom it may concern";
    rc = grove_group_join(group, here);
    if (rc == 0)
        rc = grove_group_join(group, there);
    if (rc == 0)
        rc = party_note_publish(group, &request, NULL);
    if (rc == 0)
        rc = grove_yield_await();
    (void)grove_group_close(group); /* It lives. */
    return rc;
}

/* --- the world ------------------------------------------------------------------------------------ */

static int pool(void)
{
    struct grove_pool_options options = {.n_workers = 1};
    Memory__V1__GrindRequest request = MEMORY__V1__GRIND_REQUEST__INIT;
    Memory__V1__GrindResponse response = MEMORY__V1__GRIND_RESPONSE__INIT;
    struct grove_scope scope;
    grove_ref ref;
    int rc = grove_pool_open(&options, &ref);

    if (rc != 0)
        return rc;
    grove_scope_begin(&scope);
    request.text = "grind this";
    grove_within(WITHIN_MS);
    rc = mill_grind_await(ref, &request, &response);
    if (rc == 0 && strcmp(response.text, request.text) != 0)
        rc = GROVE_ECORRUPT;
    grove_scope_end(&scope);
    (void)grove_pool_close_await(ref, 200); /* Without memory the end of grove does it. */
    return rc;
}

static struct grove_listener
    *listener; /* NULL: it is closed, and whoever should serve it comes too late */

static void serve(void *argument)
{
    struct grove_stream *stream;
    char line[64];
    size_t n;

    (void)argument;
    if (listener == NULL)
        return;
    grove_within(WITHIN_MS);
    if (grove_accept_await(listener, &stream) != 0)
        return;
    grove_within(WITHIN_MS);
    if (grove_read_line_await(stream, line, sizeof line, &n) == 0)
        (void)grove_write_await(stream, line, n); /* Who reads it sees it. */
    grove_stream_close(stream);
}

static int talk(const char *url)
{
    struct grove_stream *stream;
    char text[8];
    int rc;

    grove_within(WITHIN_MS);
    rc = grove_connect_await(url, &stream);
    if (rc != 0)
        return rc;
    grove_within(WITHIN_MS);
    rc = grove_write_await(stream, "hello\n", 6);
    if (rc == 0) {
        grove_within(WITHIN_MS);
        rc = grove_read_all_await(stream, text, 5);
    }
    grove_stream_close(stream);
    return rc;
}

static int stream(void)
{
    char url[128];
    grove_ref server;
    int rc;

    (void)snprintf(url, sizeof url, "unix:///tmp/grove-memory-%d", (int)getpid()); /* It fits. */
    rc = grove_listen(url, NULL, &listener);
    if (rc != 0)
        return rc;
    rc = grove_go(serve, NULL, NULL, &server);
    if (rc == 0) {
        rc = talk(url);
        (void)grove_stop_await(server, GROVE_STOP_KILL); /* It may be gone. */
    }
    grove_listener_close(listener);
    listener = NULL;
    return rc;
}

const struct operation operations[] = {
    {"start", 2, NULL, NULL},
    {"spawn", 1, NULL, spawn},
    {"call_local", 1, spawn_here, call_local},
    {"call_far", 2, spawn_both, call_far},
    {"send_far", 2, spawn_both, send_far},
    {"future_all", 2, spawn_both, all_of_some},
    {"deadlock", 2, spawn_both, deadlock},
    {"timer", 1, NULL, timer},
    {"tick", 1, spawn_ticking, tick},
    {"receive", 1, NULL, receive},
    {"monitor", 2, NULL, monitor},
    {"family", 2, spawn_and_call_both, family},
    {"publish", 2, spawn_both, publish},
    {"pool", 1, NULL, pool},
    {"stream", 1, NULL, stream},
    {NULL, 0, NULL, NULL},
};
