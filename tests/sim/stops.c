/*
 * Stops: actors that are stopped by DRAIN, NOW and KILL, with deadlines and
 * without, while their handlers are parked, behind shields, with clean-ups,
 * tokens, stashed requests and timers.
 *
 * Every call gets one answer, in its time; what is said of whether it had
 * begun is true. Each clean-up runs once, the newest of its turn first, also
 * when the handler is abandoned; after the end of an actor nothing of it
 * runs; and who is stopped with a deadline is gone soon after that.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <grove.h>

#include "stops.grove.h"
#include "tests/sim/simulation.h"

#define HANDS_MAX   5u
#define CLIENTS_MAX 5u
#define CALLS_MAX   300u
#define DEPTH_MAX   2u
#define DEFERS_MAX  1000u
#define TOKENS_MAX  4u
#define LATE_MS     100u /* a call ends that late after its deadline, a stop after its own */
#define MS_NS       UINT64_C(1000000)

struct defer {
    unsigned older;   /* of the same turn, 0: none */
    unsigned *newest; /* of its turn: see turns */
    unsigned hand;
    bool over;
};

static struct {
    grove_ref hands[HANDS_MAX];
    bool ended[HANDS_MAX]; /* deinit has returned */
    bool gone[HANDS_MAX];  /* somebody has seen its end */
    unsigned inside[HANDS_MAX];
    uint8_t handled[CALLS_MAX + 1];
    uint8_t answered[CALLS_MAX + 1];
    unsigned turns[CALLS_MAX + 1]; /* the newest clean-up that has not run, by call */
    struct defer defers[DEFERS_MAX + 1];
    unsigned n_hands, n_calls, n_defers, n_ended;
} play;

struct hand {
    unsigned self;
    grove_token tokens[TOKENS_MAX];
    uint32_t calls[TOKENS_MAX];
    unsigned n_tokens;
};

static void call_await(unsigned hand, unsigned depth);

/* --- clean-ups ------------------------------------------------------------------------------------ */

static void clean_up(void *argument)
{
    struct defer *defer = argument;
    unsigned number = (unsigned)(defer - play.defers);

    sim_note("cleans", number, 0);
    SIM_CHECK(!defer->over, "clean-up %u runs twice", number);
    SIM_CHECK(*defer->newest == number, "clean-up %u runs before %u", number, *defer->newest);
    SIM_CHECK(!play.ended[defer->hand], "clean-up %u runs after the end of hand %u", number,
              defer->hand);
    *defer->newest = defer->older;
    defer->over = true;
    if (sim_draw(SIM_LOAD, 4) == 0)
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 10)); /* An abandoned one cannot. */
}

static void defer_one(unsigned hand, unsigned call)
{
    struct defer *defer;

    if (play.n_defers == DEFERS_MAX)
        return;
    defer = &play.defers[++play.n_defers];
    *defer = (struct defer){play.turns[call], &play.turns[call], hand, false};
    play.turns[call] = play.n_defers;
    SIM_CHECK(grove_defer(clean_up, defer) == 0, "no clean-up is noted");
}

/* The first one of a turn: it is the last that runs. */
static void leave(void *argument)
{
    unsigned hand = *(const unsigned *)argument;

    SIM_CHECK(play.inside[hand] == 1, "%u handlers of hand %u leave", play.inside[hand], hand);
    play.inside[hand] = 0;
}

/* --- hands ---------------------------------------------------------------------------------------- */

static int init(struct hand *me, const void *argument)
{
    me->self = *(const unsigned *)argument;
    return 0;
}

static void note_end(void *argument)
{
    play.ended[*(const unsigned *)argument] = true;
}

static void deinit(struct hand *me)
{
    /* It may be abandoned, too. */
    SIM_CHECK(grove_defer(note_end, &me->self) == 0, "no clean-up is noted");
    SIM_CHECK(play.inside[me->self] == 0, "deinit of hand %u beside a handler", me->self);
    SIM_CHECK(!play.ended[me->self], "deinit of hand %u comes twice", me->self);
    if (sim_draw(SIM_LOAD, 4) == 0)
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 20)); /* It may be told to hurry. */
}

