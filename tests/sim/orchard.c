#include "tests/sim/orchard.h"

#include <inttypes.h>

#include "tests/sim/simulation.h"

#define SLACK_NS UINT64_C(60000000) /* from the end of an incarnation until it is judged */

struct orchard orchard;

/* --- who lives ------------------------------------------------------------------------------------ */

/* True if `branch` is `above` or somewhere below it. */
static bool is_below(unsigned branch, unsigned above)
{
    while (branch != above && orchard.branches[branch].above != branch)
        branch = orchard.branches[branch].above;
    return branch == above;
}

unsigned orchard_living_behind(unsigned above, unsigned place)
{
    for (unsigned i = 0; i < orchard.n_leaves; i++) {
        const struct record *leaf = &orchard.leaves[i];
        unsigned branch = leaf->branch, at = leaf->place;

        if (!leaf->alive || !is_below(branch, above))
            continue;
        for (; branch != above; branch = orchard.branches[branch].above)
            at = orchard.branches[branch].place;
        if (at > place)
            return i;
    }
    return LEAVES_MAX;
}

void orchard_check_behind(const struct record *leaf, const char *what)
{
    unsigned behind =
        leaf->place > 0 ? orchard_living_behind(leaf->branch, leaf->place) : LEAVES_MAX;

    SIM_CHECK(behind == LEAVES_MAX, "leaf %u %s while leaf %u, which is behind it, lives",
              (unsigned)(leaf - orchard.leaves), what, behind);
}

/* --- how often and how soon ----------------------------------------------------------------------- */

/* Of a branch: how often it has come down, if that is certain: a marker may be told to rest before it was born. */
static unsigned lives_of(const struct record *leaf)
{
    const struct branch *branch = &orchard.branches[leaf->branch];

    return orchard.leaves[branch->marker].alive ? branch->n_rests + 1 : 0;
}

void orchard_note_fail(struct record *leaf)
{
    leaf->fails[leaf->n_fails++ % (FAILS + 1)] = (struct fail){sim.now_ns, lives_of(leaf)};
}

/* Failures up to the last one that were certainly counted with it, within span_ns. */
static unsigned count_fails(const struct record *leaf, uint64_t span_ns)
{
    const struct fail *last = &leaf->fails[(leaf->n_fails - 1) % (FAILS + 1)];
    unsigned n = 0;

    while (n < leaf->n_fails && n <= FAILS) {
        const struct fail *fail = &leaf->fails[(leaf->n_fails - 1 - n) % (FAILS + 1)];

        if (fail->life != last->life || last->at_ns - fail->at_ns >= span_ns)
            break;
        n++;
    }
    return n;
}

/* It begins anew. Where others come down with it, not every failure is counted: only the marker tells. */
void orchard_check_restart(const struct record *leaf)
{
    const struct branch *branch = &orchard.branches[leaf->branch];
    uint64_t period_ns = leaf->rule.period_ms * MS_NS, wait_ns;
    const struct fail *last;
    unsigned n;

    if (leaf->n_fails == 0 || branch->strategy != GROVE_ONE_FOR_ONE || period_ns <= SLACK_NS)
        return;
    last = &leaf->fails[(leaf->n_fails - 1) % (FAILS + 1)];
    if (last->life == 0 || last->life != lives_of(leaf))
        return; /* The branch has begun anew, and counts from 0. */
    n = count_fails(leaf, period_ns - SLACK_NS);
    SIM_CHECK(n <= leaf->rule.restarts_max, "leaf %u is begun anew %u times, and may be %u times",
              (unsigned)(leaf - orchard.leaves), n, leaf->rule.restarts_max);
    wait_ns = n > 1 ? (leaf->rule.backoff_ms * MS_NS << (n - 2)) * 4 / 5 : 0;
    SIM_CHECK(sim.now_ns - last->at_ns + 2 * MS_NS >= wait_ns,
              "leaf %u is begun anew after %" PRIu64 " us, its failure %u, and must wait %" PRIu64,
              (unsigned)(leaf - orchard.leaves), (sim.now_ns - last->at_ns) / 1000, n,
              wait_ns / 1000);
}
