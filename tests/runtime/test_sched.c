/*
 * Sched: turns, parking, waking, and who comes next.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <grove/task.h>

#include "ground.h"
#include "runtime/park.h"

static unsigned n_turns, order[2000];

static void note_and_end(struct worker *me)
{
    order[n_turns++] = (unsigned)(uintptr_t)me->argument;
    ground_end(me);
}

static void test_ready_tasks_run_once_each(void **state)
{
    unsigned n_each[100] = {0};

    (void)state;
    ground_open(NULL, NULL);
    n_turns = 0;
    for (uintptr_t i = 0; i < 100; i++) {
        struct worker *worker = ground_worker(0, note_and_end, (void *)i);

        /* It stands in the queue already. */
        gv_sched_ready(gv_loop_here, &worker->task);
        gv_sched_ready(gv_loop_here, &worker->task);
    }
    assert_int_equal(n_turns, 0);
    ground_drain();
    assert_int_equal(n_turns, 100);
    for (unsigned i = 0; i < n_turns; i++)
        n_each[order[i]]++;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(n_each[i], 1);
        if (!gv_loop_here->shuffled)
            assert_int_equal(order[i], i);
    }
    ground_close();
}

/* --- parking ---------------------------------------------------------------------------------- */

struct nap {
    struct gv_wait wait;
    uint32_t deadline_ms;
    int rc;
    unsigned n_begun, n_ended;
    bool wake_first;
    bool twice;
};

static void park(struct worker *me)
{
    struct nap *nap = me->argument;
    struct gv_loop *loop = gv_loop_here;

    nap->n_begun++;
    gv_wait_init(loop, &nap->wait, GV_WAIT_SLEEP,
                 nap->deadline_ms != 0 ? gv_deadline_in(loop, nap->deadline_ms) : 0);
    if (nap->wake_first)
        gv_wake(loop, &nap->wait, 7);
    nap->rc = gv_park(loop, &nap->wait);
    nap->n_ended++;
    if (nap->twice && nap->n_ended == 1)
        return;
    ground_end(me);
}

static void test_a_parked_handler_goes_on_when_it_is_woken_with_that_code(void **state)
{
    struct nap nap = {0};

    (void)state;
    ground_open(NULL, NULL);
    (void)ground_worker(0, park, &nap);
    assert_int_equal(grove_sleep_await(5), 0);
    assert_int_equal(nap.n_begun, 1);
    assert_int_equal(nap.n_ended, 0);
    assert_int_equal(gv_loop_here->n_parked, 1 + 0);
    gv_wake(gv_loop_here, &nap.wait, 42);
    assert_int_equal(nap.n_ended, 0); /* Waking only enqueues. */
    ground_drain();
    assert_int_equal(nap.rc, 42);
    ground_close();
}

static void test_a_wait_that_is_woken_before_it_parks_does_not_park(void **state)
{
    struct nap nap = {.wake_first = true};

    (void)state;
    ground_open(NULL, NULL);
    (void)ground_worker(0, park, &nap);
    ground_drain();
    assert_int_equal(nap.rc, 7);
    ground_close();
}

static void test_a_park_ends_at_its_deadline(void **state)
{
    struct nap nap = {.deadline_ms = 20};
    uint64_t begin_ns;

    (void)state;
    ground_open(NULL, NULL);
    begin_ns = gv_loop_here->now_ns;
    (void)ground_worker(0, park, &nap);
    ground_drain();
    assert_int_equal(nap.rc, GROVE_ETIMEDOUT);
    assert_in_range((gv_loop_here->now_ns - begin_ns) / 1000000, 20, 24);
    ground_close();
}

