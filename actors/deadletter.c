#include "actors/deadletter.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>
#include <grove/task.h>

#include "actors/mail.h"
#include "actors/service.h"
#include "runtime/figure.h"
#include "runtime/go.h"
#include "runtime/log.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

#define READ_MAX 64u /* letters told by a subscriber before others have their turn */

/* What one loop knows. */
struct notes {
    _Alignas(64) uint64_t counts[GROVE_DEAD_REASONS]; /* figures */
    atomic_flag busy;                                 /* the lock of what follows */
    struct grove_dead_letter *ring;                   /* NULL until there is a letter */
    uint64_t n;                                       /* ever written to the ring */
    /* Only the loop itself touches these. */
    uint32_t last_ms;   /* the last letter */
    uint32_t logged_ms; /* the last line */
    uint32_t n_first;   /* lines since it was quiet */
    uint64_t n_unlogged;
};

/* One who subscribes. */
struct reader {
    _Atomic uint64_t id; /* of its greenlet, 0: the place is free, 1: it is being taken */
    _Atomic bool told;   /* a wake-up is under way, or it reads */
    unsigned loop;
    uint64_t seen[GV_LOOPS_MAX]; /* how far it has read, by loop */
};

static struct notes notes[GV_LOOPS_MAX];
static struct reader readers[GV_DEAD_READERS];
static _Atomic uint32_t n_readers;

/* --- words ------------------------------------------------------------------------------------ */

static const struct {
    const char *name, *text;
} words[] = {
#define WORDS(name, text) {#name, text},
    GROVE_DEAD_TABLE(WORDS)
#undef WORDS
};

const char *grove_dead_name(enum grove_dead_reason reason)
{
    return (unsigned)reason < GROVE_DEAD_REASONS ? words[reason].name : "?";
}

const char *grove_dead_text(enum grove_dead_reason reason)
{
    return (unsigned)reason < GROVE_DEAD_REASONS ? words[reason].text : "there is no such reason";
}

/* --- the ring --------------------------------------------------------------------------------- */

/* Whoever meets another one waits in place: it is held for one copy. */
static void lock(struct notes *mine)
{
    /* acquire: pairs with the release in unlock. */
    while (atomic_flag_test_and_set_explicit(&mine->busy, memory_order_acquire))
        continue;
}

static void unlock(struct notes *mine)
{
    atomic_flag_clear_explicit(&mine->busy, memory_order_release);
}

static void keep(struct notes *mine, const struct grove_dead_letter *letter)
{
    lock(mine);
    if (mine->ring == NULL)
        mine->ring = calloc(GV_DEAD_RING, sizeof *mine->ring);
    if (mine->ring != NULL) /* Without memory it is only counted. */
        mine->ring[mine->n++ % GV_DEAD_RING] = *letter;
    unlock(mine);
}

/*
 * Copies letter number *at of a loop, or the oldest that is left if that is
 * gone: then *at becomes its number. False if there is none yet.
 */
static bool read_letter(unsigned loop, uint64_t *at, struct grove_dead_letter *letter)
{
    struct notes *theirs = &notes[loop];
    bool found;

    lock(theirs);
    if (theirs->n > GV_DEAD_RING && *at < theirs->n - GV_DEAD_RING)
        *at = theirs->n - GV_DEAD_RING;
    found = *at < theirs->n;
    if (found)
        *letter = theirs->ring[*at % GV_DEAD_RING];
    unlock(theirs);
    return found;
}

static uint64_t n_written(unsigned loop)
{
    uint64_t n;

    lock(&notes[loop]);
    n = notes[loop].n;
    unlock(&notes[loop]);
    return n;
}

/* --- subscribers ------------------------------------------------------------------------------ */

