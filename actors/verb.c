#include "actors/verb.h"

#include <stdio.h>
#include <string.h>

#include <grove/call.h>
#include <grove/error.h>
#include <grove/group.h>
#include <grove/task.h>

#include "actors/call.h"
#include "actors/deadlock.h"
#include "actors/future.h"
#include "actors/inline.h"
#include "actors/mail.h"
#include "actors/service.h"
#include "runtime/go.h"
#include "runtime/options.h"
#include "runtime/park.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"
#include "runtime/usage.h"

#define TIMEOUT_WORKER_MS 30000u
#define MARKS_MAX         64u /* turns on one stack: as many calls run inline in a row */

/* --- failure records -------------------------------------------------------------------------- */

int gv_turn_failed(struct gv_turn *turn, const struct grove_method *method, int code,
                   enum grove_started started, const char *text)
{
    struct grove_failure *failure;

    if (turn == NULL || gv_turn_has_failed(turn))
        return code; /* What fails a handler after grove_fail is not its reason. */
    failure = gv_turn_failure(turn);
    turn->refused_by = code > 0 && method != NULL ? method->refusals : NULL;
    turn->why[0] = '\0';
    if (text != NULL)
        (void)snprintf(turn->why, sizeof turn->why, "%s",
                       text); /* A cut reason is still a reason. */
    *failure = (struct grove_failure){
        .class = code > 0                           ? GROVE_REFUSED
                 : started == GROVE_STARTED_UNKNOWN ? GROVE_UNKNOWN
                                                    : GROVE_FAILED,
        .code = code,
        .started = started,
        .refusals = turn->refused_by != NULL ? turn->refused_by->name : NULL,
        .text = turn->why,
    };
    return code;
}

/* An answer that is no 0: notes it. Owns reply; returns its code. */
static GV_RARE int take_failure(struct gv_loop *loop, struct gv_turn *turn,
                                const struct grove_method *method, struct gv_message *reply)
{
    int code = gv_turn_failed(turn, method, reply->code, gv_reply_started(reply),
                              reply->form_flags & GV_FLAG_TEXT ? (const char *)reply->body : NULL);

    gv_message_give(&loop->blocks, reply);
    return code;
}

static inline int take_answer(struct gv_loop *loop, struct gv_turn *turn,
                              const struct grove_method *method, struct gv_message *reply,
                              ProtobufCMessage *response)
{
    if (gv_unlikely(reply->code != 0))
        return take_failure(loop, turn, method, reply);
    if (response != NULL)
        method->response->open(response, reply->body);
    if (response == NULL || method->response->flat) {
        gv_message_give(&loop->blocks, reply);
    } else {
        reply->next = turn->held;
        turn->held = reply;
    }
    return 0;
}

int gv_turn_take_answer(struct gv_loop *loop, struct gv_turn *turn,
                        const struct grove_method *method, struct gv_message *reply,
                        ProtobufCMessage *response)
{
    return take_answer(loop, turn, method, reply, response);
}

/* --- beginning -------------------------------------------------------------------------------- */

static inline uint32_t default_timeout_ms(const struct grove_method *method)
{
    if (method->timeout_ms != 0)
        return method->timeout_ms;
    return method->isolation == GROVE_WORKER_PROCESS ? TIMEOUT_WORKER_MS : GV_TIMEOUT_MS;
}

static inline uint32_t deadline_of(struct gv_loop *loop, struct gv_turn *turn, uint32_t timeout_ms)
{
    uint32_t inherited_ms = turn->deadline_ms, deadline_ms = 0;

    if (gv_likely(turn->within_ms == 0)) {
        deadline_ms = loop->now_ms + timeout_ms;
        deadline_ms += deadline_ms == 0; /* 0 would be none */
    } else if (turn->within_ms != GROVE_INFINITE) {
        deadline_ms = gv_deadline_in(loop, turn->within_ms); /* exact: the user named a figure */
    }
    turn->within_ms = 0;
    if (inherited_ms != 0 && (deadline_ms == 0 || gv_ms_before(inherited_ms, deadline_ms)))
        return inherited_ms;
    return deadline_ms;
}

uint32_t gv_turn_deadline(struct gv_loop *loop, struct gv_turn *turn, uint32_t timeout_ms)
{
    return deadline_of(loop, turn, timeout_ms);
}

/* Nothing has left: notes why and returns code. */
static GV_RARE int refused(struct gv_turn *turn, int code)
{
    return gv_turn_failed(turn, NULL, code, GROVE_STARTED_NO, gv_mail_reason(code));
}

/* The same, of a message that was made already. Owns it. */
static GV_RARE int drop(struct gv_loop *loop, struct gv_message *message, int code)
{
    gv_message_give(&loop->blocks, message);
    return refused(loop->turn, code);
}

