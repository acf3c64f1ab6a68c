/*
 * Pool: worker processes behind one ref.
 *
 * A pool is a task on loop 0. Requests reach it packed, through the ordinary
 * mailbox, from any loop; its run files them as jobs in a bounded queue, and
 * nothing else, since it runs on a dispatcher's small stack. Before the next
 * look at the world, on the main stack, jobs go out to the workers with free
 * credits, and each link writes all it has in one go. Answers come in as
 * upcalls of the links, are validated, unpacked, copied into an envelope and
 * sent to whoever waits.
 *
 *     mailbox ─▶ run: file ─▶ queue ─▶ flush: assign ─▶ link ─▶ worker process
 *                                                                   │
 *          caller ◀─ gv_call_answer ◀─ answer ◀─ REPLY frame ◀──────┘
 *
 * A pool has a place for each worker it may ever have at once. Places that
 * are in use have a worker or get one; size.c says how many these are.
 *
 * When ten births for each place have come to nothing, in a row, the breaker
 * opens: calls fail at once, and every five seconds one worker is tried.
 *
 * Files: pool.c the task, pool_open.c its birth and the public functions,
 * crew.c who gets which job, size.c how many workers there are and for how
 * long, child.c one worker process, job.c the queue, slab_pool.c large messages,
 * answer.c what comes back, letters.c dead ones, quarantine.c those that
 * kill their workers, remote.c workers of other machines, host_dir.c and
 * host_child.c the door.
 *
 * Always: loop 0 alone touches a pool. Every filed job is answered exactly
 * once. The pool's slot is given back when no child and no job is left.
 */
#ifndef GV_POOL_H
#define GV_POOL_H

#include <grove/pool.h>

#include "links/roster.h"
#include "proto/validate.h"
#include "runtime/loop.h"
#include "runtime/task.h"
#include "workers/child.h"
#include "workers/job.h"
#include "workers/letters.h"
#include "workers/quarantine.h"

#define GV_POOL_WORKERS_MAX 256u
#define GV_POOL_NAME_BYTES  32u
#define GV_POOL_PATH_BYTES  108u /* what fits a socket's address */
#define GV_POOL_TICK_MS     500u /* how often patience is looked at */
#define GV_POOL_BIRTHS_MAX  10u  /* in vain, in a row, for each place, until the breaker opens */
#define GV_POOL_RETRY_MS    5000u
#define GV_POOL_DEATHS_MAX  2u    /* workers that one job may take along */
#define GV_POOL_LEAVE_MS    2000u /* from DRAIN to SIGKILL */

enum gv_pool_state { GV_POOL_OPEN, GV_POOL_DRAINING, GV_POOL_ENDING };

struct gv_agent;
struct gv_remote;

struct gv_pool_task {
    struct gv_task task;
    struct gv_pool *pool;
    struct gv_waitlist waitlist;
};

struct gv_pool {
    struct gv_pool_task *task;
    struct gv_loop *loop;
    const struct gv_env *env;
    char name[GV_POOL_NAME_BYTES];
    char program[256];                  /* "" is this one */
    char directory[GV_POOL_PATH_BYTES]; /* made by us; "" in a simulation */
    char url[GV_WORKER_URL_BYTES];
    int directory_fd;
    unsigned n_places;                  /* children */
    unsigned n_local;                   /* the first ones: processes of ours; then other machines */
    bool mixed;                         /* not all that are READY have the same roster */
    unsigned n_least, n_most, n_wanted; /* workers; n_wanted of them now */
    uint32_t grow_ms;                   /* a job that waited so long calls for one more */
    uint32_t idle_ms;                   /* one beyond n_least that was idle so long leaves */
    uint32_t birth_ms;                  /* from spawn to READY */
    int nice;                           /* as in the options */
    uint64_t recycle_jobs, recycle_bytes; /* 0 = never */
    uint32_t recycle_ms;
    uint32_t recycled_ms; /* when the last one began */
    uint64_t memory_max;  /* of a worker, beyond what it begins with; 0 = no limit */
    uint32_t cpu_s;       /* of a job; 0 = no limit */
    struct gv_child *retiring, *successor; /* both or none: who goes when the other is READY */
    struct gv_timer grow; /* armed while jobs wait and there is room for one more worker */
    unsigned credits;     /* 0: by how long jobs take */
    unsigned queue_max;
    uint64_t bytes_max;
    uint32_t grace_ms;
    uint8_t state; /* enum gv_pool_state */
    bool broken;   /* the breaker is open */
    unsigned births_in_vain;
    uint32_t retry_ms; /* broken: when one worker is tried */
    uint32_t stop_ms;  /* draining: when patience ends, 0 = never */
    uint32_t mean_ns;  /* of recent jobs */
    struct gv_listener *listener;
    struct gv_agent *agent;   /* who passes on here what another pool asks for, NULL: nobody */
    struct gv_remote *remote; /* how other machines come in; NULL: they do not */
    struct gv_roster *roster; /* of the worker that came last */
    struct gv_queue queue;
    uint64_t slab_bytes;    /* of each worker, 0 = none */
    bool slab_is_missing;   /* it could not be made, and the log has it */
    struct gv_bytes answer; /* copied out of a slab */
    uint32_t answer_ms;     /* when that was used last */
    struct gv_letters letters;
    struct gv_quarantine quarantine;
    struct gv_flush flush;
    struct gv_timer tick;
    struct grove_pool_stats stats; /* what is counted, not what is measured when asked */
    struct gv_child children[];    /* n_places */
};

