/*
 * Liar: what happens to frames on their way out of a simulated process, or
 * over the wire.
 *
 * A liar knows the format: what it makes up is well sealed, so that only the
 * rules behind the checksum can catch it. The wire knows nothing: it loses,
 * doubles and reorders bytes, half of the time at the borders of frames,
 * where it does most harm.
 *
 * Only what a write carries is looked at. A link writes whole frames.
 */
#ifndef GV_SIM_LIAR_H
#define GV_SIM_LIAR_H

#include <grove/sim.h>

/* One end of a connection, as a liar sees it. */
struct gv_sim_liar {
    uint32_t n_frames; /* that left: what the next one is numbered */
    uint8_t *withheld; /* a frame that will leave late, or NULL */
    size_t n_withheld;
};

/* Bytes on their way; on the heap, owned by who holds the struct. */
struct gv_sim_bytes {
    uint8_t *bytes;
    size_t n;
};

/* Numbers the frames of a write anew, since some may have been added before. */
void gv_sim_liar_number(struct gv_sim_liar *liar, struct gv_sim_bytes *write);

/*
 * Lies somewhere in a write, before it is numbered. False if there was
 * nothing to lie about: only answers are doubled, renamed and held back.
 */
bool gv_sim_liar_lie(struct gv_sim_liar *liar, struct gv_sim_bytes *write);

/* What was held back, numbered; the caller's. */
struct gv_sim_bytes gv_sim_liar_release(struct gv_sim_liar *liar);

/* LOSE, DOUBLE, REORDER or FLIP befalls these bytes. */
void gv_sim_wire_spoil(enum grove_sim_fault kind, struct gv_sim_bytes *bytes);

#endif
