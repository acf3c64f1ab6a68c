#include "workers/letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/deadletter.h"
#include "actors/service.h"
#include "actors/verb.h"
#include "runtime/slot.h"
#include "runtime/usage.h"
#include "workers/pool.h"

#define N_DEFAULT     256u
#define N_MOST        65536u
#define BYTES_DEFAULT ((uint64_t)8 << 20)

struct gv_letter {
    struct gv_letter *next; /* the next younger one */
    struct grove_pool_letter about;
    uint16_t method;
    bool is_retried;  /* somebody waits for it */
    bool is_expected; /* its job has not been filed */
    uint64_t n_bytes;
    uint8_t bytes[]; /* the request, packed; none if !about.is_kept */
};

/* --- the list ------------------------------------------------------------------------------------- */

void gv_letters_init(struct gv_letters *letters, const struct grove_pool_options *options)
{
    letters->n_max = options->dead_max != 0 ? options->dead_max : N_DEFAULT;
    letters->bytes_max = options->dead_bytes_max != 0 ? options->dead_bytes_max : BYTES_DEFAULT;
}

const char *gv_letters_wrong(const struct grove_pool_options *options)
{
    return options->dead_max > N_MOST ? "dead_max is at most 65 536" : NULL;
}

/* Takes the letter after `before` (NULL: the oldest) out, and frees it. */
static void drop_after(struct gv_letters *letters, struct gv_letter *before)
{
    struct gv_letter **link = before != NULL ? &before->next : &letters->oldest;
    struct gv_letter *letter = *link;

    *link = letter->next;
    if (letters->newest == letter)
        letters->newest = before;
    letters->n--;
    letters->n_expected -= letter->is_expected;
    letters->bytes -= letter->about.is_kept ? letter->n_bytes : 0;
    free(letter);
}

void gv_letters_deinit(struct gv_letters *letters)
{
    while (letters->oldest != NULL)
        drop_after(letters, NULL);
}

/* False if there was none. */
static bool drop(struct gv_letters *letters, uint64_t id)
{
    struct gv_letter *before = NULL;

    for (struct gv_letter *letter = letters->oldest; letter != NULL; letter = letter->next) {
        if (letter->about.id == id) {
            drop_after(letters, before);
            return true;
        }
        before = letter;
    }
    return false;
}

static struct gv_letter *find(const struct gv_letters *letters, uint64_t id)
{
    struct gv_letter *letter = letters->oldest;

    while (letter != NULL && letter->about.id != id)
        letter = letter->next;
    return letter;
}

static void make_room(struct gv_pool *pool, uint64_t n_bytes)
{
    struct gv_letters *letters = &pool->letters;

    while (letters->oldest != NULL
           && (letters->n >= letters->n_max || letters->bytes + n_bytes > letters->bytes_max)) {
        drop_after(letters, NULL);
        pool->stats.dead_dropped++;
    }
}

/* --- retries -------------------------------------------------------------------------------------- */

static void expect(struct gv_letters *letters, struct gv_letter *letter, bool is_expected)
{
    letters->n_expected += is_expected;
    letters->n_expected -= letter->is_expected;
    letter->is_expected = is_expected;
}

/* An equal request of somebody else does as well: its letter would say the same. */
void gv_letters_meet(struct gv_job *job)
{
    struct gv_letters *letters = &job->pool->letters;
    uint64_t fingerprint;

    if (letters->n_expected == 0)
        return;
    fingerprint = gv_quarantine_fingerprint(job->pool, job);
    for (struct gv_letter *letter = letters->oldest; letter != NULL; letter = letter->next)
        if (letter->is_expected && letter->method == job->request->method
            && letter->about.fingerprint == fingerprint) {
            expect(letters, letter, false);
            job->letter = letter->about.id;
            return;
        }
}

/* --- noting --------------------------------------------------------------------------------------- */

