#include "runtime/shares.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t gv_shares_blocked(const struct gv_shares *shares)
{
    return shares->blocked_ns + shares->disk_ns + shares->unseen_ns;
}

uint64_t gv_shares_sum(const struct gv_shares *shares)
{
    return shares->cpu_ns + shares->queued_ns + gv_shares_blocked(shares);
}

void gv_shares_add(struct gv_shares *shares, const struct gv_look *before,
                   const struct gv_look *now, uint64_t gap_ns)
{
    uint64_t cpu = least(now->cpu_ns - before->cpu_ns, gap_ns), rest = gap_ns - cpu;
    uint64_t queued = now->queued_ns - before->queued_ns, known = least(queued, shares->owed_ns);

    /* What was counted ahead comes in the kernel's figures now. */
    shares->owed_ns -= known;
    queued = least(queued - known, rest);
    rest -= queued;
    shares->cpu_ns += cpu;
    shares->queued_ns += queued;
    if (now->state == 'R' && !now->has_waited) {
        shares->queued_ns += rest;
        shares->owed_ns += rest;
    } else if (now->state == 'R') {
        shares->unseen_ns += rest;
    } else if (now->on_disk) {
        shares->disk_ns += rest;
    } else if (now->call == GV_LOOK_NONE) {
        shares->unseen_ns +=
            rest; /* It went on while it was looked at: for what it waited is not known. */
    } else {
        shares->blocked_ns += rest;
    }
}

uint64_t gv_shares_own(const struct gv_shares *shares, uint64_t age_ns)
{
    uint64_t all = gv_shares_sum(shares);

    /* What was not looked at, in the beginning, went as the rest did. */
    return all == 0 ? 0
                    : (uint64_t)((double)age_ns * (double)(all - shares->queued_ns) / (double)all);
}

enum grove_stall_kind gv_shares_kind(const struct gv_shares *shares, uint64_t age_ns,
                                     uint64_t threshold_ns)
{
    if (gv_shares_own(shares, age_ns) < threshold_ns && shares->queued_ns > 0)
        return GROVE_STALL_STARVED;
    if (shares->cpu_ns >= gv_shares_blocked(shares))
        return GROVE_STALL_ON_CPU;
    return shares->disk_ns > 0 && shares->disk_ns >= shares->blocked_ns ? GROVE_STALL_DISK
                                                                        : GROVE_STALL_BLOCKED;
}
