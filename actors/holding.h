/*
 * Holding: something of the outside that a task holds, such as a stream, a
 * file, or a child. What is still open when its owner ends is closed then,
 * so that nothing leaks whatever way the owner ended.
 *
 * A holding lives on one loop: upcalls come there. So its owner must run
 * there, too: main and greenlets always do; an actor must be pinned, or its
 * messages might run on another loop. One that holds something from its
 * init on is pinned by that.
 *
 * Always: only the owner's home loop touches the list.
 */
#ifndef GV_HOLDING_H
#define GV_HOLDING_H

#include <grove/ref.h>

#include "runtime/loop.h"

struct gv_holding {
    struct gv_holding *next;
    struct gv_holding **place;                 /* what points to it; NULL: nobody owns it */
    void (*close)(struct gv_holding *holding); /* takes it out of the list */
};

/*
 * Where the running turn's holdings hang. Returns 0; GROVE_EUSAGE where it
 * may hold nothing, with function in the reason; GROVE_ENOMEM.
 */
int gv_holding_owner(struct gv_loop *loop, const char *function, struct gv_holding ***head);

/* The same of a task by its ref, which must live on this loop. An actor is pinned by it. */
int gv_holding_heir(struct gv_loop *loop, const char *function, grove_ref ref,
                    struct gv_holding ***head);

static inline void gv_holding_put(struct gv_holding **head, struct gv_holding *holding)
{
    holding->next = *head;
    if (holding->next != NULL)
        holding->next->place = &holding->next;
    holding->place = head;
    *head = holding;
}

static inline void gv_holding_remove(struct gv_holding *holding)
{
    if (holding->place == NULL)
        return;
    *holding->place = holding->next;
    if (holding->next != NULL)
        holding->next->place = holding->place;
    holding->place = NULL;
}

/* What main or a greenlet holds, at its end. */
void gv_holdings_leave(struct gv_loop *loop, struct gv_turn *turn);

/* Closes all that hangs there, the latest first. */
void gv_holdings_close(struct gv_holding **head);

#endif
