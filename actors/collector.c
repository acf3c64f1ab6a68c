/*
 * The giving end of a stream: what generated _emit_await functions call, and
 * the sink of unit tests, which keeps copies. A copy is one block:
 *
 *     the message's struct | its body, as the shape's copy writes it
 *
 * Nothing here needs a runtime.
 */
#include <stdlib.h>

#include <grove/items.h>

#include "proto/codec.h"

#define ITEM_BYTES_MAX ((size_t)16 << 20) /* as on the way from a worker */

int grove_items_emit_await(struct grove_item_sink *sink, const ProtobufCMessage *item)
{
    return sink->answer->put(sink->answer, sink->shape, item);
}

/* Copies need their struct's bytes first, rounded so that the body is aligned. */
static size_t head_bytes(const struct grove_shape *shape)
{
    return (shape->descriptor->sizeof_message + 15) & ~(size_t)15;
}

static ProtobufCMessage *copy(const struct grove_shape *shape, const ProtobufCMessage *item)
{
    size_t head = head_bytes(shape), body = grove_shape_bytes(shape, item);
    unsigned char *block;

    if (body > SIZE_MAX - head - 16)
        return NULL;
    block = aligned_alloc(16, (head + body + 15) & ~(size_t)15);
    if (block == NULL)
        return NULL;
    shape->copy(block + head, item);
    shape->open((ProtobufCMessage *)(void *)block, block + head);
    return (ProtobufCMessage *)(void *)block;
}

static int collect(struct grove_answer *answer, const struct grove_shape *shape,
                   const ProtobufCMessage *item)
{
    struct grove_collector *collector = answer->body;
    size_t packed_bytes;
    int rc;

    if (collector->n_max != 0 && collector->n_items >= collector->n_max)
        return GROVE_ECANCELED;
    rc = gv_packed_size(item, ITEM_BYTES_MAX, &packed_bytes);
    if (rc != 0)
        return rc;
    if (collector->n_items == collector->room) {
        size_t room = collector->room != 0 ? 2 * collector->room : 16;
        void **items = realloc(collector->items, room * sizeof *items);

        if (items == NULL)
            return GROVE_ENOMEM;
        collector->items = items;
        collector->room = room;
    }
    collector->items[collector->n_items] = copy(shape, item);
    if (collector->items[collector->n_items] == NULL)
        return GROVE_ENOMEM;
    collector->n_items++;
    return 0;
}

struct grove_item_sink grove_collector_sink(struct grove_collector *collector,
                                            const struct grove_shape *shape)
{
    collector->answer = (struct grove_answer){.put = collect, .body = collector};
    return (struct grove_item_sink){.answer = &collector->answer, .shape = shape};
}

const ProtobufCMessage *grove_collector_item(const struct grove_collector *collector, size_t i)
{
    return i < collector->n_items ? collector->items[i] : NULL;
}

void grove_collector_free(struct grove_collector *collector)
{
    for (size_t i = 0; i < collector->n_items; i++)
        free(collector->items[i]);
    free(collector->items);
    collector->items = NULL;
    collector->n_items = collector->room = 0;
}
