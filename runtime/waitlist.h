/*
 * Waitlist: messages that wait for room in a full mailbox, oldest first.
 *
 * It is messages that wait, not stacks: so callers of other loops, and
 * those without a stack, wait as well as handlers do. None of them can take
 * all the room there is, as each peer's is counted:
 *
 *     a sender (a task, or what has none on one loop)   1024 messages, as many bytes as the mailbox
 *     a loop                                            65 536 messages, 64 MiB
 *
 * Beyond that a message is refused. One message may always wait, however
 * large it is. What is charged to a window between loops (mail.h) is bounded
 * by that and not counted here; nor is what took an older one's place
 * (GROVE_DROP_OLDEST).
 *
 * Owner: messages belong to the list until they are taken. The table of
 * peers lives while somebody who is counted waits.
 */
#ifndef GV_WAITLIST_H
#define GV_WAITLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/message.h"

#define GV_WAIT_PEER_MAX   1024u /* messages of one sender */
#define GV_WAIT_LOOP_MAX   65536u
#define GV_WAIT_LOOP_BYTES (UINT64_C(64) << 20)

struct gv_holding;
struct gv_kept;
struct gv_peers;
struct gv_watching;

struct gv_waitlist {
    struct gv_message *head; /* NULL when empty */
    struct gv_message *tail; /* while there is a head */
    struct gv_peers *peers;  /* what each of them has here; NULL while nobody waits */
    uint32_t n;
    /* Beside the list: who waits for the task's end, and what few tasks have. */
    struct gv_message *stop_waiters;
    struct gv_message
        *doom; /* the stop whose deadline is kept, see doom.h; NULL if there is none */
    struct gv_holding *held;      /* the upper floor's: what the task has open */
    struct gv_kept *kept;         /* what its turns keep, see actors/kept.h; NULL for most */
    struct gv_message *watchers;  /* the upper floor's monitors of this task */
    struct gv_watching *watching; /* and those that it has; only its turns touch them */
};

/* The rare ways of push and of what leaves the list: counts the message, or no longer. */
int gv_waitlist_admit(struct gv_waitlist *list, const struct gv_message *message,
                      uint32_t bytes_max);
void gv_waitlist_discharge(struct gv_waitlist *list, const struct gv_message *message);

static inline bool gv_waitlist_counts(const struct gv_message *message)
{
    return message->call != 0 && !(message->form_flags & GV_FLAG_COUNTED);
}

/*
 * Puts a message at the end. Returns 0; GROVE_EFULL if its peer has as much
 * here as it may, where bytes_max is the mailbox's; or GROVE_ENOMEM: the message then stays the caller's.
 */
static inline int gv_waitlist_push(struct gv_waitlist *list, struct gv_message *message,
                                   uint32_t bytes_max)
{
    if (gv_waitlist_counts(message)) {
        int rc = gv_waitlist_admit(list, message, bytes_max);

        if (rc != 0)
            return rc;
    }
    message->next = NULL;
    if (list->head == NULL)
        list->head = message;
    else
        list->tail->next = message;
    list->tail = message;
    list->n++;
    return 0;
}

/* The first message has left, before the one that is first now: its link may be used by others already. */
static inline void gv_waitlist_shift(struct gv_waitlist *list, const struct gv_message *message,
                                     struct gv_message *after)
{
    list->head = after;
    list->n--;
    if (gv_waitlist_counts(message))
        gv_waitlist_discharge(list, message);
}

/* Takes the first message, which there must be; the caller owns it. */
static inline struct gv_message *gv_waitlist_take(struct gv_waitlist *list)
{
    struct gv_message *message = list->head;

    gv_waitlist_shift(list, message, message->next);
    return message;
}

/* Takes out the message of a call; NULL if it is not here. The caller owns it. */
struct gv_message *gv_waitlist_remove(struct gv_waitlist *list, uint64_t call);

/* Takes out the oldest message of a method; NULL if there is none. The caller owns it. */
struct gv_message *gv_waitlist_take_oldest(struct gv_waitlist *list, uint16_t method);

#endif
