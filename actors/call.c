#include "actors/call.h"

#include <stdlib.h>
#include <string.h>

#include "actors/future.h"
#include "actors/items.h"
#include "actors/mail.h"
#include "actors/service.h"
#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/park.h"
#include "runtime/place.h"
#include "runtime/runtime.h"

/* --- the table -------------------------------------------------------------------------------- */

int gv_calls_open(struct gv_loop *loop)
{
    loop->calls = calloc(1, sizeof *loop->calls);
    return loop->calls != NULL ? 0 : GROVE_ENOMEM;
}

void gv_calls_close(struct gv_loop *loop)
{
    for (uint32_t i = 0; i < loop->calls->n_chunks; i++)
        free(loop->calls->chunks[i]);
    free(loop->calls);
    loop->calls = NULL;
}

bool gv_calls_grow(struct gv_loop *loop)
{
    struct gv_calls *calls = loop->calls;
    struct gv_call *chunk;

    if (calls->n_chunks == GV_CALLS_MAX / GV_CALL_CHUNK)
        return false;
    chunk = calloc(GV_CALL_CHUNK, sizeof *chunk);
    if (chunk == NULL)
        return false;
    for (uint32_t i = GV_CALL_CHUNK; i-- > 0;) {
        uint64_t slot = (uint64_t)calls->n_chunks * GV_CALL_CHUNK + i;

        /* Generation 0 is never used, so that no id is 0. */
        chunk[i].id = (uint64_t)loop->index << GV_CALL_LOOP_SHIFT | slot << GV_CALL_SLOT_SHIFT | 1;
        chunk[i].next = calls->free;
        calls->free = &chunk[i];
    }
    calls->chunks[calls->n_chunks++] = chunk;
    return true;
}

/* --- giving up -------------------------------------------------------------------------------- */

bool gv_call_withdraw(struct gv_loop *loop, struct gv_call *call)
{
    struct gv_task *task = gv_slot_find(call->target);
    struct gv_message *message;

    if (task == NULL)
        return false;
    if (task->loop == loop->index && task->class->form == GV_FORM_STRUCT)
        return gv_task_give_up(loop, task, call->id);
    message = gv_message_take(&loop->blocks, sizeof call->id);
    if (message == NULL)
        return false; /* The request will be skipped at its deadline instead, or its handler run to its end. */
    message->method = GV_SIGNAL_CANCEL;
    message->to = call->target;
    memcpy(message->body, &call->id, sizeof call->id);
    gv_signal_send(loop, task, message);
    return false;
}

