/*
 * Remote: workers of other machines, in places of a pool of their own.
 *
 * A machine comes over TLS and shows a certificate; its name must be one that
 * the pool allows. Behind its link stands an agent (agent.h) with workers of
 * its own, so it holds as many jobs as they would, runs them in any order,
 * and sees to the death of its workers itself: it says GROVE_ECRASHED when one
 * died of a job, and the pool decides then whether that runs again.
 *
 *     RESTING ──accepted──▶ SPAWNING ──HELLO, WELCOME──▶ READY ──DRAIN──▶ LEAVING
 *        ▲                     │                           │                │
 *        └──────── end of stream ── DYING ◀── cut ─────────┴────────────────┘
 *
 * Both ends beat (link.h): who is silent for three heartbeats is gone. What
 * became of its jobs is then not known: those that may run twice go back into
 * the queue, at most GV_REMOTE_LOSSES_MAX times, the others fail with
 * GROVE_EUNKNOWN. The agent ends what it still runs, as nobody would hear of it.
 *
 * An overdue job gets its CANCEL; the agent kills its worker after the grace
 * and answers at once. One that does not answer for three heartbeats is cut off.
 */
#ifndef GV_REMOTE_H
#define GV_REMOTE_H

#include "workers/pool.h"

#define GV_REMOTE_LOSSES_MAX 3u /* links that one job may lose */

/* --- the door ------------------------------------------------------------------------------------- */

/* Why a pool cannot listen so, NULL if it can. Lent for ever. */
const char *gv_remote_wrong(const struct grove_pool_options *options);

/* How many places other machines may take. */
unsigned gv_remote_places(const struct grove_pool_options *options);

/* Listens, if it shall. Returns 0, or a code whose reason is noted. */
int gv_remote_open(struct gv_pool *pool, const struct grove_pool_options *options);

/* Nobody else comes in. */
void gv_remote_close(struct gv_pool *pool);
void gv_remote_free(struct gv_pool *pool);

/* As grove_pool_url. */
int gv_remote_url(const struct gv_pool *pool, char *url, size_t room);

/* --- one machine ---------------------------------------------------------------------------------- */

/* How often it shall beat; 0 for a process of ours. */
uint32_t gv_remote_heartbeat_ms(const struct gv_child *child);

/* Its HELLO. Returns why it is dropped, or NULL. */
const char *gv_remote_hello(struct gv_child *child, const Grove__Link__V1__Hello *hello);

/* It is READY: heartbeats begin. */
void gv_remote_welcomed(struct gv_child *child);

/* Its link has ended: what becomes of its jobs. */
void gv_remote_buried(struct gv_child *child);

/* --- its jobs ------------------------------------------------------------------------------------- */

/* It was told to give this job up a while ago, and has not answered. */
void gv_remote_overdue(struct gv_job *job);

/*
 * It failed a job, which is in no list any more. True if that goes to another
 * worker, or died with one of its workers: it is seen to then.
 */
bool gv_remote_gave_back(struct gv_child *child, struct gv_job *job, const struct gv_frame *frame);

#endif
