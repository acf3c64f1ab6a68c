/*
 * grove-floor: the least that the things grove is measured at could cost.
 *
 *     grove-floor FLOOR NUMBER…
 *     ops seconds peak_rss_kb check=ok
 *
 * Nothing here is a framework: an actor is a function pointer with a FIFO of
 * malloc'd messages, one thread runs them, nothing is bounded, timed out,
 * counted or supervised. Where two CPUs or two processes meet, it is the
 * bare cache line, ring or socket. Exit status: 0 done; 1 the check or
 * something of the system failed; 2 wrong arguments; 64 no such floor.
 */
#include <limits.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "floor.h"

#define EXIT_USAGE   2
#define EXIT_UNKNOWN 64
#define BURST        256  /* messages waiting at once */
#define SLOTS        4096 /* of the timer wheel */

static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* --- a plain call ----------------------------------------------------------------------------- */

static int64_t add_to(int64_t *sum, int64_t value)
{
    return *sum += value;
}

static void floor_call(const int64_t *numbers, struct bench_result *result)
{
    int64_t (*volatile function)(int64_t *, int64_t) = add_to;
    uint64_t started_ns = floor_now_ns();
    int64_t sum = 0;

    for (int64_t i = 0; i < numbers[0]; i++)
        (void)function(&sum, 1); /* sum tells. */
    result->nanoseconds = floor_now_ns() - started_ns;
    result->ops = numbers[0];
    result->right = sum == numbers[0];
}

/* --- malloc, FIFO, call ----------------------------------------------------------------------- */

struct message {
    struct message *next;
    struct actor *from;
    int64_t value;
    unsigned char bytes[];
};

struct actor {
    void (*handle)(struct actor *me, const struct message *message);
    struct message *head, *tail;
    struct actor *run_next;
    bool queued, over;
    struct actor *peer;
    int64_t sum;
};

static struct actor *run_head, *run_tail;

static void make_ready(struct actor *actor)
{
    actor->queued = true;
    actor->run_next = NULL;
    if (run_head == NULL)
        run_head = actor;
    else
        run_tail->run_next = actor;
    run_tail = actor;
}

/* Returns the message, whose bytes the caller may still fill. */
static struct message *tell(struct actor *to, struct actor *from, int64_t value, size_t bytes)
{
    struct message *message = floor_must(malloc(sizeof *message + bytes));

    message->next = NULL;
    message->from = from;
    message->value = value;
    if (to->head == NULL)
        to->head = message;
    else
        to->tail->next = message;
    to->tail = message;
    if (!to->queued)
        make_ready(to);
    return message;
}

static struct actor *spawn(void (*handle)(struct actor *, const struct message *))
{
    struct actor *actor = floor_must(calloc(1, sizeof *actor));

    actor->handle = handle;
    return actor;
}

/* Handles what is there; an actor that is over is freed. */
static void run_one(struct actor *actor)
{
    for (int i = 0; i < BURST && actor->head != NULL; i++) {
        struct message *message = actor->head;

        actor->head = message->next;
        actor->handle(actor, message);
        free(message);
    }
    actor->queued = false;
    if (actor->over)
        free(actor);
    else if (actor->head != NULL)
        make_ready(actor);
}

static void run_all(void)
{
    while (run_head != NULL) {
        struct actor *actor = run_head;

        run_head = actor->run_next;
        run_one(actor);
    }
}

static void pass_on(struct actor *me, const struct message *message)
{
    me->sum++;
    if (message->value > 0)
        (void)tell(me->peer, me, message->value - 1, 0); /* It has no bytes to fill. */
}

