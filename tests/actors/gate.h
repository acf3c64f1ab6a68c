/*
 * Gate: an actor that defers its replies, and greenlets that ask it, for the
 * tests of answers that come later.
 */
#ifndef GATE_H
#define GATE_H

#include "stage.h"

#define TOKENS_MAX 16

/* The tokens that were kept, in order. */
struct gate {
    grove_token tokens[TOKENS_MAX];
    int rcs[TOKENS_MAX];
    unsigned n;
};

extern struct gate gate;

/* Acts. They take token `number`. */
int act_defer(struct play *me, struct script *script);
int act_reply(struct play *me, struct script *script); /* with code ms, or the number n_ends */
int act_defer_and_reply(struct play *me, struct script *script);
int act_drop(struct play *me, struct script *script);
int act_wanted(struct play *me, struct script *script);
int act_wanted_late(struct play *me, struct script *script); /* after ms that it takes itself */
int act_fail(struct play *me, struct script *script);

/* One who asks, and what came. */
struct asker {
    grove_ref to;
    struct script script;
    uint32_t within_ms;
    bool done;
    int rc;
    int64_t number;
    struct grove_failure failure;
    char text[256];
    unsigned long long at_ms;
};

/* Has a greenlet perform act at `to`. asker->within_ms may be set before. */
void ask(struct asker *asker, grove_ref to, int (*act)(struct play *, struct script *));

/* Has the gate do something; returns what it noted. */
int tell(grove_ref to, struct script script);

void let_pass(uint32_t ms);

#endif