/* On its home loop: mail of no method wakes its greenlet. */
static void wake_reader(void *place)
{
    struct gv_loop *loop = gv_loop_here;
    struct reader *reader = place;
    /* relaxed: its own loop wrote it, but for an old wake-up that comes late. */
    uint64_t id = atomic_load_explicit(&reader->id, memory_order_relaxed);
    struct gv_task *task = gv_slot_find(id);
    struct gv_message *message;

    if (task == NULL || task->loop != loop->index)
        return;
    message = gv_message_take(&loop->blocks, 0);
    if (message == NULL) {
        /* The next letter tries again. */
        atomic_store_explicit(&reader->told, false, memory_order_release);
        return;
    }
    message->to = id;
    if (gv_task_push(loop, task, message) != 0)
        gv_message_give(&loop->blocks, message); /* It has mail, so it is awake. */
}

static void wake_readers(struct gv_loop *loop)
{
    for (unsigned i = 0; i < GV_DEAD_READERS; i++) {
        struct reader *reader = &readers[i];

        /* acquire: pairs with the release in subscribe, so that its loop is set. */
        if (atomic_load_explicit(&reader->id, memory_order_acquire) <= 1)
            continue;
        /* acq_rel: it reads the ring after it has taken this back, and then sees the letter. */
        if (atomic_exchange_explicit(&reader->told, true, memory_order_acq_rel))
            continue;
        if (reader->loop == loop->index)
            wake_reader(reader);
        else if (gv_loop_call(loop, reader->loop, wake_reader, reader) != 0)
            atomic_store_explicit(&reader->told, false, memory_order_release); /* As above. */
    }
}

/* What a subscriber's greenlet begins with. */
struct subscription {
    grove_dead_letter_fn function;
    void *argument;
    struct reader *reader;
};

/* Tells what has come since the last time. False when the greenlet shall end. */
static bool tell_letters(const struct subscription *subscription)
{
    struct reader *reader = subscription->reader;
    unsigned n = 0;

    for (unsigned i = 0; i < gv_runtime.n_loops; i++) {
        struct grove_dead_letter letter;
        uint64_t at = reader->seen[i];

        while (read_letter(i, &at, &letter)) {
            uint64_t n_missed = at - reader->seen[i];

            reader->seen[i] = ++at;
            subscription->function(subscription->argument, &letter, n_missed);
            if (++n % READ_MAX == 0 && grove_yield_await() != 0)
                return false;
        }
    }
    return true;
}

static void read_letters(void *argument)
{
    struct subscription subscription = *(struct subscription *)argument;
    struct reader *reader = subscription.reader;
    struct gv_loop *loop = gv_loop_here;
    struct gv_message *message;

    while (gv_receive(loop, GROVE_INFINITE, &message) == 0) {
        if (message->method != 0) {
            gv_mail_orphaned(loop, message, GROVE_ENOTSUP, GROVE_DEAD_UNSUPPORTED);
            continue;
        }
        gv_message_give(&loop->blocks, message);
        /* acq_rel: pairs with the exchange in wake_readers. */
        (void)atomic_exchange_explicit(&reader->told, false, memory_order_acq_rel);
        if (!tell_letters(&subscription))
            break;
    }
    /* relaxed: a count that says whether it is worth looking. */
    atomic_fetch_sub_explicit(&n_readers, 1, memory_order_relaxed);
    /* release: pairs with the acquire in take_place, which fills it anew. */
    atomic_store_explicit(&reader->id, 0, memory_order_release);
}

/* A free place, which is taken from now on; NULL if there is none. */
static struct reader *take_place(void)
{
    for (unsigned i = 0; i < GV_DEAD_READERS; i++) {
        uint64_t nobody = 0;

        /* acquire: pairs with the release of who had it. */
        if (atomic_compare_exchange_strong_explicit(&readers[i].id, &nobody, 1,
                                                    memory_order_acquire, memory_order_relaxed))
            return &readers[i];
    }
    return NULL;
}

