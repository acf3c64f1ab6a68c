#include "actors/reply.h"

#include <stdlib.h>
#include <string.h>

#include <grove/error.h>
#include <grove/reply.h>

#include "actors/call.h"
#include "actors/deadlock.h"
#include "actors/inline.h"
#include "actors/kept.h"
#include "actors/mail.h"
#include "actors/service.h"
#include "actors/verb.h"
#include "runtime/park.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

#define SLOTS_MIN 4u
#define LEFT \
    (UINT32_MAX - 1) /* no slot any more: its caller has left, and it made room for others */

/* --- slots ------------------------------------------------------------------------------------ */

static bool grow(struct gv_replies *replies, uint32_t n_max)
{
    uint32_t n = replies->n_slots != 0 ? replies->n_slots * 2 : SLOTS_MIN;
    struct gv_reply_slot *slots;

    if (n > n_max)
        n = n_max;
    slots = realloc(replies->slots, n * sizeof *slots);
    if (slots == NULL)
        return false;
    for (uint32_t i = replies->n_slots; i < n; i++) {
        slots[i] = (struct gv_reply_slot){.next = replies->free};
        replies->free = i + 1;
    }
    replies->slots = slots;
    replies->n_slots = n;
    return true;
}

/* Takes the envelope out of a slot, which is free then. */
static struct gv_message *empty(struct gv_replies *replies, uint32_t i)
{
    struct gv_message *envelope = replies->slots[i].envelope;

    replies->slots[i].left_before |= replies->slots[i].left_last;
    replies->slots[i].left_last = false;
    replies->slots[i].envelope = NULL;
    replies->slots[i].generation++;
    replies->slots[i].next = replies->free;
    replies->free = i + 1;
    replies->n--;
    return envelope;
}

static bool is_wanted(const struct gv_loop *loop, const struct gv_message *envelope)
{
    return envelope->call != 0
           && (envelope->deadline_ms == 0 || gv_ms_before(loop->now_ms, envelope->deadline_ms));
}

/* Makes room by those whose callers have left. */
static void reap(struct gv_loop *loop, struct gv_replies *replies)
{
    gv_loop_look(loop);
    for (uint32_t i = 0; i < replies->n_slots; i++)
        if (replies->slots[i].envelope != NULL && !is_wanted(loop, replies->slots[i].envelope)) {
            gv_call_fail(loop, empty(replies, i), GROVE_ETIMEDOUT, GROVE_STARTED_YES, NULL);
            replies->slots[i].left_last = true;
        }
}

/* Room for one more. Returns 0, GROVE_EFULL or GROVE_ENOMEM. */
static int make_room(struct gv_loop *loop, struct gv_replies *replies, uint32_t n_max)
{
    if (replies->n >= n_max)
        reap(loop, replies);
    if (replies->n >= n_max) {
        (void)gv_usage("grove_reply_defer: %u callers wait for deferred replies, as many as the "
                       "mailbox holds messages (depth_max)",
                       replies->n);
        return GROVE_EFULL;
    }
    return replies->free != 0 || grow(replies, n_max) ? 0 : GROVE_ENOMEM;
}

static uint64_t put(struct gv_replies *replies, struct gv_message *envelope)
{
    uint32_t i = replies->free - 1;
    struct gv_reply_slot *slot = &replies->slots[i];

    replies->free = slot->next;
    slot->envelope = envelope;
    replies->n++;
    return (uint64_t)slot->generation << 32 | (i + 1);
}

void gv_replies_forget(struct gv_replies *replies, uint64_t call)
{
    for (uint32_t i = 0; i < replies->n_slots; i++)
        if (replies->slots[i].envelope != NULL && replies->slots[i].envelope->call == call)
            replies->slots[i].envelope->call = 0;
}

bool gv_replies_wait(const struct gv_replies *replies)
{
    for (uint32_t i = 0; replies->n > 0 && i < replies->n_slots; i++)
        if (replies->slots[i].envelope != NULL && replies->slots[i].envelope->call != 0)
            return true;
    return false;
}

void gv_replies_end(struct gv_loop *loop, struct gv_replies *replies)
{
    for (uint32_t i = 0; i < replies->n_slots; i++)
        if (replies->slots[i].envelope != NULL)
            gv_call_fail(loop, empty(replies, i), GROVE_EDOWN, GROVE_STARTED_YES,
                         "it ended before it had sent its deferred reply");
}

/* --- duties ----------------------------------------------------------------------------------- */

/* The call that the running turn must answer: its request, or a greenlet's letter. NULL if there is none. */
static struct gv_message *running_duty(struct gv_turn *turn)
{
    struct gv_message *duty = turn->message != NULL ? turn->message : turn->letter;