static void shield_await(void)
{
    uint32_t ms = 1 + sim_draw(SIM_LOAD, 50);

    if (grove_shield_begin(ms) != 0)
        return;
    (void)grove_sleep_await(sim_draw(SIM_LOAD, 60)); /* Longer than the shield, at times. */
    grove_shield_end();
}

static void answer_one(struct hand *me)
{
    Sim__Stops__V1__DoResponse response = SIM__STOPS__V1__DO_RESPONSE__INIT;
    unsigned i;

    if (me->n_tokens == 0)
        return;
    i = --me->n_tokens;
    response.call = me->calls[i];
    play.answered[me->calls[i]] += grove_reply_wanted(&me->tokens[i]);
    if (sim_draw(SIM_LOAD, 4) == 0)
        grove_reply_drop(&me->tokens[i]);
    else
        SIM_CHECK(hand_do_reply(&me->tokens[i], 0, &response) == 0, "no answer: %s", grove_why());
}

/* One thing that a handler does. */
static void act_await(struct hand *me, const Sim__Stops__V1__DoRequest *request)
{
    Sim__Stops__V1__TickRequest tick = SIM__STOPS__V1__TICK_REQUEST__INIT;
    uint32_t ms;

    switch (sim_draw(SIM_LOAD, 9)) {
    case 0:
    case 1:
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 60)); /* Who is stopped ends soon. */
        break;
    case 2:
        shield_await();
        break;
    case 3:
        answer_one(me);
        break;
    case 4:
        ms = 1 + sim_draw(SIM_LOAD, 30);
        (void)hand_tick_every(sim_draw(SIM_LOAD, 2), ms, GROVE_FIXED_RATE, &tick); /* Or not. */
        break;
    case 5:
        (void)grove_unstash_all(); /* In a handler it cannot fail. */
        break;
    case 6:
        defer_one(me->self, request->call);
        break;
    default:
        if (request->depth > 0)
            call_await(me->self, request->depth - 1);
    }
    SIM_CHECK(!play.ended[me->self], "hand %u goes on after its end", me->self);
}

/* How it ends. 1: somebody answers otherwise. */
static int end(struct hand *me, const Sim__Stops__V1__DoRequest *request)
{
    switch (sim_draw(SIM_LOAD, 8)) {
    case 0:
        if (me->n_tokens == TOKENS_MAX || grove_reply_defer(&me->tokens[me->n_tokens]) != 0)
            return 0;
        me->calls[me->n_tokens++] = request->call;
        return 1;
    case 1:
        if (grove_stash() != 0)
            return 0;
        play.handled[request->call] = 2; /* It comes once more. */
        return 1;
    case 2:
        return sim_draw(SIM_LOAD, 4) == 0 ? grove_fail("on purpose") : -EIO;
    default:
        return 0;
    }
}

static int hand_do(struct hand *me, const Sim__Stops__V1__DoRequest *request,
                   Sim__Stops__V1__DoResponse *response)
{
    unsigned self = me->self;
    int rc;

    SIM_CHECK(play.inside[self]++ == 0, "two handlers of hand %u", self);
    SIM_CHECK(!play.ended[self], "hand %u handles after its end", self);
    SIM_CHECK(play.handled[request->call] != 1, "call %u is handled twice", request->call);
    play.handled[request->call] = 1;
    sim_note("handles", self, request->call);
    SIM_CHECK(grove_defer(leave, &me->self) == 0, "no clean-up is noted");
    for (unsigned n = sim_draw(SIM_LOAD, 5); n > 0; n--)
        act_await(me, request);
    rc = end(me, request);
    play.answered[request->call] += rc != 1;
    response->call = request->call;
    return rc == 1 ? -EIO : rc;
}

