#include "workers/job.h"

#include <stdlib.h>

#include "actors/service.h"
#include "runtime/block.h"
#include "runtime/loop.h"

/* --- lists ---------------------------------------------------------------------------------------- */

void gv_jobs_push(struct gv_job_list *list, struct gv_job *job)
{
    job->next = NULL;
    job->before = list->tail;
    if (list->tail != NULL)
        list->tail->next = job;
    else
        list->head = job;
    list->tail = job;
    list->n++;
    list->n_streams += job->streams;
}

void gv_jobs_push_front(struct gv_job_list *list, struct gv_job *job)
{
    job->before = NULL;
    job->next = list->head;
    if (list->head != NULL)
        list->head->before = job;
    else
        list->tail = job;
    list->head = job;
    list->n++;
    list->n_streams += job->streams;
}

void gv_jobs_remove(struct gv_job_list *list, struct gv_job *job)
{
    if (job->before != NULL)
        job->before->next = job->next;
    else
        list->head = job->next;
    if (job->next != NULL)
        job->next->before = job->before;
    else
        list->tail = job->before;
    list->n--;
    list->n_streams -= job->streams;
}

/* --- jobs ----------------------------------------------------------------------------------------- */

/* Call ids differ in slot and generation; both go into the place. */
static struct gv_job **bucket(struct gv_queue *queue, uint64_t call)
{
    return &queue->buckets[(call * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}

static_assert(GV_JOB_BUCKETS == 1u << 10, "bucket takes the ten high bits");

/* Of enum grove_priority. A number that is none is NORMAL. */
static uint8_t rank_of(const struct grove_method *method)
{
    return method->priority == GROVE_PRIORITY_HIGH  ? 0
           : method->priority == GROVE_PRIORITY_LOW ? 2
                                                    : 1;
}

struct gv_job *gv_job_take(struct gv_queue *queue, struct gv_message *request, uint32_t now_ms)
{
    struct gv_job *job = queue->stock;
    struct gv_job **place;

    if (job != NULL)
        queue->stock = job->next;
    else
        job = malloc(sizeof *job);
    if (job == NULL)
        return NULL;
    *job = (struct gv_job){
        .request = request,
        .method = gv_methods[request->method].method,
        .id = ++queue->n_ids,
        .filed_ms = now_ms,
        .rank = rank_of(gv_methods[request->method].method),
        .streams = gv_methods[request->method].method->kind == GROVE_SERVER_STREAM,
    };
    if (request->call != 0) {
        place = bucket(queue, request->call);
        job->bucket_next = *place;
        *place = job;
    }
    return job;
}

struct gv_message *gv_job_give(struct gv_queue *queue, struct gv_job *job)
{
    struct gv_message *request = job->request;
    struct gv_job **place = bucket(queue, request->call);

    if (request->call != 0) {
        while (*place != job)
            place = &(*place)->bucket_next;
        *place = job->bucket_next;
    }
    job->request = NULL;
    job->next = queue->stock;
    queue->stock = job;
    return request;
}

struct gv_job *gv_job_find(const struct gv_queue *queue, uint64_t call)
{
    struct gv_job *job = *bucket((struct gv_queue *)queue, call);

    while (job != NULL && job->request->call != call)
        job = job->bucket_next;
    return job;
}

/* --- waiting -------------------------------------------------------------------------------------- */

void gv_job_wait(struct gv_queue *queue, struct gv_job *job, bool first)
{
    queue->bytes += gv_message_charge(job->request);
    queue->n_waiting++;
    if (first)
        gv_jobs_push_front(&queue->waiting[job->rank], job);
    else
        gv_jobs_push(&queue->waiting[job->rank], job);
}

void gv_job_unwait(struct gv_queue *queue, struct gv_job *job)
{
    queue->bytes -= gv_message_charge(job->request);
    queue->n_waiting--;
    gv_jobs_remove(&queue->waiting[job->rank], job);
}

/* The head with the least of filed_ms + rank * step_ms; of equals the one of the better rank. */
static struct gv_job *least(const struct gv_queue *queue, uint32_t step_ms)
{
    struct gv_job *best = NULL;
    uint32_t best_ms = 0;

    for (uint32_t i = 0; i < GV_JOB_PRIORITIES; i++) {
        struct gv_job *job = queue->waiting[i].head;
        uint32_t at_ms = job != NULL ? job->filed_ms + i * step_ms : 0;

        if (job != NULL && (best == NULL || gv_ms_before(at_ms, best_ms))) {
            best = job;
            best_ms = at_ms;
        }
    }
    return best;
}

struct gv_job *gv_queue_first(const struct gv_queue *queue)
{
    return least(queue, GV_JOB_STEP_MS);
}

struct gv_job *gv_queue_oldest(const struct gv_queue *queue)
{
    return least(queue, 0);
}

void gv_queue_deinit(struct gv_queue *queue)
{
    while (queue->stock != NULL) {
        struct gv_job *job = queue->stock;

        queue->stock = job->next;
        free(job);
    }
}
