/*
 * Probe: two sinks that are ready to use.
 */
#include "runtime/probe.h"

const char *gv_probe_name(enum gv_probe_point point)
{
    static const char *const names[GV_PROBE_COUNT] = {
        "SEND",    "DROP",  "START",    "END",       "PARK", "RESUME", "REPLY", "SPAWN", "STOP",
        "RESTART", "TIMER", "FRAME_IN", "FRAME_OUT", "JOB",  "COMMIT", "LEND",  "HOME",  "PASSIVE",
    };

    return (unsigned)point < GV_PROBE_COUNT ? names[point] : "?";
}

static uint64_t fold(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9fb21c651e98df25);
    return hash ^ hash >> 32;
}

void gv_probe_hash(void *hash, enum gv_probe_point point, uint64_t a, uint64_t b)
{
    uint64_t *sum = hash;

    *sum = fold(fold(fold(*sum, (uint64_t)point + 1), a), b);
}

void gv_probe_count(void *counts, enum gv_probe_point point, uint64_t a, uint64_t b)
{
    uint64_t *count = counts;

    (void)a;
    (void)b;
    count[point]++;
}
