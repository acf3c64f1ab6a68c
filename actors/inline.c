#include "actors/inline.h"

#include <string.h>

#include <grove/error.h>

#include "actors/abandon.h"
#include "actors/call.h"
#include "actors/defer.h"
#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/park.h"
#include "runtime/sanitize.h"

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
    gv_loop_set_turn(loop, verb->turn);
    if (gv_unlikely(loop->turn_clock))
        gv_turn_clock_begin(loop);
}

/* With what the caller would have left by now, had it been able to; 0 if it would still be waiting. */
static inline int left_with(const struct gv_verb *verb, const struct gv_turn *turn)
{
    if (gv_unlikely(turn->parked) && verb->turn->wait->rc != 0)
        return verb->turn->wait->rc; /* Its deadline has come before its answer. */
    return gv_unlikely(verb->turn->cancelled) ? GROVE_ECANCELED : 0;
}

/* The clean-ups of the handler; and its end, if there is no caller any more: below this frame nothing can go on. */
static void clean_up(struct gv_loop *loop, struct gv_turn *turn)
{
    struct gv_actor *actor = (struct gv_actor *)turn->task;

    gv_turn_clean_up(turn);
    gv_turn_settle(loop, turn); /* A clean-up may have begun calls. */
    if (!(turn->odd & GV_ODD_ALONE))
        return;
    if (gv_turn_has_failed(turn))
        gv_actor_failed(turn);
    if (turn->message != NULL) /* It became one, see below; nobody waits for its answer. */
        gv_message_give(&loop->blocks, turn->message);
    gv_turn_end(loop, turn);
    gv_actor_rest(loop, actor);
    gv_stack_end(loop);
}