static void test_a_cancelled_turn_leaves_its_park_and_never_parks_again(void **state)
{
    struct nap nap = {0};
    struct worker *worker;

    (void)state;
    ground_open(NULL, NULL);
    worker = ground_worker(0, park, &nap);
    assert_int_equal(grove_sleep_await(2), 0);
    gv_task_cancel(gv_loop_here, &worker->task);
    gv_task_cancel(gv_loop_here, &worker->task); /* Once more does no harm. */
    ground_drain();
    assert_int_equal(nap.rc, GROVE_ECANCELED);
    ground_close();
}

static void test_mail_that_comes_while_a_task_is_parked_waits_for_the_end_of_its_turn(void **state)
{
    struct nap nap = {.twice = true};
    struct worker *worker;

    (void)state;
    ground_open(NULL, NULL);
    worker = ground_worker(0, park, &nap);
    assert_int_equal(grove_sleep_await(2), 0);
    ground_poke(worker);
    ground_poke(worker);
    assert_int_equal(grove_sleep_await(2), 0);
    assert_int_equal(nap.n_begun, 1);
    gv_wake(gv_loop_here, &nap.wait, 0);
    assert_int_equal(grove_sleep_await(2), 0);
    assert_int_equal(nap.n_begun, 2);
    gv_wake(gv_loop_here, &nap.wait, 0);
    ground_drain();
    assert_int_equal(ground_orphaned, 1);
    ground_close();
}

static void test_stacks_are_as_many_as_parked_handlers_and_one(void **state)
{
    enum { N = 50 };
    static struct nap naps[N];

    (void)state;
    ground_open(NULL, NULL);
    for (int i = 0; i < N; i++) {
        naps[i] = (struct nap){.deadline_ms = 10};
        (void)ground_worker(0, park, &naps[i]);
    }
    assert_int_equal(grove_sleep_await(2), 0);
    assert_int_equal(gv_loop_here->stacks.n_taken, N + 1);
    ground_drain();
    assert_int_equal(gv_loop_here->stacks.n_taken, 1);
    ground_close();
}

static void test_a_park_without_a_stack_for_a_dispatcher_fails_at_once(void **state)
{
    struct nap naps[3] = {{.deadline_ms = 10}, {.deadline_ms = 10}, {.deadline_ms = 10}};
    unsigned n_refused = 0;

    (void)state;
    ground_open("stacks_max", "2");
    for (int i = 0; i < 3; i++)
        (void)ground_worker(0, park, &naps[i]);
    assert_int_equal(grove_sleep_await(2), 0);
    for (int i = 0; i < 3; i++)
        n_refused += naps[i].n_ended == 1 && naps[i].rc == GROVE_ENOSTACK;
    assert_int_equal(n_refused, 2);
    ground_drain();
    ground_close();
}

/* --- who comes next --------------------------------------------------------------------------- */

static bool stop_all;

static void yield_until_stopped(struct worker *me)
{
    unsigned *n = me->argument;

    while (!stop_all && grove_yield_await() == 0)
        ++*n;
    ground_end(me);
}

static void ready_handlers_do_not_starve_queued_tasks(uint32_t tick)
{
    enum { N = 300 };
    static unsigned n_yields[N];

    ground_open(NULL, NULL);
    gv_loop_here->tick = tick;
    stop_all = false;
    n_turns = 0;
    for (int i = 0; i < N; i++) {
        n_yields[i] = 0;
        (void)ground_worker(0, yield_until_stopped, &n_yields[i]);
    }
    /* main looks on for one tick after the other. */
    for (unsigned i = 0; i < 2560 / tick; i++)
        assert_int_equal(grove_yield_await(), 0);
    (void)ground_worker(0, note_and_end, NULL);
    for (unsigned i = 0; i < 5120 / tick && n_turns == 0; i++)
        assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(n_turns, 1);
    stop_all = true;
    ground_drain();
    for (int i = 0; i < N; i++)
        assert_true(n_yields[i] > 0);
    ground_close();
}

static void test_ready_handlers_do_not_starve_queued_tasks(void **state)
{
    (void)state;
    ready_handlers_do_not_starve_queued_tasks(256);
    ready_handlers_do_not_starve_queued_tasks(1);
}

