/*
 * Supervisor: a task without turns that begins actors anew.
 *
 * All it does happens when a signal or a timer comes, on its home: nothing
 * of it ever waits. Its children may live anywhere; what passes between is
 * in post.h. A supervisor under another one answers the same orders as an
 * actor: it rests by bringing its children down, and begins by having them
 * begin.
 *
 *     of a child:
 *
 *     waiting ─▶ starting ─▶ up ─▶ (stopping) ─▶ down ─▶ ending ─▶ gone
 *                   ▲                             │
 *                   └──────── backoff ◀───────────┘
 *
 *     of the supervisor, `aim`:
 *
 *     UP ─▶ GROUP (some come down, reversed) ─▶ UP (they begin, in order)
 *      ├──▶ FAIL  (all come down) ─▶ reports to its parent, or the process exits
 *      ├──▶ REST  (all come down, as the parent ordered) ─▶ reports
 *      └──▶ END   (all come down and end) ─▶ gone
 *
 * While the aim is not UP one child after the other is brought down, from
 * the last one up to `first`; whatever ends by itself meanwhile is down too.
 * An aim gives way only to a later one in this list. Reports are seen to one
 * by one before the next look at the world, so nothing here is re-entered.
 *
 * Owner: a child's record belongs to its supervisor until the child has
 * reported its end; the child carries its address.
 *
 * Always: a child that is down or gone has no turn; a supervisor that is
 * gone has no children.
 */
#ifndef GV_SUPERVISOR_H
#define GV_SUPERVISOR_H

#include <stdbool.h>

#include <grove/supervise.h>

#include "actors/post.h"
#include "runtime/task.h"
#include "runtime/timer.h"

#define GV_RESTARTS_MAX   64u
#define GV_BACKOFF_MAX_MS 30000u

struct gv_supervisor;

/* A child, as its supervisor knows it. Made by who adds it. */
struct gv_child {
    struct gv_child *next, *before; /* in their order */
    struct gv_supervisor *supervisor;
    uint64_t number; /* grows in their order */
    uint64_t id;
    grove_ref ref;
    struct grove_restart_rule rule;
    struct gv_timer timer;    /* BACKOFF: begin; STOPPING: kill */
    struct gv_message *spare; /* of the next BEGIN or END, while it is down */
    uint64_t starter;         /* call that waits for its first init, 0 = none */
    uint64_t remover;         /* call that waits for its end, 0 = none */
    uint32_t n_restarts;
    uint32_t n_times; /* ever noted in times */
    enum grove_child_state state;
    enum grove_down_reason last_reason;
    bool is_supervisor;
    bool placed;    /* its slot is with its home */
    bool leaving;   /* it ends when it is down */
    char *last_why; /* on the heap, NULL for none */
    char label[GV_LABEL_BYTES];
    uint32_t times[]; /* the last restarts, a ring of rule.restarts_max */
};

enum gv_aim { GV_AIM_UP, GV_AIM_GROUP, GV_AIM_FAIL, GV_AIM_REST, GV_AIM_END };

struct gv_supervisor {
    struct gv_task task;
    struct gv_waitlist waitlist;
    struct gv_child *head, *tail; /* in their order */
    struct gv_child *cursor;      /* aim not UP: those behind it have come down */
    uint64_t first;               /* aim not UP: number of the first one that comes down */
    uint64_t n_added;             /* ever */
    struct gv_timer timer;        /* GROUP, all down: until they begin */
    struct gv_flush flush;        /* sees to the reports that came */
    struct gv_message *reports, **reports_end;
    struct gv_message *spare; /* with a parent: of the next report */
    uint64_t parent;          /* task id, 0 = a root */
    struct gv_child *self;    /* its record with the parent */
    uint32_t delay_ms;        /* GROUP: before they begin */
    uint32_t begins_ms;       /* GROUP, all down: when they begin */
    uint32_t wait_ms;         /* GROUP: that it may take until then */
    uint8_t strategy;         /* enum grove_strategy */
    uint8_t aim;              /* enum gv_aim */
    uint8_t end_mode;         /* enum grove_stop_mode */
    bool finishing;           /* its children take no more mail once they are told to rest */
    bool escalated;           /* it has given up */
    bool down;                /* has reported that to its parent, or has not begun yet */
    bool killing;             /* its children that come down have no time for it */
    bool stillborn;           /* its parent was gone before it was */
    char why[GV_WHY_BYTES];   /* of a failure */
    char label[GV_LABEL_BYTES];
};

