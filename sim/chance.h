/*
 * Chance: all that a seed decides.
 *
 * One seed gives several independent sources, so that one more draw of one
 * kind does not change all the others. The mix says which faults a seed has
 * and how often: each seed draws its own, most faults being absent from most
 * seeds, since a run with every fault at once never gets anywhere.
 */
#ifndef GV_SIM_CHANCE_H
#define GV_SIM_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

enum gv_sim_source {
    GV_SIM_ORDER, /* who goes on next */
    GV_SIM_CLOCK, /* how long things take */
    GV_SIM_WORLD, /* what goes wrong */
    GV_SIM_APP,   /* what the code under test asks for */
    GV_SIM_LOAD,  /* what the simulation lets its actors do */
    GV_SIM_SOURCES
};

/* Faults and delays of this seed; a simulation may change them before it begins. ppm: of a million. */
struct gv_sim_mix {
    uint32_t clock_step_ns;  /* a look at the clock takes up to this long */
    uint32_t switch_ppm;     /* a poll that only looks lets other threads run */
    uint32_t early_ppm;      /* a poll ends before its time */
    uint32_t late_max_us;    /* a timeout is noticed this much too late */
    uint32_t wake_late_us;   /* a wake-up takes up to this long */
    uint32_t delay_max_us;   /* bytes, connections and ends of processes take up to this long */
    uint32_t split_ppm;      /* what arrives is cut at any byte */
    uint32_t room_bytes;     /* a stream takes this much before its reader reads */
    uint32_t cut_ppm;        /* a connection is lost when bytes arrive */
    uint32_t flip_ppm;       /* a bit is wrong when bytes arrive */
    uint32_t refuse_ppm;     /* nobody answers a dial */
    uint32_t spawn_fail_ppm; /* a process cannot be started */
    uint32_t death_ppm;      /* a child dies when it waits */
    uint32_t hang_ppm;       /* a child stops for good when it waits */
    uint32_t kill_late_us;   /* a signal takes up to this long */
    uint32_t wall_jump_ppm;  /* a look at the wall clock finds it moved */
    uint32_t lose_ppm;       /* part of a write does not arrive */
    uint32_t double_ppm;     /* part of a write arrives twice */
    uint32_t reorder_ppm;    /* part of a write arrives behind the rest */
    uint32_t partition_ppm;  /* a write is the last for long that gets through, one way or both */
    uint32_t partition_ms;   /* such a time lasts up to this long */
    uint32_t lie_ppm;        /* a child lies in a write */
};

extern struct gv_sim_mix gv_sim_mix;

/* Begins a seed: all sources, and the mix. */
void gv_sim_chance_open(uint64_t seed);

uint64_t gv_sim_random(enum gv_sim_source source);

/* A number below n; n is at least 1. */
uint32_t gv_sim_draw(enum gv_sim_source source, uint32_t n);

/* True ppm times of a million. */
bool gv_sim_happens(enum gv_sim_source source, uint32_t ppm);

/* Up to us microseconds, in ns; mostly little. */
uint64_t gv_sim_delay_ns(uint32_t us);

#endif