extern const struct gv_task_class gv_pool_class;

/* Makes a pool with its directory and listener, but no task and no worker yet. */
int gv_pool_make(struct gv_loop *loop, const struct grove_pool_options *options,
                 struct gv_pool **pool);

/* The living pool that ref names, for who is on its loop; or a code, noted. function: who asks. */
int gv_pool_find_here(const char *function, grove_ref ref, struct gv_pool **pool);

/* Frees it: no child, no job, no listener may be left. */
void gv_pool_free(struct gv_pool *pool);

/* --- crew.c --------------------------------------------------------------------------------------- */

/* Sets the places of the workers up. */
void gv_crew_init(struct gv_pool *pool);

/* Starts the workers whose time has come. */
void gv_crew_spawn(struct gv_pool *pool);

/* Hands out waiting jobs while credits last. On the main stack. */
void gv_crew_assign(struct gv_pool *pool);

/* The roster that this HELLO would make, held for the caller, if some worker had it before; else NULL. */
struct gv_roster *gv_crew_roster(struct gv_pool *pool, const Grove__Link__V1__Hello *hello);

/* A worker has agreed: it may get jobs. */
void gv_crew_welcomed(struct gv_pool *pool, struct gv_child *child);

/* A worker is gone for good: what becomes of its jobs, and of its place. */
void gv_crew_buried(struct gv_pool *pool, struct gv_child *child);

/* Lets waiting jobs go, sends idle workers away, kills busy ones. kill: all. */
void gv_crew_end(struct gv_pool *pool, bool kill);

/* True when no process and no link is left. */
bool gv_crew_is_gone(const struct gv_pool *pool);

/* Now and then: patience with children, the breaker. */
void gv_crew_tick(struct gv_pool *pool);

/* --- size.c --------------------------------------------------------------------------------------- */

/* How long a worker lasts, and how many there are; before any is born. */
void gv_size_init(struct gv_pool *pool, const struct grove_pool_options *options);

/* How many places a pool of these options needs for processes of ours. */
unsigned gv_size_places(const struct grove_pool_options *options);

/* Why sizes and limits cannot be so, NULL if they can. Lent for ever. */
const char *gv_size_wrong(const struct grove_pool_options *options);

/* Jobs wait, and nobody is free. */
void gv_size_short(struct gv_pool *pool);

/* A worker is READY, has answered a job, or is dead. */
void gv_size_ready(struct gv_pool *pool, struct gv_child *child);
void gv_size_answered(struct gv_pool *pool, struct gv_child *child);
void gv_size_buried(struct gv_pool *pool, struct gv_child *child);

/* Now and then: who is idle, who is old. */
void gv_size_tick(struct gv_pool *pool);

/* Nobody comes or goes for its sake any more. */
void gv_size_end(struct gv_pool *pool);

/* --- slab_pool.c ---------------------------------------------------------------------------------- */