static void floor_ring(const int64_t *numbers, struct bench_result *result)
{
    struct actor *first = spawn(pass_on), *last = first;
    uint64_t started_ns;

    for (int64_t i = 1; i < numbers[0]; i++) {
        last->peer = spawn(pass_on);
        last = last->peer;
    }
    last->peer = first;
    started_ns = floor_now_ns();
    (void)tell(first, NULL, numbers[1], 0); /* It has no bytes to fill. */
    run_all();
    result->nanoseconds = floor_now_ns() - started_ns;
    result->ops = numbers[1];
    result->right = first->sum == numbers[1] / numbers[0] + 1;
    last->peer = NULL;
    while (first != NULL) {
        struct actor *next = first->peer;

        free(first);
        first = next;
    }
}

static void count(struct actor *me, const struct message *message)
{
    me->sum += message->value;
}

/* One sender, one counter, and never more than BURST messages between them. */
static void floor_fanin(const int64_t *numbers, struct bench_result *result)
{
    struct actor *counter = spawn(count);
    uint64_t started_ns = floor_now_ns();

    for (int64_t i = 1; i <= numbers[0]; i++) {
        (void)tell(counter, NULL, 1, 0); /* It has no bytes to fill. */
        if (i % BURST == 0)
            run_all();
    }
    run_all();
    result->nanoseconds = floor_now_ns() - started_ns;
    result->ops = numbers[0];
    result->right = counter->sum == numbers[0];
    free(counter);
}

/* Each of very many actors gets messages in an order drawn by chance. */
static void floor_many(const int64_t *numbers, struct bench_result *result)
{
    struct actor **all = floor_must(malloc((size_t)numbers[0] * sizeof(struct actor *)));
    uint64_t state = 88172645463325252u, started_ns;
    int64_t sum = 0;

    for (int64_t i = 0; i < numbers[0]; i++)
        all[i] = spawn(count);
    started_ns = floor_now_ns();
    for (int64_t i = 1; i <= numbers[1]; i++) {
        (void)tell(all[draw(&state) % (uint64_t)numbers[0]], NULL, 1, 0); /* No bytes to fill. */
        if (i % BURST == 0)
            run_all();
    }
    run_all();
    result->nanoseconds = floor_now_ns() - started_ns;
    for (int64_t i = 0; i < numbers[0]; i++) {
        sum += all[i]->sum;
        free(all[i]);
    }
    free(all);
    result->ops = numbers[1];
    result->right = sum == numbers[1];
}

static void answer_and_end(struct actor *me, const struct message *message)
{
    (void)tell(message->from, me, message->value, 0); /* It has no bytes to fill. */
    me->over = true;
}

/* So many at once are alive. */
static void floor_spawn(const int64_t *numbers, struct bench_result *result)
{
    struct actor *parent = spawn(count);
    uint64_t started_ns = floor_now_ns();

    for (int64_t i = 0; i < numbers[0]; i++) {
        (void)tell(spawn(answer_and_end), parent, i, 0); /* It has no bytes to fill. */
        if ((i + 1) % numbers[1] == 0)
            run_all();
    }
    run_all();
    result->nanoseconds = floor_now_ns() - started_ns;
    result->ops = numbers[0];
    result->right = parent->sum == numbers[0] * (numbers[0] - 1) / 2;
    free(parent);
}

static void keep(struct actor *me, const struct message *message)
{
    me->sum += message->bytes[0] == (unsigned char)message->value;
}

/* Never more than BURST parcels or a mebibyte of them at once, as a mailbox would have it. */
static void floor_blocks(const int64_t *numbers, struct bench_result *result)
{
    int64_t burst = 1 + (1 << 20) / numbers[0];
    unsigned char *parcel = floor_must(calloc(1, (size_t)numbers[0]));
    struct actor *store = spawn(keep);
    uint64_t started_ns = floor_now_ns();

    if (burst > BURST)
        burst = BURST;
    for (int64_t i = 1; i <= numbers[1]; i++) {
        parcel[0] = (unsigned char)i;
        memcpy(tell(store, NULL, i, (size_t)numbers[0])->bytes, parcel, (size_t)numbers[0]);
        if (i % burst == 0)
            run_all();
    }
    run_all();
    result->nanoseconds = floor_now_ns() - started_ns;
    result->ops = numbers[1];
    result->right = store->sum == numbers[1];
    free(store);
    free(parcel);
}

