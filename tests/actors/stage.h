/*
 * Stage: what the tests of actors have in common.
 *
 * stage_open starts from nothing: options as the environment says, one loop,
 * virtual time. Time stands still while anything can run, and jumps to the
 * next timer when nothing can; a wait for ever ends the test. So sleeps cost
 * nothing, and stage_close can tell that everything was given back.
 * stage_open_loops runs real loops in real time.
 *
 * A script is a function of the test that an actor runs as its handler
 * (play.v1.PlayService/Perform). It notes what it saw; main asserts.
 */
#ifndef STAGE_H
#define STAGE_H

#include <grove.h>
#include <grove/refmessage.h>

#include "play.grove.h"
#include "play.pb-c.h"
#include "runtime/probe.h"

struct play {
    int64_t total;
    int in_handler; /* handlers of this player that have begun and not ended */
};

struct script {
    int (*act)(struct play *me, struct script *script);
    struct script *next; /* for whom it calls */
    grove_ref to;        /* whom it calls */
    int64_t number;
    uint32_t ms;
    unsigned n_runs; /* how often it was begun */
    unsigned n_ends; /* and ended */
    int rc;          /* what its await returned */
    struct grove_failure failure;
    char text[256];
};

/* One loop, virtual time. */
void stage_open(void);

/* n loops, real time. */
void stage_open_loops(unsigned n);

/* The same, and nobody is lent: who is on a loop stays there. */
void stage_open_loops_unlent(unsigned n);

/* One loop, with one more option. */
void stage_open_with(const char *option, const char *value);

/* Ends the runtime; checks that it could. */
void stage_close(void);

/* For cmocka. */
int stage_set_up(void **state);
int stage_set_up_two_loops(void **state);
int stage_tear_down(void **state);

/* After each test: no handler may run on, its script would lie on a stack that is gone. */
int stage_check_settled(void **state);
#define stage_test(function) cmocka_unit_test_setup_teardown(function, NULL, stage_check_settled)

/* Milliseconds of (virtual) time. */
unsigned long long stage_now_ms(void);

/* Lets virtual time go by, as if the running handler took so long. */
void stage_pass_ms(unsigned ms);

/* A player, with all functions. */
extern const struct play_service stage_player;
grove_ref stage_spawn(const char *label);
grove_ref stage_spawn_on(unsigned loop, const char *label);
grove_ref stage_spawn_bounded(uint32_t depth_max, uint32_t bytes_max);

/* Runs script->act in who's handler. */
int stage_perform(grove_ref who, struct script *script);
int stage_send(grove_ref who, struct script *script);
int stage_start(grove_ref who, struct script *script, Play__V1__PerformResponse *response,
                struct grove_future *future);

/* Adds n at who; *total may be NULL. */
int stage_add(grove_ref who, int64_t n, int64_t *total);

/* What passes the probes of this loop is counted from here on. */
extern uint64_t stage_counts[GV_PROBE_COUNT];
void stage_listen(void);

/* True if since then turns have run, but nothing was queued and nobody has parked. */
bool stage_was_inline(void);

/* How many batches of actors were lent, by all loops. */
uint64_t stage_n_lent(void);

/* Waits until no handler runs a script: those lie on the stack of the test. */
void stage_settle(void);

/* A handler that runs a script was abandoned: it will never end. */
void stage_abandoned(void);

/* Notes rc and the failure record in the script; returns rc. */
int stage_note(struct script *script, int rc);

/* Acts. */
int act_nothing(struct play *me, struct script *script);
int act_nap(struct play *me,
            struct script *script); /* sleeps script->ms, returns what that returned */
int act_relay(struct play *me, struct script *script); /* performs script->next at script->to */
int act_add(struct play *me, struct script *script);   /* adds script->number at script->to */

/* A greenlet that performs script->next at script->to and notes what came. */
void go_relay(void *script);

#endif
