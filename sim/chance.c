#include "sim/chance.h"

#include <stddef.h>

struct gv_sim_mix gv_sim_mix;

static uint64_t states[GV_SIM_SOURCES];

/* The output function of splitmix64. */
static uint64_t scramble(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t gv_sim_random(enum gv_sim_source source)
{
    states[source] += UINT64_C(0x9e3779b97f4a7c15);
    return scramble(states[source]);
}

uint32_t gv_sim_draw(enum gv_sim_source source, uint32_t n)
{
    return (uint32_t)((gv_sim_random(source) >> 32) * n >> 32);
}

bool gv_sim_happens(enum gv_sim_source source, uint32_t ppm)
{
    return ppm != 0 && gv_sim_draw(source, 1000000) < ppm;
}

uint64_t gv_sim_delay_ns(uint32_t us)
{
    uint32_t most = us;

    if (us == 0)
        return 0;
    /* Three of four take a sixteenth at most: what is rarely late shows more than what always is. */
    if (gv_sim_draw(GV_SIM_CLOCK, 4) != 0)
        most = us / 16 + 1;
    return (uint64_t)gv_sim_draw(GV_SIM_CLOCK, most * 16) * 1000 / 16;
}

/* One of n values; with a chance of one half the first, which means: absent. */
static uint32_t swarm(const uint32_t *values, uint32_t n)
{
    uint32_t k = gv_sim_draw(GV_SIM_WORLD, 2 * n);

    return k < n ? values[k] : values[0];
}

#define SWARM(...)                         \
    swarm((const uint32_t[]){__VA_ARGS__}, \
          sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

void gv_sim_chance_open(uint64_t seed)
{
    for (unsigned i = 0; i < GV_SIM_SOURCES; i++)
        states[i] = scramble(scramble(seed + 1) + i);
    /* One statement each: their order is part of the seed. */
    gv_sim_mix.clock_step_ns = SWARM(200, 20, 2000, 20000);
    gv_sim_mix.switch_ppm = SWARM(500000, 50000, 200000, 1000000);
    gv_sim_mix.early_ppm = SWARM(0, 10000, 300000);
    gv_sim_mix.late_max_us = SWARM(0, 100, 2000);
    gv_sim_mix.wake_late_us = SWARM(0, 20, 2000);
    gv_sim_mix.delay_max_us = SWARM(50, 5, 1000, 20000);
    gv_sim_mix.split_ppm = SWARM(100000, 0, 1000000);
    gv_sim_mix.room_bytes = SWARM(200000, 1, 100, 4000);
    gv_sim_mix.cut_ppm = SWARM(0, 1000, 20000);
    gv_sim_mix.flip_ppm = SWARM(0, 0, 2000);
    gv_sim_mix.refuse_ppm = SWARM(0, 20000, 200000);
    gv_sim_mix.spawn_fail_ppm = SWARM(0, 20000, 200000);
    gv_sim_mix.death_ppm = SWARM(0, 1000, 30000);
    gv_sim_mix.hang_ppm = SWARM(0, 0, 2000);
    gv_sim_mix.kill_late_us = SWARM(0, 50, 5000);
    gv_sim_mix.wall_jump_ppm = SWARM(0, 100000);
    gv_sim_mix.lose_ppm = SWARM(0, 0, 20000);
    gv_sim_mix.double_ppm = SWARM(0, 0, 20000);
    gv_sim_mix.reorder_ppm = SWARM(0, 0, 20000);
    gv_sim_mix.partition_ppm = SWARM(0, 0, 10000);
    gv_sim_mix.partition_ms = SWARM(100, 10, 2000, 20000);
    gv_sim_mix.lie_ppm = SWARM(0, 0, 0, 50000);
}
