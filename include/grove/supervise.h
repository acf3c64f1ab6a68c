/*
 * Supervision: who starts actors again that have failed.
 *
 * A supervisor keeps a list of children, actors or other supervisors, in the
 * order in which they were added. One that ends is begun anew where its kind
 * says so: init runs again, with the same argument, on a state of zeros.
 * What others know of it stays: its ref, its name, who watches it, and the
 * messages that wait in its mailbox, in order. What it was handling fails
 * (GROVE_EDOWN) and is a dead letter. Its timers, and its own monitors, are
 * gone. deinit of the old incarnation has returned before init of the new
 * one begins.
 *
 *     kind        is begun anew
 *     PERMANENT   always, also after grove_stop: grove_supervisor_remove ends it
 *     TRANSIENT   if it failed or was killed
 *     TEMPORARY   never
 *
 *     strategy        who is begun anew when one has failed
 *     ONE_FOR_ONE     that one
 *     ONE_FOR_ALL     all: they rest in reverse order, then begin in order
 *     REST_FOR_ONE    that one and those added after it, likewise
 *
 * The first restart comes at once, the next ones after 50 ms, 100 ms, 200 ms
 * and so on, at most 30 s, each up to a fifth shorter by chance. A call that
 * waits in the mailbox, or comes meanwhile, fails at once if its deadline
 * will pass before: GROVE_EDOWN, started NO. In a group the shutdown times
 * of all who must rest first count, too.
 *
 * Who must be begun anew more than 5 times in 30 s escalates: its supervisor
 * brings all its children down and fails itself. If that has a parent, that
 * decides in the same way; else one line of the log tells the history, and
 * the process exits with status 70.
 *
 * An actor that is spawned without a supervisor is never begun anew, and
 * ends with the actor that spawned it (actor.h). So what a supervised actor
 * spawns ends before its next incarnation begins. A supervisor is nobody's
 * child but its parent's, wherever it is made; its children are its own.
 */
#ifndef GROVE_SUPERVISE_H
#define GROVE_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/actor.h>
#include <grove/export.h>
#include <grove/monitor.h>
#include <grove/ref.h>

/* The status of a process whose root supervisor has given up (EX_SOFTWARE). */
#define GROVE_EXIT_ESCALATED 70

enum grove_strategy { GROVE_ONE_FOR_ONE = 0, GROVE_ONE_FOR_ALL = 1, GROVE_REST_FOR_ONE = 2 };

enum grove_child_kind { GROVE_PERMANENT = 0, GROVE_TRANSIENT = 1, GROVE_TEMPORARY = 2 };

/* How often and how soon a child is begun anew; zero means the default. */
struct grove_restart_rule {
    enum grove_child_kind kind;
    uint32_t restarts_max; /* in period_ms, at most 64; default 5 */
    uint32_t period_ms;    /* default 30 000 */
    uint32_t backoff_ms;   /* before the second restart, doubled for each further one; default 50 */
    uint32_t shutdown_ms;  /* that it may take to rest before it is killed, and a second later
                              abandoned, as by grove_stop_within; default 5000 for an actor;
                              GROVE_INFINITE: for ever, the default of a supervisor */
    bool on_error;         /* a handler that returns < 0 has failed, as by grove_fail */
};

struct grove_supervisor_options {
    enum grove_strategy strategy;
    grove_ref parent;               /* a supervisor whose child it will be; GROVE_NOBODY: a root */
    struct grove_restart_rule rule; /* as a child of that */
    int place;                      /* as in grove_spawn_options; its children may live elsewhere */
    const char *label;              /* for reports, copied, at most 31 bytes */
};

/*
 * Makes a supervisor without children. options may be NULL. On 0 *ref is
 * the supervisor: it can be monitored, and stopped with grove_stop, which
 * stops its children first, the last one first. Errors: GROVE_EUSAGE,
 * GROVE_ENOMEM, GROVE_ESTOPPING, GROVE_ENOACTOR (no such parent). Never suspends.
 */
GROVE_API int grove_supervise(const struct grove_supervisor_options *options, grove_ref *ref);

/* An actor to be supervised. service, functions, argument and options are those of grove_spawn. */
struct grove_child {
    const struct grove_service *service; /* &NAME_service_table */
    const void *functions;               /* struct NAME_service, lent for good */
    const void
        *argument; /* of every init; copied if options.argument_bytes is set, else lent for good */
    struct grove_spawn_options options;
    struct grove_restart_rule rule;
};

/*
 * Adds an actor as the last child and has it begin. On 0 *ref is the actor,
 * which accepts messages at once. If its init fails that is a failure like
 * any other. Where one fails for all, or for the rest, it begins when those
 * before it are up. Errors: GROVE_EUSAGE (grove_why() says what is wrong),
 * GROVE_ENOMEM, GROVE_ESTOPPING, GROVE_ENOACTOR (no such supervisor). A
 * supervisor that ends meanwhile takes the actor with it. Never suspends.
 */
GROVE_API int grove_supervisor_add(grove_ref supervisor, const struct grove_child *child,
                                   grove_ref *ref);

/*
 * The same, but suspends until its init has returned, and returns
 * what it returned. If that is not 0, it has not been added.
 */
GROVE_API int grove_supervisor_add_await(grove_ref supervisor, const struct grove_child *child,
                                         grove_ref *ref);

/*
 * Ends a child for good, as grove_stop(…, GROVE_STOP_NOW), within its
 * shutdown_ms. Suspends until it is gone. Returns 0; GROVE_ENOACTOR if there
 * is no such child, or no such supervisor; GROVE_ETIMEDOUT, GROVE_ECANCELED.
 */
GROVE_API int grove_supervisor_remove_await(grove_ref supervisor, grove_ref child);

enum grove_child_state {
    GROVE_CHILD_WAITING = 0,  /* for those before it */
    GROVE_CHILD_STARTING = 1, /* its init runs */
    GROVE_CHILD_UP = 2,
    GROVE_CHILD_BACKOFF = 3,  /* it has failed, and is begun anew when its time has come */
    GROVE_CHILD_STOPPING = 4, /* it has been told to rest */
    GROVE_CHILD_DOWN = 5,     /* it rests until its group begins anew */
    GROVE_CHILD_ENDING = 6,
};

struct grove_child_info {
    grove_ref ref;
    enum grove_child_kind kind;
    enum grove_child_state state;
    bool is_supervisor;
    uint32_t restarts; /* since it was added */
    enum grove_down_reason
        last_reason;   /* of the last end of an incarnation; NONE: there was none */
    char last_why[96]; /* its reason, cut; "" if none */
    char label[32];
};

/*
 * Lists the children in their order: fills the first n_max of infos, and
 * *n with the number of all. Suspends. Returns 0, GROVE_ENOACTOR,
 * GROVE_EUSAGE (no supervisor), GROVE_ENOMEM, GROVE_ETIMEDOUT, GROVE_ECANCELED.
 */
GROVE_API int grove_supervisor_children_await(grove_ref supervisor, struct grove_child_info *infos,
                                              unsigned n_max, unsigned *n);

#endif