/* Before a worker is born: makes its slab, if it gets one, and notes that in its page. */
void gv_slab_open(struct gv_child *child);
void gv_slab_close(struct gv_child *child);

/*
 * Puts the job's request into its worker's slab if it is large and there is
 * room; *wire is the body of its CALL then, with the flag SLAB.
 */
bool gv_slab_put(struct gv_child *child, struct gv_job *job, uint8_t wire[GV_SLAB_WIRE_BYTES]);

/* The worker needs the request no longer. */
void gv_slab_leave(struct gv_child *child, struct gv_job *job);

/* Replaces the body of a frame with the flag SLAB by what it points at. Returns why the worker must go, or NULL. Lent. */
const char *gv_slab_get(struct gv_child *child, struct gv_frame *frame);

/* Now and then: gives memory back. */
void gv_slab_tick(struct gv_child *child, uint32_t now_ms);
void gv_slab_tick_pool(struct gv_pool *pool, uint32_t now_ms);

/* Bytes of memory that the worker's slab holds now. */
uint64_t gv_slab_used(const struct gv_child *child);

/* --- pool_open.c ---------------------------------------------------------------------------------- */

/* The pool that ref names, NULL if it is none that lives. On its loop. */
struct gv_pool *gv_pool_find(grove_ref ref);

/* --- pool.c --------------------------------------------------------------------------------------- */

/* Writes, and hands out jobs, before the next look at the world. */
void gv_pool_flush_later(struct gv_pool *pool);

/* --- answer.c ------------------------------------------------------------------------------------- */

/* The caller gave up or its deadline passed: takes the job back, or tells its worker. */
void gv_job_give_up(struct gv_job *job, int code);

/* Fails a job that is in no list any more. text may be NULL. */
void gv_job_fail(struct gv_job *job, int code, enum grove_started started, const char *text);

/* A worker's REPLY. Returns why the worker must go, or NULL. */
const char *gv_job_answered(struct gv_child *child, const struct gv_frame *frame);

/* The message of a worker as a caller opens it, in an envelope. Returns 0, GROVE_EPROTO, GROVE_ETOOBIG or GROVE_ENOMEM. */
int gv_job_make_reply(struct gv_job *job, const struct gv_frame *frame, struct gv_message **reply,
                      struct gv_validate_error *error);

/* The worker that had it is dead. started: the seq of its last job. The job is in no list. */
void gv_job_bereaved(struct gv_job *job, const struct gv_child *child, uint64_t started);

/* --- items.c -------------------------------------------------------------------------------------- */

/* What the CALL of a stream says besides; it begins, or begins anew. */
void gv_job_stream(struct gv_job *job, struct gv_frame *call);

/* A worker's ITEM. Returns why the worker must go, or NULL. */
const char *gv_job_item_came(struct gv_child *child, const struct gv_frame *frame);

/* The job of a stream has been answered, and is in no list any more. Returns why the worker must go, or NULL. */
const char *gv_job_stream_ended(struct gv_job *job, const struct gv_frame *frame);

/* A caller has taken items. Owns message. */
void gv_pool_credit(struct gv_pool *pool, struct gv_message *message);

/* A caller there has taken items, with so many bytes, of a job here. */
void gv_job_credit(struct gv_job *job, uint32_t n_items, uint64_t n_bytes);

/* The same with what happened to a stream, and after how many items; NULL if none had come. Lent until the next one. */
const char *gv_job_items_text(const struct gv_job *job, const char *what);

/* --- host_dir.c, host_child.c ----------------------------------------------------------------------- */

/*
 * Makes a directory of mode 0700 for sockets. path gets it, *fd is open on
 * it. Returns 0, -errno, or GROVE_EUSAGE if the chosen folder is no absolute
 * path; with a log line and a reason that say what is wrong. Nothing is left then.
 */
int gv_host_directory_open(char path[GV_POOL_PATH_BYTES], int *fd);

/* Removes the socket and the directory. */
void gv_host_directory_close(const char *path, int fd);

/* What a worker of ours inherits: the program (NULL: this one), its arguments, its environment. */
struct gv_host_child {
    const char *program;
    char *arguments[3];
    char *environment[64];
    char text[512]; /* of the variables that are ours */
};
void gv_host_child_prepare(struct gv_host_child *child, const char *program, const char *pool);

#endif