bool gv_call_give_up(struct gv_loop *loop, struct gv_call *call)
{
    uint64_t id = call->id;
    bool unseen = gv_call_withdraw(loop, call);

    /* A target here may have answered at once, such as a pool that ends. */
    if (gv_call_find(loop, id) == call)
        gv_call_give(loop, call);
    return unseen;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void call_back(struct gv_loop *loop, struct gv_call *call, struct gv_message *reply)
{
    struct gv_outcome outcome = {
        .code = reply->code,
        .started = gv_reply_started(reply),
        .text = reply->form_flags & GV_FLAG_TEXT ? (const char *)reply->body : "",
        .reply = reply->code == 0 ? reply : NULL,
    };
    void (*function)(void *, const struct gv_outcome *) = call->sink.callback.function;
    void *owner = call->sink.callback.owner;

    gv_call_give(loop, call);
    function(owner, &outcome);
    gv_message_give(&loop->blocks, reply);
}

/* The caller finds it when the handler above it has returned. */
static void leave_answer(struct gv_loop *loop, struct gv_call *call, struct gv_message *reply)
{
    struct gv_wait *wait = call->sink.wait;

    gv_call_give(loop, call);
    wait->call = 0;
    wait->message = reply;
}

/* What does not resume a parked turn. */
static GV_APART void finish_apart(struct gv_loop *loop, struct gv_call *call,
                                  struct gv_message *reply)
{
    if (call->kind == GV_SINK_CALLBACK)
        call_back(loop, call, reply);
    else if (call->kind == GV_SINK_INLINE)
        leave_answer(loop, call, reply);
    else if (call->kind == GV_SINK_STREAM)
        gv_items_came(loop, call, reply);
    else if (!call->answered)
        gv_future_finish(loop, call, reply);
    else
        gv_message_give(&loop->blocks, reply);
}

/* The answer has reached its record's loop. */
static inline void finish(struct gv_loop *loop, struct gv_message *reply)
{
    struct gv_call *call = gv_call_find(loop, reply->call);
    struct gv_wait *wait;

    if (gv_unlikely(call == NULL)) {
        gv_message_give(&loop->blocks, reply);
        return;
    }
    gv_probe(&loop->probes, REPLY, reply->call, (uint64_t)(int64_t)reply->code);
    if (call->kind != GV_SINK_WAIT) {
        finish_apart(loop, call, reply);
        return;
    }
    wait = call->sink.wait;
    gv_call_give(loop, call);
    /* Woken already by its deadline, in this very tick: it has not run yet and will find it gone. */
    if (gv_unlikely(wait->woken)) {
        gv_message_give(&loop->blocks, reply);
        return;
    }
    wait->call = 0;
    wait->message = reply;
    gv_wake(loop, wait, reply->code);
}

void gv_call_answer(struct gv_loop *loop, struct gv_message *reply)
{
    unsigned home = (unsigned)(reply->call >> GV_CALL_LOOP_SHIFT);

    reply->form_flags |= GV_FLAG_REPLY;
    if (gv_likely(home == loop->index))
        finish(loop, reply);
    else if (home < gv_runtime.n_loops)
        gv_loop_post(loop, home, reply);
    else
        gv_message_give(&loop->blocks, reply);
}

void gv_call_fail(struct gv_loop *loop, struct gv_message *request, int code,
                  enum grove_started started, const char *text)
{
    struct gv_message *reply = request;
    size_t bytes = text != NULL && text[0] != '\0' ? strlen(text) + 1 : 0;

    gv_assert(code != 0);
    if (request->form_flags & GV_FLAG_BEGUN)
        started = GROVE_STARTED_YES;
    if (request->call == 0) {
        gv_message_give(&loop->blocks, request);
        return;
    }
    if (bytes > gv_message_room(request)) {
        reply = gv_message_take(&loop->blocks, bytes);
        if (reply == NULL) {
            reply = request; /* Without memory the code goes without its reason. */
            bytes = 0;
        } else {
            reply->call = request->call;
            gv_message_give(&loop->blocks, request);
        }
    }
    reply->form_flags = started == GROVE_STARTED_NO ? GV_FLAG_NO_STARTED : 0;
    if (bytes > 0) {
        reply->form_flags |= GV_FLAG_TEXT;
        memcpy(reply->body, text, bytes);
    }
    reply->code = code;
    gv_call_answer(loop, reply);
}

/* --- calls without a stack -------------------------------------------------------------------- */

static void callback_expired(struct gv_timer *timer)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_call *call = (struct gv_call *)((char *)timer - offsetof(struct gv_call, timer));
    struct gv_outcome outcome = {
        .code = GROVE_ETIMEDOUT, .started = GROVE_STARTED_UNKNOWN, .text = ""};
    void (*function)(void *, const struct gv_outcome *) = call->sink.callback.function;
    void *owner = call->sink.callback.owner;

    gv_call_give_up(loop, call);
    function(owner, &outcome);
}

static struct gv_message *make(struct gv_loop *loop, const struct gv_call_options *options)
{
    uint64_t n_bytes = options->packed_bytes;
    struct gv_message *message;

    if (options->request != NULL)
        return gv_mail_make(loop, options->ref, gv_methods[options->method].method->request,
                            options->request);
    message = gv_message_take(&loop->blocks, sizeof n_bytes + options->packed_bytes);
    if (message == NULL)
        return NULL;
    memcpy(message->body, &n_bytes, sizeof n_bytes);
    if (n_bytes > 0)
        memcpy(message->body + sizeof n_bytes, options->packed, n_bytes);
    message->form_flags = GV_FORM_PACKED | (options->takes_items ? GV_FLAG_STREAM : 0);
    message->to = options->ref.slot_generation;
    message->from = 0;
    return message;
}

int gv_call_begin(struct gv_loop *loop, const struct gv_call_options *options, uint64_t *id)
{
    struct gv_task *task = gv_mail_task(loop, options->ref);
    struct gv_message *message;
    struct gv_call *call;
    int rc;

    if (task == NULL)
        return GROVE_ENOACTOR;
    message = make(loop, options);
    if (message == NULL && options->request == NULL)
        return GROVE_ENOMEM;
    if (message == NULL)
        return gv_mail_obstacle(gv_ref_kind(options->ref),
                                gv_methods[options->method].method->request, options->request);
    message->method = options->method;
    call = gv_call_take(loop, message->to, options->method, options->deadline_ms);
    if (call == NULL) {
        gv_message_give(&loop->blocks, message);
        return GROVE_ENOMEM;
    }
    call->kind = GV_SINK_CALLBACK;
    call->sink.callback.function = options->function;
    call->sink.callback.owner = options->owner;
    message->call = call->id;
    message->deadline_ms = options->deadline_ms;
    rc = gv_mail_post(loop, task, message);
    if (rc != 0) {
        gv_message_give(&loop->blocks, message);
        gv_call_give(loop, call);
        return rc;
    }
    if (options->deadline_ms != 0) {
        call->timer.fire = callback_expired;
        gv_wheel_arm(&loop->wheel, &call->timer, options->deadline_ms);
    }
    *id = call->id;
    return 0;
}
