/*
 * Letters: the dead letters of one pool: jobs that nobody will be answered
 * about by their function, with their requests, so that they can be tried
 * once more.
 *
 *     a job ends ─gv_letters_note─▶ oldest … newest ─retried and answered, or forgotten─▶ gone
 *                                        └ beyond n_max or bytes_max the oldest make room
 *
 * Who waits for a job is told how it ended, and may ask again himself. So a
 * call becomes a letter only if it took its worker along (KILLED, OVERDUE,
 * BROKEN); of a job that was sent, every failure does. Each is also told to
 * who subscribes to all dead letters of the process.
 *
 * A letter stays while it is retried. Should that run die too, it is the
 * same letter, with more attempts.
 *
 * Always: n <= n_max, bytes <= bytes_max; ids rise from the oldest to the newest.
 */
#ifndef GV_LETTERS_H
#define GV_LETTERS_H

#include <stddef.h>
#include <stdint.h>

#include <grove/error.h>
#include <grove/pool.h>

struct gv_job;
struct gv_letter;
struct gv_pool;

struct gv_letters {
    struct gv_letter *oldest, *newest;
    uint32_t n, n_max;
    uint64_t bytes, bytes_max; /* of requests */
    uint64_t n_ids;
    uint32_t n_expected; /* retries whose jobs have not been filed */
};

void gv_letters_init(struct gv_letters *letters, const struct grove_pool_options *options);
void gv_letters_deinit(struct gv_letters *letters);

/* Why these options cannot be, NULL if they can. */
const char *gv_letters_wrong(const struct grove_pool_options *options);

/* A job is filed: it may be the retry of a letter. */
void gv_letters_meet(struct gv_job *job);

/* A job fails with this code: keeps it if it is a dead letter. The job stays as it is. text may be NULL. */
void gv_letters_note(struct gv_job *job, int code, enum grove_started started, const char *text);

#endif
