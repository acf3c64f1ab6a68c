/*
 * Mail: a request's way into a mailbox, here or on another loop.
 *
 *     make ─▶ post ─┬─ here: mailbox, or its waiting list when full and somebody waits
 *                   └─ far: inbox of the home loop ─▶ arrive ─▶ the same
 *
 * A call that finds the mailbox full waits at the mailbox, within its
 * deadline, and is let in when half of the mailbox is free again.
 */
#ifndef GV_MAIL_H
#define GV_MAIL_H

#include <grove/method.h>
#include <grove/ref.h>

#include "runtime/loop.h"

/*
 * An envelope with the request for ref, a task of this process: a copy, or
 * packed for a pool. Returns 0 with *message (the caller's), GROVE_ENOMEM,
 * GROVE_ETOOBIG.
 */
int gv_mail_make(struct gv_loop *loop, grove_ref ref, uint16_t method,
                 const ProtobufCMessage *request, struct gv_message **message);

/*
 * Sends a message on its way. On 0 it is gone. Otherwise it is still the
 * caller's: GROVE_EFULL, GROVE_ESTOPPING.
 */
int gv_mail_post(struct gv_loop *loop, struct gv_task *task, struct gv_message *message);

/* The living task that ref names, or NULL: it may live on any loop. */
struct gv_task *gv_mail_task(grove_ref ref);

/* A message came from another loop for a task here, or a reply. Owns it. The runtime's upcall. */
void gv_mail_arrived(struct gv_loop *loop, struct gv_message *message);

/* A message is in the mailbox at last: tells its sender if that is all it waits for. Lent. */
void gv_mail_entered(struct gv_loop *loop, struct gv_message *message);

/* Nobody will handle this message: its caller is told, or it is counted as a dead letter. Owns it. */
void gv_mail_orphaned(struct gv_loop *loop, struct gv_message *message, int code);

#endif
