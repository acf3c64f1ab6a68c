/*
 * Child: one worker process of a pool, and its successors in the same place;
 * or another machine with workers of its own, see remote.h.
 *
 *     RESTING ──spawn──▶ SPAWNING ──HELLO, WELCOME──▶ READY ──DRAIN──▶ LEAVING
 *        ▲                  │                            │                │
 *        └── exit seen and end of stream seen ── DYING ◀─┴────────────────┘
 *
 * A worker is dead when both its exit and the end of its stream have been
 * seen: then no answer of it can come any more, and its page says what it
 * was doing. Whichever comes first begins the dying; a process whose stream
 * has ended is killed.
 *
 * Always: the page stays until the child is dead; jobs only with READY,
 * LEAVING and DYING children.
 */
#ifndef GV_CHILD_H
#define GV_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "links/link.h"
#include "links/roster.h"
#include "runtime/timer.h"
#include "workers/job.h"
#include "workers/page.h"
#include "workers/progress.h"
#include "workers/slab.h"

#define GV_CHILD_CORPSE_MS \
    1000u /* from exit to the end of its stream, which a grandchild may hold open */
#define GV_CHILD_DELAY_MS     10u /* before the second respawn in a row; doubles */
#define GV_CHILD_DELAY_MAX_MS 500u

struct gv_pool;

enum gv_child_state {
    GV_CHILD_RESTING,
    GV_CHILD_SPAWNING,
    GV_CHILD_READY,
    GV_CHILD_LEAVING,
    GV_CHILD_DYING,
};

struct gv_child {
    struct gv_pool *pool;
    uint8_t state;      /* enum gv_child_state */
    bool has_exited;    /* its exit was seen */
    bool has_link;      /* link is in use, its end not seen */
    bool was_ready;     /* it once got as far as READY */
    bool was_before;    /* the place has had a worker: another one is a restart */
    bool is_used;       /* the place has a worker, or gets one */
    bool end_is_wanted; /* by the pool, so it is no news */
    bool is_remote;     /* another machine: it has no process here, no page, and no order of jobs */
    bool has_left;      /* another machine that was told to leave, or has said that it does */
    uint16_t capacity;  /* workers behind its link */
    int status, signal; /* how it ended; of interest when it is dead */
    int64_t pid;
    int64_t pid_before; /* of its predecessor, whose connection may come late */
    uint32_t since_ms;  /* when it was spawned, or told to leave, or has exited */
    uint32_t delay_ms;  /* before the next spawn, if this one dies too */
    uint32_t spawn_ms;  /* RESTING: when to spawn */
    uint32_t ready_ms;  /* when it became READY */
    uint32_t idle_ms;   /* since when it has no job */
    uint64_t n_answered;
    struct gv_progress_budget progress; /* how much more of it may come */
    uint64_t n_sent;                    /* CALLs on its link: seq of the newest */
    struct gv_process *process;
    struct gv_page page;
    struct gv_slab slab;          /* bytes 0: there is none */
    struct gv_slab_half requests; /* of the slab */
    uint64_t n_taken;             /* answers copied out of it */
    uint32_t slab_ms;             /* when it was used last */
    bool slab_is_used;            /* since it was given back last */
    struct gv_roster *roster;
    struct gv_job_list jobs; /* sent and not answered, in order */
    struct gv_timer timer;   /* RESTING: spawn; of another machine: the next heartbeat */
    char peer[64];           /* of another machine: the name in its certificate */
    struct gv_link link;
};

/* What it has written to its page. */
static inline struct gv_worker_page *gv_child_page(const struct gv_child *child)
{
    return (struct gv_worker_page *)child->page.memory;
}

/* Starts a process for this place. Returns 0, or -errno with a log line: nothing has begun then. */
int gv_child_spawn(struct gv_child *child);

/* Takes a connection whose peer is this child. */
void gv_child_connected(struct gv_child *child, struct gv_stream *stream);

/* Ends it by SIGKILL. Its death is seen later. */
void gv_child_kill(struct gv_child *child);

/* Tells it to finish what it has and leave. */
void gv_child_leave(struct gv_child *child);

/* Looks whether it takes too long to be born, to leave, to die, or within a frame. */
void gv_child_tick(struct gv_child *child, uint32_t now_ms, uint64_t now_ns);

#endif
