#include "actors/progress.h"

#include <stdlib.h>

#include <grove/error.h>

#include "actors/call.h"
#include "actors/verb.h"
#include "runtime/noyield.h"
#include "runtime/park.h"
#include "runtime/place.h"
#include "runtime/runtime.h"

/* What one call's job has said. */
struct record {
    struct record *next;
    uint64_t call;
    struct gv_wait *wait; /* who waits for more, NULL if nobody does */
    bool is_new;          /* not yet told by grove_progress_await */
    bool has_come;        /* there is something at all */
    struct grove_progress last;
};

static struct record *records[GV_LOOPS_MAX];

/* --- the list --------------------------------------------------------------------------------- */

void gv_progress_open(struct gv_loop *loop)
{
    records[loop->index] = NULL;
}

void gv_progress_close(struct gv_loop *loop)
{
    while (records[loop->index] != NULL) {
        struct record *record = records[loop->index];

        records[loop->index] = record->next;
        free(record);
    }
}

/* The record of a call, NULL if there is none. Frees those whose calls are over. */
static struct record *find(struct gv_loop *loop, uint64_t call)
{
    struct record **link = &records[loop->index], *found = NULL;

    while (*link != NULL) {
        struct record *record = *link;

        if (gv_call_find(loop, record->call) == NULL) {
            *link = record->next;
            free(record);
            continue;
        }
        if (record->call == call)
            found = record;
        link = &record->next;
    }
    return found;
}

/* The same, made if there is none; NULL: no memory. */
static struct record *find_or_make(struct gv_loop *loop, uint64_t call)
{
    struct record *record = find(loop, call);

    if (record != NULL)
        return record;
    record = calloc(1, sizeof *record);
    if (record == NULL)
        return NULL;
    record->call = call;
    record->next = records[loop->index];
    records[loop->index] = record;
    return record;
}

/* --- coming ----------------------------------------------------------------------------------- */

/* On the loop of the call. */
static void keep(struct gv_loop *loop, uint64_t id, const struct grove_progress *progress)
{
    struct gv_call *call = gv_call_find(loop, id);
    struct record *record;

    if (call == NULL || call->kind != GV_SINK_FUTURE || call->answered)
        return; /* It is over, or nobody has a future to ask about. */
    record = find_or_make(loop, id);
    if (record == NULL)
        return; /* The next word may find memory. */
    record->last = *progress;
    record->is_new = record->has_come = true;
    if (record->wait != NULL && !record->wait->woken)
        gv_wake(loop, record->wait, 0);
}

struct news {
    uint64_t call;
    struct grove_progress progress;
};

static void arrive(void *argument)
{
    struct news *news = argument;

    keep(gv_loop_here, news->call, &news->progress);
    free(news);
}

void gv_progress_tell(struct gv_loop *loop, uint64_t call, const struct grove_progress *progress)
{
    unsigned home = (unsigned)(call >> GV_CALL_LOOP_SHIFT);
    struct news *news;

    if (home == loop->index) {
        keep(loop, call, progress);
        return;
    }
    if (call == 0 || home >= gv_runtime.n_loops)
        return;
    news = malloc(sizeof *news);
    if (news == NULL)
        return;
    *news = (struct news){call, *progress};
    if (gv_loop_call(loop, home, arrive, news) != 0)
        free(news);
}

/* --- following -------------------------------------------------------------------------------- */

/* Takes what is new. */
static bool take(struct record *record, struct grove_progress *progress)
{
    if (record == NULL || !record->is_new)
        return false;
    record->is_new = false;
    *progress = record->last;
    return true;
}

/* True if jobs may come of this call; else notes why not. A pool that has ended has answered. */
static bool may_be_followed(const struct grove_future *future)
{
    const struct gv_task *task = gv_slot_find(future->target);

    if (task == NULL || task->class->form == GV_FORM_PACKED)
        return true;
    (void)gv_usage("grove_progress_await: only jobs of worker pools tell of progress; await this "
                   "future, or mark its rpc WORKER"); /* It returns what is not asked for. */
    return false;
}

/* Parks until there is news or the future is done. Returns 0, or a failure, noted. */
static int park(struct gv_loop *loop, struct grove_future *future, struct record *record)
{
    struct grove_future *const futures[] = {future};
    struct gv_wait wait;
    int rc;

    gv_wait_init(loop, &wait, GV_WAIT_ANY, 0); /* The future has a deadline. */
    wait.futures = futures;
    wait.n_futures = 1;
    wait.n_left = 1;
    /* No circle can close here: pools wait for nobody. */
    future->waiter = record->wait = &wait;
    rc = gv_park(loop, &wait);
    future->waiter = record->wait = NULL;
    return rc == 0 ? 0 : gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_UNKNOWN, NULL);
}

bool grove_progress_await(struct grove_future *future, struct grove_progress *progress)
{
    struct gv_loop *loop = gv_loop_here;
    struct record *record;

    if (loop == NULL || loop->turn == NULL) {
        (void)gv_usage_wait("grove_progress_await"); /* What it returns is not asked for. */
        return false;
    }
    if (future->call == 0 && !future->done) {
        (void)gv_usage("grove_progress_await: the future was never started, or its start failed");
        return false;
    }
    if (gv_noyield_check(loop, loop->turn, "grove_progress_await") != 0)
        return false;
    record = find(loop, future->call);
    if (take(record, progress))
        return true;
    if (future->done || !may_be_followed(future))
        return false;
    record = record != NULL ? record : find_or_make(loop, future->call);
    if (record == NULL) {
        (void)gv_failed(GROVE_ENOMEM, NULL);
        return false;
    }
    return park(loop, future, record) == 0 && take(record, progress);
}

bool grove_progress(const struct grove_future *future, struct grove_progress *progress)
{
    struct gv_loop *loop = gv_loop_here;
    const struct record *record = loop != NULL ? find(loop, future->call) : NULL;

    if (record == NULL || !record->has_come)
        return false;
    *progress = record->last;
    return true;
}
