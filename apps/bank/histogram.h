/*
 * Histogram: how often which latency came, in little memory and without a
 * sort.
 *
 * Buckets are log-linear: each power of two is cut into 32 equal parts, so a
 * percentile is at most 3 % above the truth. The maximum is exact.
 */
#ifndef BANK_HISTOGRAM_H
#define BANK_HISTOGRAM_H

#include <stdint.h>

enum {
    BANK_HISTOGRAM_PARTS_LOG2 = 5,
    BANK_HISTOGRAM_PARTS = 1 << BANK_HISTOGRAM_PARTS_LOG2,
    BANK_HISTOGRAM_BUCKETS = (64 - BANK_HISTOGRAM_PARTS_LOG2 + 1) * BANK_HISTOGRAM_PARTS,
};

/* All zeros is an empty one. */
struct bank_histogram {
    uint64_t n_values;
    uint64_t max;
    uint64_t buckets[BANK_HISTOGRAM_BUCKETS];
};

void bank_histogram_add(struct bank_histogram *histogram, uint64_t value);

/*
 * Returns a value that at least permille / 1000 of all values do not exceed,
 * never more than the maximum; 0 if there are none.
 */
uint64_t bank_histogram_permille(const struct bank_histogram *histogram, unsigned permille);

#endif
