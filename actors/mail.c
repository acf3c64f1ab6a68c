#include "actors/mail.h"

#include <string.h>

#include <grove/error.h>

#include "actors/call.h"
#include "actors/deadlock.h"
#include "actors/service.h"
#include "runtime/figure.h"
#include "runtime/go.h"
#include "runtime/log.h"
#include "runtime/place.h"
#include "runtime/runtime.h"

/* --- making ----------------------------------------------------------------------------------- */

static uint64_t packed_bytes(const ProtobufCMessage *request)
{
    return sizeof(uint64_t) + protobuf_c_message_get_packed_size(request);
}

struct gv_message *gv_mail_make_packed(struct gv_loop *loop, const ProtobufCMessage *request)
{
    uint64_t room = packed_bytes(request), bytes = room - sizeof bytes;
    struct gv_message *message = gv_message_take(&loop->blocks, room);

    if (message == NULL)
        return NULL;
    memcpy(message->body, &bytes, sizeof bytes);
    (void)protobuf_c_message_pack(
        request, message->body + sizeof bytes); /* It writes what it has just measured. */
    message->form_flags = GV_FORM_PACKED;
    return message;
}

int gv_mail_obstacle(unsigned kind, const struct grove_shape *shape,
                     const ProtobufCMessage *request)
{
    uint64_t bytes =
        kind == GROVE_REF_POOL ? packed_bytes(request) : grove_shape_bytes(shape, request);

    return bytes > GV_BLOCK_BYTES_MAX - sizeof(struct gv_message) ? GROVE_ETOOBIG : GROVE_ENOMEM;
}

/* --- posting ---------------------------------------------------------------------------------- */

/* Puts a message into the mailbox of a task of this loop. On failure it stays the caller's. */
static int put(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    int rc;

    if (task->flags & GV_TASK_STOPPING)
        return GROVE_ESTOPPING;
    /* Whoever waits already was first, and may be an earlier call of this very sender. */
    rc = task->flags & GV_TASK_WAITED
             ? gv_mailbox_refusal(message, (uint32_t)task->bytes_max_64k << 16)
             : gv_task_push(loop, task, message);
    if (rc == 0)
        gv_probe(&loop->probes, SEND, message->to, message->method);
    else if (rc == GROVE_EFULL && message->call != 0 && !task->class->fails_when_full)
        rc = gv_task_wait_for_room(task, message);
    return rc;
}

int gv_mail_post_slowly(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    if (task->loop == loop->index)
        return put(loop, task, message);
    if (message->call == 0) {
        struct gv_out *out = &loop->out[task->loop];

        /* relaxed: the receiver's count may be seen late; then less is sent than could be. */
        if (out->n_sent - atomic_load_explicit(&out->n_taken, memory_order_relaxed)
            >= GV_WINDOW_MAX)
            return GROVE_EFULL;
        out->n_sent++;
        message->form_flags |= GV_FLAG_COUNTED;
        message->call = loop->index; /* on the way only: whose window it is */
    }
    gv_loop_post(loop, task->loop, message);
    return 0;
}

/* --- arriving --------------------------------------------------------------------------------- */

void gv_mail_orphaned(struct gv_loop *loop, struct gv_message *message, int code)
{
    gv_probe(&loop->probes, DROP, message->to, (uint64_t)(int64_t)code);
    if (message->call == 0 && message->method < GV_SIGNAL_FIRST) {
        gv_figure_set(&loop->stats.dead_letters, loop->stats.dead_letters + 1);
        gv_log(GV_LOG_INFO, "letter.dead", "method=%s reason=%s",
               gv_methods[message->method].method->name, grove_error_name(code));
    }
    gv_call_fail(loop, message, code, GROVE_STARTED_NO, NULL);
}

void gv_mail_arrived(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_task *task;
    int rc;

    if (message->form_flags & GV_FLAG_REPLY) {
        gv_call_answer(loop, message);
        return;
    }
    task = gv_slot_find(message->to);
    if (message->method == GV_SIGNAL_PROBE) {
        gv_deadlock_probe_came(loop, task, message);
        return;
    }
    if (task == NULL) {
        gv_mail_orphaned(loop, message, GROVE_ENOACTOR);
        return;
    }
    if (message->method >= GV_SIGNAL_FIRST) {
        if (message->method == GV_SIGNAL_INIT)
            task->arrived = 1;
        task->class->signal(loop, task, message);
        return;
    }
    rc = put(loop, task, message);
    if (rc != 0)
        gv_mail_orphaned(loop, message, rc);
    else if (message->form_flags & GV_FLAG_ENTRY && !(task->flags & GV_TASK_WAITED))
        gv_mail_entered(loop, message);
}

void gv_mail_entered(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_message *reply;

    if (!(message->form_flags & GV_FLAG_ENTRY))
        return;
    reply = gv_message_take(&loop->blocks, 0);
    if (reply != NULL) {
        reply->call = message->call;
        gv_call_answer(loop, reply);
    }
    /* Without memory for the word, the sender learns of it at its deadline. */
    message->call = 0;
    message->deadline_ms = 0; /* That was for its waiting; from here on it is like any other. */
    message->form_flags &= (uint8_t)~GV_FLAG_ENTRY;
}
