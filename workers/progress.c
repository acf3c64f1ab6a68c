#include "workers/progress.h"

#include <math.h>
#include <string.h>

#include <grove/error.h>

#include "actors/progress.h"
#include "proto/codec.h"
#include "workers/errand.h"
#include "workers/pool.h"
#include "workers/worker.h"

struct gv_worker *(*gv_progress_worker)(struct gv_progress_said **said);

/* True if one more word may be said: cost_ns of what was saved, up to n_most of them. */
static bool spend(struct gv_progress_budget *budget, uint64_t now_ns, uint64_t cost_ns,
                  unsigned n_most)
{
    uint64_t most_ns = cost_ns * n_most;

    budget->saved_ns += now_ns - budget->looked_ns;
    budget->looked_ns = now_ns;
    if (budget->saved_ns > most_ns)
        budget->saved_ns = most_ns;
    if (budget->saved_ns < cost_ns)
        return false;
    budget->saved_ns -= cost_ns;
    return true;
}

/* --- in the worker -------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 character at text, 0 if it is none. */
static size_t character(const unsigned char *text)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned lead = text[0], value;
    size_t n = lead < 0x80 ? 1 : lead >= 0xf8 ? 0 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

    if (n <= 1 || lead < 0xc0)
        return lead < 0x80 ? 1 : 0;
    value = lead & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0; /* The NUL too. */
        value = value << 6 | (text[i] & 0x3fu);
    }
    return value >= least[n] && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff) ? n : 0;
}

/* Copies what is UTF-8, whole characters, as much as fits. */
static void copy_note(char to[GROVE_PROGRESS_NOTE_BYTES], const char *note)
{
    size_t used = 0;

    while (note != NULL && *note != '\0') {
        size_t n = character((const unsigned char *)note);

        if (used + n >= GROVE_PROGRESS_NOTE_BYTES)
            break;
        memcpy(to + used, note, n);
        used += n;
        note += n > 0 ? n : 1;
    }
    memset(to + used, 0, GROVE_PROGRESS_NOTE_BYTES - used);
}

/* True if it is time for another word. */
static bool may_say(struct gv_worker *worker, struct gv_progress_said *said, const char *note)
{
    uint64_t now_ns = gv_worker_now_ns(worker);
    bool is_other = said->job != gv_worker_job(worker) || strcmp(said->note, note) != 0;

    if (!is_other && now_ns - said->said_ns < GV_PROGRESS_NS)
        return false;
    return spend(&said->budget, now_ns, GV_PROGRESS_NS, GV_PROGRESS_BURST);
}

void grove_job_progress(double fraction, const char *note)
{
    struct gv_progress_said *said = NULL;
    struct gv_worker *worker = gv_progress_worker != NULL ? gv_progress_worker(&said) : NULL;
    Grove__Link__V1__Progress message = GROVE__LINK__V1__PROGRESS__INIT;
    char copy[GROVE_PROGRESS_NOTE_BYTES];
    uint8_t body[GV_PROGRESS_BYTES_MAX];
    size_t n_bytes;

    if (worker == NULL || gv_worker_job(worker) == 0)
        return;
    copy_note(copy, note);
    if (!may_say(worker, said, copy) || !gv_worker_look(worker))
        return;
    message.fraction = isnan(fraction) ? -1 : fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
    message.note = copy;
    if (gv_packed_size(&message.base, sizeof body, &n_bytes) != 0)
        return; /* It fits. */
    gv_pack(&message.base, body, n_bytes);
    if (!gv_worker_tell(worker, GV_FRAME_PROGRESS, body, n_bytes))
        return; /* The next word may find the way free. */
    said->said_ns = said->budget.looked_ns;
    said->job = gv_worker_job(worker);
    memcpy(said->note, copy, sizeof said->note);
}

/* --- in the pool ---------------------------------------------------------------------------------- */

static struct gv_job *find(const struct gv_child *child, uint64_t id)
{
    struct gv_job *job = child->jobs.head;

    while (job != NULL && job->id != id)
        job = job->next;
    return job;
}

/* True if it is within the bounds that an honest worker keeps. */
static bool is_in_bounds(const Grove__Link__V1__Progress *message)
{
    /* Not a number fails both comparisons. */
    bool is_part = message->fraction >= 0 && message->fraction <= 1;

    return (is_part || message->fraction == -1)
           && strlen(message->note) < GROVE_PROGRESS_NOTE_BYTES;
}

static const char *pass_on(const struct gv_job *job, const struct gv_frame *frame)
{
    struct gv_packed packed = {frame->body, frame->body_bytes};
    struct grove_progress progress = {.attempt = job->n_begun + 1};
    const Grove__Link__V1__Progress *message;
    struct gv_capped_arena arena;
    ProtobufCMessage *unpacked;
    const char *why = NULL;

    if (packed.n_bytes > GV_PROGRESS_BYTES_MAX
        || gv_unpack(&grove__link__v1__progress__descriptor, packed, &arena, &unpacked, NULL) != 0)
        return "its progress is not a valid message";
    message = (const Grove__Link__V1__Progress *)unpacked;
    if (is_in_bounds(message)) {
        progress.fraction = message->fraction;
        memcpy(progress.note, message->note, strlen(message->note) + 1);
        if (job->pool->agent != NULL)
            gv_errand_progressed(job->pool->agent, job->request->call, frame);
        else
            gv_progress_tell(job->pool->loop, job->request->call, &progress);
    } else {
        why = "its progress is out of bounds";
    }
    gv_capped_arena_deinit(&arena);
    return why;
}

const char *gv_job_progressed(struct gv_child *child, const struct gv_frame *frame)
{
    struct gv_pool *pool = child->pool;
    const struct gv_job *job = find(child, frame->call);
    const char *why;

    /* Twice as often as it may, so that clocks may differ a little. */
    if (!spend(&child->progress, pool->env->now_ns(pool->env->world),
               GV_PROGRESS_NS / 2 / child->capacity, GV_PROGRESS_HEAP * child->capacity))
        why = "it tells of progress too often";
    else if (job == NULL)
        why = "it told the progress of a job that it does not have";
    else
        why = pass_on(job, frame);
    if (why != NULL)
        pool->stats.dropped_frames++;
    else
        pool->stats.progressed++;
    return why;
}
