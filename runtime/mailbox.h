/*
 * Mailbox: messages waiting for one task.
 *
 * One list: first the system messages (those whose method is a gv_signal),
 * then the users'; within each kind first in, first out. The user part is
 * bounded in messages and in bytes; full means GROVE_EFULL for the sender,
 * never a wait here. System messages have no bound, so that a full mailbox
 * can be stopped; they are few, since most signals act when they arrive, and
 * a new one walks past those that wait.
 *
 * Only the loop that the task lives on touches a mailbox. The load counts
 * user messages: a push adds once, a take subtracts once, a bound is one
 * compare.
 *
 *     load = messages << 32 | bytes
 *
 * Owner: messages belong to the mailbox until they are taken or removed.
 *
 * Always: load is zero exactly when no user message waits.
 */
#ifndef GV_MAILBOX_H
#define GV_MAILBOX_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grove/error.h>

#include "runtime/assert.h"
#include "runtime/block.h"
#include "runtime/hint.h"
#include "runtime/message.h"

/* So that the byte count never runs into the message count. */
#define GV_MAILBOX_BYTES_MAX (UINT32_MAX - (uint32_t)GV_BLOCK_BYTES_MAX)

struct gv_mailbox {
    struct gv_message *head; /* NULL when empty */
    struct gv_message *tail; /* NULL when empty */
    uint64_t load;
};

static_assert(sizeof(struct gv_mailbox) == 24, "the head of a task counts on it");

static inline void gv_mailbox_init(struct gv_mailbox *box)
{
    *box = (struct gv_mailbox){0};
}

/* Of the user messages. */
static inline uint32_t gv_mailbox_depth(const struct gv_mailbox *box)
{
    return (uint32_t)(box->load >> 32);
}

static inline uint32_t gv_mailbox_bytes(const struct gv_mailbox *box)
{
    return (uint32_t)box->load;
}

static inline bool gv_mailbox_is_empty(const struct gv_mailbox *box)
{
    return box->head == NULL;
}

static inline bool gv_message_is_system(const struct gv_message *message)
{
    return message->method >= GV_SIGNAL_FIRST;
}

/* What a message adds to a load, by the class of its block. */
extern const uint64_t gv_mailbox_shares[GV_BLOCK_CLASSES];

static inline uint64_t gv_mailbox_share(const struct gv_message *message)
{
    if (gv_unlikely(message->block == GV_BLOCK_HEAP))
        return (uint64_t)1 << 32 | gv_message_heap_bytes(message);
    return gv_mailbox_shares[message->block & 3];
}

/* Why a push was refused. */
int gv_mailbox_refusal(const struct gv_message *message, uint32_t bytes_max) GV_RARE;

/*
 * Puts a user message at the end. Returns 0, and the message
 * belongs to the mailbox; or GROVE_EFULL, or GROVE_ETOOBIG if it would be
 * over bytes_max even alone, and it still belongs to the caller. bytes_max
 * is at most GV_MAILBOX_BYTES_MAX.
 */
static inline int gv_mailbox_push(struct gv_mailbox *box, struct gv_message *message,
                                  uint32_t depth_max, uint32_t bytes_max)
{
    uint64_t load = box->load + gv_mailbox_share(message);

    gv_assert(!gv_message_is_system(message));
    if (gv_unlikely(load >> 32 > depth_max) || gv_unlikely((uint32_t)load > bytes_max))
        return gv_mailbox_refusal(message, bytes_max);
    box->load = load;
    message->next = NULL;
    if (box->tail != NULL)
        box->tail->next = message;
    else
        box->head = message;
    box->tail = message;
    return 0;
}

/* True if a push of this message would succeed. */
static inline bool gv_mailbox_has_room(const struct gv_mailbox *box,
                                       const struct gv_message *message, uint32_t depth_max,
                                       uint32_t bytes_max)
{
    uint64_t load = box->load + gv_mailbox_share(message);

    return load >> 32 <= depth_max && (uint32_t)load <= bytes_max;
}

/* Puts a system message in front of all user messages, behind the system messages that wait. Owns it. */
void gv_mailbox_push_front(struct gv_mailbox *box, struct gv_message *message);

/* The first message; the caller owns it. Returns NULL when there is none. */
static inline struct gv_message *gv_mailbox_take(struct gv_mailbox *box)
{
    struct gv_message *message = box->head;

    if (message == NULL)
        return NULL;
    box->head = message->next;
    if (message->next == NULL)
        box->tail = NULL;
    message->next = NULL;
    if (gv_likely(!gv_message_is_system(message)))
        box->load -= gv_mailbox_share(message);
    return message;
}

/* The oldest user message, past all system messages; the caller owns it. NULL when there is none. */
struct gv_message *gv_mailbox_take_user(struct gv_mailbox *box);

/*
 * Takes back the queued request of this call, which the caller of this
 * function owns then. Returns NULL if it is not here (any more). Walks the
 * whole list.
 */
struct gv_message *gv_mailbox_remove(struct gv_mailbox *box, uint64_t call);

/* True if the push would succeed once enough messages of the same method were taken out; one at least is there. Walks. */
bool gv_mailbox_can_push_out(const struct gv_mailbox *box, const struct gv_message *message,
                             uint32_t depth_max, uint32_t bytes_max);

/* Takes the oldest message of a method, which the caller owns then; NULL if there is none. May walk the whole list. */
struct gv_message *gv_mailbox_take_oldest(struct gv_mailbox *box, uint16_t method);

/*
 * Moves the first messages, at most n_max, into batch, which is empty. They
 * stay charged to box as well until rejoin. Returns their charge. There must
 * be no system message.
 */
uint64_t gv_mailbox_detach(struct gv_mailbox *box, struct gv_mailbox *batch, uint32_t n_max);

/* Puts all of list in front of the user messages, over the bounds if need be. list is empty afterwards. */
void gv_mailbox_put_back(struct gv_mailbox *box, struct gv_mailbox *list);

/* What is left of a batch goes back to the front of box, which is no longer charged with the rest. */
void gv_mailbox_rejoin(struct gv_mailbox *box, struct gv_mailbox *batch, uint64_t charge);

#endif