/* What the call came to: a code that is noted in the caller's turn; 0 if it is none. */
static GV_RARE int fail(const struct gv_verb *verb, struct gv_turn *turn, int code)
{
    int left = left_with(verb, turn);

    if (gv_turn_has_failed(turn)) {
        gv_actor_failed(turn);
        code = GROVE_EDOWN;
    } else if (code > 0) {
        code = gv_turn_check_refusal(turn, verb->method, code);
    } else {
        code = gv_actor_judge(turn, code);
    }
    if (left != 0)
        return gv_turn_failed(verb->turn, NULL, left, GROVE_STARTED_UNKNOWN, NULL);
    if (code == 0)
        return 0;
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

/* All of one call; on its caller's stack. */
struct frame {
    struct gv_turn turn; /* the handler's */
    struct gv_wait wait; /* the caller's */
    _Alignas(16) unsigned char body[GV_INLINE_BYTES];
    _Alignas(16) unsigned char answered[GV_INLINE_BYTES];
};

int gv_inline_convert(struct gv_loop *loop, struct gv_turn *turn)
{
    struct frame *frame = (struct frame *)((char *)turn - offsetof(struct frame, turn));
    struct gv_message *message = gv_message_take(&loop->blocks, sizeof frame->body);
    struct gv_call *call;

    gv_assert(turn->below == &frame->wait && turn->message == NULL);
    if (message == NULL)
        return GROVE_ENOMEM;
    call = gv_call_take(loop, frame->wait.target, turn->index, turn->deadline_ms);
    if (call == NULL) {
        gv_message_give(&loop->blocks, message);
        return GROVE_ENOMEM;
    }
    call->kind = GV_SINK_INLINE;
    call->sink.wait = &frame->wait;
    frame->wait.call = call->id;
    memcpy(message->body, frame->body, sizeof frame->body);
    message->call = call->id;
    message->to = frame->wait.target;
    message->from = frame->wait.turn->task != NULL ? gv_task_id(frame->wait.turn->task) : 0;
    message->deadline_ms = turn->deadline_ms;
    message->method = turn->index;
    turn->message = message;
    turn->odd |= GV_ODD_CONVERTED;
    loop->inlined[turn->index] = GV_INLINE_NEVER; /* The mailbox is the shorter way to the same. */
    return 0;
}

/* The handler has returned, and its answer comes otherwise: the caller parks, as if it had been queued. */
static int await_answer(const struct gv_verb *verb, struct gv_wait *wait, int left,
                        ProtobufCMessage *response)
{
    struct gv_loop *loop = verb->loop;
    int rc = left != 0 || wait->message != NULL ? left : gv_may_park(loop);

    if (rc != 0) {
        if (wait->message != NULL)
            gv_message_give(&loop->blocks, wait->message);
        return gv_verb_left(loop, wait, rc, NULL);
    }
    if (wait->message == NULL) {
        struct gv_call *call = gv_call_find(loop, wait->call);

        gv_assert(call != NULL);
        call->kind = GV_SINK_WAIT;
        wait->target = call->target; /* It may have been delegated. */
        wait->above = NULL;
        rc = gv_park_now(loop, wait);
    }
    if (wait->message == NULL)
        return gv_verb_left(loop, wait, rc, NULL);
    return gv_turn_take_answer(loop, verb->turn, verb->method, wait->message, response);
}

/* The caller is abandoned: nobody takes the answer, nor waits for it. */
static void forget_answer(struct gv_loop *loop, struct gv_wait *wait)
{
    struct gv_call *call = wait->call != 0 ? gv_call_find(loop, wait->call) : NULL;

    if (call != NULL)
        gv_call_give(loop, call);
    if (wait->message != NULL)
        gv_message_give(&loop->blocks, wait->message);
    wait->call = 0;
    wait->message = NULL;
}

/* The handler of a call that became a message has returned. */
static GV_RARE int end_converted(const struct gv_verb *verb, struct frame *frame, int code,
                                 ProtobufCMessage *response)
{
    struct gv_loop *loop = verb->loop;
    struct gv_message *message = frame->turn.message;
    bool answers = message != NULL && message->call != 0;
    int left = left_with(verb, &frame->turn);

    if (answers) {
        gv_call_give(loop, gv_call_find(loop, frame->wait.call));
        frame->wait.call = 0;
    }
    if (answers && (code != 0 || left != 0 || gv_turn_has_failed(&frame->turn)))
        code = fail(verb, &frame->turn, code);
    else if (gv_turn_has_failed(&frame->turn))
        gv_actor_failed(&frame->turn);
    if (message != NULL)
        gv_message_give(&loop->blocks, message);
    gv_turn_end(loop, &frame->turn);
    gv_actor_rest(loop, (struct gv_actor *)verb->task);
    if (verb->turn->odd & GV_ODD_ABANDONED)
        forget_answer(loop, &frame->wait); /* Below, its turn may end for good. */
    end_wait(verb);
    if (!answers)
        return await_answer(verb, &frame->wait, left, response);
    if (code == 0)
        verb->method->response->open(response, frame->answered);
    return code;
}

GV_FRAMED int gv_inline_call(const struct gv_verb *verb, const ProtobufCMessage *request,
                             ProtobufCMessage *response)
{
    struct frame frame;
    struct gv_turn *turn = &frame.turn;
    struct grove_answer answer = {
        .put = refuse, .body = frame.answered, .room = sizeof frame.answered};
    struct gv_actor *actor = (struct gv_actor *)verb->task;
    struct gv_loop *loop = verb->loop;
    uint64_t started_ns;
    int code;

    gv_assert(actor->task.mailbox.head == NULL);
    started_ns = begin_time(verb);
    count(loop);
    verb->method->request->copy(frame.body, request);
    begin_wait(verb, &frame.wait, turn);
    actor->task.flags = GV_TASK_BUSY;
    turn->task = &actor->task;
    turn->message = NULL;
    turn->method = verb->method;
    turn->index = verb->index;
    turn->deadline_ms = verb->deadline_ms;
    gv_turn_begin(loop, turn);
    turn->below = &frame.wait;
    code = verb->method->thunk(actor->type->functions, gv_actor_state(actor), frame.body, &answer);
    gv_turn_settle(loop, turn);
    if (gv_unlikely(code != 0 || turn->odd || left_with(verb, turn) != 0)) {
        clean_up(loop, turn);
        if (turn->odd & GV_ODD_CONVERTED)
            return end_converted(verb, &frame, code, response);
        code = fail(verb, turn, code);
    }
    gv_turn_end(loop, turn);
    gv_actor_rest(loop, actor);
    end_wait(verb);
    end_time(verb, started_ns);
    if (gv_likely(code == 0))
        verb->method->response->open(response, frame.answered);
    return code;
}