extern const struct gv_task_class gv_supervisor_class;

/* A wish of GV_SIGNAL_SUPERVISE. */
enum gv_wish_kind { GV_WISH_ADD, GV_WISH_REMOVE, GV_WISH_LIST };

struct gv_wish {
    enum gv_wish_kind kind;
    uint32_t n_max;         /* LIST */
    struct gv_child *child; /* ADD: owned by the receiver */
    uint64_t id;            /* REMOVE */
    uint64_t room[2];       /* the message of an ADD becomes a report */
};

static_assert(sizeof(struct gv_wish) >= sizeof(struct gv_report), "an ADD becomes a report");
static_assert(sizeof(struct gv_report) >= sizeof(struct gv_order), "and that an order");

/* The body of the answer to a LIST. */
struct gv_list {
    uint32_t n, n_listed;
    struct grove_child_info infos[];
};

/* How a root ends the process; tests put another function here, which may return. */
extern void (*gv_supervisor_quit)(struct gv_loop *loop, int status);

/* A report came for a supervisor of this loop, NULL: it is gone. Owns message. */
void gv_supervisor_report_came(struct gv_loop *loop, struct gv_task *task,
                               struct gv_message *message);

/* A wish or report for a supervisor that is gone. Owns message if it returns true. */
bool gv_supervisor_orphaned(struct gv_loop *loop, struct gv_message *message);

/* What wishes need of the state machine. */
void gv_supervisor_take_in(struct gv_loop *loop, struct gv_supervisor *supervisor,
                           struct gv_child *child);
void gv_supervisor_remove(struct gv_loop *loop, struct gv_child *child);

/* A child that was never placed, and whose supervisor does not want it, comes to its home to end there. Owns child. */
void gv_child_abandon(struct gv_loop *loop, struct gv_child *child);

/* The class's signal. Owns message. */
void gv_supervisor_signal(struct gv_loop *loop, struct gv_task *task, struct gv_message *message);

/* Aims later in the list than now. */
void gv_supervisor_aim(struct gv_loop *loop, struct gv_supervisor *me, enum gv_aim aim);

/* Its INIT has come. Owns message. */
void gv_supervisor_start(struct gv_loop *loop, struct gv_supervisor *me,
                         struct gv_message *message);

/* An order of its parent's. Owns message. */
void gv_supervisor_order(struct gv_loop *loop, struct gv_supervisor *me,
                         struct gv_message *message);

/* Its children that shall rest are killed, without time to do so by themselves. */
void gv_supervisor_kill(struct gv_supervisor *me);

/* --- its records of children: child.c --- */

/* A new record, with the defaults of its rule filled in; shutdown_ms is one of those. NULL without memory. */
struct gv_child *gv_child_new(const struct grove_restart_rule *rule, uint32_t shutdown_ms);
void gv_child_free(struct gv_child *child);

/* Puts it behind the others, and takes it out. */
void gv_child_append(struct gv_supervisor *me, struct gv_child *child);
void gv_child_unlink(struct gv_child *child);

/* Down or never up, with a spare message: it begins. */
void gv_child_begin(struct gv_loop *loop, struct gv_child *child);

/* Down: it is told to be no more. */
void gv_child_end(struct gv_loop *loop, struct gv_child *child);

/* Up: it is told to go down, and killed if it does not in time. */
void gv_child_lay_down(struct gv_loop *loop, struct gv_child *child);
void gv_child_too_late(struct gv_timer *timer);

/* Tells it something. False without memory. */
bool gv_child_order(struct gv_loop *loop, const struct gv_child *child, struct gv_order what);

/* Answers a call that waits for something of a child; *call is 0 from then on. why may be NULL. */
void gv_child_answer(struct gv_loop *loop, uint64_t *call, int code, const char *why);

/* Notes a restart now. False: there were too many. */
bool gv_child_may_restart(struct gv_child *child, uint32_t now_ms);

/* How long the restart that was noted last shall wait. */
uint32_t gv_child_delay_ms(const struct gv_loop *loop, const struct gv_child *child);

/* Writes how often it was begun anew of late, and when. */
void gv_child_history(const struct gv_loop *loop, const struct gv_child *child, char *text,
                      size_t room);

#endif
