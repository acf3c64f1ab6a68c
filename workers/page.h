/*
 * Page: memory that a pool shares with one worker process.
 *
 * The pool writes the upper part before the birth: where to dial and the
 * token that proves who dials. The worker writes the lower part with plain
 * stores while it works, so that the pool can see, also after a death, which
 * job was running:
 *
 *     seq > started              the job had not begun
 *     seq = started              it was the running one (or the last)
 *     seq < started, no answer   it had run, but its answer is lost
 *
 * seq counts the CALLs on this link, from 1, the same on both sides, since
 * bytes of a stream stay in order.
 *
 * While a job runs the pool may note that nobody waits for it any more: its
 * function asks for that now and then, and need not be killed if it ends soon.
 *
 * Always: the worker stores `started` before it calls the function.
 */
#ifndef GV_PAGE_H
#define GV_PAGE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#include "links/peer.h"

#define GV_WORKER_PAGE_BYTES 4096u
#define GV_WORKER_PAGE_MAGIC UINT64_C(0x67726f7665303167) /* "grove01g" */
#define GV_WORKER_PAGE_FD    3                            /* in the worker */
#define GV_WORKER_SLAB_FD    4                            /* if slab_bytes is not 0 */
#define GV_WORKER_VARIABLE   "GROVE_POOL_WORKER"          /* set in a worker's environment */
#define GV_WORKER_URL_BYTES  128u
#define GV_WORKER_NAME_BYTES 32u

/* What both sides say of a message beyond GV_LINK_MESSAGE_MAX. */
#define GV_WORKER_TOO_BIG "a message to or from a worker has at most 16 MiB"

struct gv_worker_page {
    /* Of the pool. */
    uint64_t magic;
    uint8_t token[GV_TOKEN_BYTES];
    char url[GV_WORKER_URL_BYTES];
    char name[GV_WORKER_NAME_BYTES]; /* of the pool */
    uint64_t memory_max;             /* it may have so much more than at birth; 0 = no limit */
    uint32_t cpu_s;                  /* of one job; 0 = no limit */
    uint64_t slab_bytes;             /* of the slab; 0 = there is none */

    /* Of the pool, while the worker works. */
    _Alignas(64) _Atomic uint64_t given_up; /* id of the last running job whose caller has left */
    _Atomic uint64_t taken;                 /* answers that were copied out of the slab */

    /* Of the worker. */
    _Alignas(64) _Atomic uint64_t started; /* seq of the last job whose function was called */
    _Atomic uint64_t flushed;              /* seq of the last job whose answer has left */
    _Atomic uint64_t job;                  /* id of the running job */
    _Atomic uint64_t started_ns;           /* when it began, by the worker's clock */
    _Atomic uint64_t grown_bytes;          /* in memory since it was warm */
};

static_assert(sizeof(struct gv_worker_page) <= GV_WORKER_PAGE_BYTES, "it is one page");

#endif
