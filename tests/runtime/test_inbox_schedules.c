/*
 * All schedules of the inbox: two producers with three pushes each, one of
 * them a chain of two, and a receiver that takes, sleeps and is woken.
 *
 * Each atomic step of inbox.c is made a point where another of the three
 * may go on; they are greenlets, and the explorer decides. It walks the
 * tree of decisions depth first by running the program anew for each path,
 * and turns back at a state that it has been in before: the same mail in
 * the inbox, the same flags, the same received so far, and each of the
 * three at the same step with the same values read. What follows such a
 * state was seen already, so all schedules are covered.
 *
 * The steps run one after another, which is what seq_cst promises. Broken
 * protocols below show that the explorer finds what it looks for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/switch.h"

/* An atomic's type without its _Atomic: an operand of the comma loses its qualifiers. */
#define plain_type(place) __typeof__(((void)0, *(place)))

/* --- atomics that let others in ------------------------------------------------------------- */

static void step(void);
static void saw(uint64_t value);

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_weak_explicit

#define atomic_load_explicit(place, order)  \
    __extension__({                         \
        step();                             \
        plain_type(place) there = *(place); \
        saw((uint64_t)(uintptr_t)there);    \
        there;                              \
    })
#define atomic_store_explicit(place, value, order) \
    do {                                           \
        step();                                    \
        *(place) = (value);                        \
    } while (0)
#define atomic_exchange_explicit(place, value, order) \
    __extension__({                                   \
        step();                                       \
        plain_type(place) there = *(place);           \
        *(place) = (value);                           \
        saw((uint64_t)(uintptr_t)there);              \
        there;                                        \
    })
#define atomic_compare_exchange_weak_explicit(place, expected, value, order, order_failed) \
    __extension__({                                                                        \
        step();                                                                            \
        plain_type(place) there = *(place);                                                \
        bool same = there == *(expected);                                                  \
        if (same)                                                                          \
            *(place) = (value);                                                            \
        else                                                                               \
            *(expected) = there;                                                           \
        saw((uint64_t)(uintptr_t)there * 2 + same);                                        \
        same;                                                                              \
    })

/* The very code of the library, with these atomics. */
#include "runtime/inbox.c"

/* --- the program under test ----------------------------------------------------------------- */

/* Checkers and ucontext make the same walk fifty times slower and learn nothing new from it. */
#if GV_SANITIZED || defined(GV_SWITCH_PORTABLE)
#    define PUSHES 2
#else
#    define PUSHES 3
#endif

enum { PRODUCERS = 2, RECEIVER = PRODUCERS, ACTORS, NOBODY = -1 };
enum { MESSAGES = PUSHES + 1 }; /* the second push is a chain of two */
enum { STACK_BYTES = 64 << 10, PATH_MAX_STEPS = 400, STATES_MAX = 1 << 22 };

struct protocol {
    bool (*publish)(struct gv_inbox *, struct gv_message *, struct gv_message *);
    struct gv_message *(*take)(struct gv_inbox *);
    bool (*sleep)(struct gv_inbox *);
};

struct actor {
    struct gv_context context;
    char *low;
    uint32_t phase;   /* push or round; what was read in earlier ones is forgotten */
    uint32_t n_steps; /* of this phase */
    uint64_t history; /* hash of what was read in this phase */
    bool polling;     /* goes on when woken, or when something else happens */
    bool done;
};

static const struct protocol *protocol;
static struct gv_context explorer;
static struct actor actors[ACTORS];
static struct gv_inbox inbox;
static struct gv_message messages[PRODUCERS][MESSAGES];
static uint32_t n_received[PRODUCERS];
static bool wake_pending;
static int running = NOBODY;
static const char *mistake;

static void step(void)
{
    if (running == NOBODY)
        return; /* the explorer itself sets up */

    struct actor *self = &actors[running];

    self->n_steps++;
    gv_switch(&self->context, &explorer);
}

static void saw(uint64_t value)
{
    struct actor *self = &actors[running];

    self->history = (self->history ^ value) * 0x9e3779b97f4a7c15u;
    self->history ^= self->history >> 29;
}

static void next_phase(void)
{
    struct actor *self = &actors[running];

    self->phase++;
    self->n_steps = 0;
    self->history = 0;
}

static void leave(void)
{
    struct actor *self = &actors[running];

    self->done = true;
    gv_switch_last(&self->context, &explorer);
}

static void produce(void *argument)
{
    struct gv_message *mine = argument;

    for (int push = 0, i = 0; push < PUSHES; push++) {
        int n = push == 1 ? 2 : 1;

        if (n == 2)
            mine[i + 1].next = &mine[i];
        if (protocol->publish(&inbox, &mine[i + n - 1], &mine[i])) {
            step();
            wake_pending = true;
        }
        i += n;
        next_phase();
    }
    leave();
}