/* Why a job that fails so is a dead letter; GROVE_DEAD_REASONS: it is none. */
static enum grove_dead_reason reason_of(const struct gv_job *job, int code)
{
    if (code > 0 || code == GROVE_EEND || job->gave_up == GROVE_ECANCELED)
        return GROVE_DEAD_REASONS; /* It is an answer, or nobody wanted it any more. */
    if (code == GROVE_ECRASHED && job->has_run)
        return GROVE_DEAD_KILLED;
    if (code == GROVE_EBROKEN)
        return GROVE_DEAD_BROKEN;
    if (job->is_overdue)
        return GROVE_DEAD_OVERDUE;
    if (job->request->call != 0)
        return GROVE_DEAD_REASONS; /* Its caller is told, and may ask again. */
    switch (code) {
    case GROVE_EUNAVAILABLE:
        return GROVE_DEAD_UNAVAILABLE;
    case GROVE_EQUARANTINED:
        return GROVE_DEAD_QUARANTINED;
    case GROVE_ESTOPPING:
        return GROVE_DEAD_STOPPED;
    case GROVE_ETIMEDOUT:
        return GROVE_DEAD_EXPIRED;
    default:
        return GROVE_DEAD_FAILED;
    }
}

/* A new letter for this job, its request kept if it fits; NULL: no memory. */
static struct gv_letter *add(struct gv_pool *pool, const struct gv_job *job)
{
    struct gv_letters *letters = &pool->letters;
    struct gv_letter *letter;
    uint64_t n_bytes;
    const uint8_t *body = gv_job_body(job, &n_bytes);
    bool is_kept = n_bytes <= letters->bytes_max;

    make_room(pool, is_kept ? n_bytes : 0);
    letter = malloc(sizeof *letter + (is_kept ? n_bytes : 0));
    if (letter == NULL)
        return NULL;
    *letter = (struct gv_letter){.method = job->request->method, .n_bytes = n_bytes};
    letter->about = (struct grove_pool_letter){
        .id = ++letters->n_ids,
        .method = job->method,
        .bytes = n_bytes,
        .is_called = job->request->call != 0,
        .is_kept = is_kept,
    };
    if (is_kept)
        memcpy(letter->bytes, body, n_bytes);
    letters->bytes += is_kept ? n_bytes : 0;
    letters->n++;
    if (letters->newest != NULL)
        letters->newest->next = letter;
    else
        letters->oldest = letter;
    letters->newest = letter;
    return letter;
}

void gv_letters_note(struct gv_job *job, int code, enum grove_started started, const char *text)
{
    enum grove_dead_reason reason = reason_of(job, code);
    struct gv_pool *pool = job->pool;
    struct gv_letter *letter;
    uint64_t fingerprint;

    if (reason == GROVE_DEAD_REASONS)
        return;
    gv_dead_note(pool->loop, job->request, reason);
    pool->stats.dead++;
    fingerprint = gv_quarantine_fingerprint(pool, job);
    letter = job->letter != 0 ? find(&pool->letters, job->letter) : NULL;
    if (letter == NULL)
        letter = add(pool, job);
    if (letter == NULL) {
        pool->stats.dead_dropped++;
        return;
    }
    letter->about.reason = reason;
    letter->about.code = code;
    letter->about.fingerprint = fingerprint;
    letter->about.attempts +=
        job->n_begun
        + (reason == GROVE_DEAD_BROKEN
           || (reason == GROVE_DEAD_FAILED && started == GROVE_STARTED_YES && !job->has_run));
    letter->about.at_ns = pool->loop->now_ns;
    (void)snprintf(letter->about.text, sizeof letter->about.text, "%s",
                   text != NULL ? text : ""); /* A cut reason is still one. */
}

/* --- for users ------------------------------------------------------------------------------------ */

int grove_pool_dead_letters(grove_ref ref, struct grove_pool_letter *list, unsigned n)
{
    struct gv_pool *pool = NULL;
    int rc = gv_pool_find_here("grove_pool_dead_letters", ref, &pool);
    unsigned place;

    if (rc != 0)
        return rc;
    /* The list goes from the oldest on; they are told from the newest on. */
    place = pool->letters.n;
    for (const struct gv_letter *letter = pool->letters.oldest; letter != NULL;
         letter = letter->next)
        if (--place < n)
            list[place] = letter->about;
    return (int)pool->letters.n;
}

