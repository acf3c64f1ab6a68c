#include "actors/mail.h"

#include <string.h>

#include <grove/error.h>

#include "actors/call.h"
#include "actors/chain.h"
#include "actors/deadletter.h"
#include "actors/deadlock.h"
#include "actors/edition.h"
#include "actors/kin.h"
#include "actors/monitor.h"
#include "actors/post.h"
#include "actors/reply.h"
#include "actors/service.h"
#include "actors/supervisor.h"
#include "runtime/go.h"
#include "runtime/hint.h"
#include "runtime/lend.h"
#include "runtime/place.h"
#include "runtime/runtime.h"

/*
 * In `call` of a message that waits for room without its sender, beside the
 * number of the sender's loop: no call record has such an id, nobody is
 * answered, and the waiting list takes it as it takes a call's.
 */
#define AHEAD_CALL (UINT64_C(0xff) << 56)

/* --- making ----------------------------------------------------------------------------------- */

static uint64_t packed_bytes(const ProtobufCMessage *request)
{
    return request != NULL ? sizeof(uint64_t) + protobuf_c_message_get_packed_size(request)
                           : SIZE_MAX;
}

struct gv_message *gv_mail_make_packed(struct gv_loop *loop, const ProtobufCMessage *request)
{
    uint64_t room = packed_bytes(request), bytes = room - sizeof bytes;
    struct gv_message *message = NULL;

    if (request != NULL)
        message = gv_message_take(&loop->blocks, room);
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

    if (bytes == SIZE_MAX)
        return GROVE_EUSAGE;
    return bytes > GV_BLOCK_BYTES_MAX - sizeof(struct gv_message) ? GROVE_ETOOBIG : GROVE_ENOMEM;
}

/* --- posting ---------------------------------------------------------------------------------- */

/* Puts a message where there is room, into the mailbox of a task that may be out: then it may be over its bound. */
static void push_anyway(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    int rc = gv_task_is_out(task)
                 ? gv_mailbox_push(&task->mailbox, message, UINT32_MAX, GV_MAILBOX_BYTES_MAX)
                 : gv_task_push(loop, task, message);

    gv_assert(rc == 0);
}

/*
 * A message of an rpc with DROP_OLDEST has found the mailbox full: it takes
 * the place of the oldest one of its rpc. What is with a borrower is as good as
 * begun, and not counted. On failure the message stays the caller's.
 */
static int push_out(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    uint64_t out = gv_task_is_out(task) ? gv_lend_charge(task) : 0;
    uint32_t depth_max = task->bounds.depth_max + (uint32_t)(out >> 32);
    uint32_t bytes_max = ((uint32_t)task->bounds.bytes_max_64k << 16) + (uint32_t)out;
    struct gv_message *dropped = NULL, **last = &dropped;

    if (!gv_mailbox_has_room(&task->mailbox, message, depth_max, bytes_max)
        && !gv_mailbox_can_push_out(&task->mailbox, message, depth_max, bytes_max))
        return GROVE_EFULL;
    while (!gv_mailbox_has_room(&task->mailbox, message, depth_max, bytes_max)) {
        *last = gv_mailbox_take_oldest(&task->mailbox, message->method);
        last = &(*last)->next;
    }
    push_anyway(loop, task, message);
    while (dropped != NULL) {
        struct gv_message *next = dropped->next;

        gv_mail_orphaned(loop, dropped, GROVE_EFULL, GROVE_DEAD_DROPPED);
        dropped = next;
    }
    return 0;
}

/* The same where others wait for room already: it waits behind them, and they are one less, or the mailbox is. */
static int wait_pushing_out(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    int rc = gv_task_wait_for_room(task, message);
    struct gv_message *oldest;

    if (rc != 0)
        return rc;
    oldest = gv_task_take_oldest(task, message->method);
    if (oldest == message) {
        if (message->call == 0 && !gv_task_is_out(task))
            return GROVE_EFULL;
        return gv_task_wait_for_room(task, message);
    }
    /* This may have made room, and nothing else may come by that would see it. */
    gv_task_let_in(loop, task);
    gv_mail_orphaned(loop, oldest, GROVE_EFULL, GROVE_DEAD_DROPPED);
    return 0;
}