/* Why the message could not be made; notes it. */
static GV_RARE int not_made(struct gv_turn *turn, unsigned kind, const struct grove_method *method,
                            const ProtobufCMessage *request)
{
    return refused(turn, gv_mail_obstacle(kind, method->request, request));
}

/* Why nobody can be found there; notes it. */
static GV_RARE int not_found(struct gv_turn *turn, grove_ref ref)
{
    if (gv_ref_kind(ref) != GROVE_REF_GROUP)
        return refused(turn, GROVE_ENOACTOR);
    return gv_turn_failed(turn, NULL, GROVE_ENOTSUP, GROVE_STARTED_NO,
                          "a group answers nothing and makes nobody wait: _publish or _send to it");
}

/* Finds the target. */
static GV_INLINE int find(struct gv_verb *verb, grove_ref ref)
{
    verb->task = gv_mail_task(verb->loop, ref);
    return gv_likely(verb->task != NULL) ? 0 : not_found(verb->turn, ref);
}

/* Makes the message. */
static GV_INLINE int make(struct gv_verb *verb, grove_ref ref, const ProtobufCMessage *request)
{
    if (gv_unlikely(request == NULL))
        return refused(verb->turn, GROVE_EUSAGE);
    verb->message = gv_mail_make(verb->loop, ref, verb->method->request, request);
    if (gv_unlikely(verb->message == NULL))
        return not_made(verb->turn, gv_ref_kind(ref), verb->method, request);
    verb->message->method = verb->index;
    return 0;
}

/* Who calls what. */
static GV_INLINE int introduce(struct gv_verb *verb, const struct grove_service *service,
                               uint32_t method)
{
    verb->turn = verb->loop->turn;
    if (gv_unlikely(method >= service->n_methods))
        return gv_service_lacks(service, method);
    verb->index = gv_method_index(service, method);
    verb->method = &service->methods[method];
    return gv_likely(verb->index != 0) ? 0 : GROVE_EUSAGE; /* The reason is noted. */
}

/*
 * Whom a call goes to, and how long it may take. Who has been told to stop
 * waits for nothing more; nor does one whose time is over.
 */
static GV_INLINE int aim(struct gv_verb *verb, grove_ref ref, const struct grove_service *service,
                         uint32_t method)
{
    int rc = introduce(verb, service, method);

    if (gv_unlikely(rc != 0))
        return rc;
    verb->deadline_ms = deadline_of(verb->loop, verb->turn, default_timeout_ms(verb->method));
    if (gv_unlikely(verb->turn->cancelled))
        return refused(verb->turn, GROVE_ECANCELED);
    if (verb->deadline_ms != 0
        && gv_unlikely(!gv_ms_before(verb->loop->now_ms + GV_NEAR_MS, verb->deadline_ms))
        && gv_loop_has_come(verb->loop, verb->deadline_ms))
        return refused(verb->turn, GROVE_ETIMEDOUT);
    return find(verb, ref);
}

/* The loop of the running turn, or NULL where nothing may suspend. */
static inline struct gv_loop *suspendable(void)
{
    struct gv_loop *loop = gv_loop_here;

    return loop != NULL && loop->turn != NULL ? loop : NULL;
}

int gv_verb_begin(struct gv_verb *verb, grove_ref ref, const struct grove_service *service,
                  uint32_t method, const ProtobufCMessage *request)
{
    int rc;

    verb->loop = gv_loop_here;
    rc = aim(verb, ref, service, method);
    return rc != 0 ? rc : make(verb, ref, request);
}

/* --- send ------------------------------------------------------------------------------------- */

/* There is no task behind this ref: it may be a group. */
static GV_RARE int send_elsewhere(struct gv_turn *turn, grove_ref ref,
                                  const struct grove_service *service, uint32_t method,
                                  const ProtobufCMessage *request)
{
    if (gv_ref_kind(ref) == GROVE_REF_GROUP)
        return grove_group_publish(ref, service, method, request, NULL);
    return refused(turn, GROVE_ENOACTOR);
}

int grove_send(grove_ref ref, const struct grove_service *service, uint32_t method,
               const ProtobufCMessage *request)
{
    struct gv_verb verb = {.loop = gv_loop_here};
    int rc;

    if (gv_unlikely(verb.loop == NULL))
        return gv_usage_thread("send");
    rc = introduce(&verb, service, method);
    if (gv_unlikely(rc != 0))
        return rc;
    if (verb.turn != NULL)
        verb.turn->within_ms = 0;
    verb.task = gv_mail_task(verb.loop, ref);
    if (gv_unlikely(verb.task == NULL))
        return send_elsewhere(verb.turn, ref, service, method, request);
    rc = make(&verb, ref, request);
    if (gv_unlikely(rc != 0))
        return rc;
    rc = gv_mail_post(verb.loop, verb.task, verb.message);
    return gv_likely(rc == 0) ? 0 : drop(verb.loop, verb.message, rc);
}