static void poke_self(struct worker *me)
{
    if (stop_all)
        ground_end(me);
    else
        ground_poke(me);
    n_turns++;
}

static void queued_tasks_do_not_starve_ready_handlers(uint32_t tick)
{
    unsigned n_yields = 0;

    ground_open(NULL, NULL);
    gv_loop_here->tick = tick; /* It stays, as no time passes. */
    stop_all = false;
    n_turns = 0;
    for (int i = 0; i < 100; i++)
        (void)ground_worker(0, poke_self, NULL);
    (void)ground_worker(0, yield_until_stopped, &n_yields);
    while (n_turns < 10000)
        assert_int_equal(grove_yield_await(), 0);
    /* Once in 32 tasks, and once in a tick. */
    assert_in_range(n_yields, n_turns / 200, n_turns);
    stop_all = true;
    ground_drain();
    ground_close();
}

static void test_queued_tasks_do_not_starve_ready_handlers(void **state)
{
    static const uint32_t ticks[] = {1, 2, 7, 31, 32, 33, 64, 256};

    (void)state;
    for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++)
        queued_tasks_do_not_starve_ready_handlers(ticks[i]);
}

/* Two handlers that wake each other for ever; the first one pokes a task on its way. */
static struct {
    struct gv_wait waits[2];
    struct worker *poked;
    unsigned n_handovers, n_at_poke, n_waited;
    bool over;
} pair;

static void wake_each_other(struct worker *me)
{
    unsigned own = (unsigned)(uintptr_t)me->argument;

    while (!pair.over) {
        gv_wait_init(gv_loop_here, &pair.waits[own], GV_WAIT_SLEEP, 0);
        if (pair.waits[1 - own].turn != NULL && !pair.waits[1 - own].woken)
            gv_wake(gv_loop_here, &pair.waits[1 - own], 0);
        if (gv_park(gv_loop_here, &pair.waits[own]) != 0)
            break;
        if (++pair.n_handovers == 100) {
            pair.n_at_poke = pair.n_handovers;
            ground_poke(pair.poked);
        }
    }
    if (!pair.waits[1 - own].woken)
        gv_wake(gv_loop_here, &pair.waits[1 - own], 0);
    ground_end(me);
}

static void note_waiting(struct worker *me)
{
    if (pair.n_at_poke == 0)
        return;
    pair.n_waited = pair.n_handovers - pair.n_at_poke;
    pair.over = true;
    ground_end(me);
}

static void test_direct_handovers_are_bounded(void **state)
{
    (void)state;
    ground_open(NULL, NULL);
    memset(&pair, 0, sizeof pair);
    pair.poked = ground_worker(0, note_waiting, NULL);
    (void)ground_worker(0, wake_each_other, (void *)0);
    (void)ground_worker(0, wake_each_other, (void *)1);
    ground_drain();
    assert_in_range(pair.n_waited, 0, 66);
    ground_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready_tasks_run_once_each),
        cmocka_unit_test(test_a_parked_handler_goes_on_when_it_is_woken_with_that_code),
        cmocka_unit_test(test_a_wait_that_is_woken_before_it_parks_does_not_park),
        cmocka_unit_test(test_a_park_ends_at_its_deadline),
        cmocka_unit_test(test_a_cancelled_turn_leaves_its_park_and_never_parks_again),
        cmocka_unit_test(test_mail_that_comes_while_a_task_is_parked_waits_for_the_end_of_its_turn),
        cmocka_unit_test(test_stacks_are_as_many_as_parked_handlers_and_one),
        cmocka_unit_test(test_a_park_without_a_stack_for_a_dispatcher_fails_at_once),
        cmocka_unit_test(test_ready_handlers_do_not_starve_queued_tasks),
        cmocka_unit_test(test_queued_tasks_do_not_starve_ready_handlers),
        cmocka_unit_test(test_direct_handovers_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
