/*
 * Parcel: a message that carries other messages of its loop, by address.
 *
 * Messages between loops are linked through their own lines, and following
 * such a link means to wait for a line out of another core's cache, once per
 * message. A parcel names them side by side, so that the receiver can fetch
 * all of them at once: half the price of a far message. What a loop has to
 * send to another one travels as a parcel from GV_PARCEL_MIN messages on; and
 * a parcel that has been emptied brings blocks home (block.c).
 *
 *     offset size   of the body
 *          0    8   n
 *          8  8*n   messages, oldest first
 *
 * Owner: whoever owns the parcel owns what is in it.
 *
 * Always: a parcel holds no parcel.
 */
#ifndef GV_PARCEL_H
#define GV_PARCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/block.h"
#include "runtime/message.h"

#define GV_PARCEL_MIN 4u  /* fewer are linked: they cost less than a parcel */
#define GV_PARCEL_MAX 64u /* messages in one */

struct gv_parcel {
    uint64_t n;
    struct gv_message *messages[];
};

/* A parcel with the n messages of a chain linked by `next` from newest to oldest; NULL without memory. Owns them on success. */
struct gv_message *gv_parcel_pack(struct gv_blocks *blocks, struct gv_message *newest, unsigned n);

/* Gives back a message and, if it is a parcel, all that is in it. Owns it. */
void gv_parcel_discard(struct gv_blocks *blocks, struct gv_message *message);

static inline bool gv_message_is_parcel(const struct gv_message *message)
{
    return message->method == GV_SIGNAL_PARCEL && !(message->form_flags & GV_FLAG_REPLY);
}

static inline struct gv_parcel *gv_parcel_of(struct gv_message *message)
{
    return (struct gv_parcel *)(void *)message->body;
}

/* Begins to bring a line here that another core has written and that this one is about to write. */
static inline void gv_fetch_line(const void *line)
{
#if defined(__x86_64__)
    /* The compiler takes the reading form without -mprfchw. Where the CPU lacks it, it does nothing. */
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)line));
#else
    __builtin_prefetch(line, 1);
#endif
}

/* Begins to bring the envelopes here, all at once. */
static inline void gv_parcel_fetch(const struct gv_parcel *parcel)
{
    for (uint64_t i = 0; i < parcel->n; i++)
        gv_fetch_line(parcel->messages[i]);
}

#endif
