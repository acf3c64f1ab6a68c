/*
 * Items: rpcs that give many answers, one after the other, from a worker.
 *
 *     rpc Scan(ScanRequest) returns (stream ScanItem) {
 *       option (grove.isolation) = WORKER;
 *     }
 *
 * The caller opens a stream and takes items one by one:
 *
 *     struct screening_scan_stream hits;
 *
 *     rc = screening_scan_open(pool, &request, &hits);
 *     while (rc == 0 && (rc = screening_scan_next_await(&hits, &item)) == 0)
 *         use(&item);
 *     if (rc != GROVE_EEND)
 *         return rc;
 *
 * The function, in its worker process, gives them:
 *
 *     static int scan(const ScanRequest *request, struct screening_scan_sink *sink)
 *     {
 *         while (find(request, &item))
 *             if ((rc = screening_scan_emit_await(sink, &item)) != 0)
 *                 return rc;
 *         return 0;
 *     }
 *
 * Credit. A function is at most so many items ahead of its reader as
 * (grove.credit) says, 64 by default, and 256 KiB of packed items and one
 * more; then emit_await waits in the worker. So a slow reader stops the
 * function and nothing else: no actor, no loop. The worker is taken
 * meanwhile, and no other job is given to it. Who reads slowly, or calls the
 * same pool between two items, gives streams a pool of their own.
 *
 * End. Every stream ends once, after the last item that came:
 *
 *     GROVE_EEND         the function has returned 0; there are no more items
 *     > 0                it refused
 *     < 0                it failed, or its worker died (GROVE_ECRASHED), or
 *                        the time is over (GROVE_ETIMEDOUT); grove_why()
 *
 * A stream has one deadline, set when it is opened as a call's is: the least
 * of what the caller has left, grove_within, and the method's timeout (30 s
 * unless the .proto says otherwise). It counts for all items together, and
 * also while the function waits for its reader.
 *
 * A worker that dies before its first item has left may be replaced as for
 * other jobs: an rpc with an idempotency_level runs again. After an item has
 * come nothing runs again: the stream ends with GROVE_ECRASHED, started YES,
 * and grove_why() says how many items had come.
 *
 * A stream belongs to the turn that opened it. One that is still open when
 * the handler returns, fails or is stopped is closed then.
 */
#ifndef GROVE_ITEMS_H
#define GROVE_ITEMS_H

#include <stddef.h>
#include <stdint.h>

#include <grove/error.h>
#include <grove/export.h>
#include <grove/method.h>
#include <grove/ref.h>

#define GROVE_CREDIT       64u     /* of a streaming rpc that says nothing else */
#define GROVE_CREDIT_MAX   1024u   /* that (grove.credit) may say */
#define GROVE_CREDIT_BYTES 262144u /* of packed items, and one item more */

/* --- for who takes items ------------------------------------------------------------------------ */

/* A stream that was opened. Lives in the caller's frame; need not be initialised. */
struct grove_item_stream {
    uint64_t n_items; /* that were taken */
    int rc;           /* how it has ended, 0 while it has not; never changes then */
    uint64_t call;    /* ours */
};

/*
 * Sends the request; items are waited for later. Returns 0 with *stream open,
 * or as grove_call_start: GROVE_EFULL, GROVE_ENOACTOR, GROVE_ESTOPPING,
 * GROVE_EUNAVAILABLE, GROVE_ETIMEDOUT, GROVE_ECANCELED, GROVE_ETOOBIG, GROVE_ENOMEM, or
 * GROVE_ENOTSUP if ref is no pool's, GROVE_EUSAGE. *stream has ended with that code then. Never suspends.
 */
GROVE_API int grove_items_open(grove_ref ref, const struct grove_service *service, uint32_t method,
                               const ProtobufCMessage *request, struct grove_item_stream *stream);

/*
 * Takes the next item; suspends while there is none. Returns 0 with *item
 * filled, or how the stream has ended, now and ever after. The item's
 * pointers live until the next item is taken, or the stream is closed. The
 * stream goes on, and may be asked again, after GROVE_ECANCELED when the caller itself
 * is told to stop (for a part of its time behind a shield), GROVE_ENOMEM and
 * GROVE_ENOSTACK; GROVE_EUSAGE if it is not open, or is another turn's.
 */
GROVE_API int grove_items_next_await(struct grove_item_stream *stream, ProtobufCMessage *item);

/*
 * Leaves a stream before its end: its function is cancelled, and killed with
 * its worker if it does not return within the pool's grace_ms. The last item
 * is gone too. Later takes return GROVE_ECANCELED; nothing happens to a
 * stream that has ended but that its last item is gone. Never suspends.
 */
GROVE_API void grove_items_close(struct grove_item_stream *stream);

/* --- for functions in workers ------------------------------------------------------------------- */

/* Where the items of a running function go. Lent to it until it returns. */
struct grove_item_sink {
    struct grove_answer *answer;     /* ours */
    const struct grove_shape *shape; /* ours: of the items */
};

/*
 * Gives an item, which is lent until this returns. Waits while credit is used up:
 * the worker does nothing else meanwhile. On 0 it is on its way. Else it is
 * not, and unless you know better, return the code: GROVE_ECANCELED or
 * GROVE_ETIMEDOUT, nobody takes items any more; GROVE_ETOOBIG,
 * it has more than 16 MiB, packed; GROVE_EUSAGE, it has NULL where an array or one of its
 * elements belongs; GROVE_ENOMEM; GROVE_EDOWN, the program that has this worker is gone.
 */
GROVE_API int grove_items_emit_await(struct grove_item_sink *sink, const ProtobufCMessage *item);

/* --- for unit tests of such functions ------------------------------------------------------------ */

/*
 * Keeps what a function emits, without workers or a runtime:
 *
 *     struct grove_collector collector = {.n_max = 0};
 *     struct screening_scan_sink sink = screening_scan_collect(&collector);
 *
 *     assert(scan(&request, &sink) == 0);
 *     assert(collector.n_items == 2);
 *     assert(screening_scan_collected(&collector, 1)->score > 0.5);
 *     grove_collector_free(&collector);
 */
struct grove_collector {
    size_t n_max;               /* the next item is not taken any more, and emit_await returns
                       GROVE_ECANCELED, as if the reader had left; 0: all are */
    size_t n_items;             /* kept */
    struct grove_answer answer; /* ours */
    void **items;               /* ours */
    size_t room;                /* ours */
};

/* The sink of a collector for items of a shape. */
GROVE_API struct grove_item_sink grove_collector_sink(struct grove_collector *collector,
                                                      const struct grove_shape *shape);

/* Item i, from 0, NULL if there is none. Lent until the collector is freed. */
GROVE_API const ProtobufCMessage *grove_collector_item(const struct grove_collector *collector,
                                                       size_t i);

/* Frees the items. The collector may be used again. */
GROVE_API void grove_collector_free(struct grove_collector *collector);

#endif