static int tick(struct hand *me, const Sim__Stops__V1__TickRequest *request,
                Sim__Stops__V1__TickResponse *response)
{
    (void)request;
    (void)response;
    SIM_CHECK(play.inside[me->self] == 0 && !play.ended[me->self], "a tick where none may come");
    if (sim_draw(SIM_LOAD, 8) == 0)
        answer_one(me);
    if (sim_draw(SIM_LOAD, 8) == 0)
        SIM_CHECK(grove_timer_cancel(0) || grove_timer_cancel(1), "a tick of no timer");
    return 0;
}

static const struct hand_service functions = {
    .state_bytes = sizeof(struct hand),
    .init = init,
    .deinit = deinit,
    .do_ = hand_do,
    .tick = tick,
};

/* --- who asks, and who stops ---------------------------------------------------------------------- */

static void check_outcome(unsigned call, int rc, uint32_t got)
{
    enum grove_started started = grove_failure()->started;

    sim_note("outcome", call, (uint64_t)(int64_t)rc);
    switch (rc) {
    case 0:
        SIM_CHECK(got == call && play.handled[call] != 0, "call %u got the answer of %u", call,
                  got);
        return;
    case -EIO:
    case GROVE_EBROKEN:
        SIM_CHECK(play.handled[call] != 0, "call %u failed in a handler that never was", call);
        return;
    case GROVE_EDOWN:
    case GROVE_ENOACTOR:
    case GROVE_ESTOPPING:
    case GROVE_ETIMEDOUT:
    case GROVE_ECANCELED:
    case GROVE_EDEADLK:
    case GROVE_EFULL:
        break;
    default:
        SIM_CHECK(false, "call %u ended with %s", call, grove_error_name(rc));
    }
    SIM_CHECK(started != GROVE_STARTED_NO || play.handled[call] == 0,
              "call %u (%s) is said never to have begun", call, grove_error_name(rc));
    SIM_CHECK(started != GROVE_STARTED_YES || play.handled[call] != 0,
              "call %u (%s) is said to have begun", call, grove_error_name(rc));
}

static void call_await(unsigned hand, unsigned depth)
{
    Sim__Stops__V1__DoRequest request = SIM__STOPS__V1__DO_REQUEST__INIT;
    Sim__Stops__V1__DoResponse response = SIM__STOPS__V1__DO_RESPONSE__INIT;
    uint32_t timeout_ms = 1 + sim_draw(SIM_LOAD, 200);
    unsigned whom = sim_draw(SIM_LOAD, play.n_hands);
    uint64_t begin_ns = sim.now_ns;
    bool was_gone = play.gone[whom];
    int rc;

    if (play.n_calls == CALLS_MAX)
        return;
    request.call = ++play.n_calls;
    request.depth = depth;
    sim_note("asks", hand, (uint64_t)whom << 32 | request.call);
    grove_within(timeout_ms);
    rc = hand_do_await(play.hands[whom], &request, &response);
    check_outcome(request.call, rc, response.call);
    SIM_CHECK(!was_gone || rc == GROVE_ENOACTOR || rc == GROVE_ECANCELED || rc == GROVE_ETIMEDOUT,
              "hand %u was gone, and a call ends with %s", whom, grove_error_name(rc));
    SIM_CHECK(sim.now_ns - begin_ns <= (timeout_ms + LATE_MS) * MS_NS,
              "call %u had %u ms and took %" PRIu64 " us", request.call, timeout_ms,
              (sim.now_ns - begin_ns) / 1000);
}

