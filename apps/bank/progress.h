/*
 * Progress: how far a demo is, on standard error. On a terminal one line that
 * renews itself at most ten times a second, else a line per 10 %.
 */
#ifndef BANK_PROGRESS_H
#define BANK_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct bank_progress {
    bool live;           /* on a terminal */
    unsigned next_tenth; /* elsewhere: which line comes next */
    uint64_t start_ns;   /* of the transfers */
    uint64_t shown_ns;   /* when the live line was renewed */
};

void bank_progress_init(struct bank_progress *progress, uint64_t start_ns);

/* Shows progress if it is time to. permille is how much of the run is over. */
void bank_progress_show(struct bank_progress *progress, uint64_t now_ns, unsigned permille,
                        uint64_t n_answers);

/* Says something between progress. */
void bank_progress_say(struct bank_progress *progress, const char *text);

/* Ends the live line. */
void bank_progress_end(struct bank_progress *progress);

#endif