int grove_pool_forget(grove_ref ref, uint64_t id)
{
    struct gv_pool *pool = NULL;
    int rc = gv_pool_find_here("grove_pool_forget", ref, &pool);

    if (rc != 0)
        return rc;
    if (id != 0)
        return drop(&pool->letters, id);
    rc = (int)pool->letters.n;
    gv_letters_deinit(&pool->letters);
    return rc;
}

/* Why this letter cannot be retried with such a response: GROVE_EUSAGE, noted; or 0. */
static int check(const struct gv_letter *letter, uint64_t id, const ProtobufCMessage *response)
{
    if (letter == NULL)
        return gv_usage("grove_pool_retry_await: the pool has no dead letter %llu: it has been "
                        "retried or forgotten, or has made room for younger ones",
                        (unsigned long long)id);
    if (letter->about.method->kind != GROVE_UNARY)
        return gv_usage("grove_pool_retry_await: %s answers with a stream; call it anew, and "
                        "forget the letter",
                        letter->about.method->name);
    if (letter->is_retried)
        return gv_usage("grove_pool_retry_await: dead letter %llu is being retried already",
                        (unsigned long long)id);
    if (!letter->about.is_kept)
        return gv_usage("grove_pool_retry_await: the request of dead letter %llu was too large to "
                        "be kept; raise dead_bytes_max of the pool for the next one",
                        (unsigned long long)id);
    if (response != NULL && response->descriptor != letter->about.method->response->descriptor)
        return gv_usage("grove_pool_retry_await: the response must be a %s, as %s answers",
                        letter->about.method->response->descriptor->name,
                        letter->about.method->name);
    return 0;
}

/* The request once more, as if it came from a verb. */
static struct gv_message *copy_request(struct gv_loop *loop, const struct gv_letter *letter)
{
    uint64_t n_bytes = letter->n_bytes;
    struct gv_message *message = gv_message_take(&loop->blocks, sizeof n_bytes + n_bytes);

    if (message == NULL)
        return NULL;
    memcpy(message->body, &n_bytes, sizeof n_bytes);
    memcpy(message->body + sizeof n_bytes, letter->bytes, n_bytes);
    message->form_flags = GV_FORM_PACKED;
    message->method = letter->method;
    return message;
}

int grove_pool_retry_await(grove_ref ref, uint64_t id, ProtobufCMessage *response)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_letter *letter;
    struct gv_pool *pool = NULL;
    struct gv_verb verb = {.loop = loop};
    int rc;

    if (loop == NULL || loop->turn == NULL)
        return gv_usage_wait("grove_pool_retry_await");
    rc = gv_pool_find_here("grove_pool_retry_await", ref, &pool);
    if (rc != 0)
        return rc;
    letter = find(&pool->letters, id);
    rc = check(letter, id, response);
    if (rc != 0)
        return rc;
    verb.turn = loop->turn;
    verb.task = &pool->task->task;
    verb.method = letter->about.method;
    verb.index = letter->method;
    verb.message = copy_request(loop, letter);
    if (verb.message == NULL)
        return gv_failed(GROVE_ENOMEM, NULL);
    verb.message->to = gv_task_id(verb.task);
    letter->is_retried = true;
    expect(&pool->letters, letter, true);
    rc = gv_verb_call_await(&verb, response);
    /* The pool may have ended meanwhile, or the letter has made room for others. */
    if (gv_pool_find_here("grove_pool_retry_await", ref, &pool) != 0)
        return rc;
    letter = find(&pool->letters, id);
    if (letter == NULL)
        return rc;
    letter->is_retried = false;
    expect(&pool->letters, letter,
           false); /* Its job may have been taken back before it was filed. */
    if (rc >= 0)
        (void)drop(&pool->letters, id); /* It was there. */
    return rc;
}