static void receive(struct gv_message *message)
{
    for (int n = 0; message != NULL; message = message->next, n++) {
        if (n > PRODUCERS * MESSAGES || message->call != n_received[message->from]) {
            mistake = "lost, doubled or out of order";
            return;
        }
        n_received[message->from]++;
    }
}

static void consume(void *argument)
{
    (void)argument;
    while (n_received[0] + n_received[1] < PRODUCERS * MESSAGES && mistake == NULL) {
        struct gv_message *taken = protocol->take(&inbox);

        receive(taken);
        if (taken == NULL && protocol->sleep(&inbox)) {
            actors[RECEIVER].polling = true;
            step();
            actors[RECEIVER].polling = false;
            wake_pending = false;
            gv_inbox_awake(&inbox);
        }
        next_phase();
    }
    leave();
}

static void start(void)
{
    gv_inbox_init(&inbox);
    memset(messages, 0, sizeof(messages));
    memset(n_received, 0, sizeof(n_received));
    wake_pending = false;
    mistake = NULL;
    for (int a = 0; a < ACTORS; a++) {
        struct actor *actor = &actors[a];

        actor->phase = actor->n_steps = 0;
        actor->history = 0;
        actor->polling = actor->done = false;
        for (uint64_t i = 0; a < PRODUCERS && i < MESSAGES; i++) {
            messages[a][i].from = (uint64_t)a;
            messages[a][i].call = i;
        }
        gv_context_make(&actor->context, actor->low, STACK_BYTES, a == RECEIVER ? consume : produce,
                        a == RECEIVER ? NULL : messages[a]);
    }
}

static void resume(int a)
{
    running = a;
    gv_switch(&explorer, &actors[a].context);
    running = NOBODY;
}

/* --- the explorer --------------------------------------------------------------------------- */

static uint64_t *states; /* set of hashes, open addressing; 0 = free */
static uint32_t n_states;
static uint64_t n_paths;

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0xff51afd7ed558ccdu;
    return hash ^ hash >> 32;
}

static uint64_t state_now(void)
{
    uint64_t hash = mix(1, (uint64_t)inbox.sleeping << 1 | wake_pending);

    hash = mix(mix(hash, n_received[0]), n_received[1]);
    for (const struct gv_message *m = inbox.newest; m != NULL; m = m->next)
        hash = mix(hash, m->from << 8 | m->call | 1 << 16);
    for (int a = 0; a < ACTORS; a++) {
        uint64_t place = (uint64_t)actors[a].phase << 32 | actors[a].n_steps << 1 | actors[a].done;

        /* The number of a round says nothing: n_received does. */
        if (a == RECEIVER)
            place &= UINT32_MAX;
        hash = mix(mix(hash, place), actors[a].history);
    }
    return hash | 1;
}

/* Returns false if the state was there already. */
static bool remember(uint64_t state)
{
    size_t i = state & (STATES_MAX - 1);

    while (states[i] != 0) {
        if (states[i] == state)
            return false;
        i = (i + 1) & (STATES_MAX - 1);
    }
    states[i] = state;
    n_states++;
    return true;
}

/* Who can take the next step, as a bit each. */
static unsigned enabled(void)
{
    bool sending = !actors[0].done || !actors[1].done;
    unsigned mask = 0;

    for (int a = 0; a < ACTORS; a++) {
        /* A poll may end for other reasons too; at the end only a wake can help. */
        bool can = !actors[a].polling || wake_pending || sending;

        if (!actors[a].done && can)
            mask |= 1u << a;
    }
    return mask;
}

static bool all_done(void)
{
    return actors[0].done && actors[1].done && actors[RECEIVER].done;
}

/*
 * Runs one path: the decisions given, then the first possible one at each
 * new state, whose other choices go to left. Returns the length.
 */
static int run_path(unsigned *choices, unsigned *left, int n_given)
{
    int n = 0;
    bool exploring = true;

    start();
    for (;;) {
        unsigned can = enabled();

        if (mistake != NULL || can == 0)
            break;
        if (n < n_given) {
            resume((int)choices[n++]);
            continue;
        }
        /* The rest of a path that was seen is run to its end without looking. */
        exploring = exploring && n < PATH_MAX_STEPS && remember(state_now());
        if (exploring) {
            choices[n] = (unsigned)__builtin_ctz(can);
            left[n] = can & (can - 1);
            resume((int)choices[n++]);
            n_given = n;
        } else {
            resume(__builtin_ctz(can));
        }
    }
    if (mistake == NULL && !all_done())
        mistake = "asleep for ever on mail";
    n_paths++;
    return n_given;
}

