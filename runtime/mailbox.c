/*
 * Mailbox: the rare operations.
 */
#include "runtime/mailbox.h"

int gv_mailbox_refusal(const struct gv_message *message, uint32_t bytes_max)
{
    gv_assert(bytes_max <= GV_MAILBOX_BYTES_MAX);

    /* To wait for room would be to wait for ever. */
    return gv_message_charge(message) > bytes_max ? GROVE_ETOOBIG : GROVE_EFULL;
}

void gv_mailbox_push_front(struct gv_mailbox *box, struct gv_message *message)
{
    struct gv_message **place = &box->head;

    gv_assert(gv_message_is_system(message));
    while (*place != NULL && gv_message_is_system(*place))
        place = &(*place)->next;
    message->next = *place;
    *place = message;
    if (message->next == NULL)
        box->tail = message;
}

/* Takes out the message behind `before`, or the first one if that is NULL. */
static struct gv_message *unlink_behind(struct gv_mailbox *box, struct gv_message *before)
{
    struct gv_message **place = before != NULL ? &before->next : &box->head;
    struct gv_message *message = *place;

    *place = message->next;
    if (message->next == NULL)
        box->tail = before;
    message->next = NULL;
    if (!gv_message_is_system(message))
        box->load -= gv_mailbox_share(message);
    return message;
}

struct gv_message *gv_mailbox_take_user(struct gv_mailbox *box)
{
    struct gv_message *before = NULL;

    for (struct gv_message *message = box->head; message != NULL; message = message->next) {
        if (!gv_message_is_system(message))
            return unlink_behind(box, before);
        before = message;
    }
    return NULL;
}

struct gv_message *gv_mailbox_remove(struct gv_mailbox *box, uint64_t call)
{
    struct gv_message *before = NULL;

    gv_assert(call != 0);
    for (struct gv_message *message = box->head; message != NULL; message = message->next) {
        if (message->call == call && !gv_message_is_system(message))
            return unlink_behind(box, before);
        before = message;
    }
    return NULL;
}
