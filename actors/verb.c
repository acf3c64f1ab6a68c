#include "actors/verb.h"

#include <stdio.h>
#include <string.h>

#include <grove/call.h>
#include <grove/error.h>
#include <grove/task.h>

#include "actors/call.h"
#include "actors/deadlock.h"
#include "actors/future.h"
#include "actors/mail.h"
#include "actors/service.h"
#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/options.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"

#define TIMEOUT_WORKER_MS 30000u

/* --- failure records -------------------------------------------------------------------------- */

int gv_turn_failed(struct gv_turn *turn, const struct grove_method *method, int code,
                   enum grove_started started, const char *text)
{
    if (turn == NULL)
        return code;
    turn->refused_by = code > 0 && method != NULL ? method->refusals : NULL;
    turn->why[0] = '\0';
    if (text != NULL)
        (void)snprintf(turn->why, sizeof turn->why, "%s",
                       text); /* A cut reason is still a reason. */
    turn->failure = (struct grove_failure){
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

int gv_turn_take_answer(struct gv_loop *loop, struct gv_turn *turn,
                        const struct grove_method *method, struct gv_message *reply,
                        ProtobufCMessage *response)
{
    int code = reply->code;

    if (code != 0) {
        (void)gv_turn_failed(turn, method, code, gv_reply_started(reply),
                             reply->form_flags & GV_FLAG_TEXT ? (const char *)reply->body
                                                              : NULL); /* Returns code. */
        gv_message_give(&loop->blocks, reply);
        return code;
    }
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

/* --- beginning -------------------------------------------------------------------------------- */

static uint32_t default_timeout_ms(const struct grove_method *method)
{
    if (method->timeout_ms != 0)
        return method->timeout_ms;
    return method->isolation == GROVE_WORKER_PROCESS ? TIMEOUT_WORKER_MS : GV_TIMEOUT_MS;
}

uint32_t gv_turn_deadline(struct gv_loop *loop, struct gv_turn *turn, uint32_t timeout_ms)
{
    uint32_t inherited_ms = turn->deadline_ms, deadline_ms = 0;

    if (turn->within_ms == 0) {
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

/* Who has been told to stop waits for nothing more; nor does one whose time is over. */
static int begin_to_wait(struct gv_verb *verb)
{
    verb->deadline_ms = gv_turn_deadline(verb->loop, verb->turn, default_timeout_ms(verb->method));
    if (verb->turn->cancelled)
        return GROVE_ECANCELED;
    if (verb->deadline_ms != 0 && !gv_ms_before(verb->loop->now_ms, verb->deadline_ms))
        return GROVE_ETIMEDOUT;
    return 0;
}

static inline int begin(struct gv_verb *verb, grove_ref ref, const ProtobufCMessage *request)
{
    int rc = 0;

    if (verb->waits)
        rc = begin_to_wait(verb);
    else if (verb->turn != NULL)
        verb->turn->within_ms = 0;
    if (rc != 0)
        return rc;
    verb->task = gv_mail_task(ref);
    if (verb->task == NULL)
        return GROVE_ENOACTOR;
    return gv_mail_make(verb->loop, ref, verb->index, request, &verb->message);
}

static inline __attribute__((always_inline)) int begin_verb(struct gv_verb *verb, grove_ref ref,
                                                            const struct grove_service *service,
                                                            uint32_t method,
                                                            const ProtobufCMessage *request)
{
    int rc;

    verb->loop = gv_loop_here;
    if (verb->loop == NULL)
        return gv_usage_thread("send");
    verb->turn = verb->loop->turn;
    gv_assert(method < service->n_methods);
    verb->index = gv_method_index(service, method);
    if (verb->index == 0)
        return GROVE_EUSAGE; /* The reason is noted. */
    verb->method = &service->methods[method];
    rc = begin(verb, ref, request);
    if (rc != 0)
        return gv_turn_failed(verb->turn, NULL, rc, GROVE_STARTED_NO, gv_mail_reason(rc));
    return 0;
}

int gv_verb_begin(struct gv_verb *verb, grove_ref ref, const struct grove_service *service,
                  uint32_t method, const ProtobufCMessage *request)
{
    return begin_verb(verb, ref, service, method, request);
}

/* --- send ------------------------------------------------------------------------------------- */

int grove_send(grove_ref ref, const struct grove_service *service, uint32_t method,
               const ProtobufCMessage *request)
{
    struct gv_verb verb = {.waits = false};
    int rc = begin_verb(&verb, ref, service, method, request);

    if (rc != 0)
        return rc;
    rc = gv_mail_post(verb.loop, verb.task, verb.message);
    if (rc != 0) {
        gv_message_give(&verb.loop->blocks, verb.message);
        (void)gv_turn_failed(verb.turn, NULL, rc, GROVE_STARTED_NO,
                             gv_mail_reason(rc)); /* Returns rc. */
    }
    return rc;
}

/* --- await ------------------------------------------------------------------------------------ */

/* The park ended without an answer: the call is given up, if it is still open. */
static int left(struct gv_verb *verb, struct gv_wait *wait, int rc, const char *text)
{
    struct gv_call *call = wait->call != 0 ? gv_call_find(verb->loop, wait->call) : NULL;
    enum grove_started started = GROVE_STARTED_UNKNOWN;

    /* A circle over loops is found late: the handler may have begun, and may even be part of it. */
    if (call != NULL && gv_call_give_up(verb->loop, call))
        started = GROVE_STARTED_NO;
    return gv_turn_failed(verb->turn, NULL, rc, started, text);
}

/* Posts the verb's message as a call and parks until it is answered. *reply is the answer, NULL if there is none. */
static int post_and_park(struct gv_verb *verb, enum gv_wait_kind kind, struct gv_message **reply)
{
    struct gv_loop *loop = verb->loop;
    struct gv_cycle cycle;
    struct gv_wait wait;
    struct gv_call *call;
    int rc;

    *reply = NULL;
    /* Asked before the request leaves, so that nothing has begun if it cannot be waited for. */
    rc = gv_may_park(loop);
    if (rc != 0) {
        gv_message_give(&loop->blocks, verb->message);
        return gv_turn_failed(verb->turn, NULL, rc, GROVE_STARTED_NO, gv_mail_reason(rc));
    }
    gv_wait_init(loop, &wait, kind, verb->deadline_ms);
    wait.target = verb->message->to;
    wait.method = verb->index;
    if (gv_deadlock_closes(loop, &wait, &cycle)) {
        gv_message_give(&loop->blocks, verb->message);
        return gv_turn_failed(verb->turn, NULL, GROVE_EDEADLK, GROVE_STARTED_NO, cycle.text);
    }
    call = gv_call_take(loop, wait.target, verb->index, verb->deadline_ms);
    if (call == NULL) {
        gv_message_give(&loop->blocks, verb->message);
        return gv_turn_failed(verb->turn, NULL, GROVE_ENOMEM, GROVE_STARTED_NO, NULL);
    }
    call->kind = GV_SINK_WAIT;
    call->sink.wait = &wait;
    wait.call = call->id;
    verb->message->call = call->id;
    verb->message->deadline_ms = verb->deadline_ms;
    rc = gv_mail_post(loop, verb->task, verb->message);
    if (rc != 0) {
        gv_message_give(&loop->blocks, verb->message);
        gv_call_give(loop, call);
        return gv_turn_failed(verb->turn, NULL, rc, GROVE_STARTED_NO, gv_mail_reason(rc));
    }
    gv_deadlock_watch(loop, &wait, &cycle);
    rc = gv_park(loop, &wait);
    gv_deadlock_unwatch(loop, &cycle);
    if (wait.message == NULL)
        return left(verb, &wait, rc, rc == GROVE_EDEADLK ? cycle.text : NULL);
    *reply = wait.message;
    return 0;
}

int grove_call_await(grove_ref ref, const struct grove_service *service, uint32_t method,
                     const ProtobufCMessage *request, ProtobufCMessage *response)
{
    struct gv_message *reply;
    struct gv_verb verb = {.waits = true};
    int rc;

    if (!grove_can_await())
        return gv_usage_wait("await");
    rc = begin_verb(&verb, ref, service, method, request);
    if (rc != 0)
        return rc;
    rc = post_and_park(&verb, GV_WAIT_CALL, &reply);
    if (rc != 0)
        return rc;
    return gv_turn_take_answer(verb.loop, verb.turn, verb.method, reply, response);
}

int grove_send_await(grove_ref ref, const struct grove_service *service, uint32_t method,
                     const ProtobufCMessage *request)
{
    struct gv_message *reply;
    struct gv_verb verb = {.waits = true};
    int rc;

    if (!grove_can_await())
        return gv_usage_wait("send_await");
    rc = begin_verb(&verb, ref, service, method, request);
    if (rc != 0)
        return rc;
    if (verb.task->loop == verb.loop->index && !(verb.task->flags & GV_TASK_WAITED)) {
        rc = gv_mail_post(verb.loop, verb.task, verb.message);
        if (rc == 0)
            return 0;
        if (rc != GROVE_EFULL || verb.task->class->fails_when_full) {
            gv_message_give(&verb.loop->blocks, verb.message);
            return gv_turn_failed(verb.turn, NULL, rc, GROVE_STARTED_NO, gv_mail_reason(rc));
        }
    }
    verb.message->form_flags |= GV_FLAG_ENTRY;
    rc = post_and_park(&verb, GV_WAIT_ROOM, &reply);
    if (rc == GROVE_ETIMEDOUT)
        return gv_turn_failed(verb.turn, NULL, GROVE_EFULL, GROVE_STARTED_NO, NULL);
    if (rc != 0)
        return rc;
    return gv_turn_take_answer(verb.loop, verb.turn, verb.method, reply, NULL);
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
