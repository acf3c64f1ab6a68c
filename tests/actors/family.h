/*
 * Family: what the tests of supervision have in common: children that note
 * when they begin and end.
 *
 * Each child has a letter, its argument. `a` stands for "init of a has
 * begun", `A` for "deinit of a has returned"; main reads the notes when all
 * is quiet.
 */
#ifndef FAMILY_H
#define FAMILY_H

#include "stage.h"

#define FAMILY_NOTES 512u

extern struct family {
    char notes[FAMILY_NOTES];
    _Atomic unsigned n_begun;  /* notes, of any loop */
    _Atomic unsigned n_notes;  /* that can be read */
    unsigned n_living[128];    /* by letter: incarnations that have begun and not ended */
    unsigned n_overlaps;       /* of two incarnations */
    unsigned n_bad_inits[128]; /* so many inits to come will fail */
    unsigned nap_ms[128];      /* of its deinit */
    unsigned long long began_ms[FAMILY_NOTES]; /* by note */
} family;

/* With which status the process would have ended; 0: it has not. */
extern int family_quit_with;

/* Forgets all notes. */
void family_begin(void);

/* What a child is; change what differs. */
struct grove_child family_child(char letter);

/* Adds one; returns its ref. */
grove_ref family_add(grove_ref supervisor, char letter);

grove_ref family_supervisor(enum grove_strategy strategy);

/* Has a handler of a child fail; returns what its caller heard. */
int family_fail(grove_ref child);
int act_fail(struct play *me, struct script *script);

/* Waits until so many notes are there, and nothing more comes at once. */
void family_wait(unsigned n_notes);

/* What the supervisor says of its i-th child. */
struct grove_child_info family_info(grove_ref supervisor, unsigned i);

#endif