    return duty != NULL && duty->call != 0 ? duty : NULL;
}

/* The same; an inline call becomes a message first. Returns 0 or a code, noted. */
static int find_running(struct gv_loop *loop, const char *function, struct gv_message **duty)
{
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;

    if (turn == NULL || turn->task == NULL)
        return gv_usage("%s: nobody is being served here; call it in a handler, or in a greenlet "
                        "that has received a call",
                        function);
    if (turn->below != NULL && turn->message == NULL && gv_inline_convert(loop, turn) != 0)
        return gv_turn_failed(turn, NULL, GROVE_ENOMEM, GROVE_STARTED_NO, NULL);
    *duty = running_duty(turn);
    if (*duty == NULL)
        return gv_usage("%s: nobody waits for an answer: the message was sent, is a tick of a "
                        "timer, or was answered or deferred already",
                        function);
    return 0;
}

/* The turn has no duty any more: what its handler returns goes to nobody. */
static void release(struct gv_loop *loop, struct gv_turn *turn)
{
    if (turn->message != NULL) {
        turn->message->call = 0;
        return;
    }
    gv_message_give(&loop->blocks, turn->letter);
    turn->letter = NULL;
}

/* True if the token was taken away because its caller had left, or may have been. */
static bool has_left(const struct gv_replies *replies, uint32_t i, uint32_t generation)
{
    const struct gv_reply_slot *slot = &replies->slots[i];
    bool is_last = slot->generation == generation + 1;

    return is_last && slot->envelope == NULL ? slot->left_last
                                             : slot->left_before || (is_last && slot->left_last);
}

/* The slot of a token of the running task; LEFT; or UINT32_MAX, with the reason noted, if it has none. */
static uint32_t find_slot(struct gv_loop *loop, const grove_token *token,
                          struct gv_replies **replies)
{
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;
    uint32_t i = token != NULL ? (uint32_t)token->number - 1 : 0;
    struct gv_kept *kept;

    if (token == NULL)
        return (void)gv_usage_null("a reply", "the token"), UINT32_MAX;
    if (turn == NULL || turn->task == NULL || gv_task_id(turn->task) != token->owner) {
        (void)gv_usage("a reply token is good in turns of the actor or greenlet that made it only; "
                       "to let another one answer, delegate");
        return UINT32_MAX;
    }
    kept = gv_kept_find(loop, turn->task, false);
    if (kept == NULL || i >= kept->replies.n_slots || kept->replies.slots[i].envelope == NULL
        || kept->replies.slots[i].generation != token->number >> 32) {
        if (kept != NULL && i < kept->replies.n_slots
            && has_left(&kept->replies, i, (uint32_t)(token->number >> 32)))
            return LEFT;
        (void)gv_usage("this reply token was used already: answered, delegated or dropped");
        return UINT32_MAX;
    }
    *replies = &kept->replies;
    return i;
}

/* --- for users -------------------------------------------------------------------------------- */

int grove_reply_defer(grove_token *token)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_message *duty, *envelope;
    struct gv_kept *kept;
    struct gv_turn *turn;
    int rc = token != NULL ? find_running(loop, "grove_reply_defer", &duty)
                           : gv_usage_null("grove_reply_defer", "the token");

    if (rc != 0)
        return rc;
    turn = loop->turn;
    kept = gv_kept_find(loop, turn->task, true);
    rc = kept != NULL
             ? make_room(loop, &kept->replies, gv_kept_task(loop, turn->task)->bounds.depth_max)
             : GROVE_ENOMEM;
    if (rc != 0)
        return rc;
    envelope = gv_message_take(&loop->blocks, GV_WHY_BYTES);
    if (envelope == NULL)
        return GROVE_ENOMEM;
    envelope->call = duty->call;
    envelope->from = duty->from;
    envelope->method = duty->method;
    envelope->deadline_ms = duty->deadline_ms;
    release(loop, turn);
    token->owner = gv_task_id(turn->task);
    token->number = put(&kept->replies, envelope);
    return 0;
}

bool grove_reply_wanted(const grove_token *token)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_turn *turn = loop != NULL && token != NULL ? loop->turn : NULL;
    struct gv_kept *kept;
    uint32_t i;

    if (turn == NULL || turn->task == NULL || gv_task_id(turn->task) != token->owner)
        return false;
    i = (uint32_t)token->number - 1;
    kept = gv_kept_find(loop, turn->task, false);
    if (kept == NULL || i >= kept->replies.n_slots || kept->replies.slots[i].envelope == NULL
        || kept->replies.slots[i].generation != token->number >> 32)
        return false;
    gv_loop_look(loop);
    return is_wanted(loop, kept->replies.slots[i].envelope);
}