int grove_dead_letters_subscribe(grove_dead_letter_fn function, void *argument, grove_ref *ref)
{
    struct gv_loop *loop = gv_loop_now();
    struct subscription subscription = {.function = function, .argument = argument};
    struct grove_spawn_options options = {.label = "dead letters",
                                          .place = loop != NULL ? GROVE_ON_LOOP(loop->index) : 0,
                                          .argument_bytes = sizeof subscription};
    struct reader *reader;
    grove_ref mine;
    int rc;

    if (loop == NULL)
        return gv_usage_thread("grove_dead_letters_subscribe");
    if (function == NULL)
        return gv_usage("grove_dead_letters_subscribe: there is no function to tell");
    reader = take_place();
    if (reader == NULL)
        return gv_failed(GROVE_EFULL, "16 subscribe to dead letters already: stop one of them");
    reader->loop = loop->index;
    for (unsigned i = 0; i < gv_runtime.n_loops; i++)
        reader->seen[i] = n_written(i);
    atomic_store_explicit(&reader->told, false, memory_order_relaxed); /* Before the id is seen. */
    subscription.reader = reader;
    rc = grove_go(read_letters, &subscription, &options, &mine);
    /* release: pairs with the acquire in wake_readers and take_place. */
    atomic_store_explicit(&reader->id, rc == 0 ? mine.slot_generation : 0, memory_order_release);
    if (rc != 0)
        return rc;
    atomic_fetch_add_explicit(&n_readers, 1, memory_order_relaxed); /* relaxed: as above. */
    if (ref != NULL)
        *ref = mine;
    return 0;
}

/* --- the log ---------------------------------------------------------------------------------- */

/* True if this letter shall have a line. */
static bool may_log(struct notes *mine, uint32_t now_ms)
{
    if (now_ms - mine->last_ms >= GV_DEAD_QUIET_MS)
        mine->n_first = 0;
    mine->last_ms = now_ms;
    if (mine->n_first < GV_DEAD_LOG_FIRST) {
        mine->n_first++;
        return true;
    }
    return now_ms - mine->logged_ms >= GV_DEAD_LOG_MS;
}

static void log_letter(struct gv_loop *loop, struct notes *mine,
                       const struct grove_dead_letter *letter)
{
    /* The others happen in the best of worlds, too. */
    bool odd = letter->reason == GROVE_DEAD_CRASHED || letter->reason >= GROVE_DEAD_UNSUPPORTED;
    char to[GROVE_REF_TEXT_BYTES];

    if (!may_log(mine, loop->now_ms)) {
        mine->n_unlogged++;
        return;
    }
    mine->logged_ms = loop->now_ms;
    gv_log(odd ? GV_LOG_WARN : GV_LOG_INFO, "letter.dead",
           "method=%s reason=%s to=%s bytes=%" PRIu32 " called=%d not_logged=%" PRIu64,
           letter->method->name, words[letter->reason].name, grove_ref_print(letter->to, to),
           letter->bytes, letter->called, mine->n_unlogged);
    mine->n_unlogged = 0;
}

/* --- noting ----------------------------------------------------------------------------------- */

static void note(struct gv_loop *loop, const struct grove_dead_letter *letter)
{
    struct notes *mine = &notes[loop->index];

    gv_figure_set(&loop->stats.dead_letters, loop->stats.dead_letters + 1);
    gv_figure_set(&mine->counts[letter->reason], mine->counts[letter->reason] + 1);
    keep(mine, letter);
    log_letter(loop, mine, letter);
    /* relaxed: who subscribes at this moment may miss it. */
    if (atomic_load_explicit(&n_readers, memory_order_relaxed) > 0)
        wake_readers(loop);
}

/* The ref of a task of this process that may be gone. */
static grove_ref ref_of(uint64_t id, unsigned kind)
{
    if (id == 0)
        return GROVE_NOBODY;
    return (grove_ref){gv_runtime.incarnation << (64 - GV_INCARNATION_BITS)
                           | (uint64_t)kind << GV_REF_KIND_SHIFT,
                       id};
}