/* Returns NULL, or what went wrong on some schedule. */
static const char *explore(const struct protocol *wanted)
{
    static unsigned choices[PATH_MAX_STEPS + 1], left[PATH_MAX_STEPS + 1];
    int n = 0;

    protocol = wanted;
    memset(states, 0, STATES_MAX * sizeof(*states));
    n_states = 0;
    n_paths = 0;
    do {
        n = run_path(choices, left, n);
        if (mistake != NULL)
            return mistake;
        if (n_states > STATES_MAX / 2)
            return "too many states";
        while (n > 0 && left[n - 1] == 0)
            n--;
        if (n > 0) {
            choices[n - 1] = (unsigned)__builtin_ctz(left[n - 1]);
            left[n - 1] &= left[n - 1] - 1;
        }
    } while (n > 0);
    return NULL;
}

/* --- tests ---------------------------------------------------------------------------------- */

static void test_no_schedule_loses_doubles_reorders_or_sleeps_on_mail(void **state)
{
    static const struct protocol right = {gv_inbox_publish, gv_inbox_take, gv_inbox_sleep};
    const char *found = explore(&right);

    (void)state;
    print_message("%u states, %llu paths\n", n_states, (unsigned long long)n_paths);
    assert_null(found);
    assert_true(n_states > 1000);
}

static bool publish_flag_first(struct gv_inbox *box, struct gv_message *newest,
                               struct gv_message *oldest)
{
    struct gv_message *seen = NULL;
    bool asleep = atomic_load_explicit(&box->sleeping, memory_order_seq_cst);

    do {
        oldest->next = seen;
    } while (!atomic_compare_exchange_weak_explicit(&box->newest, &seen, newest,
                                                    memory_order_seq_cst, memory_order_relaxed));
    return asleep;
}

static void test_reading_the_flag_before_publishing_loses_a_wake_up(void **state)
{
    static const struct protocol wrong = {publish_flag_first, gv_inbox_take, gv_inbox_sleep};

    (void)state;
    assert_string_equal(explore(&wrong), "asleep for ever on mail");
}

static bool sleep_without_a_look(struct gv_inbox *box)
{
    atomic_store_explicit(&box->sleeping, true, memory_order_seq_cst);
    return true;
}

static void test_sleeping_without_a_last_look_loses_a_wake_up(void **state)
{
    static const struct protocol wrong = {gv_inbox_publish, gv_inbox_take, sleep_without_a_look};

    (void)state;
    assert_string_equal(explore(&wrong), "asleep for ever on mail");
}

static bool sleep_look_first(struct gv_inbox *box)
{
    if (atomic_load_explicit(&box->newest, memory_order_seq_cst) != NULL)
        return false;
    atomic_store_explicit(&box->sleeping, true, memory_order_seq_cst);
    return true;
}

static void test_looking_before_the_flag_is_set_loses_a_wake_up(void **state)
{
    static const struct protocol wrong = {gv_inbox_publish, gv_inbox_take, sleep_look_first};

    (void)state;
    assert_string_equal(explore(&wrong), "asleep for ever on mail");
}

static bool publish_in_two_steps(struct gv_inbox *box, struct gv_message *newest,
                                 struct gv_message *oldest)
{
    oldest->next = atomic_load_explicit(&box->newest, memory_order_seq_cst);
    atomic_store_explicit(&box->newest, newest, memory_order_seq_cst);
    return atomic_load_explicit(&box->sleeping, memory_order_seq_cst);
}

static void test_publishing_without_a_compare_is_found(void **state)
{
    static const struct protocol wrong = {publish_in_two_steps, gv_inbox_take, gv_inbox_sleep};

    (void)state;
    assert_non_null(explore(&wrong));
}

static struct gv_message *take_newest_first(struct gv_inbox *box)
{
    return atomic_exchange_explicit(&box->newest, NULL, memory_order_seq_cst);
}

static void test_not_turning_the_chain_round_is_found(void **state)
{
    static const struct protocol wrong = {gv_inbox_publish, take_newest_first, gv_inbox_sleep};

    (void)state;
    assert_string_equal(explore(&wrong), "lost, doubled or out of order");
}

static int set_up(void **state)
{
    (void)state;
    gv_context_main(&explorer);
    states = calloc(STATES_MAX, sizeof(*states));
    for (int a = 0; a < ACTORS; a++) {
        actors[a].low = aligned_alloc(64, STACK_BYTES);
        if (actors[a].low == NULL)
            return -1;
    }
    return states != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    for (int a = 0; a < ACTORS; a++) {
        gv_context_free(&actors[a].context);
        free(actors[a].low);
    }
    free(states);
    gv_context_free(&explorer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_schedule_loses_doubles_reorders_or_sleeps_on_mail),
        cmocka_unit_test(test_reading_the_flag_before_publishing_loses_a_wake_up),
        cmocka_unit_test(test_sleeping_without_a_last_look_loses_a_wake_up),
        cmocka_unit_test(test_looking_before_the_flag_is_set_loses_a_wake_up),
        cmocka_unit_test(test_publishing_without_a_compare_is_found),
        cmocka_unit_test(test_not_turning_the_chain_round_is_found),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
