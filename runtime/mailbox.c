/*
 * Mailbox: the rare operations.
 */
#include "runtime/mailbox.h"

#define SHARE(bytes) ((uint64_t)1 << 32 | (bytes))

const uint64_t gv_mailbox_shares[GV_BLOCK_CLASSES] = {
    [GV_BLOCK_64] = SHARE(64),
    [GV_BLOCK_128] = SHARE(128),
    [GV_BLOCK_256] = SHARE(256),
    [GV_BLOCK_1024] = SHARE(1024),
};

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

bool gv_mailbox_can_push_out(const struct gv_mailbox *box, const struct gv_message *message,
                             uint32_t depth_max, uint32_t bytes_max)
{
    uint64_t load = box->load + gv_mailbox_share(message);

    for (const struct gv_message *other = box->head; other != NULL; other = other->next) {
        if (!gv_message_may_be_dropped(other, message->method))
            continue;
        load -= gv_mailbox_share(other);
        if (load >> 32 <= depth_max && (uint32_t)load <= bytes_max)
            return true;
    }
    return false;
}

struct gv_message *gv_mailbox_take_oldest(struct gv_mailbox *box, uint16_t method)
{
    struct gv_message *before = NULL;

    for (struct gv_message *message = box->head; message != NULL; message = message->next) {
        if (gv_message_may_be_dropped(message, method))
            return unlink_behind(box, before);
        before = message;
    }
    return NULL;
}

uint64_t gv_mailbox_detach(struct gv_mailbox *box, struct gv_mailbox *batch, uint32_t n_max)
{
    struct gv_message *message = box->head;

    gv_assert(batch->head == NULL && n_max > 0);
    if (message == NULL)
        return 0;
    batch->head = message;
    for (;; message = message->next) {
        gv_assert(!gv_message_is_system(message));
        batch->load += gv_mailbox_share(message);
        if (--n_max == 0 || message->next == NULL)
            break;
    }
    batch->tail = message;
    box->head = message->next;
    if (box->head == NULL)
        box->tail = NULL;
    message->next = NULL;
    return batch->load;
}

void gv_mailbox_rejoin(struct gv_mailbox *box, struct gv_mailbox *batch, uint64_t charge)
{
    /* It may have more than it left with: what was put back into it. */
    gv_assert(box->load >= charge);
    box->load -= charge - batch->load;
    if (batch->head == NULL)
        return;
    batch->tail->next = box->head;
    box->head = batch->head;
    if (box->tail == NULL)
        box->tail = batch->tail;
    gv_mailbox_init(batch);
}

void gv_mailbox_put_back(struct gv_mailbox *box, struct gv_mailbox *list)
{
    struct gv_message **place = &box->head;

    if (list->head == NULL)
        return;
    while (*place != NULL && gv_message_is_system(*place))
        place = &(*place)->next;
    list->tail->next = *place;
    if (*place == NULL)
        box->tail = list->tail;
    *place = list->head;
    box->load += list->load;
    gv_mailbox_init(list);
}
