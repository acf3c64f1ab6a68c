/* Histogram: log-linear buckets. See histogram.h. */
#include "apps/bank/histogram.h"

/* Values below PARTS have a bucket each; above, the leading six bits name it. */
static unsigned bucket_of(uint64_t value)
{
    unsigned shift;

    if (value < BANK_HISTOGRAM_PARTS)
        return (unsigned)value;
    shift = 63u - (unsigned)__builtin_clzll(value) - BANK_HISTOGRAM_PARTS_LOG2;
    return (shift + 1) * BANK_HISTOGRAM_PARTS
           + (unsigned)((value >> shift) & (BANK_HISTOGRAM_PARTS - 1));
}

/* The largest value of a bucket. */
static uint64_t upper_end(unsigned bucket)
{
    unsigned shift;

    if (bucket < BANK_HISTOGRAM_PARTS)
        return bucket;
    shift = bucket / BANK_HISTOGRAM_PARTS - 1;
    return ((uint64_t)(BANK_HISTOGRAM_PARTS + bucket % BANK_HISTOGRAM_PARTS) << shift)
           + (((uint64_t)1 << shift) - 1);
}

void bank_histogram_add(struct bank_histogram *histogram, uint64_t value)
{
    histogram->buckets[bucket_of(value)]++;
    histogram->n_values++;
    if (value > histogram->max)
        histogram->max = value;
}

uint64_t bank_histogram_permille(const struct bank_histogram *histogram, unsigned permille)
{
    /* Rounded up: of three values, the median is the second. */
    uint64_t wanted = (uint64_t)(((unsigned __int128)histogram->n_values * permille + 999) / 1000);
    uint64_t seen = 0;

    if (histogram->n_values == 0)
        return 0;
    for (unsigned i = 0; i < BANK_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted && seen > 0)
            return upper_end(i) < histogram->max ? upper_end(i) : histogram->max;
    }
    return histogram->max;
}
