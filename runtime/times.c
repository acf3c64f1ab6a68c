#include "runtime/times.h"

#include <stdio.h>

#include "runtime/figure.h"
#include "runtime/runtime.h"

/* The upper end of a class. */
static uint64_t end_ns(unsigned class)
{
    return (uint64_t)1000 << class;
}

void gv_times_note(struct gv_loop *loop, uint16_t method, uint64_t ns)
{
    unsigned class = 0;
    uint32_t *n;

    if (loop->times == NULL)
        return; /* There was no memory. */
    while (class < GV_TIMES_CLASSES - 1 && ns >= end_ns(class))
        class ++;
    n = &loop->times[method].n[class];
    gv_figure_set32(n, *n + 1);
}

/* The end of the class below which permille of n lie. */
static uint64_t quantile(const uint64_t counts[GV_TIMES_CLASSES], uint64_t n, unsigned permille)
{
    uint64_t below = 0;

    for (unsigned i = 0; i < GV_TIMES_CLASSES; i++) {
        below += counts[i];
        if (below * 1000 >= n * permille)
            return end_ns(i);
    }
    return end_ns(GV_TIMES_CLASSES - 1);
}

struct gv_times_summary gv_times_of(uint16_t method)
{
    uint64_t counts[GV_TIMES_CLASSES] = {0};
    struct gv_times_summary summary = {0};

    for (unsigned i = 0; i < gv_runtime.n_loops; i++)
        for (unsigned k = 0; gv_runtime.loops[i]->times != NULL && k < GV_TIMES_CLASSES; k++)
            counts[k] += gv_figure_read32(&gv_runtime.loops[i]->times[method].n[k]);
    for (unsigned k = 0; k < GV_TIMES_CLASSES; k++)
        summary.n += counts[k];
    if (summary.n > 0) {
        summary.p50_ns = quantile(counts, summary.n, 500);
        summary.p99_ns = quantile(counts, summary.n, 990);
    }
    return summary;
}

void gv_times_text(uint64_t ns, char *text, unsigned room)
{
    if (ns < 1000000)
        (void)snprintf(text, room, "%.0f us", (double)ns / 1e3); /* These fit. */
    else if (ns < 10000000)
        (void)snprintf(text, room, "%.1f ms", (double)ns / 1e6);
    else
        (void)snprintf(text, room, "%.0f ms", (double)ns / 1e6);
}
