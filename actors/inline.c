#include "actors/inline.h"

#include <grove/error.h>

#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/park.h"

#define TIMED_EVERY     64u    /* calls of a method */
#define LONG_NS         10000u /* others shall not wait for 64 of these */
#define LONG_ROW        3u     /* in a row: one alone may have been cold, or interrupted */
#define MAIN_LOOK_EVERY 16u    /* calls of main */

bool gv_inline_fits(const struct grove_method *method)
{
    return method->isolation == GROVE_INLINE && method->request->flat
           && method->request->flat_bytes <= GV_INLINE_BYTES && method->response->flat
           && method->response->flat_bytes <= GV_INLINE_BYTES;
}

/* A response is larger than gv_inline_fits has promised. */
static int refuse(struct grove_answer *answer, const struct grove_shape *shape,
                  const ProtobufCMessage *response)
{
    (void)answer;
    (void)shape;
    (void)response;
    return GROVE_ETOOBIG;
}

/* The caller waits: not parked, but on the same stack below the handler's turn. */
static inline void begin_wait(const struct gv_verb *verb, struct gv_wait *wait,
                              struct gv_turn *turn)
{
    if (gv_unlikely(verb->loop->turn_clock))
        gv_turn_clock_end(verb->loop);
    gv_wait_init(verb->loop, wait, GV_WAIT_CALL, verb->deadline_ms);
    wait->target = gv_task_id(verb->task);
    wait->method = verb->index;
    wait->above = turn;
    verb->turn->wait = wait;
}

/* The caller's turn goes on. */
static inline void end_wait(const struct gv_verb *verb)
{
    struct gv_loop *loop = verb->loop;

    gv_wheel_disarm(&loop->wheel, &verb->turn->wait->timer);
    verb->turn->wait = NULL;
    loop->turn = verb->turn;
    if (gv_unlikely(loop->turn_clock))
        gv_turn_clock_begin(loop);
}

/* With what the caller would have left by now, had it been able to; 0 if it would still be waiting. */
static inline int left_with(const struct gv_verb *verb, const struct gv_turn *turn)
{
    if (gv_unlikely(turn->parked) && verb->deadline_ms != 0
        && !gv_ms_before(verb->loop->now_ms, verb->deadline_ms))
        return GROVE_ETIMEDOUT;
    return gv_unlikely(verb->turn->cancelled) ? GROVE_ECANCELED : 0;
}

/* What the call came to: a code that is noted in the caller's turn. */
static GV_RARE int fail(const struct gv_verb *verb, struct gv_turn *turn, int code)
{
    int left = left_with(verb, turn);

    if (gv_turn_has_failed(turn)) {
        gv_actor_failed(turn);
        code = GROVE_EDOWN;
    } else if (code > 0) {
        code = gv_turn_check_refusal(turn, verb->method, code);
    }
    if (left != 0)
        return gv_turn_failed(verb->turn, NULL, left, GROVE_STARTED_UNKNOWN, NULL);
    return gv_turn_failed(verb->turn, verb->method, code, GROVE_STARTED_YES,
                          gv_turn_reason(turn, code));
}

/*
 * loop->inlined[method] is how often a method was long of late while it is
 * less than LONG_ROW: then its next call is timed. Above that it counts the
 * calls until one is timed again.
 */

/* When a call that shall be timed begins; 0 for the others. */
static inline uint64_t begin_time(const struct gv_verb *verb)
{
    struct gv_loop *loop = verb->loop;

    return gv_unlikely(loop->inlined[verb->index] < LONG_ROW) ? loop->env->now_ns(loop->env->world)
                                                              : 0;
}

/* A timed call is over. */
static GV_RARE void judge_time(const struct gv_verb *verb, uint64_t started_ns)
{
    struct gv_loop *loop = verb->loop;
    uint8_t *n = &loop->inlined[verb->index];

    if (loop->env->now_ns(loop->env->world) - started_ns <= LONG_NS)
        *n = LONG_ROW;
    else if (*n >= LONG_ROW) /* Calls of the same method above it have been timed. */
        *n = 1;
    else if (++*n == LONG_ROW)
        *n = GV_INLINE_NEVER;
}

/* Counts the call, and keeps its method out of the way of others if it takes long. */
static inline void end_time(const struct gv_verb *verb, uint64_t started_ns)
{
    uint8_t *n = &verb->loop->inlined[verb->index];

    if (gv_unlikely(*n == GV_INLINE_NEVER))
        return;
    if (gv_unlikely(started_ns != 0))
        judge_time(verb, started_ns);
    else if (++*n == LONG_ROW + TIMED_EVERY)
        *n = 0;
}

/* One call less until others have their turn. main is no part of a tick: it looks at the clock itself. */
static inline void count(struct gv_loop *loop)
{
    loop->budget--;
    loop->inline_left--;
    if (gv_unlikely(loop->stack == NULL)
        && loop->inline_left % MAIN_LOOK_EVERY == MAIN_LOOK_EVERY - 1)
        gv_main_look(loop);
}

int gv_inline_call(const struct gv_verb *verb, const ProtobufCMessage *request,
                   ProtobufCMessage *response)
{
    _Alignas(16) unsigned char body[GV_INLINE_BYTES], answered[GV_INLINE_BYTES];
    struct grove_answer answer = {.put = refuse, .body = answered, .room = sizeof answered};
    struct gv_actor *actor = (struct gv_actor *)verb->task;
    struct gv_loop *loop = verb->loop;
    struct gv_turn turn;
    struct gv_wait wait;
    uint64_t started_ns;
    int code;

    gv_assert(actor->task.mailbox.head == NULL);
    started_ns = begin_time(verb);
    count(loop);
    verb->method->request->copy(body, request);
    begin_wait(verb, &wait, &turn);
    actor->task.flags = GV_TASK_BUSY;
    turn.task = &actor->task;
    turn.message = NULL;
    turn.method = verb->method;
    turn.index = verb->index;
    turn.deadline_ms = verb->deadline_ms;
    gv_turn_begin(loop, &turn);
    turn.below = &wait;
    code = verb->method->thunk(actor->type->functions, gv_actor_state(actor), body, &answer);
    gv_turn_settle(loop, &turn);
    if (gv_unlikely(code != 0 || turn.odd || left_with(verb, &turn) != 0))
        code = fail(verb, &turn, code);
    gv_turn_end(loop, &turn);
    gv_actor_rest(loop, actor);
    end_wait(verb);
    end_time(verb, started_ns);
    if (gv_likely(code == 0))
        verb->method->response->open(response, answered);
    return code;
}
