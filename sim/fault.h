/*
 * Fault: what goes wrong, which kinds of it may, and how often each has.
 *
 * The mix of a seed (chance.h) says how often a kind strikes; the program's
 * grove_sim_allow and the command line's --faults say whether it may at all.
 * Every strike is counted, by kind and in more detail, so that a test can
 * see that nothing of the list is only promised.
 */
#ifndef GV_SIM_FAULT_H
#define GV_SIM_FAULT_H

#include <grove/sim.h>

#include "sim/chance.h"

/* What happened, in more detail than its kind. */
#define GV_SIM_DETAIL_TABLE(X)                               \
    X(DIES_UNBORN, "dies before its HELLO")                  \
    X(DIES_IDLE, "dies between jobs")                        \
    X(DIES_BUSY, "dies in a job")                            \
    X(HANGS_BUSY, "hangs in a job")                          \
    X(HANGS_IDLE, "hangs between jobs, or before the first") \
    X(LIES_GARBAGE, "lies: bytes that are no frame")         \
    X(LIES_FRAME, "lies: a well sealed frame of nonsense")   \
    X(LIES_TWICE, "lies: answers twice")                     \
    X(LIES_WRONG_ID, "lies: answers another call")           \
    X(LIES_LATE, "lies: answers late")                       \
    X(CUT_SHORT, "cut with bytes under way")                 \
    X(RESETS, "closed with bytes unread: reset")             \
    X(PARTED_ONE_WAY, "partition, one way")                  \
    X(PARTED_BOTH_WAYS, "partition, both ways")              \
    X(HEALED, "partition healed")

enum gv_sim_detail {
#define GV_SIM_DETAIL_ENUM(id, what) GV_SIM_##id,
    GV_SIM_DETAIL_TABLE(GV_SIM_DETAIL_ENUM)
#undef GV_SIM_DETAIL_ENUM
        GV_SIM_DETAILS
};

/* Of one seed. */
struct gv_sim_counts {
    uint64_t faults[GROVE_SIM_FAULTS];
    uint64_t details[GV_SIM_DETAILS];
};

/* Of the command line, for all seeds: kinds that may happen. */
extern uint32_t gv_sim_faults_wanted;

/* Begins a seed. */
void gv_sim_faults_open(void);

/* True if this kind may happen now. */
bool gv_sim_may(enum grove_sim_fault kind);

/* True ppm times of a million, if the kind may happen; then it is counted. */
bool gv_sim_strikes(enum grove_sim_fault kind, enum gv_sim_source source, uint32_t ppm);

/* It has happened, by hand or as part of something else. */
void gv_sim_struck(enum grove_sim_fault kind);
void gv_sim_detail(enum gv_sim_detail detail);

/* How much too late something comes that has no reason to be: at most us. */
uint64_t gv_sim_late_ns(uint32_t us);

/* How long bytes, connections and news of processes are under way. */
uint64_t gv_sim_travel_ns(void);

/* The counts of this seed, and the name of a detail. */
const struct gv_sim_counts *gv_sim_counts(void);
const char *gv_sim_fault_name(enum grove_sim_fault kind);
const char *gv_sim_detail_name(enum gv_sim_detail detail);

#endif