static void stop_await(void)
{
    unsigned whom = sim_draw(SIM_LOAD, play.n_hands);
    enum grove_stop_mode mode = (enum grove_stop_mode)sim_draw(SIM_LOAD, 3);
    uint32_t timeout_ms = sim_draw(SIM_LOAD, 60);
    uint64_t begin_ns = sim.now_ns;
    int rc;

    switch (sim_draw(SIM_LOAD, 4)) {
    case 0:
        (void)grove_stop(play.hands[whom], mode); /* It may be gone. */
        return;
    case 1:
        (void)grove_stop_within(play.hands[whom], mode, timeout_ms); /* The same. */
        return;
    case 2:
        rc = grove_stop_await(play.hands[whom], mode);
        break;
    default:
        rc = grove_stop_within_await(play.hands[whom], mode, timeout_ms);
        SIM_CHECK(sim.now_ns - begin_ns <= (timeout_ms + LATE_MS) * MS_NS,
                  "hand %u had %u ms to end and took %" PRIu64 " us", whom, timeout_ms,
                  (sim.now_ns - begin_ns) / 1000);
    }
    sim_note("stopped", whom, (uint64_t)(int64_t)rc);
    if (rc != 0 && rc != GROVE_ENOACTOR)
        return;
    SIM_CHECK(play.ended[whom] && play.inside[whom] == 0, "hand %u is gone, and runs", whom);
    play.gone[whom] = true;
}

static void client(void *argument)
{
    (void)argument;
    for (unsigned n = 1 + sim_draw(SIM_LOAD, 15); n > 0; n--) {
        if (sim_draw(SIM_LOAD, 3) == 0)
            (void)grove_sleep_await(sim_draw(SIM_LOAD, 40)); /* Nobody stops us. */
        if (sim_draw(SIM_LOAD, 8) == 0)
            stop_await();
        else
            call_await(HANDS_MAX, DEPTH_MAX);
    }
    play.n_ended++;
}

/* --- the run -------------------------------------------------------------------------------------- */

static void check_end(void)
{
    for (unsigned i = 0; i < play.n_hands; i++) {
        int rc = grove_stop_within_await(play.hands[i], GROVE_STOP_NOW, 1000);

        SIM_CHECK(rc == 0 || rc == GROVE_ENOACTOR, "hand %u does not end: %s", i,
                  grove_error_name(rc));
        SIM_CHECK(play.ended[i], "hand %u has had no deinit", i);
    }
    for (unsigned i = 1; i <= play.n_defers; i++)
        SIM_CHECK(play.defers[i].over, "clean-up %u has never run", i);
}

static void run(void)
{
    unsigned n_clients = 1 + sim_draw(SIM_LOAD, CLIENTS_MAX);

    memset(&play, 0, sizeof play);
    play.n_hands = 1 + sim_draw(SIM_LOAD, HANDS_MAX);
    for (unsigned i = 0; i < play.n_hands; i++) {
        struct grove_spawn_options options = {.argument_bytes = sizeof i};

        options.place = GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()));
        options.depth_max = sim_draw(SIM_LOAD, 2) == 0 ? 0 : 1 + sim_draw(SIM_LOAD, 6);
        SIM_CHECK(hand_spawn_await(&functions, &i, &options, &play.hands[i]) == 0, "no hand");
    }
    for (unsigned i = 0; i < n_clients; i++) {
        struct grove_spawn_options options = {.place =
                                                  GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()))};

        SIM_CHECK(grove_go(client, NULL, &options, NULL) == 0, "no client");
    }
    sim_wait_for(&play.n_ended, n_clients, 600000);
    check_end();
}

static void prepare(void)
{
    SIM_CHECK(grove_service_register(&hand_service_table) == 0, "no service");
}

static void prepare_lent(void)
{
    prepare();
    sim_option("loops", 3);
    sim_option("lend", 2);
}

const struct sim_simulation sim_stops = {
    .name = "stops",
    .what = "actors stopped in the midst of everything: one answer each, clean-ups once",
    .run = run,
    .prepare = prepare,
};

const struct sim_simulation sim_stops_lent = {
    .name = "stops_lent",
    .what = "the same on three loops that lend each other whatever they can",
    .run = run,
    .prepare = prepare_lent,
};
