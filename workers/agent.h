/*
 * Agent: a machine's side of a pool that is elsewhere. It has a pool of its
 * own, of processes here, and passes on what the other pool asks for:
 *
 *     pool there ──CALL──▶ agent ──request──▶ pool here ──▶ worker processes
 *                ◀─REPLY──       ◀──outcome──
 *
 *     WAITING ──workers are there──▶ DIALLING ──WELCOME──▶ READY ──DRAIN──▶ LEAVING
 *        ▲                               │                   │                 │
 *        └──────── after 50 ms … 2 s ◀───┴── end of link ◀───┴─────────────────┘
 *
 * So the one that keeps the link is never busy with a job: it answers
 * heartbeats, kills whoever does not end, and knows of each death. Messages
 * stay packed; whether they are valid is seen by the worker process and by the
 * pool that asked. The agent tells of a worker's death (GROVE_ECRASHED) and
 * repeats nothing by itself: the pool that asked decides.
 *
 * Streams pass through: an ITEM goes on as it came, and a CREDIT back. The
 * credit that the pool there has given is what the worker here gets, so no
 * more is under way than between two neighbours, and nothing is kept here.
 *
 * When the link is lost, what still runs is given up, and its worker killed
 * after the grace: nobody would hear of it. Then it dials again, each time
 * later, with jitter. It leaves (DRAIN, the rest is finished) when it shall
 * end, when none of its workers can be born, and when their program is
 * another one now.
 *
 * A first try that cannot even dial, for want of a good certificate, ends it,
 * and asks the program to end.
 *
 * Always: loop 0 alone touches it. An errand is in the list exactly while its
 * call is open here.
 */
#ifndef GV_AGENT_H
#define GV_AGENT_H

#include <grove/ref.h>

#include "links/link.h"
#include "runtime/loop.h"
#include "workers/carried.h"

#define GV_AGENT_DELAY_MS     50u /* before the second try; doubles, and up to a half is taken off */
#define GV_AGENT_DELAY_MAX_MS 2000u
#define GV_AGENT_DIAL_MS      10000u /* until the connection is up and its peer known */

struct gv_pool;
struct errand;

enum gv_agent_state {
    GV_AGENT_WAITING,
    GV_AGENT_DIALLING,
    GV_AGENT_READY,
    GV_AGENT_LEAVING,
    GV_AGENT_GONE, /* for good */
};

struct gv_agent {
    struct gv_loop *loop;
    struct gv_pool *pool; /* here */
    grove_ref ref;        /* of it */
    const char *url;      /* of the pool there; lent */
    uint8_t state;        /* enum gv_agent_state */
    bool has_link;        /* its end was not seen */
    bool is_ending;       /* it shall not come back */
    bool has_dialled;     /* ever */
    int error;            /* why it is GONE: it could not even dial; the log says more */
    bool was_ready;       /* of this link */
    bool is_drained;      /* of this link: the pool there sends no more jobs */
    bool is_told;         /* the log knows that it cannot join */
    uint32_t heartbeat_ms;
    uint32_t delay_ms; /* before the next try */
    uint32_t since_ms; /* of this state */
    uint32_t close_ms; /* LEAVING, all done: when patience with the last bytes ends; 0 = not yet */
    struct gv_carried carried;
    struct errand *errands;
    unsigned n_errands;
    struct gv_timer timer;
    struct gv_flush flush;
    struct gv_link link;
};

/* Begins, for this pool of ours: dials as soon as a worker is ready. On loop 0. */
void gv_agent_begin(struct gv_agent *agent, grove_ref pool, const char *url);

/* Takes no more jobs, finishes what it has, and is GONE then; the state says when. */
void gv_agent_leave(struct gv_agent *agent);

/* Writes to the pool there before the next look at the world. */
void gv_agent_flush_later(struct gv_agent *agent);

/* GONE soon, whatever it has. */
void gv_agent_cut(struct gv_agent *agent);

#endif
