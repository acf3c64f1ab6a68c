/*
 * Orchard: what the simulation of trees knows about its supervisors and
 * leaves, from outside, and judges them by.
 */
#ifndef SIM_ORCHARD_H
#define SIM_ORCHARD_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/supervise.h>

#define BRANCHES_MAX 5u
#define LEAVES_MAX   40u
#define CLIENTS_MAX  3u
#define ACTS_MAX     25u
#define CALLS_MAX    (CLIENTS_MAX * ACTS_MAX)
#define FAILS        6u /* the largest restarts_max, but those of whom nobody may give up */
#define MS_NS        UINT64_C(1000000)

struct branch {
    grove_ref ref;
    unsigned above; /* its own number: a root */
    unsigned place; /* among the children of that, from 1 */
    unsigned n_places;
    enum grove_strategy strategy;
    unsigned marker;  /* leaf */
    unsigned n_rests; /* of its marker */
    bool gone;
};

struct fail {
    uint64_t at_ns;
    unsigned life; /* of its branch, then; 0: not known */
};

struct record {
    grove_ref ref;
    unsigned branch;
    unsigned place; /* 0: not known */
    struct grove_restart_rule rule;
    bool quiet;   /* nobody stops or removes it */
    bool marker;  /* nor does it fail */
    bool alive;   /* init has begun, and deinit not returned */
    bool failing; /* this incarnation ends by itself */
    bool gone;    /* its DOWN has come */
    unsigned n_fails;
    struct fail fails[FAILS + 1]; /* the last ones, a ring */
    uint32_t n_said, n_heard;
    uint32_t last[CLIENTS_MAX]; /* number that came last, by sender */
    uint32_t n_accepted[CLIENTS_MAX], n_handled[CLIENTS_MAX], n_dead[CLIENTS_MAX];
};

struct orchard {
    struct branch branches[BRANCHES_MAX];
    struct record leaves[LEAVES_MAX];
    grove_ref clients[CLIENTS_MAX];
    grove_ref watcher;
    uint8_t handled[CALLS_MAX + 1];
    unsigned n_branches, n_leaves, n_clients, n_calls, n_ended, n_watched, n_down;
};

extern struct orchard orchard;

/* The number of a leaf that lives below this branch, beyond this place there; LEAVES_MAX if there is none. */
unsigned orchard_living_behind(unsigned branch, unsigned place);

/* The leaf begins or rests: nobody behind it may live. */
void orchard_check_behind(const struct record *leaf, const char *what);

/* The leaf's incarnation has ended by itself. */
void orchard_note_fail(struct record *leaf);

/* The leaf begins anew: not too often, not too soon? */
void orchard_check_restart(const struct record *leaf);

#endif
