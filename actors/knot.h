/*
 * Knot: what a search for circles over loops knows so far of who waits for
 * whom, and whether that is enough to say that nobody of them goes on.
 *
 *     node: a wait    arm: one thing it needs    link: a wait that must end first
 *
 *     origin ──arm──▶ task of loop 1: its turn's wait ──arm──▶ task of loop 0 ──▶ origin
 *                                                     └─arm──▶ task of loop 2: not looked at yet
 *
 * A wait is held while something it needs cannot come: one arm is enough,
 * but of an `any` it must be all. An arm cannot come while one of its links is held.
 * Taking out whatever can go on, until nothing changes, leaves those that
 * wait for themselves alone. What has not been looked at counts twice: as
 * held, to see whether looking on is of use at all; and as free, to see
 * whether the rest is proof enough. So what is left out for want of room, or
 * of work, can hide a circle, but never make one.
 *
 * A proof is the smallest part that holds itself: of each wait the one arm
 * that leads back to the origin on the shortest way, of an `any` all. It has
 * a digest, so that two looks can be compared.
 *
 * It travels from loop to loop as the body of a message, packed; while it is
 * worked on it lies in a struct gv_knot of the loop.
 *
 * Always: at most the numbers below, and GV_KNOT_WORK steps of judging in all.
 */
#ifndef GV_KNOT_H
#define GV_KNOT_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/loop.h"

struct grove_method;

#define GV_KNOT_NODES 1024u
#define GV_KNOT_ARMS  2048u
#define GV_KNOT_LINKS 2048u
#define GV_KNOT_TEXT  1024u      /* bytes of names */
#define GV_KNOT_WORK  (1u << 22) /* arms and links looked at while judging, in one lap */
#define GV_KNOT_NONE  UINT16_MAX /* no node: there is no room */

enum gv_arm_state {
    GV_ARM_OPEN, /* not looked at yet */
    GV_ARM_HELD, /* it has links */
    GV_ARM_FREE, /* it may come: nobody whom it needs waits */
};

struct gv_knot_node {
    uint64_t task;
    uint64_t number; /* of its wait, on that loop */
    uint64_t order;  /* later than all that caused it, over loops; 0: it sends no probes */
    uint16_t first_arm, n_arms;
    uint16_t name; /* where it begins in text, plus 1; 0: it has none */
    uint8_t loop;
    uint8_t choice; /* one arm that comes is enough */
};

struct gv_knot_arm {
    uint64_t target;                   /* task id */
    uint64_t call;                     /* these three as struct gv_edge */
    const struct grove_method *method; /* lives as long as the process */
    uint16_t first_link, n_links;
    uint16_t owner; /* node */
    uint8_t state;  /* enum gv_arm_state */
    uint8_t kind;   /* enum gv_wait_kind */
    uint8_t loop;   /* where it must be looked at */
};

static_assert(sizeof(struct gv_knot_node) == 32 && sizeof(struct gv_knot_arm) == 40,
              "a short search travels in a small block");

/* What of a knot travels in front of its arrays. */
struct gv_knot_head {
    uint64_t task;   /* whose wait is the origin */
    uint64_t number; /* of that wait */
    uint64_t order;
    uint64_t proof; /* digest of the first lap's proof */
    uint32_t n_work;
    uint16_t n_nodes, n_arms, n_links, n_text;
    uint8_t home;     /* loop of the origin */
    uint8_t lap;      /* 0, 1; 2: both have proved the same, text is the circle */
    uint8_t branches; /* some wait has several arms, or an arm several links */
    uint8_t returns;  /* some link leads to the origin */
    uint8_t freed;    /* an arm has been found free since the last judgement */
    uint8_t is_over;  /* it has met what makes it useless */
};

struct gv_knot {
    struct gv_knot_head head;
    struct gv_knot_node nodes[GV_KNOT_NODES];
    struct gv_knot_arm arms[GV_KNOT_ARMS];
    uint16_t links[GV_KNOT_LINKS]; /* nodes */
    char text[GV_KNOT_TEXT];       /* names, each with its NUL; in the end the circle */
    /* The rest does not travel. */
    const struct gv_wait *waits[GV_KNOT_NODES]; /* of the nodes found here and now, else NULL */
    uint8_t held[GV_KNOT_NODES];
    uint8_t proving[GV_KNOT_NODES];   /* part of the proof */
    uint16_t distance[GV_KNOT_NODES]; /* links to the origin, UINT16_MAX: none lead there */
    uint16_t stack[GV_KNOT_NODES];
    uint64_t digest; /* of the proof, if there is one */
    bool is_vague;   /* of some arm only other loops know by whom it is held up */
};

/* Forgets all it has met: the next lap begins. */
void gv_knot_clear(struct gv_knot *knot);

/* The node of a parked wait of this loop; a new one gets its arms, open. GV_KNOT_NONE without room. */
unsigned gv_knot_node(struct gv_knot *knot, const struct gv_loop *loop, const struct gv_wait *wait);

/* An arm has been looked at: it needs the end of this wait of this loop. Several of one arm follow each other. */
void gv_knot_link(struct gv_knot *knot, const struct gv_loop *loop, unsigned arm,
                  const struct gv_wait *wait);

/* It has been looked at, and all its links are there. */
void gv_knot_close_arm(struct gv_knot *knot, unsigned arm);

enum gv_knot_verdict {
    GV_KNOT_OPEN,   /* arms on other loops must be looked at */
    GV_KNOT_FREE,   /* the origin may go on, or another one is to be told */
    GV_KNOT_CLOSED, /* it waits for itself, and its wait is the newest of the circle; digest is set */
};

enum gv_knot_verdict gv_knot_judge(struct gv_knot *knot);

/* Writes the circle into its text: "a -> b -> a", and of an `any` in it that no arm leads out. After CLOSED. */
void gv_knot_name(struct gv_knot *knot);

/* What is said of a wait for any of n in a circle. The same words on one loop and over loops. */
#define GV_KNOT_ANY_WORDS "; %s waits for any of %u, and all of them lead back"

/* As a message's body. */
size_t gv_knot_bytes(const struct gv_knot *knot);
void gv_knot_pack(const struct gv_knot *knot, unsigned char *body);
void gv_knot_unpack(struct gv_knot *knot, const unsigned char *body);

#endif
