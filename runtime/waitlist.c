#include "runtime/waitlist.h"

#include <stdbool.h>
#include <stdlib.h>

#include <grove/error.h>

#include "runtime/assert.h"
#include "runtime/block.h"

#define PLACES_MIN 8u
#define LOOP_SHIFT 56u /* of a call's id */

/* --- peers ------------------------------------------------------------------------------------ */

/* What one of them has waiting. */
struct peer {
    uint64_t key; /* 0: the place is free */
    uint64_t bytes;
    uint32_t n;
};

/* Open addressing, a place behind the other; at most half of the places are taken. */
struct gv_peers {
    uint32_t n_places; /* a power of two */
    uint32_t n;
    struct peer places[];
};

/* No task has such ids: there are six classes of slots. */
static uint64_t loop_key(const struct gv_message *message)
{
    return UINT64_MAX - (message->call >> LOOP_SHIFT);
}

/* What has no task is one sender on each loop. */
static uint64_t sender_key(const struct gv_message *message)
{
    return message->from != 0 ? message->from : loop_key(message) - 256;
}

static uint32_t place_of(const struct gv_peers *peers, uint64_t key)
{
    return (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (peers->n_places - 1);
}

/* Where the key is, or would go. */
static struct peer *find(struct gv_peers *peers, uint64_t key)
{
    uint32_t i = place_of(peers, key);

    while (peers->places[i].key != 0 && peers->places[i].key != key)
        i = (i + 1) & (peers->n_places - 1);
    return &peers->places[i];
}

/* Makes room for two more keys. */
static bool grow(struct gv_waitlist *list)
{
    struct gv_peers *old = list->peers, *peers;
    uint32_t n_places = old == NULL ? PLACES_MIN : old->n_places;

    if (old != NULL && old->n + 2 <= n_places / 2)
        return true;
    if (old != NULL)
        n_places *= 2;
    peers = calloc(1, sizeof *peers + n_places * sizeof peers->places[0]);
    if (peers == NULL)
        return false;
    peers->n_places = n_places;
    for (uint32_t i = 0; old != NULL && i < old->n_places; i++)
        if (old->places[i].key != 0) {
            *find(peers, old->places[i].key) = old->places[i];
            peers->n++;
        }
    free(old);
    list->peers = peers;
    return true;
}

static void charge(struct gv_peers *peers, uint64_t key, uint32_t bytes)
{
    struct peer *peer = find(peers, key);

    if (peer->key == 0) {
        peer->key = key;
        peers->n++;
    }
    peer->n++;
    peer->bytes += bytes;
}

/* Frees a place: those behind it that belong further in front move up. */
static void drop(struct gv_peers *peers, uint32_t hole)
{
    uint32_t mask = peers->n_places - 1;

    peers->n--;
    for (uint32_t i = (hole + 1) & mask; peers->places[i].key != 0; i = (i + 1) & mask) {
        uint32_t home = place_of(peers, peers->places[i].key);

        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        peers->places[hole] = peers->places[i];
        hole = i;
    }
    peers->places[hole] = (struct peer){0};
}

static void forget(struct gv_peers *peers, uint64_t key, uint32_t bytes)
{
    struct peer *peer = find(peers, key);

    gv_assert(peer->key == key && peer->n > 0 && peer->bytes >= bytes);
    peer->bytes -= bytes;
    if (--peer->n == 0)
        drop(peers, (uint32_t)(peer - peers->places));
}

/* True if the peer may have one more message here. */
static bool has_share(struct gv_peers *peers, uint64_t key, uint32_t n_max, uint64_t bytes_left)
{
    const struct peer *peer = find(peers, key);

    return peer->key == 0 || (peer->n < n_max && peer->bytes <= bytes_left);
}

int gv_waitlist_admit(struct gv_waitlist *list, const struct gv_message *message,
                      uint32_t bytes_max)
{
    uint32_t bytes = gv_message_charge(message);
    uint64_t sender = sender_key(message), loop = loop_key(message);

    /* Larger ones are refused before: to wait for room would be to wait for ever. */
    gv_assert(bytes <= bytes_max);
    if (!grow(list))
        return GROVE_ENOMEM;
    if (!has_share(list->peers, sender, GV_WAIT_PEER_MAX, (uint64_t)bytes_max - bytes)
        || !has_share(list->peers, loop, GV_WAIT_LOOP_MAX, GV_WAIT_LOOP_BYTES - bytes))
        return GROVE_EFULL;
    charge(list->peers, sender, bytes);
    charge(list->peers, loop, bytes);
    return 0;
}

void gv_waitlist_discharge(struct gv_waitlist *list, const struct gv_message *message)
{
    uint32_t bytes = gv_message_charge(message);

    forget(list->peers, sender_key(message), bytes);
    forget(list->peers, loop_key(message), bytes);
    if (list->peers->n > 0)
        return;
    free(list->peers);
    list->peers = NULL;
}

/* --- the list --------------------------------------------------------------------------------- */

/* Takes out the message behind `before`, or the first one if that is NULL. */
static struct gv_message *unlink_behind(struct gv_waitlist *list, struct gv_message *before)
{
    struct gv_message *message = before != NULL ? before->next : list->head;

    if (before == NULL)
        return gv_waitlist_take(list);
    before->next = message->next;
    if (message->next == NULL)
        list->tail = before;
    list->n--;
    if (gv_waitlist_counts(message))
        gv_waitlist_discharge(list, message);
    return message;
}

struct gv_message *gv_waitlist_remove(struct gv_waitlist *list, uint64_t call)
{
    struct gv_message *before = NULL;

    for (struct gv_message *message = list->head; message != NULL; message = message->next) {
        if (message->call == call)
            return unlink_behind(list, before);
        before = message;
    }
    return NULL;
}

struct gv_message *gv_waitlist_take_oldest(struct gv_waitlist *list, uint16_t method)
{
    struct gv_message *before = NULL;

    for (struct gv_message *message = list->head; message != NULL; message = message->next) {
        if (gv_message_may_be_dropped(message, method))
            return unlink_behind(list, before);
        before = message;
    }
    return NULL;
}