/* --- await ------------------------------------------------------------------------------------ */

int gv_verb_left(struct gv_loop *loop, struct gv_wait *wait, int rc, const char *text)
{
    struct gv_call *call = wait->call != 0 ? gv_call_find(loop, wait->call) : NULL;
    enum grove_started started = GROVE_STARTED_UNKNOWN;

    /* A circle over loops is found late: the handler may have begun, and may even be part of it. */
    if (call != NULL && gv_call_give_up(loop, call))
        started = GROVE_STARTED_NO;
    return gv_turn_failed(loop->turn, NULL, rc, started, text);
}

/* Posts the verb's message as a call of `wait`. On failure nothing is left to free. */
static GV_INLINE int post(struct gv_verb *verb, struct gv_wait *wait)
{
    struct gv_call *call = gv_call_take(verb->loop, wait->target, verb->index, verb->deadline_ms);
    int rc;

    if (gv_unlikely(call == NULL))
        return drop(verb->loop, verb->message, GROVE_ENOMEM);
    call->kind = GV_SINK_WAIT;
    call->sink.wait = wait;
    wait->call = call->id;
    verb->message->call = call->id;
    verb->message->deadline_ms = verb->deadline_ms;
    rc = gv_mail_post(verb->loop, verb->task, verb->message);
    if (gv_likely(rc == 0))
        return 0;
    gv_call_give(verb->loop, call);
    return drop(verb->loop, verb->message, rc);
}

/* The same, and parks, where a circle may close: it is searched before the request leaves. */
static GV_APART int post_and_park_watched(struct gv_verb verb, struct gv_wait *wait)
{
    struct gv_loop *loop = verb.loop;
    struct gv_cycle cycle;
    int rc;

    if (gv_deadlock_closes(loop, wait, &cycle)) {
        gv_message_give(&loop->blocks, verb.message);
        return gv_turn_failed(verb.turn, NULL, GROVE_EDEADLK, GROVE_STARTED_NO, cycle.text);
    }
    rc = post(&verb, wait);
    if (rc != 0)
        return rc;
    gv_deadlock_watch(loop, wait, &cycle);
    rc = gv_park_now(loop, wait);
    gv_deadlock_unwatch(loop, &cycle);
    if (wait->message == NULL)
        return gv_verb_left(loop, wait, rc, rc == GROVE_EDEADLK ? cycle.text : NULL);
    return 0;
}

/* Posts the verb's message as a call and parks until it is answered: 0, and *reply is the answer; or a failure, noted. */
static GV_INLINE int post_and_park(struct gv_verb *verb, enum gv_wait_kind kind,
                                   struct gv_message **reply)
{
    struct gv_wait wait;
    int rc;

    /* Asked before the request leaves, so that nothing has begun if it cannot be waited for. */
    rc = gv_may_park_for(verb->loop,
                         kind == GV_WAIT_CALL ? "the _await of a call" : "a _send_await");
    if (gv_unlikely(rc != 0))
        return drop(verb->loop, verb->message, rc);
    gv_wait_init(verb->loop, &wait, kind, verb->deadline_ms);
    wait.target = verb->message->to;
    wait.method = verb->index;
    if (gv_likely(gv_deadlock_is_free(verb->loop, verb->turn, verb->task))) {
        rc = post(verb, &wait);
        if (gv_unlikely(rc != 0))
            return rc;
        rc = gv_park_now(verb->loop, &wait);
        if (gv_unlikely(wait.message == NULL))
            return gv_verb_left(verb->loop, &wait, rc, NULL);
    } else {
        rc = post_and_park_watched(*verb, &wait);
        if (rc != 0)
            return rc;
    }
    *reply = wait.message;
    return 0;
}

/* A call that nobody can make. */
static GV_RARE int not_callable(const struct gv_loop *loop, const ProtobufCMessage *request)
{
    if (loop == NULL)
        return gv_usage_wait("await");
    return gv_usage_null("the _await of a call", request == NULL ? "the request" : "the response");
}

/* A call through the mailbox. */
static GV_INLINE int call_queued(struct gv_verb *verb, grove_ref ref,
                                 const ProtobufCMessage *request, ProtobufCMessage *response)
{
    struct gv_message *reply = NULL;
    int rc = make(verb, ref, request);

    if (gv_unlikely(rc != 0))
        return rc;
    rc = post_and_park(verb, GV_WAIT_CALL, &reply);
    if (gv_unlikely(rc != 0))
        return rc;
    return take_answer(verb->loop, verb->turn, verb->method, reply, response);
}

