#include "actors/items.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "actors/call.h"
#include "actors/future.h"
#include "actors/mail.h"
#include "actors/verb.h"
#include "runtime/assert.h"
#include "runtime/noyield.h"
#include "runtime/park.h"
#include "runtime/usage.h"

#define AWAIT "the _next_await of a stream"

/* --- what comes ----------------------------------------------------------------------------------- */

static void wake(struct gv_loop *loop, struct gv_items *items)
{
    struct gv_wait *wait = items->waiter;

    if (wait == NULL || wait->woken)
        return;
    items->waiter = NULL;
    gv_wake(loop, wait, 0);
}

void gv_items_came(struct gv_loop *loop, struct gv_call *call, struct gv_message *reply)
{
    struct gv_items *items = call->sink.items;

    if (call->answered) {
        gv_message_give(&loop->blocks, reply);
        return;
    }
    if (reply->form_flags & GV_FLAG_ITEM) {
        items->any_came = true;
        reply->next = NULL;
        if (items->tail != NULL)
            items->tail->next = reply;
        else
            items->head = reply;
        items->tail = reply;
    } else {
        gv_wheel_disarm(&loop->wheel, &call->timer);
        call->answered = 1;
        call->reply = reply;
    }
    wake(loop, items);
}

static void expired(struct gv_timer *timer)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_call *call = (struct gv_call *)((char *)timer - offsetof(struct gv_call, timer));
    struct gv_items *items = call->sink.items;

    call->answered = 1;                 /* A pool that ends may answer at once. */
    (void)gv_call_withdraw(loop, call); /* Pools never know at once. */
    items->code = GROVE_ETIMEDOUT;
    items->started = items->any_came ? GROVE_STARTED_YES : GROVE_STARTED_UNKNOWN;
    wake(loop, items);
}

static void free_taken(struct gv_loop *loop, struct gv_items *items)
{
    if (items->taken != NULL)
        gv_message_give(&loop->blocks, items->taken);
    items->taken = NULL;
}

void gv_items_free(struct gv_loop *loop, struct gv_items *items)
{
    free_taken(loop, items);
    while (items->head != NULL) {
        struct gv_message *item = items->head;

        items->head = item->next;
        gv_message_give(&loop->blocks, item);
    }
    free(items);
}

/* --- open ----------------------------------------------------------------------------------------- */

/* The stream has never begun: notes why, in it too. */
static int not_opened(struct grove_item_stream *stream, int code)
{
    stream->rc = code;
    return code;
}

/* Why no stream can be had there, 0 if one can. */
static int check(struct gv_loop *loop, grove_ref ref, const struct grove_method *method)
{
    if (method->kind != GROVE_SERVER_STREAM)
        return gv_usage("%s gives one answer; call its _await", method->name);
    if (gv_ref_kind(ref) != GROVE_REF_POOL && gv_mail_task(loop, ref) != NULL)
        return gv_turn_failed(loop->turn, NULL, GROVE_ENOTSUP, GROVE_STARTED_NO,
                              "a stream comes from workers; open it at the ref of grove_pool_open");
    return 0;
}

/* Its call, in no list yet; NULL: no memory. */
static struct gv_call *take_call(const struct gv_verb *verb)
{
    struct gv_items *items = calloc(1, sizeof *items);
    struct gv_call *call = NULL;

    if (items != NULL)
        call = gv_call_take(verb->loop, verb->message->to, verb->index, verb->deadline_ms);
    if (call == NULL) {
        free(items);
        return NULL;
    }
    items->credit = gv_items_credit(verb->method);
    call->kind = GV_SINK_STREAM;
    call->answered = 0;
    call->reply = NULL;
    call->sink.items = items;
    call->turn = verb->turn;
    return call;
}

int grove_items_open(grove_ref ref, const struct grove_service *service, uint32_t method,
                     const ProtobufCMessage *request, struct grove_item_stream *stream)
{
    struct gv_verb verb = {.loop = gv_loop_here};
    struct gv_call *call;
    int rc;

    if (stream == NULL)
        return gv_usage("open of a stream: the stream is NULL; give a struct to keep it in");
    *stream = (struct grove_item_stream){0};
    if (verb.loop == NULL || verb.loop->turn == NULL)
        return not_opened(stream, gv_usage_wait("open of a stream"));
    rc = check(verb.loop, ref, &service->methods[method]);
    if (rc == 0)
        rc = gv_verb_begin(&verb, ref, service, method, request);
    if (rc != 0)
        return not_opened(stream, rc);
    call = take_call(&verb);
    if (call != NULL) {
        verb.message->form_flags |= GV_FLAG_STREAM;
        verb.message->call = call->id;
        verb.message->deadline_ms = verb.deadline_ms;
        rc = gv_mail_post(verb.loop, verb.task, verb.message);
    } else {
        rc = GROVE_ENOMEM;
    }
    if (rc != 0) {
        gv_message_give(&verb.loop->blocks, verb.message);
        if (call != NULL) {
            gv_items_free(verb.loop, call->sink.items);
            gv_call_give(verb.loop, call);
        }
        return not_opened(
            stream, gv_turn_failed(verb.turn, NULL, rc, GROVE_STARTED_NO, gv_mail_reason(rc)));
    }
    if (verb.deadline_ms != 0) {
        call->timer.fire = expired;
        gv_wheel_arm(&verb.loop->wheel, &call->timer, verb.deadline_ms);
    }
    stream->call = call->id;
    call->next = verb.turn->futures;
    verb.turn->futures = call;
    return 0;
}

/* --- take ----------------------------------------------------------------------------------------- */

