/*
 * Mail: a request's way into a mailbox, here or on another loop.
 *
 *     make ─▶ post ─┬─ here: mailbox, or its waiting list when full and somebody waits
 *                   └─ far: inbox of the home loop ─▶ arrive ─▶ the same
 *
 * A call that finds the mailbox full waits at the mailbox, within its
 * deadline, and is let in when half of the mailbox is free again.
 *
 * What is sent to another loop without a call is charged to a window of the
 * two loops, so that nobody can flood the other one:
 *
 *     send         GV_WINDOW_MAX  until it is taken in   full: GROVE_EFULL; GV_WINDOW_LEAST
 *                                                        while most are turned away there
 *     send_await   GV_AHEAD_MAX   until it has entered   full: it becomes a call that is
 *                                 the mailbox            answered when it has entered
 *
 * So a send_await within its window is on its way at once. If it finds the
 * mailbox full it waits there, as a call does, and its sender goes on. It
 * is never refused for want of room: who has a window has a place in the
 * waiting list. A task that stands still holds such windows; who sends to
 * others from there then waits for a word each time, but is not held up.
 */
#ifndef GV_MAIL_H
#define GV_MAIL_H

#include <assert.h>

#include <grove/deadletter.h>
#include <grove/error.h>
#include <grove/method.h>
#include <grove/ref.h>

#include "actors/service.h"
#include "runtime/go.h"
#include "runtime/hint.h"
#include "runtime/loop.h"
#include "runtime/place.h"

/* The rare ways of the functions below: a pool's request, a message that cannot be made, far and full mailboxes. */
struct gv_message *gv_mail_make_packed(struct gv_loop *loop, const ProtobufCMessage *request);
int gv_mail_obstacle(unsigned kind, const struct grove_shape *shape,
                     const ProtobufCMessage *request);
int gv_mail_post_slowly(struct gv_loop *loop, struct gv_task *task, struct gv_message *message);

/* The reason that goes with a code of making or posting, NULL if the code says it all. */
static inline const char *gv_mail_reason(int code)
{
    if (code == GROVE_ETOOBIG)
        return "a message has at most 64 MiB between actors, and no more than the receiver's "
               "mailbox may hold (bytes_max)";
    if (code == GROVE_EUSAGE)
        return "the message is NULL, or has an array with less in it than it says; fill it, and "
               "begin with its ..._INIT";
    return code == GROVE_EDOWN
               ? "the receiver has failed and is restarted only after this call's deadline"
               : NULL;
}

static_assert(GV_BLOCK_BYTES_MAX == (size_t)64 << 20, "gv_mail_reason says so");

/* An envelope with a copy of the message. NULL as below. */
static GV_INLINE struct gv_message *gv_mail_make_copy(struct gv_loop *loop,
                                                      const struct grove_shape *shape,
                                                      const ProtobufCMessage *message)
{
    struct gv_message *envelope = gv_message_take(&loop->blocks, grove_shape_bytes(shape, message));

    if (gv_likely(envelope != NULL))
        shape->copy(envelope->body, message);
    return envelope;
}

/*
 * An envelope with the request for ref, a task of this process: a copy, or
 * packed for a pool. The caller owns it and sets its method. Returns NULL if
 * it is too big or memory is short: gv_mail_obstacle tells which.
 */
static GV_INLINE struct gv_message *gv_mail_make(struct gv_loop *loop, grove_ref ref,
                                                 const struct grove_shape *shape,
                                                 const ProtobufCMessage *request)
{
    /* By the ref, not by the task: that one may live, and die, on another loop. */
    struct gv_message *message = gv_unlikely(gv_ref_kind(ref) == GROVE_REF_POOL)
                                     ? gv_mail_make_packed(loop, request)
                                     : gv_mail_make_copy(loop, shape, request);

    if (gv_unlikely(message == NULL))
        return NULL;
    message->to = ref.slot_generation;
    message->from =
        loop->turn != NULL && loop->turn->task != NULL ? gv_task_id(loop->turn->task) : 0;
    return message;
}

/* The loop of a task that gv_mail_task has found, by its id. */
static inline unsigned gv_mail_home(const struct gv_loop *loop, const struct gv_task *task,
                                    uint64_t to)
{
    return to == loop->far_to ? loop->far_home : task->loop;
}

/*
 * Sends a message on its way. On 0 it is gone. Otherwise it is still the
 * caller's: GROVE_EFULL, GROVE_ESTOPPING, GROVE_ETOOBIG.
 */
static GV_INLINE int gv_mail_post(struct gv_loop *loop, struct gv_task *task,
                                  struct gv_message *message)
{
    uint64_t to = message->to;
    uint16_t method = message->method;

    if (gv_mail_home(loop, task, to) != loop->index
        || task->flags & (GV_TASK_STOPPING | GV_TASK_NOW | GV_TASK_WAITED)
        || gv_task_push(loop, task, message) != 0)
        return gv_mail_post_slowly(loop, task, message);
    gv_probe(&loop->probes, SEND, to, method);
    return 0;
}

/*
 * The living task that ref names, or NULL: it may live on any loop. To look
 * whether one lives on another loop means to take its line away from that
 * loop's core; so that is done once for all that leaves together. Whether it
 * still lives is checked where the messages arrive.
 */
static inline struct gv_task *gv_mail_task(const struct gv_loop *loop, grove_ref ref)
{
    uint64_t id = ref.slot_generation;
    struct gv_task *task;

    if (gv_unlikely(!gv_ref_is_ours(ref)) || gv_unlikely((id & 1) == 0))
        return NULL;
    task = gv_slot_task(id);
    if (gv_unlikely(task == NULL))
        return NULL;
    return gv_unlikely(id == loop->far_to) || gv_likely(gv_task_id(task) == id) ? task : NULL;
}

/*
 * Sends a send_await's message to another loop ahead of the room for it. On
 * true it is gone. False: it needs a call, as the window is full, or as it
 * may be refused there for another reason than the task's end.
 */
bool gv_mail_post_ahead(struct gv_loop *loop, unsigned home, struct gv_message *message);

/* A message came from another loop for a task here, or a reply. Owns it. The runtime's upcall. */
void gv_mail_arrived(struct gv_loop *loop, struct gv_message *message);

/* A message is in the mailbox at last: tells its sender if that is all it waits for. Lent. */
void gv_mail_entered(struct gv_loop *loop, struct gv_message *message);

/*
 * Nobody will handle this message, which had been accepted: it is a dead
 * letter, and its caller, if it has one, is told the code. Owns it.
 */
void gv_mail_orphaned(struct gv_loop *loop, struct gv_message *message, int code,
                      enum grove_dead_reason reason);

#endif
