/*
 * Turn: one handler's run, from its message to its return; and the wait it
 * is parked in meanwhile.
 *
 * A turn lies in the frame that runs the handler (main has one of its own).
 * It holds what lives as long as the handler: deadline, answers kept,
 * arena, futures in flight, the last failure. `loop->turn` is the running
 * one.
 *
 * A call may run inline, as a plain function: then a second turn lies above
 * the first one on the same stack. They are linked both ways:
 *
 *     caller's turn ──wait──▶ its wait ──above──▶ handler's turn ──wait──▶ …
 *                  ◀──turn──         ◀──below──
 *
 * Only the turn on top runs, or is parked; the waits below it are woken by
 * nobody, and end when the handler returns.
 *
 * Always: turn->wait is set exactly while the turn is parked, or a call of
 * it runs inline. A wait names what it waits for, so that reports, deadlock
 * search and stop need not guess.
 */
#ifndef GV_TURN_H
#define GV_TURN_H

#include <stdbool.h>
#include <stddef.h>

#include <grove/call.h>
#include <grove/error.h>
#include <grove/ref.h>

#include "runtime/arena.h"
#include "runtime/message.h"
#include "runtime/stack.h"
#include "runtime/timer.h"

struct gv_call;
struct gv_cycle;
struct gv_shield;
struct gv_defer;
struct gv_task;
struct gv_turn;

#define GV_WHY_BYTES 256u

/* A kind that holds more than a call record and a timer needs a line in actors/abandon.c. */
enum gv_wait_kind {
    GV_WAIT_SLEEP,
    GV_WAIT_YIELD,
    GV_WAIT_MAIL,   /* receive */
    GV_WAIT_CALL,   /* the answer of one call */
    GV_WAIT_ROOM,   /* room in a mailbox */
    GV_WAIT_ALL,    /* all of some futures */
    GV_WAIT_ANY,    /* one of some futures */
    GV_WAIT_STOP,   /* the end of another task */
    GV_WAIT_SPAWN,  /* the init of a child */
    GV_WAIT_IO,     /* something of the outside */
    GV_WAIT_THREAD, /* a call on a thread that uses this turn's memory: not to be cancelled */
    GV_WAIT_BESIDE, /* the end of turns of its own actor that it has let in; not to be cancelled */
    GV_WAIT_ITEM,   /* the next item of a stream */
    GV_WAIT_OUT,    /* its task is out: what it waits for, if anything, only the borrower knows */
};

/* What a handler did that its turn's end must see to: one test for all of it. */
enum gv_turn_odd {
    GV_ODD_FAILED = 1,    /* grove_fail was called */
    GV_ODD_CONVERTED = 2, /* an inline call that became a message, see actors/inline.h */
    GV_ODD_DEFERS = 4,    /* there are clean-ups: defers */
    GV_ODD_STASHED = 32,  /* its message is put aside, see actors/stash.h */
    GV_ODD_NOYIELD = 16,  /* in a region in which it may not park, see runtime/noyield.h */
    GV_ODD_LAST = 64,     /* deinit, or abandoned: what it spawned now would end behind it */
    GV_ODD_ALONE = 8,     /* it runs inline, and its caller was abandoned: its stack ends with it */
    GV_ODD_ABANDONED = 128, /* it goes on no more: what of it still runs is clean-ups */
};

enum gv_turn_parked {
    GV_PARKED = 1,        /* it has parked, or a turn that runs inline above it */
    GV_PARKED_LEAVES = 2, /* it is parked, and abandoned: it must not go on when it is resumed */
};

/* Whom a parked turn lets in beside it; actors/beside.h. */
enum gv_turn_opens {
    GV_OPENS_READS = 1,  /* it only reads: others that do */
    GV_OPENS_GRANTS = 2, /* what it has called itself */
};