/* The call of a stream of the running turn, NULL if it has none (any more). */
static struct gv_call *find(struct gv_loop *loop, const struct grove_item_stream *stream)
{
    struct gv_call *call = gv_call_find(loop, stream->call);

    return call != NULL && call->kind == GV_SINK_STREAM && call->turn == loop->turn ? call : NULL;
}

static void unlink_call(struct gv_turn *turn, struct gv_call *call)
{
    struct gv_call **link = &turn->futures;

    while (*link != call)
        link = &(*link)->next;
    *link = call->next;
}

/* Tells the pool what was taken, when it is half of what may be. False: no memory, nothing is forgotten. */
static bool give_back(struct gv_loop *loop, struct gv_call *call)
{
    struct gv_items *items = call->sink.items;
    const struct gv_credit credit = {call->id, items->bytes_back, items->items_back};
    struct gv_task *pool;
    struct gv_message *message;

    if (call->answered
        || (2 * items->items_back < items->credit && 2 * items->bytes_back < GROVE_CREDIT_BYTES))
        return true;
    pool = gv_slot_find(call->target);
    if (pool == NULL)
        return true; /* Its end has answered the call, which is on its way. */
    message = gv_message_take(&loop->blocks, sizeof credit);
    if (message == NULL)
        return false;
    message->method = GV_SIGNAL_CREDIT;
    message->to = call->target;
    memcpy(message->body, &credit, sizeof credit);
    items->items_back = 0;
    items->bytes_back = 0;
    gv_signal_send(loop, pool, message);
    return true;
}

/* Parks until an item or the end has come. */
static int park(struct gv_loop *loop, struct gv_call *call)
{
    struct gv_items *items = call->sink.items;
    struct gv_wait wait;
    int rc = gv_may_park_for(loop, AWAIT);

    if (rc == 0 && !give_back(loop, call))
        rc = GROVE_ENOMEM;
    if (rc != 0)
        return gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_UNKNOWN, NULL);
    gv_wait_init(loop, &wait, GV_WAIT_ITEM, 0); /* The stream has its own deadline. */
    wait.target = call->target;
    wait.method = call->method;
    items->waiter = &wait;
    rc = gv_park_now(loop, &wait);
    if (rc == 0)
        return 0;
    items->waiter = NULL;
    return gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_UNKNOWN, NULL);
}

/* All items were taken and the end has come: notes it, and lets the record go. */
static int end(struct gv_loop *loop, struct gv_call *call, struct grove_item_stream *stream)
{
    const struct grove_method *method = gv_method(call->method);
    struct gv_items *items = call->sink.items;
    struct gv_message *reply = call->reply;
    struct gv_turn *turn = loop->turn;

    if (reply == NULL)
        stream->rc = gv_turn_failed(turn, NULL, items->code, items->started, NULL);
    else if (reply->code == 0) /* No pool answers so. */
        stream->rc = gv_turn_failed(turn, NULL, GROVE_EBROKEN, GROVE_STARTED_YES, NULL);
    call->reply = NULL;
    if (reply != NULL && stream->rc == 0)
        stream->rc = gv_turn_take_answer(loop, turn, method, reply, NULL);
    else if (reply != NULL)
        gv_message_give(&loop->blocks, reply);
    unlink_call(turn, call);
    gv_items_free(loop, items);
    gv_call_give(loop, call);
    return stream->rc;
}

static int take(struct gv_loop *loop, struct gv_call *call, ProtobufCMessage *item)
{
    struct gv_items *items = call->sink.items;
    struct gv_message *message = items->head;

    items->head = message->next;
    if (items->head == NULL)
        items->tail = NULL;
    items->taken = message;
    items->items_back++;
    items->bytes_back += message->from;
    gv_method(call->method)->response->open(item, message->body);
    (void)give_back(loop,
                    call); /* Without memory it is tried again before the stream is waited for. */
    return 0;
}

/* It has ended before, or is of no use here. */
static int not_open(struct gv_loop *loop, const struct grove_item_stream *stream)
{
    if (stream->rc != 0)
        return gv_turn_failed(loop->turn, NULL, stream->rc, GROVE_STARTED_YES, NULL);
    return gv_usage("_next_await: this stream is not open, or was opened by another turn; items "
                    "are taken by whoever has opened it");
}

int grove_items_next_await(struct grove_item_stream *stream, ProtobufCMessage *item)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_call *call;
    int rc;

    if (loop == NULL || loop->turn == NULL)
        return gv_usage_wait("await of an item");
    if (stream == NULL || item == NULL)
        return gv_usage("_next_await: the %s is NULL", stream == NULL ? "stream" : "item");
    call = find(loop, stream);
    if (call == NULL)
        return not_open(loop, stream);
    /* It may be here already, and must not be taken only then. */
    if (loop->turn->barred) {
        rc = gv_turn_barred(loop, AWAIT);
        if (rc != 0)
            return gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_UNKNOWN, NULL);
    }
    free_taken(loop, call->sink.items);
    if (call->sink.items->head == NULL && !call->answered) {
        rc = park(loop, call);
        if (rc != 0)
            return rc;
    }
    if (call->sink.items->head == NULL)
        return end(loop, call, stream);
    stream->n_items++;
    return take(loop, call, item);
}

void grove_items_close(struct grove_item_stream *stream)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_call *call = NULL;

    if (stream != NULL && loop != NULL && loop->turn != NULL)
        call = find(loop, stream);
    if (call == NULL)
        return;
    unlink_call(loop->turn, call);
    gv_future_give_up(loop, call);
    stream->rc = GROVE_ECANCELED;
}
