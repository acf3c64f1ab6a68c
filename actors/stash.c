#include "actors/stash.h"

#include <string.h>

#include <grove/error.h>
#include <grove/stash.h>

#include "actors/actor.h"
#include "actors/alarm.h"
#include "actors/inline.h"
#include "actors/kept.h"
#include "actors/mail.h"
#include "actors/service.h"
#include "actors/verb.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

static bool is_tick(const struct gv_message *message)
{
    return (message->form_flags & GV_FORM_MASK) == GV_FORM_TICK;
}

/* A message like the one that is handled, as if it had not been taken yet. NULL without memory. */
static struct gv_message *copy_of(struct gv_loop *loop, struct gv_message *message)
{
    const struct grove_shape *shape = gv_methods[message->method].method->request;
    size_t head = is_tick(message) ? sizeof(struct gv_tick) : 0;
    /* What copy wrote of one that is not flat begins with the struct itself. */
    void *request = message->body + head;
    size_t bytes = grove_shape_bytes(shape, request);
    struct gv_message *copy = gv_message_take(&loop->blocks, head + bytes);

    if (copy == NULL)
        return NULL;
    copy->call = message->call;
    copy->to = message->to;
    copy->from = message->from;
    copy->deadline_ms = message->deadline_ms;
    copy->method = message->method;
    copy->form_flags = (message->form_flags & GV_FORM_MASK) | GV_FLAG_BEGUN;
    if (head > 0) {
        memcpy(copy->body, message->body, head);
        ((struct gv_tick *)(void *)copy->body)->number = 0;
    }
    if (shape->flat)
        memcpy(copy->body + head, request, bytes);
    else
        shape->copy(copy->body + head, request);
    return copy;
}

/* The turn of an actor that runs; NULL, with the reason noted, if there is none. */
static struct gv_turn *actors_turn(const struct gv_loop *loop, const char *function)
{
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;

    if (turn != NULL && turn->task != NULL
        && gv_kept_task(loop, turn->task)->class == &gv_actor_class)
        return turn;
    (void)gv_usage("%s: only the handler of an actor has a stash; a greenlet keeps its letters "
                   "itself",
                   function);
    return NULL;
}

int grove_stash(void)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_turn *turn = actors_turn(loop, "grove_stash");
    struct gv_message *copy;
    struct gv_kept *kept;
    struct gv_task *own;
    int rc;

    if (turn == NULL)
        return GROVE_EUSAGE;
    if (turn->method == NULL || turn->odd & GV_ODD_STASHED)
        return gv_usage("grove_stash: %s",
                        turn->method == NULL ? "no message is handled here that could be put aside"
                                             : "this message was put aside already");
    if (turn->below != NULL && turn->message == NULL && gv_inline_convert(loop, turn) != 0)
        return gv_turn_failed(turn, NULL, GROVE_ENOMEM, GROVE_STARTED_NO, NULL);
    kept = gv_kept_find(loop, turn->task, true);
    copy = kept != NULL && turn->message != NULL ? copy_of(loop, turn->message) : NULL;
    if (copy == NULL)
        return gv_turn_failed(turn, NULL, GROVE_ENOMEM, GROVE_STARTED_NO, NULL);
    own = gv_kept_task(loop, turn->task);
    rc = gv_mailbox_push(&kept->stash.messages, copy, own->bounds.depth_max,
                         (uint32_t)own->bounds.bytes_max_64k << 16);
    if (rc != 0) {
        gv_message_give(&loop->blocks, copy);
        return gv_turn_failed(turn, NULL, rc, GROVE_STARTED_NO,
                              "the stash holds as much as the mailbox may (depth_max, bytes_max)");
    }
    turn->message->call = 0;
    turn->odd |= GV_ODD_STASHED;
    return 0;
}

int grove_unstash_all(void)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_turn *turn = actors_turn(loop, "grove_unstash_all");
    struct gv_kept *kept;

    if (turn == NULL)
        return GROVE_EUSAGE;
    kept = gv_kept_find(loop, turn->task, false);
    if (kept != NULL)
        gv_mailbox_put_back(&turn->task->mailbox, &kept->stash.messages);
    return 0;
}

uint32_t grove_stashed(void)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_kept *kept = loop != NULL && loop->turn != NULL && loop->turn->task != NULL
                               ? gv_kept_find(loop, loop->turn->task, false)
                               : NULL;

    return kept != NULL ? gv_mailbox_depth(&kept->stash.messages) : 0;
}

void gv_stash_forget(struct gv_loop *loop, struct gv_stash *stash, uint64_t call)
{
    struct gv_message *message = gv_mailbox_remove(&stash->messages, call);

    if (message != NULL)
        gv_message_give(&loop->blocks, message);
}

void gv_stash_end(struct gv_loop *loop, struct gv_stash *stash)
{
    struct gv_message *message;

    while ((message = gv_mailbox_take(&stash->messages)) != NULL)
        gv_mail_orphaned(loop, message, GROVE_EDOWN, GROVE_DEAD_STOPPED);
}