/* A message of an rpc with DROP_OLDEST finds the mailbox full, or others waiting for room in it. As put. */
static GV_RARE int put_pushing_out(struct gv_loop *loop, struct gv_task *task,
                                   struct gv_message *message)
{
    bool is_waited = task->flags & GV_TASK_WAITED;
    int rc = is_waited ? wait_pushing_out(loop, task, message) : push_out(loop, task, message);

    return rc == GROVE_EFULL && message->call != 0 ? gv_task_wait_for_room(task, message) : rc;
}

/* Puts a message into the mailbox of a task of this loop. On failure it stays the caller's. */
static int put(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    int rc;

    if (task->flags & GV_TASK_STOPPING)
        return GROVE_ESTOPPING;
    if (gv_unlikely(task->flags & GV_TASK_NOW) && !gv_post_admits(task, message))
        return GROVE_EDOWN;
    /* Whoever waits already was first, and may be an earlier call of this very sender. */
    rc = task->flags & GV_TASK_WAITED
             ? gv_mailbox_refusal(message, (uint32_t)task->bounds.bytes_max_64k << 16)
             : gv_task_push(loop, task, message);
    if (gv_likely(rc == 0)) {
        gv_probe(&loop->probes, SEND, message->to, message->method);
        return 0;
    }
    if (rc != GROVE_EFULL || task->class->fails_when_full)
        return rc;
    if (gv_unlikely(gv_methods[message->method].drops_oldest))
        return put_pushing_out(loop, task, message);
    rc = message->call != 0 ? gv_task_wait_for_room(task, message) : rc;
    if (rc == 0 && task->flags & GV_TASK_RECEIVING)
        gv_task_mail_came(loop, task); /* One for whom it is open need not wait for room. */
    return rc;
}

static void post_far(struct gv_loop *loop, unsigned home, struct gv_message *message)
{
    loop->far_to = message->to;
    loop->far_home = (uint8_t)home;
    gv_loop_post(loop, home, message);
}

int gv_mail_post_slowly(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    unsigned home = gv_mail_home(loop, task, message->to);

    if (home == loop->index)
        return put(loop, task, message);
    if (message->call == 0) {
        struct gv_out *out = &loop->out[home];

        if (!gv_window_take_plain(out))
            return GROVE_EFULL;
        message->form_flags |= GV_FLAG_COUNTED;
        message->call = loop->index; /* on the way only */
    }
    post_far(loop, home, message);
    return 0;
}

bool gv_mail_post_ahead(struct gv_loop *loop, unsigned home, struct gv_message *message)
{
    struct gv_out *out = &loop->out[home];

    if (message->block == GV_BLOCK_HEAP || (message->form_flags & GV_FORM_MASK) != GV_FORM_STRUCT
        || !gv_window_take(&out->ahead, GV_AHEAD_MAX, &out->n_ahead_done))
        return false;
    message->form_flags |= GV_FLAG_COUNTED | GV_FLAG_ENTRY;
    message->call = AHEAD_CALL | loop->index;
    post_far(loop, home, message);
    return true;
}

/* --- arriving --------------------------------------------------------------------------------- */

/* The loop whose window a counted message is charged to. The message has no call from here on. */
static struct gv_out *discharge(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_loop *sender = gv_runtime.loops[message->call & ~AHEAD_CALL];

    message->call = 0;
    message->form_flags &= (uint8_t) ~(GV_FLAG_COUNTED | GV_FLAG_ENTRY);
    return &sender->out[loop->index];
}

void gv_mail_orphaned(struct gv_loop *loop, struct gv_message *message, int code,
                      enum grove_dead_reason reason)
{
    if ((message->form_flags & GV_FORM_MASK) == GV_FORM_TICK) {
        gv_message_give(&loop->blocks, message); /* It ends with its timer, and nobody lost it. */
        return;
    }
    if (message->form_flags & GV_FLAG_COUNTED)
        gv_window_done(&discharge(loop, message)->n_ahead_done, 1);
    if (gv_monitor_orphaned(loop, message))
        return;
    gv_probe(&loop->probes, DROP, message->to, (uint64_t)(int64_t)code);
    /* Signals are no letters, nor is what wakes a subscriber. */
    if (message->method < GV_SIGNAL_FIRST && message->method != 0)
        gv_dead_note(loop, message, reason);
    gv_call_fail(loop, message, code, GROVE_STARTED_NO, NULL);
}