/*
 * A call that is queued because others have their turn now, or because its
 * caller's stack is half full. The caller, and those below it on that stack,
 * park for that reason alone: their methods are no slower than they were.
 */
static GV_APART int call_after_others(struct gv_verb verb, grove_ref ref,
                                      const ProtobufCMessage *request, ProtobufCMessage *response)
{
    uint8_t marks[MARKS_MAX], *inlined = verb.loop->inlined;
    bool would = gv_inline_may(&verb);
    struct gv_turn *turn = verb.turn;
    int rc;

    for (unsigned i = 0; i < MARKS_MAX && turn != NULL; i++) {
        marks[i] = inlined[turn->index];
        turn = turn->below != NULL ? turn->below->turn : NULL;
    }
    rc = call_queued(&verb, ref, request, response);
    turn = would ? verb.turn : NULL;
    for (unsigned i = 0; i < MARKS_MAX && turn != NULL; i++) {
        inlined[turn->index] = marks[i];
        turn = turn->below != NULL ? turn->below->turn : NULL;
    }
    return rc;
}

int grove_call_await(grove_ref ref, const struct grove_service *service, uint32_t method,
                     const ProtobufCMessage *request, ProtobufCMessage *response)
{
    struct gv_verb verb = {.loop = suspendable()};
    int rc;

    if (gv_unlikely(verb.loop == NULL || request == NULL || response == NULL))
        return not_callable(verb.loop, request);
    rc = aim(&verb, ref, service, method);
    if (gv_unlikely(rc != 0))
        return rc;
    if (gv_likely(gv_inline_has_turn(verb.loop))) {
        if (gv_inline_may(&verb))
            return gv_inline_call(&verb, request, response);
    } else if (gv_unlikely(verb.loop->inline_max != 0)) {
        return call_after_others(verb, ref, request, response);
    }
    return call_queued(&verb, ref, request, response);
}

int gv_verb_call_await(struct gv_verb *verb, ProtobufCMessage *response)
{
    struct gv_message *reply = NULL;
    int rc;

    verb->deadline_ms = deadline_of(verb->loop, verb->turn, default_timeout_ms(verb->method));
    rc = post_and_park(verb, GV_WAIT_CALL, &reply);
    return rc != 0 ? rc : take_answer(verb->loop, verb->turn, verb->method, reply, response);
}

int grove_send_await(grove_ref ref, const struct grove_service *service, uint32_t method,
                     const ProtobufCMessage *request)
{
    struct gv_message *reply = NULL;
    struct gv_verb verb = {.loop = suspendable()};
    unsigned home;
    int rc;

    if (verb.loop == NULL)
        return gv_usage_wait("send_await");
    /* It may find room, and must not pass only then. */
    rc = gv_noyield_check(verb.loop, verb.loop->turn, "a _send_await");
    if (rc != 0)
        return gv_turn_failed(verb.loop->turn, NULL, rc, GROVE_STARTED_NO, NULL);
    rc = aim(&verb, ref, service, method);
    if (rc == 0)
        rc = make(&verb, ref, request);
    if (rc != 0)
        return rc;
    home = gv_mail_home(verb.loop, verb.task, verb.message->to);
    if (home != verb.loop->index) {
        if (gv_mail_post_ahead(verb.loop, home, verb.message))
            return 0;
    } else if (!(verb.task->flags & GV_TASK_WAITED)) {
        rc = gv_mail_post(verb.loop, verb.task, verb.message);
        if (rc == 0)
            return 0;
        if (rc != GROVE_EFULL || verb.task->class->fails_when_full)
            return drop(verb.loop, verb.message, rc);
    }
    verb.message->form_flags |= GV_FLAG_ENTRY;
    rc = post_and_park(&verb, GV_WAIT_ROOM, &reply);
    if (rc == GROVE_ETIMEDOUT)
        return gv_turn_failed(verb.turn, NULL, GROVE_EFULL, GROVE_STARTED_NO, NULL);
    if (rc != 0)
        return rc;
    return take_answer(verb.loop, verb.turn, verb.method, reply, NULL);
}

/* --- deadlines -------------------------------------------------------------------------------- */

void grove_within(uint32_t timeout_ms)
{
    struct gv_loop *loop = gv_loop_here;

    if (loop != NULL && loop->turn != NULL)
        loop->turn->within_ms = timeout_ms != 0 ? timeout_ms : 1;
}

uint32_t grove_remaining_ms(void)
{
    struct gv_loop *loop = gv_loop_here;

    if (loop == NULL || loop->turn == NULL || loop->turn->deadline_ms == 0)
        return GROVE_INFINITE;
    gv_loop_look(loop);
    if (!gv_ms_before(loop->now_ms, loop->turn->deadline_ms))
        return 0;
    return loop->turn->deadline_ms - loop->now_ms;
}
