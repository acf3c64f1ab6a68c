/*
 * Ref: the address of an actor, a worker pool or an actor on another
 * machine. A ref is a value of 16 bytes: copy it, compare it, keep it in
 * your state. It owns nothing. A ref whose actor has stopped is stale: using
 * it fails with GROVE_ENOACTOR and never reaches another actor.
 *
 *     high word   incarnation of the process 48 | kind 8 | spare 8
 *     low word    slot 28 | generation 36
 *
 * Inside a message a ref is a `grove.v1.Ref` (import "grove/ref.proto").
 */
#ifndef GROVE_REF_H
#define GROVE_REF_H

#include <stdbool.h>
#include <stdint.h>

#include <grove/export.h>

typedef struct grove_ref {
    uint64_t node_kind;       /* which process, and what kind of thing */
    uint64_t slot_generation; /* which slot there, and whose turn in it */
} grove_ref;

enum grove_ref_kind {
    GROVE_REF_NONE = 0,
    GROVE_REF_ACTOR = 1,   /* an actor or a greenlet with a mailbox */
    GROVE_REF_SERVICE = 2, /* reserved: an entity or a published service */
    GROVE_REF_POOL = 3,    /* a pool of worker processes */
    GROVE_REF_GROUP = 4,   /* a group of actors, see group.h */
    GROVE_REF_LINKED = 5,  /* reserved: a service behind a link */
};

/* The ref of nobody; sending to it fails with GROVE_ENOACTOR. */
#define GROVE_NOBODY ((grove_ref){0, 0})

/* True when both name the same thing. Never suspends. */
static inline bool grove_ref_equal(grove_ref a, grove_ref b)
{
    return a.node_kind == b.node_kind && a.slot_generation == b.slot_generation;
}

/* True for GROVE_NOBODY. Says nothing about whether an actor still lives. */
static inline bool grove_ref_is_nobody(grove_ref ref)
{
    return ref.node_kind == 0;
}

/* Room for grove_ref_print, the final NUL included. */
#define GROVE_REF_TEXT_BYTES 48

/*
 * Writes a short form for people, such as "actor/42.7", into text and returns text. Never suspends.
 */
GROVE_API const char *grove_ref_print(grove_ref ref, char text[GROVE_REF_TEXT_BYTES]);

#endif