/* The envelope with a response in it, or with a failure if that cannot be made. Returns 0 or the code of that. */
static int send_response(struct gv_loop *loop, struct gv_message *envelope,
                         const ProtobufCMessage *response)
{
    const struct grove_shape *shape = gv_methods[envelope->method].method->response;
    struct gv_message *reply = gv_mail_make_copy(loop, shape, response);
    int code;

    if (reply == NULL) {
        code = gv_mail_obstacle(GROVE_REF_ACTOR, shape, response);
        gv_call_fail(loop, envelope, code, GROVE_STARTED_YES, gv_mail_reason(code));
        return gv_turn_failed(loop->turn, NULL, code, GROVE_STARTED_YES, gv_mail_reason(code));
    }
    reply->call = envelope->call;
    reply->code = 0;
    gv_message_give(&loop->blocks, envelope);
    gv_call_answer(loop, reply);
    return 0;
}

int grove_reply(const grove_token *token, const struct grove_service *service, uint32_t method,
                int code, const ProtobufCMessage *response)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_message *envelope;
    struct gv_replies *replies;
    uint32_t i = find_slot(loop, token, &replies);

    if (i >= LEFT)
        return i == LEFT ? 0 : GROVE_EUSAGE;
    if (method >= service->n_methods)
        return gv_service_lacks(service, method);
    envelope = replies->slots[i].envelope;
    if (envelope->method != gv_method_index(service, method))
        return gv_usage("the reply token is of %s, and cannot be answered as %s",
                        gv_methods[envelope->method].method->name, service->methods[method].name);
    if (code == 0 && response == NULL)
        return gv_usage("grove_reply: code 0 needs a response");
    (void)empty(replies, i); /* It is envelope. */
    if (envelope->call == 0) {
        gv_message_give(&loop->blocks, envelope);
        return 0;
    }
    if (code == 0)
        return send_response(loop, envelope, response);
    if (code > 0)
        code = gv_turn_check_refusal(loop->turn, &service->methods[method], code);
    gv_call_fail(loop, envelope, code, GROVE_STARTED_YES, gv_turn_reason(loop->turn, code));
    return 0;
}

void grove_reply_drop(const grove_token *token)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_replies *replies;
    uint32_t i = find_slot(loop, token, &replies);

    if (i < LEFT)
        gv_call_fail(loop, empty(replies, i), GROVE_EBROKEN, GROVE_STARTED_YES,
                     "the receiver dropped its duty to reply");
}

/* --- delegating ------------------------------------------------------------------------------- */

struct moved {
    uint64_t call;
    uint64_t to; /* task id */
};

/* The wait that a call of this loop wakes; NULL if nobody is parked in one. */
static struct gv_wait *wait_of(const struct gv_call *call)
{
    if (call->kind == GV_SINK_WAIT || call->kind == GV_SINK_INLINE)
        return call->sink.wait;
    return call->kind == GV_SINK_FUTURE ? call->sink.future->waiter : NULL;
}

/* One that runs inline waits for the handler above it first, whatever that does with its call. */
static void set_target(struct gv_call *call, uint64_t to)
{
    call->target = to;
    if (call->kind == GV_SINK_FUTURE)
        call->sink.future->target = to;
    else if (call->kind == GV_SINK_WAIT)
        call->sink.wait->target = to;
}

/* True if a caller of this loop would wait in a circle for `to`. */
static bool would_close(struct gv_loop *loop, struct gv_call *call, uint64_t to,
                        struct gv_cycle *cycle)
{
    struct gv_wait *wait = wait_of(call);
    uint64_t before = call->target;
    bool closes;

    if (wait == NULL || wait->woken)
        return false;
    set_target(call, to);
    if (call->kind == GV_SINK_INLINE)
        wait->target = to;
    closes = gv_deadlock_closes(loop, wait, cycle);
    set_target(call, before);
    if (call->kind == GV_SINK_INLINE)
        wait->target = before;
    return closes;
}

/* Somebody has left, or has its answer: whoever was to give it need not. */
static void cancel(struct gv_loop *loop, const struct moved *moved)
{
    struct gv_task *task = gv_slot_find(moved->to);
    struct gv_message *message =
        task != NULL ? gv_message_take(&loop->blocks, sizeof moved->call) : NULL;

    if (message == NULL)
        return; /* The request will be skipped at its deadline instead. */
    message->method = GV_SIGNAL_CANCEL;
    message->to = moved->to;
    memcpy(message->body, &moved->call, sizeof moved->call);
    gv_signal_send(loop, task, message);
}

