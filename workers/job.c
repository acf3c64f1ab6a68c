#include "workers/job.h"

#include <stdlib.h>

#include "actors/service.h"
#include "runtime/block.h"

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
}

/* --- jobs ----------------------------------------------------------------------------------------- */

/* Call ids differ in slot and generation; both go into the place. */
static struct gv_job **bucket(struct gv_queue *queue, uint64_t call)
{
    return &queue->buckets[(call * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}

static_assert(GV_JOB_BUCKETS == 1u << 10, "bucket takes the ten high bits");

struct gv_job *gv_job_take(struct gv_queue *queue, struct gv_message *request)
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
    if (first)
        gv_jobs_push_front(&queue->waiting, job);
    else
        gv_jobs_push(&queue->waiting, job);
}

void gv_job_unwait(struct gv_queue *queue, struct gv_job *job)
{
    queue->bytes -= gv_message_charge(job->request);
    gv_jobs_remove(&queue->waiting, job);
}

void gv_queue_deinit(struct gv_queue *queue)
{
    while (queue->stock != NULL) {
        struct gv_job *job = queue->stock;

        queue->stock = job->next;
        free(job);
    }
}
