/*
 * Dead letters: messages that were accepted and that no handler will see.
 *
 * A send that was refused is none: its sender knows. A message of a call is
 * one as well as that of a send, if it was in the mailbox, or waited for
 * room there; its caller is told besides (`called`). A message that was
 * taken back, since its caller gave up, is none. One message counts though
 * its handler has begun: that which made the handler call grove_fail.
 * Jobs of worker pools are told here too; pool.h says which ones, and how
 * they are retried.
 *
 * They are counted by reason, the last 256 of each loop are kept, and who
 * wants to see them all subscribes. The log tells the first ten of a loop,
 * then one every ten seconds with how many there were meanwhile. What is
 * told of a letter is its method and its size, never what stood in it.
 */
#ifndef GROVE_DEADLETTER_H
#define GROVE_DEADLETTER_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/actor.h>
#include <grove/export.h>
#include <grove/method.h>
#include <grove/ref.h>

/* Why nobody will see it: name, words. Numbers are given in this order and never change. */
#define GROVE_DEAD_TABLE(X)                                                         \
    X(NOACTOR, "nobody lived at its ref when it came")                              \
    X(STOPPED, "its receiver ended before its turn came")                           \
    X(EXPIRED, "its deadline passed before its turn came")                          \
    X(DROPPED, "a younger message of an rpc with DROP_OLDEST took its place")       \
    X(CRASHED, "its handler called grove_fail")                                     \
    X(UNSUPPORTED, "its receiver has no function for its method")                   \
    X(FULL, "it came from another loop, or from a group, and the mailbox was full") \
    X(KILLED, "the workers that ran it died")                                       \
    X(OVERDUE, "it still ran after its deadline, so its worker was killed")         \
    X(BROKEN, "its worker's answer was no valid message")                           \
    X(FAILED, "its function in a worker failed, and nobody waited for the answer")  \
    X(UNAVAILABLE, "no worker could be started for it, and nobody waited")          \
    X(QUARANTINED, "jobs like it have killed their workers, and nobody waited")

enum grove_dead_reason {
#define GROVE_DEAD_ENUM(name, text) GROVE_DEAD_##name,
    GROVE_DEAD_TABLE(GROVE_DEAD_ENUM)
#undef GROVE_DEAD_ENUM
        GROVE_DEAD_REASONS, /* how many there are */
};

/* "NOACTOR" and so on, "?" for a number that is none. Lent forever. Never suspends. */
GROVE_API const char *grove_dead_name(enum grove_dead_reason reason);

/* One sentence on what the reason means. Lent forever. Never suspends. */
GROVE_API const char *grove_dead_text(enum grove_dead_reason reason);

/* What is known of a dead letter. */
struct grove_dead_letter {
    const struct grove_method *method; /* which rpc; lent forever */
    grove_ref to;                      /* whom it was for */
    grove_ref from; /* whose it was; GROVE_NOBODY: of main, or of a thing without a ref */
    enum grove_dead_reason reason;
    uint32_t bytes;           /* what it took in memory */
    bool called;              /* somebody waited for its answer, and has been told */
    unsigned loop;            /* where it died */
    unsigned long long at_ns; /* when, as grove_now_ns tells */
};

/* How many there have been for each reason since grove_init. Any thread. Never suspends. */
GROVE_API void grove_dead_letters_count(uint64_t counts[GROVE_DEAD_REASONS]);

/*
 * Copies the last dead letters, of all loops, newest first, at most n.
 * Returns how many. Of each loop 256 are kept. Any thread. Never suspends.
 */
GROVE_API unsigned grove_dead_letters_last(struct grove_dead_letter *letters, unsigned n);

/*
 * Who subscribes gets each letter, and how many were missed before it: who
 * is slow misses the oldest ones. Runs in a greenlet, so it may await.
 */
typedef void (*grove_dead_letter_fn)(void *argument, const struct grove_dead_letter *letter,
                                     uint64_t n_missed);

/*
 * From now on function(argument, letter, n_missed) comes for each dead letter of
 * this process, one at a time, on the loop of the caller, in a greenlet of its own. A subscriber
 * never blocks anybody: while it is at work, or waits, 256 letters of each loop
 * are kept for it. Letters of one loop come in the order of their deaths.
 * *ref is the subscription, whose grove_stop ends it; ref may be NULL. Returns 0,
 * GROVE_EFULL (16 subscribe already), GROVE_EUSAGE, GROVE_ENOMEM,
 * GROVE_ESTOPPING. Never suspends.
 */
GROVE_API int grove_dead_letters_subscribe(grove_dead_letter_fn function, void *argument,
                                           grove_ref *ref);

#endif