/* --- timers ----------------------------------------------------------------------------------- */

struct timer {
    struct timer *next, **link;
    uint64_t due;
};

static void floor_timers(const int64_t *numbers, struct bench_result *result)
{
    struct timer **wheel = floor_must(calloc(SLOTS, sizeof(struct timer *)));
    struct timer **all = floor_must(calloc((size_t)numbers[0], sizeof(struct timer *)));
    uint64_t state = 88172645463325252u, started_ns = floor_now_ns();
    bool empty = true;

    for (int64_t i = 0; i < numbers[0]; i++) {
        struct timer *timer = floor_must(malloc(sizeof *timer));
        struct timer **slot;

        timer->due = draw(&state);
        slot = &wheel[timer->due % SLOTS];
        timer->next = *slot;
        timer->link = slot;
        if (*slot != NULL)
            (*slot)->link = &timer->next;
        *slot = timer;
        all[i] = timer;
    }
    for (int64_t i = numbers[0] - 1; i >= 0; i--) {
        *all[i]->link = all[i]->next;
        if (all[i]->next != NULL)
            all[i]->next->link = all[i]->link;
        free(all[i]);
    }
    result->nanoseconds = floor_now_ns() - started_ns;
    for (int i = 0; i < SLOTS; i++)
        empty = empty && wheel[i] == NULL;
    result->ops = numbers[0];
    result->right = empty;
    free(all);
    free(wheel);
}

/* --- main ------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(const int64_t *numbers, struct bench_result *result);
    int n_numbers;
    const char *numbers;
} floors[] = {
    {"call", floor_call, 1, "CALLS"},
    {"ring", floor_ring, 2, "ACTORS HOPS"},
    {"fanin", floor_fanin, 1, "MESSAGES"},
    {"many", floor_many, 2, "ACTORS DELIVERIES"},
    {"spawn", floor_spawn, 2, "ACTORS ALIVE"},
    {"blocks", floor_blocks, 2, "BYTES MESSAGES"},
    {"timers", floor_timers, 1, "ALIVE"},
    {"spin", floor_spin, 1, "ROUND_TRIPS"},
    {"stream", floor_stream, 1, "MESSAGES"},
    {"socket", floor_socket, 1, "ROUND_TRIPS"},
    {"upload", floor_upload, 3, "JOBS BYTES AT_ONCE"},
    {"echo", floor_echo, 2, "CONNECTIONS REQUESTS"},
};

int main(int argc, char **argv)
{
    struct bench_result result = {0};
    int64_t numbers[BENCH_NUMBERS_MAX] = {0};
    size_t k = 0;

    while (k < sizeof floors / sizeof floors[0] && (argc < 2 || strcmp(floors[k].name, argv[1])))
        k++;
    if (k == sizeof floors / sizeof floors[0]) {
        fprintf(stderr, "grove-floor: no floor \"%s\"\n", argc < 2 ? "" : argv[1]);
        return EXIT_UNKNOWN;
    }
    for (int i = 0; i < floors[k].n_numbers; i++)
        if (argc != 2 + floors[k].n_numbers || (numbers[i] = strtoll(argv[2 + i], NULL, 10)) < 1) {
            fprintf(stderr, "usage: grove-floor %s %s\n", floors[k].name, floors[k].numbers);
            return EXIT_USAGE;
        }
    /*
     * Memory given back is kept, which is the least it can cost. The allocator
     * of a checker may not know these; then it is a checker's run.
     */
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
    (void)mallopt(M_MMAP_MAX, 0);
    floors[k].run(numbers, &result);
    printf("%lld %.6f %lld check=%s\n", (long long)result.ops, (double)result.nanoseconds / 1e9,
           (long long)bench_resident_peak_kb(), result.right ? "ok" : "FAIL");
    return result.right ? EXIT_SUCCESS : EXIT_FAILURE;
}