void gv_dead_note(struct gv_loop *loop, const struct gv_message *message,
                  enum grove_dead_reason reason)
{
    bool packed = (message->form_flags & GV_FORM_MASK) == GV_FORM_PACKED;
    struct grove_dead_letter letter = {
        .method = gv_methods[message->method].method,
        .to = ref_of(message->to, packed ? GROVE_REF_POOL : GROVE_REF_ACTOR),
        .from = ref_of(message->from, GROVE_REF_ACTOR),
        .reason = reason,
        .bytes = gv_message_charge(message),
        .called = message->call != 0,
        .loop = loop->index,
        .at_ns = loop->now_ns,
    };

    note(loop, &letter);
}

void gv_dead_note_turn(struct gv_loop *loop, const struct gv_turn *turn)
{
    struct grove_dead_letter letter = {
        .method = turn->method,
        .to = ref_of(gv_task_id(turn->task), GROVE_REF_ACTOR),
        .reason = GROVE_DEAD_CRASHED,
        .called = true,
        .loop = loop->index,
        .at_ns = loop->now_ns,
    };

    if (turn->method == NULL)
        return;
    if (turn->message != NULL) {
        letter.from = ref_of(turn->message->from, GROVE_REF_ACTOR);
        letter.bytes = gv_message_charge(turn->message);
        letter.called = turn->message->call != 0;
    } else {
        /* A call that runs inline: its caller is below it, and no message was made. */
        if (turn->below != NULL && turn->below->turn->task != NULL)
            letter.from = ref_of(gv_task_id(turn->below->turn->task), GROVE_REF_ACTOR);
        letter.bytes = turn->method->request->flat_bytes;
    }
    note(loop, &letter);
}

/* --- reading ---------------------------------------------------------------------------------- */

void grove_dead_letters_count(uint64_t counts[GROVE_DEAD_REASONS])
{
    memset(counts, 0, GROVE_DEAD_REASONS * sizeof counts[0]);
    for (unsigned i = 0; i < gv_runtime.n_loops; i++)
        for (unsigned reason = 0; reason < GROVE_DEAD_REASONS; reason++)
            counts[reason] += gv_figure_read(&notes[i].counts[reason]);
}

/* Of letters that were read already, and of those that lie before them, the newest of one loop. */
static bool newest_before(unsigned loop, uint64_t end, struct grove_dead_letter *letter)
{
    uint64_t at = end - 1;

    /* Overwritten meanwhile: all before it are gone as well. */
    return end > 0 && read_letter(loop, &at, letter) && at == end - 1;
}

unsigned grove_dead_letters_last(struct grove_dead_letter *letters, unsigned n)
{
    uint64_t ends[GV_LOOPS_MAX];
    unsigned n_found;

    for (unsigned i = 0; i < gv_runtime.n_loops; i++)
        ends[i] = n_written(i);
    for (n_found = 0; n_found < n; n_found++) {
        unsigned chosen = GV_LOOPS_MAX;

        for (unsigned i = 0; i < gv_runtime.n_loops; i++) {
            struct grove_dead_letter letter;

            if (newest_before(i, ends[i], &letter)
                && (chosen == GV_LOOPS_MAX || letter.at_ns > letters[n_found].at_ns)) {
                letters[n_found] = letter;
                chosen = i;
            }
        }
        if (chosen == GV_LOOPS_MAX)
            break;
        ends[chosen]--;
    }
    return n_found;
}

/* --- life ------------------------------------------------------------------------------------- */

void gv_dead_open(struct gv_loop *loop)
{
    struct notes *mine = &notes[loop->index];

    memset(mine->counts, 0, sizeof mine->counts);
    mine->n = 0;
    mine->n_first = 0;
    mine->n_unlogged = 0;
    mine->last_ms = mine->logged_ms = loop->now_ms;
}

void gv_dead_close(struct gv_loop *loop)
{
    struct notes *mine = &notes[loop->index];

    free(mine->ring);
    mine->ring = NULL;
    mine->n = 0;
}
