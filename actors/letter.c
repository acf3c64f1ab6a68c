/*
 * Letter: mail of greenlets, read in straight lines.
 *
 * The letters a greenlet has received hang on its turn's `held` list, so
 * their requests can be read until the scope they were received in ends. A
 * letter whose caller still waits when it is freed is failed: nobody can
 * forget to answer and leave a caller hanging.
 */
#include <grove/task.h>

#include <string.h>

#include "actors/alarm.h"
#include "actors/call.h"
#include "actors/letter.h"
#include "actors/mail.h"
#include "actors/monitor.h"
#include "actors/service.h"
#include "actors/verb.h"
#include "runtime/go.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

void gv_letters_fail(struct gv_loop *loop, struct gv_turn *turn)
{
    if (turn->letter == NULL)
        return;
    gv_call_fail(loop, turn->letter, GROVE_EDOWN, GROVE_STARTED_YES,
                 "the greenlet went on without an answer");
    turn->letter = NULL;
}

/* Where the request of a letter begins. */
static void *body_of(struct gv_message *message)
{
    bool is_tick = (message->form_flags & GV_FORM_MASK) == GV_FORM_TICK;

    return message->body + (is_tick ? sizeof(struct gv_tick) : 0);
}

/* A tick has come. False if its timer is no longer armed. */
static bool strikes(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_task *task = loop->turn->task;
    struct gv_tick tick;

    if (!gv_alarm_strikes(loop, task, message, &tick))
        return false;
    gv_alarm_struck(loop, task, &tick, NULL);
    return true;
}

/* Opens the request into memory of the turn. */
static int open_letter(struct gv_loop *loop, struct gv_turn *turn, struct gv_message *message,
                       struct grove_letter *letter)
{
    const struct grove_method *method = gv_method(message->method);
    const struct gv_task *from = message->from != 0 ? gv_slot_find(message->from) : NULL;
    ProtobufCMessage *request;

    request =
        gv_arena_take(&turn->arena, &loop->blocks, method->request->descriptor->sizeof_message);
    if (request == NULL)
        return GROVE_ENOMEM;
    protobuf_c_message_init(method->request->descriptor, request);
    method->request->open(request, body_of(message));
    *letter = (struct grove_letter){
        .method = method,
        .request = request,
        .call = message->call,
        .from = from != NULL ? gv_task_ref(from) : GROVE_NOBODY,
    };
    return 0;
}

int grove_receive_await(uint32_t timeout_ms, struct grove_letter *letter)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_message *message, *copy;
    struct gv_turn *turn;
    int rc;

    if (loop == NULL || loop->turn == NULL)
        return gv_usage_wait("grove_receive_await");
    if (letter == NULL)
        return gv_usage_null("grove_receive_await", "the letter");
    turn = loop->turn;
    gv_letters_fail(loop, turn);
    do {
        rc = turn->task != NULL ? gv_receive(loop, timeout_ms, &message)
                                : gv_monitor_receive_main(loop, timeout_ms, &message);
        if (rc != 0)
            return rc;
        if (gv_monitor_is_down(message)) {
            if (gv_monitor_open_letter(loop, message, letter))
                return 0;
            message = NULL;
            continue;
        }
        if ((message->form_flags & GV_FORM_MASK) == GV_FORM_TICK && !strikes(loop, message)) {
            gv_message_give(&loop->blocks, message);
            message = NULL;
            continue;
        }
        if (message->deadline_ms == 0 || gv_ms_before(loop->now_ms, message->deadline_ms))
            break;
        gv_mail_orphaned(loop, message, GROVE_ETIMEDOUT, GROVE_DEAD_EXPIRED);
        message = NULL;
    } while (message == NULL);
    /* The body stays readable; the answer needs an envelope of its own, taken now so that it cannot fail later. */
    copy = message->call != 0 ? gv_message_take(&loop->blocks, GV_WHY_BYTES) : NULL;
    rc = message->call != 0 && copy == NULL ? GROVE_ENOMEM
                                            : open_letter(loop, turn, message, letter);
    if (rc != 0) {
        if (copy != NULL)
            gv_message_give(&loop->blocks, copy);
        gv_call_fail(loop, message, rc, GROVE_STARTED_NO, NULL);
        return rc;
    }
    if (copy != NULL) {
        copy->call = message->call;
        copy->from = message->from;
        copy->method = message->method;
        copy->deadline_ms = message->deadline_ms;
    }
    turn->letter = copy;
    message->next = turn->held;
    turn->held = message;
    return 0;
}

/* The response in a message of its own, NULL as gv_mail_make_copy. */
static struct gv_message *respond(struct gv_loop *loop, const struct grove_letter *letter,
                                  const ProtobufCMessage *response)
{
    struct gv_message *reply = gv_mail_make_copy(loop, letter->method->response, response);

    if (reply == NULL)
        return NULL;
    reply->call = letter->call;
    reply->code = 0;
    return reply;
}

int grove_letter_answer(const struct grove_letter *letter, int code,
                        const ProtobufCMessage *response)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_message *envelope, *reply;
    struct gv_turn *turn;

    if (loop == NULL || loop->turn == NULL)
        return gv_usage_thread("grove_letter_answer");
    if (letter == NULL)
        return gv_usage_null("grove_letter_answer", "the letter");
    if (letter->call == 0)
        return gv_usage("grove_letter_answer: the letter was sent, nobody waits for an answer");
    if (code == 0 && response == NULL)
        return gv_usage("grove_letter_answer: code 0 needs a response");
    turn = loop->turn;
    envelope = turn->letter;
    if (envelope == NULL || envelope->call != letter->call)
        return gv_usage("grove_letter_answer: the letter was answered already, or a later one was "
                        "received");
    turn->letter = NULL;
    if (code > 0)
        code = gv_turn_check_refusal(turn, letter->method, code);
    if (code != 0) {
        gv_call_fail(loop, envelope, code, GROVE_STARTED_YES, gv_turn_reason(turn, code));
        return 0;
    }
    reply = respond(loop, letter, response);
    if (reply == NULL) {
        code = gv_mail_obstacle(GROVE_REF_ACTOR, letter->method->response, response);
        gv_call_fail(loop, envelope, code, GROVE_STARTED_YES, gv_mail_reason(code));
        return gv_turn_failed(turn, NULL, code, GROVE_STARTED_YES, gv_mail_reason(code));
    }
    gv_message_give(&loop->blocks, envelope);
    gv_call_answer(loop, reply);
    return 0;
}