void gv_reply_moved(struct gv_loop *loop, struct gv_message *message)
{
    struct moved moved = *(struct moved *)(void *)message->body;
    struct gv_call *call = gv_call_find(loop, moved.call);
    struct gv_cycle cycle;

    gv_message_give(&loop->blocks, message);
    if (call == NULL) {
        cancel(loop, &moved);
        return;
    }
    set_target(call, moved.to);
    if (call->kind == GV_SINK_WAIT && would_close(loop, call, moved.to, &cycle))
        gv_deadlock_tell(loop, call->sink.wait, &cycle);
}

/* What a delegation is about. */
struct order {
    struct gv_loop *loop;
    struct gv_message *duty; /* the running request, a letter, or an envelope */
    grove_ref ref;
    const struct grove_method *method;
    uint16_t index;
};

static int check_types(const struct order *order)
{
    const struct grove_method *from = gv_methods[order->duty->method].method;

    if (from->response->descriptor != order->method->response->descriptor)
        return gv_usage("%s cannot be delegated to %s: its caller waits for %s and would get %s",
                        from->name, order->method->name, from->response->descriptor->name,
                        order->method->response->descriptor->name);
    if (from->refusals != order->method->refusals)
        return gv_usage("%s cannot be delegated to %s: their refusals are of different enums",
                        from->name, order->method->name);
    return 0;
}

/* Tells the call's record who answers now. */
static void tell(struct gv_loop *loop, uint64_t id, uint64_t to)
{
    unsigned home = (unsigned)(id >> GV_CALL_LOOP_SHIFT);
    struct gv_call *call = gv_call_find(loop, id);
    struct gv_message *message;

    if (call != NULL)
        set_target(call, to);
    if (home == loop->index || home >= gv_runtime.n_loops)
        return;
    message = gv_message_take(&loop->blocks, sizeof(struct moved));
    if (message == NULL)
        return; /* Then its giving up goes to this actor, who cannot help it. */
    message->method = GV_SIGNAL_MOVED;
    *(struct moved *)(void *)message->body = (struct moved){id, to};
    gv_loop_post(loop, home, message);
}

/* Sends the request on, and tells who answers now. Returns 0 or a code. */
static int post(const struct order *order, const ProtobufCMessage *request)
{
    struct gv_loop *loop = order->loop;
    struct gv_task *task = gv_mail_task(loop, order->ref);
    struct gv_call *call = gv_call_find(loop, order->duty->call);
    struct gv_cycle cycle;
    struct gv_message *message;
    uint64_t to = gv_ref_id(order->ref);
    int rc;

    if (task == NULL)
        return gv_turn_failed(loop->turn, NULL, GROVE_ENOACTOR, GROVE_STARTED_NO, NULL);
    if (call != NULL && would_close(loop, call, to, &cycle))
        return gv_turn_failed(loop->turn, NULL, GROVE_EDEADLK, GROVE_STARTED_NO, cycle.text);
    message = gv_mail_make(loop, order->ref, order->method->request, request);
    if (message == NULL) {
        rc = gv_mail_obstacle(gv_ref_kind(order->ref), order->method->request, request);
        return gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_NO, gv_mail_reason(rc));
    }
    message->method = order->index;
    message->from = order->duty->from;
    message->call = order->duty->call;
    message->deadline_ms = order->duty->deadline_ms;
    message->form_flags |= GV_FLAG_BEGUN;
    rc = gv_mail_post(loop, task, message);
    if (rc == 0)
        return tell(loop, order->duty->call, to), 0;
    gv_message_give(&loop->blocks, message);
    return gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_NO, gv_mail_reason(rc));
}

int grove_delegate(const grove_token *token, grove_ref ref, const struct grove_service *service,
                   uint32_t method, const ProtobufCMessage *request)
{
    struct order order = {.loop = gv_loop_here, .ref = ref};
    struct gv_replies *replies = NULL;
    uint32_t i = 0;
    int rc;

    if (request == NULL || method >= service->n_methods)
        return request == NULL ? gv_usage_null("grove_delegate", "the request")
                               : gv_service_lacks(service, method);
    order.method = &service->methods[method];
    order.index = gv_method_index(service, method);
    if (token == NULL) {
        rc = find_running(order.loop, "grove_delegate", &order.duty);
        if (rc != 0)
            return rc;
    } else {
        i = find_slot(order.loop, token, &replies);
        if (i >= LEFT)
            return i == LEFT ? 0 : GROVE_EUSAGE;
        order.duty = replies->slots[i].envelope;
    }
    rc = order.index != 0 ? check_types(&order) : GROVE_EUSAGE;
    if (rc == 0 && order.duty->call != 0)
        rc = post(&order, request);
    if (rc != 0)
        return rc;
    if (token == NULL)
        release(order.loop, order.loop->turn);
    else
        gv_message_give(&order.loop->blocks, empty(replies, i));
    return 0;
}