/* Why a turn is parked. Lies in its frame. */
struct gv_wait {
    struct gv_wait *next;       /* ready list */
    struct gv_turn *turn;       /* who waits */
    struct gv_timer timer;      /* armed if deadline_ms is set */
    struct gv_message *message; /* what woke it: an answer, or mail; the waiter owns it then */
    union {
        struct grove_future *const *futures;   /* ALL, ANY */
        void (*leave)(struct gv_wait **place); /* IO: see actors/io.h */
    };
    uint64_t target;        /* task waited for, 0 = none; CALL, ROOM, STOP, SPAWN */
    uint64_t call;          /* CALL, ROOM: its call record */
    struct gv_wait **slot;  /* IO: the place that points here, NULL if it is gone */
    struct gv_cycle *cycle; /* deadlock search over loops, NULL if there is none */
    struct gv_turn *above;  /* CALL that runs inline: the handler's turn on this same stack */
    uint64_t number;        /* of this wait: never used twice on a loop */
    uint64_t searched; /* the last search for a circle that came by, so that none comes twice */
    uint32_t since_ms;
    uint32_t deadline_ms; /* 0 = none */
    int32_t rc;           /* what park returns */
    uint16_t method;
    uint8_t kind; /* enum gv_wait_kind */
    uint8_t woken;
    uint32_t n_futures;
    uint32_t n_left; /* futures that must still come before it wakes */
};

struct gv_turn {
    struct gv_task *task;              /* NULL for main */
    struct gv_message *message;        /* the request, NULL for main and greenlets */
    const struct grove_method *method; /* NULL for main, greenlets, first and last turns */
    struct gv_stack *stack;            /* while parked: on which one it is, NULL for main */
    uint32_t deadline_ms;              /* inherited, 0 = none */
    uint16_t index;                    /* of method, 0 if there is none */
    /* From here to opens, gv_turn_begin writes zeros; side by side, so that it takes few stores. */
    uint32_t within_ms;        /* of the next call, 0 = unset */
    struct gv_wait *wait;      /* what it is parked in */
    struct gv_wait *below;     /* runs inline: its caller's wait, on this same stack */
    struct gv_message *held;   /* answers whose pointers the handler may use */
    struct gv_message *letter; /* envelope for the answer to the letter last received */
    struct gv_call *futures;   /* calls of futures that were started and not yet awaited */
    struct gv_arena arena;
    union {
        struct {
            uint8_t cancelled; /* its awaits fail with GROVE_ECANCELED */
            uint8_t odd;       /* enum gv_turn_odd; 0 for most: what its end must see to */
        };
        uint16_t barred; /* both at once: 0 if nothing keeps it from parking */
    };
    uint8_t parked;    /* enum gv_turn_parked */
    uint8_t noted;     /* the rest holds the last failure; else it is not initialised */
    uint8_t n_shields; /* open ones; shield.h */
    uint8_t opens;     /* enum gv_turn_opens: others may be let in beside it while it is parked */
    uint64_t grants;   /* number of its grant; only with GV_OPENS_GRANTS */
    struct gv_shield *shield;                  /* set while there are any; else not initialised */
    struct gv_defer *defers;                   /* newest first; only with GV_ODD_DEFERS */
    const ProtobufCEnumDescriptor *refused_by; /* enum of the refusal an await brought */
    struct grove_failure failure; /* of the last await that did not return 0; no text yet: why */
    char why[GV_WHY_BYTES];       /* the failure's text */
};

#define GV_TURN_BEGUN_BYTES (offsetof(struct gv_turn, grants) - offsetof(struct gv_turn, within_ms))

static inline bool gv_turn_has_failed(const struct gv_turn *turn)
{
    return turn->odd & GV_ODD_FAILED;
}

/* Room for the last failure, empty if there has been none: for who reads or writes it. */
static inline struct grove_failure *gv_turn_failure(struct gv_turn *turn)
{
    if (!turn->noted) {
        turn->noted = 1;
        turn->refused_by = NULL;
        turn->failure = (struct grove_failure){.text = turn->why};
        turn->why[0] = '\0';
    }
    return &turn->failure;
}

#endif
