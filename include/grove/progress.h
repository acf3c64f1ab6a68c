/*
 * Progress: how far a job in a worker process has come.
 *
 * A worker's function says so as often as it likes, and asks whether anybody
 * still waits for it:
 *
 *     for (uint32_t i = 0; i < n_frames && !grove_job_cancelled(); i++) {
 *         render(i);
 *         grove_job_progress((double)i / n_frames, "frames");
 *     }
 *
 * Its caller starts the call, and follows it while he waits:
 *
 *     struct grove_progress progress;
 *     rc = studio_render_start(pool, &request, &response, &future);
 *     while (rc == 0 && grove_progress_await(&future, &progress))
 *         printf("%3.0f %% %s\n", 100 * progress.fraction, progress.note);
 *     if (rc == 0)
 *         rc = grove_future_await(&future);
 *
 * The last word wins: who looks seldom misses what was between. What a
 * worker says travels at most ten times a second, and up to eight times more
 * in a row where the note or the job is another one. So neither side can
 * flood or hold up the other, and nobody need follow. A function that will say nothing
 * for long does well to change the note first.
 */
#ifndef GROVE_PROGRESS_H
#define GROVE_PROGRESS_H

#include <stdbool.h>

#include <grove/call.h>
#include <grove/cancel.h>
#include <grove/export.h>

#define GROVE_PROGRESS_NOTE_BYTES 128 /* of a note with its NUL; what is longer is cut */

/*
 * In a worker's function: so much of the job is done, from 0 to 1 (beyond is
 * taken for 0 or 1, NAN for not known), and what it is at (NULL: no note).
 * The note is copied, and what is no UTF-8 in it is left out. Elsewhere,
 * such as in a unit test, nothing happens. Never suspends; costs a
 * look at the clock, and now and then a short write.
 */
GROVE_API void grove_job_progress(double fraction, const char *note);

/*
 * grove_cancelled by the name that goes with the above: true once nobody
 * waits for the running job, or its deadline is over. A function that asks
 * now and then and returns within the pool's grace_ms is not killed.
 */
static inline bool grove_job_cancelled(void)
{
    return grove_cancelled();
}

/* What a job has said last. */
struct grove_progress {
    double fraction;  /* 0 to 1; negative: not known */
    unsigned attempt; /* which run of the job says so: 1, and more after deaths of its workers */
    char note[GROVE_PROGRESS_NOTE_BYTES]; /* "" if none */
};

/*
 * Suspends until the job of a call that was started has said something that
 * this function has not told yet, or the call is over. True with *progress:
 * there is news. False: there will be none; grove_future_await, which then
 * does not wait any more, says how the call ended. False too when the turn
 * is cancelled; or with a reason in grove_why() when the future was never
 * started, or its call went to no pool (GROVE_EUSAGE).
 */
GROVE_API bool grove_progress_await(struct grove_future *future, struct grove_progress *progress);

/*
 * Copies what the job has said last, told before or not. False if it has
 * said nothing, or if the future has been awaited. Never suspends.
 */
GROVE_API bool grove_progress(const struct grove_future *future, struct grove_progress *progress);

#endif
