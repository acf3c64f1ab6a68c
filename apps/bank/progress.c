/* Progress: how far a demo is. See progress.h. */
#include "apps/bank/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define RENEW_EVERY_NS 100000000u
#define ERASE          "\r\033[K" /* to the start of the line, and clear it */

void bank_progress_init(struct bank_progress *progress, uint64_t start_ns)
{
    *progress = (struct bank_progress){
        .live = isatty(STDERR_FILENO) == 1,
        .next_tenth = 1,
        .start_ns = start_ns,
    };
}

void bank_progress_show(struct bank_progress *progress, uint64_t now_ns, unsigned permille,
                        uint64_t n_answers)
{
    double seconds = (double)(now_ns - progress->start_ns) / 1e9;
    double rate = seconds > 0 ? (double)n_answers / seconds : 0;

    if (progress->live) {
        if (now_ns - progress->shown_ns < RENEW_EVERY_NS)
            return;
        progress->shown_ns = now_ns;
        fprintf(stderr, ERASE "%3u %%  %" PRIu64 " transfers, %.0f per second", permille / 10,
                n_answers, rate);
        fflush(stderr);
        return;
    }
    if (permille < progress->next_tenth * 100)
        return;
    progress->next_tenth = permille / 100 + 1;
    fprintf(stderr, "%3u %%  %" PRIu64 " transfers, %.0f per second\n", permille / 100 * 10,
            n_answers, rate);
}

void bank_progress_say(struct bank_progress *progress, const char *text)
{
    fprintf(stderr, "%s%s\n", progress->live ? ERASE : "", text);
}

void bank_progress_end(struct bank_progress *progress)
{
    if (progress->live)
        fputs(ERASE, stderr);
}
