/*
 * Inbox: publish, take, sleep.
 */
#include "runtime/inbox.h"

void gv_inbox_init(struct gv_inbox *inbox)
{
    atomic_init(&inbox->newest, NULL);
    atomic_init(&inbox->sleeping, false);
}

bool gv_inbox_publish(struct gv_inbox *inbox, struct gv_message *newest, struct gv_message *oldest)
{
    /* relaxed: the compare checks it, and we do not look behind it */
    struct gv_message *seen = atomic_load_explicit(&inbox->newest, memory_order_relaxed);

    do {
        oldest->next = seen;
        /* seq_cst: before our reading of sleeping; releases the chain to the exchange in take */
    } while (!atomic_compare_exchange_weak_explicit(&inbox->newest, &seen, newest,
                                                    memory_order_seq_cst, memory_order_relaxed));
    if (seen != NULL)
        return false;
    /* seq_cst: pairs with the store in gv_inbox_sleep; the exchange lets one sender wake */
    return atomic_load_explicit(&inbox->sleeping, memory_order_seq_cst)
           && atomic_exchange_explicit(&inbox->sleeping, false, memory_order_seq_cst);
}

struct gv_message *gv_inbox_take(struct gv_inbox *inbox)
{
    struct gv_message *message, *oldest = NULL;

    if (gv_inbox_empty(inbox))
        return NULL;
    /* acquire: pairs with the compare in gv_inbox_publish */
    message = atomic_exchange_explicit(&inbox->newest, NULL, memory_order_acquire);
    while (message != NULL) {
        struct gv_message *next = message->next;

        message->next = oldest;
        oldest = message;
        message = next;
    }
    return oldest;
}

bool gv_inbox_sleep(struct gv_inbox *inbox)
{
    /* seq_cst: before our look; pairs with the reading in gv_inbox_publish */
    atomic_store_explicit(&inbox->sleeping, true, memory_order_seq_cst);
    /* seq_cst: pairs with the compare in gv_inbox_publish */
    if (atomic_load_explicit(&inbox->newest, memory_order_seq_cst) == NULL)
        return true;
    gv_inbox_awake(inbox);
    return false;
}

void gv_inbox_awake(struct gv_inbox *inbox)
{
    /* relaxed: a sender that still sees true wakes us once for nothing */
    atomic_store_explicit(&inbox->sleeping, false, memory_order_relaxed);
}
