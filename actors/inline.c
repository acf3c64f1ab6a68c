#include "actors/inline.h"

#include <grove/error.h>

#include "runtime/go.h"
#include "runtime/park.h"

#define TIMED_EVERY 64u    /* calls of a method */
#define LONG_NS     10000u /* others shall not wait for 64 of these */

bool gv_inline_fits(const struct grove_method *method)
{
    return method->isolation == GROVE_INLINE && method->request->flat
           && method->request->flat_bytes <= GV_INLINE_BYTES && method->response->flat
           && method->response->flat_bytes <= GV_INLINE_BYTES;
}

/* A response that fits_inline promised to be small is not. */
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

/* The handler has returned after its caller's time. */
static inline bool too_late(const struct gv_verb *verb, const struct gv_turn *turn)
{
    return turn->parked && verb->deadline_ms != 0
           && !gv_ms_before(verb->loop->now_ms, verb->deadline_ms);
}

/* What the call came to: 0, or a code that is noted in the caller's turn. */
static GV_RARE int fail(const struct gv_verb *verb, struct gv_turn *turn, int code)
{
    if (turn->failed) {
        gv_actor_failed(turn);
        code = GROVE_EDOWN;
    } else if (code > 0) {
        code = gv_turn_check_refusal(turn, verb->method, code);
    }
    if (too_late(verb, turn))
        return gv_turn_failed(verb->turn, NULL, GROVE_ETIMEDOUT, GROVE_STARTED_UNKNOWN, NULL);
    return gv_turn_failed(verb->turn, verb->method, code, GROVE_STARTED_YES,
                          gv_turn_reason(turn, code));
}

/* When a call that shall be timed begins; 0 for the others. */
static inline uint64_t begin_time(const struct gv_verb *verb)
{
    struct gv_loop *loop = verb->loop;

    return gv_unlikely(loop->inlined[verb->index] == 0) ? loop->env->now_ns(loop->env->world) : 0;
}

/* Counts the call, and keeps its method out of the way of others if it took long. */
static inline void end_time(const struct gv_verb *verb, uint64_t started_ns)
{
    struct gv_loop *loop = verb->loop;
    uint8_t *n = &loop->inlined[verb->index];

    if (gv_unlikely(*n == GV_INLINE_NEVER))
        return;
    *n = (uint8_t)((*n + 1) % TIMED_EVERY);
    if (gv_unlikely(started_ns != 0) && loop->env->now_ns(loop->env->world) - started_ns > LONG_NS)
        *n = GV_INLINE_NEVER;
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

    started_ns = begin_time(verb);
    loop->budget--;
    loop->inline_left--;
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
    if (gv_unlikely(code != 0 || turn.failed || too_late(verb, &turn)))
        code = fail(verb, &turn, code);
    gv_turn_end(loop, &turn);
    gv_actor_rest(loop, actor);
    end_wait(verb);
    end_time(verb, started_ns);
    if (gv_likely(code == 0))
        verb->method->response->open(response, answered);
    return code;
}