/* What has come is not accepted: its caller is told, or its sender, who believes it was, cannot be. Owns it. */
static GV_RARE void turn_away(struct gv_loop *loop, struct gv_message *message, int code)
{
    enum grove_dead_reason reason = code == GROVE_ENOACTOR    ? GROVE_DEAD_NOACTOR
                                    : code == GROVE_ESTOPPING ? GROVE_DEAD_STOPPED
                                                              : GROVE_DEAD_FULL;

    if (message->call == 0 || message->form_flags & GV_FLAG_COUNTED) {
        gv_mail_orphaned(loop, message, code, reason);
        return;
    }
    gv_probe(&loop->probes, DROP, message->to, (uint64_t)(int64_t)code);
    gv_call_fail(loop, message, code, GROVE_STARTED_NO, gv_mail_reason(code));
}

/* Tells the sender, who waits for just that, that its message has entered. */
static GV_RARE void send_word(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_message *reply = gv_message_take(&loop->blocks, 0);

    if (reply != NULL) {
        reply->call = message->call;
        gv_call_answer(loop, reply);
    }
    /* Without memory for the word, the sender learns of it at its deadline. */
    message->call = 0;
    message->deadline_ms = 0; /* That was for its waiting; from here on it is like any other. */
    message->form_flags &= (uint8_t)~GV_FLAG_ENTRY;
}

void gv_mail_entered(struct gv_loop *loop, struct gv_message *message)
{
    if (!(message->form_flags & GV_FLAG_ENTRY))
        return;
    if (message->form_flags & GV_FLAG_COUNTED)
        gv_window_done(&discharge(loop, message)->n_ahead_done, 1);
    else
        send_word(loop, message);
}

/*
 * The living task that a message has come for, or NULL. What comes together
 * is mostly for one: that is found again by a look at its id.
 */
static inline struct gv_task *find_target(struct gv_loop *loop, uint64_t to)
{
    if (gv_unlikely(loop->came_for == NULL || gv_task_id(loop->came_for) != to || !(to & 1)))
        loop->came_for = gv_slot_find(to);
    return loop->came_for;
}

static GV_APART void signal_came(struct gv_loop *loop, struct gv_task *task,
                                 struct gv_message *message)
{
    if (message->method == GV_SIGNAL_CHAIN) {
        gv_chain_came(loop, message);
        return;
    }
    if (message->method == GV_SIGNAL_PROBE) {
        gv_deadlock_probe_came(loop, message);
        return;
    }
    if (message->method == GV_SIGNAL_MONITOR || message->method == GV_SIGNAL_DEMONITOR
        || message->method == GV_NOTICE_DOWN) {
        gv_monitor_came(loop, task, message);
        return;
    }
    if (message->method == GV_SIGNAL_MOVED) {
        gv_reply_moved(loop, message);
        return;
    }
    if (message->method == GV_SIGNAL_PUBLISH) {
        gv_edition_came(loop, message);
        return;
    }
    if (message->method >= GV_SIGNAL_ADOPT && message->method <= GV_SIGNAL_DEAD_HOME) {
        gv_kin_came(loop, task, message);
        return;
    }
    if (task == NULL && gv_supervisor_orphaned(loop, message))
        return;
    if (task == NULL) {
        turn_away(loop, message, GROVE_ENOACTOR);
        return;
    }
    if (message->method == GV_SIGNAL_INIT)
        task->arrived = 1;
    task->class->signal(loop, task, message);
}

void gv_mail_arrived(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_out *of = NULL; /* whose plain send it is */
    struct gv_task *task;
    int rc = GROVE_ENOACTOR;

    if (message->form_flags & GV_FLAG_REPLY) {
        gv_call_answer(loop, message);
        return;
    }
    task = find_target(loop, message->to);
    if (gv_unlikely(message->method >= GV_NOTICE_FIRST)) {
        signal_came(loop, task, message);
        return;
    }
    if ((message->form_flags & (GV_FLAG_COUNTED | GV_FLAG_ENTRY)) == GV_FLAG_COUNTED)
        gv_loop_count_taken(loop, of = discharge(loop, message));
    if (gv_likely(task != NULL))
        rc = put(loop, task, message);
    if (gv_unlikely(rc != 0)) {
        loop->n_turned_away += of != NULL;
        turn_away(loop, message, rc);
    } else if (message->form_flags & GV_FLAG_ENTRY && !(task->flags & GV_TASK_WAITED)) {
        gv_mail_entered(loop, message);
    }
}
