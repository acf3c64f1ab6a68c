#include "sim/fault.h"

#include <string.h>

#include <grove/error.h>

#include "runtime/usage.h"
#include "sim/process.h"
#include "sim/stream.h"
#include "sim/world.h"

#define LATE_NS       UINT64_C(100000) /* what is called late */
#define SLOW_NS       UINT64_C(200000) /* what is called a long way */
#define TRAVEL_MAX_US 50u              /* when nothing goes wrong */

uint32_t gv_sim_faults_wanted = GROVE_SIM_ALL;

static uint32_t allowed; /* by the program */
static struct gv_sim_counts counts;

void gv_sim_faults_open(void)
{
    allowed = GROVE_SIM_ALL;
    memset(&counts, 0, sizeof counts);
}

bool gv_sim_may(enum grove_sim_fault kind)
{
    return (allowed & gv_sim_faults_wanted & GROVE_SIM_BIT(kind)) != 0;
}

void gv_sim_struck(enum grove_sim_fault kind)
{
    counts.faults[kind]++;
}

void gv_sim_detail(enum gv_sim_detail detail)
{
    counts.details[detail]++;
}

bool gv_sim_strikes(enum grove_sim_fault kind, enum gv_sim_source source, uint32_t ppm)
{
    if (!gv_sim_may(kind) || !gv_sim_happens(source, ppm))
        return false;
    gv_sim_struck(kind);
    return true;
}

uint64_t gv_sim_late_ns(uint32_t us)
{
    uint64_t late_ns = gv_sim_may(GROVE_SIM_LATE) ? gv_sim_delay_ns(us) : 0;

    if (late_ns >= LATE_NS)
        gv_sim_struck(GROVE_SIM_LATE);
    return late_ns;
}

uint64_t gv_sim_travel_ns(void)
{
    uint32_t most_us = gv_sim_mix.delay_max_us;
    uint64_t travel_ns;

    if (!gv_sim_may(GROVE_SIM_DELAY) && most_us > TRAVEL_MAX_US)
        most_us = TRAVEL_MAX_US;
    travel_ns = gv_sim_delay_ns(most_us);
    if (travel_ns >= SLOW_NS)
        gv_sim_struck(GROVE_SIM_DELAY);
    return travel_ns;
}

const struct gv_sim_counts *gv_sim_counts(void)
{
    return &counts;
}

const char *gv_sim_fault_name(enum grove_sim_fault kind)
{
    static const char *const names[GROVE_SIM_FAULTS] = {
#define FAULT_NAME(id, name, what) name,
        GROVE_SIM_FAULT_TABLE(FAULT_NAME)
#undef FAULT_NAME
    };

    return names[kind];
}

const char *gv_sim_detail_name(enum gv_sim_detail detail)
{
    static const char *const names[GV_SIM_DETAILS] = {
#define DETAIL_NAME(id, what) what,
        GV_SIM_DETAIL_TABLE(DETAIL_NAME)
#undef DETAIL_NAME
    };

    return names[detail];
}

/* --- for programs ------------------------------------------------------------------------------- */

void grove_sim_allow(uint32_t mask)
{
    allowed = mask & GROVE_SIM_ALL;
    gv_sim_note("allow", allowed, 0);
    if (mask == 0)
        gv_sim_streams_calm();
}

uint64_t grove_sim_count(enum grove_sim_fault kind)
{
    return (unsigned)kind < GROVE_SIM_FAULTS ? counts.faults[kind] : 0;
}

static int strike_stream(enum grove_sim_fault kind, struct gv_process *process)
{
    if (process->streams == NULL)
        return GROVE_ENOACTOR;
    gv_sim_struck(kind);
    if (kind == GROVE_SIM_CUT)
        return gv_sim_stream_cut(process->streams) ? 0 : GROVE_ENOACTOR;
    if (kind == GROVE_SIM_PARTITION)
        gv_sim_stream_part(process->streams);
    else
        gv_sim_stream_spoil(process->streams, kind);
    return 0;
}

int grove_sim_fault(enum grove_sim_fault kind, unsigned worker)
{
    struct gv_process *process;

    if (!grove_sim_seed(NULL))
        return gv_usage("grove_sim_fault: no simulation runs");
    if (kind == GROVE_SIM_CLOCK) {
        gv_sim_struck(kind);
        gv_sim_wall_jump();
        return 0;
    }
    process = gv_sim_process_numbered(worker);
    switch (kind) {
    case GROVE_SIM_DIE:
    case GROVE_SIM_HANG:
    case GROVE_SIM_LIE:
        if (process == NULL)
            return GROVE_ENOACTOR;
        gv_sim_process_doom(process, kind);
        return 0;
    case GROVE_SIM_LOSE:
    case GROVE_SIM_DOUBLE:
    case GROVE_SIM_REORDER:
    case GROVE_SIM_FLIP:
    case GROVE_SIM_CUT:
    case GROVE_SIM_PARTITION:
        return process != NULL ? strike_stream(kind, process) : GROVE_ENOACTOR;
    default:
        return gv_usage("grove_sim_fault: this kind happens by the seed only");
    }
}
