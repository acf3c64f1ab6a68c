/*
 * Probe: the places where something worth knowing happens, named once.
 *
 * One test of a flag word while nobody listens. The simulator folds what
 * passes into the hash that proves a replay; tests count it. a and b are
 * numbers that mean the same in every run: ids, codes, kinds, never
 * addresses.
 */
#ifndef GV_PROBE_H
#define GV_PROBE_H

#include <stdint.h>

#include "runtime/hint.h"

enum gv_probe_point {
    GV_PROBE_SEND,      /* task, method: a request is in a mailbox */
    GV_PROBE_DROP,      /* task, code: nobody will handle it */
    GV_PROBE_START,     /* task, loop: a turn begins */
    GV_PROBE_END,       /* task, loop */
    GV_PROBE_PARK,      /* task, kind of wait */
    GV_PROBE_RESUME,    /* task, code */
    GV_PROBE_REPLY,     /* call, code: an answer reached its record */
    GV_PROBE_SPAWN,     /* task, loop */
    GV_PROBE_STOP,      /* task, loop */
    GV_PROBE_RESTART,   /* task, incarnation */
    GV_PROBE_TIMER,     /* deadline, loop */
    GV_PROBE_FRAME_IN,  /* type, call */
    GV_PROBE_FRAME_OUT, /* type, call */
    GV_PROBE_JOB,       /* job, state */
    GV_PROBE_COMMIT,    /* batch, code */
    GV_PROBE_LEND,      /* task, borrower */
    GV_PROBE_HOME,      /* task, home */
    GV_PROBE_PASSIVE,   /* task, 1: it has no state any more, 0: it will have one */
    GV_PROBE_COUNT,
};

struct gv_probes {
    uint32_t on; /* bit per point that somebody listens to */
    void (*sink)(void *listener, enum gv_probe_point point, uint64_t a, uint64_t b);
    void *listener;
};

#define gv_probe(probes, point, a, b)                                       \
    do {                                                                    \
        if (gv_unlikely((probes)->on & (1u << GV_PROBE_##point)))           \
            (probes)->sink((probes)->listener, GV_PROBE_##point, (a), (b)); \
    } while (0)

/* "SEND" and so on; lent forever. */
const char *gv_probe_name(enum gv_probe_point point);

/* Sink for a listener of type uint64_t: folds all that passes into it. Begin with any value. */
void gv_probe_hash(void *hash, enum gv_probe_point point, uint64_t a, uint64_t b);

/* Sink for a listener of type uint64_t[GV_PROBE_COUNT]: counts each point. */
void gv_probe_count(void *counts, enum gv_probe_point point, uint64_t a, uint64_t b);

#endif
