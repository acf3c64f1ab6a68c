#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/inbox.h"
#include "runtime/sanitize.h"

static struct gv_inbox inbox;

static void test_an_empty_inbox_gives_nothing(void **state)
{
    (void)state;
    gv_inbox_init(&inbox);
    assert_true(gv_inbox_empty(&inbox));
    assert_null(gv_inbox_take(&inbox));
}

static void test_chains_are_taken_oldest_first(void **state)
{
    struct gv_message messages[6] = {{.call = 0}, {.call = 1}, {.call = 2},
                                     {.call = 3}, {.call = 4}, {.call = 5}};
    struct gv_message *taken;

    (void)state;
    gv_inbox_init(&inbox);
    messages[2].next = &messages[1];
    messages[1].next = &messages[0];
    messages[5].next = &messages[4];
    assert_false(gv_inbox_publish(&inbox, &messages[2], &messages[0]));
    assert_false(gv_inbox_publish(&inbox, &messages[3], &messages[3]));
    assert_false(gv_inbox_publish(&inbox, &messages[5], &messages[4]));
    assert_false(gv_inbox_empty(&inbox));
    taken = gv_inbox_take(&inbox);
    for (uint64_t i = 0; i < 6; i++) {
        assert_non_null(taken);
        assert_int_equal(taken->call, i);
        taken = taken->next;
    }
    assert_null(taken);
    assert_true(gv_inbox_empty(&inbox));
}

static void test_a_sleeper_is_woken_once(void **state)
{
    struct gv_message first = {.call = 1}, second = {.call = 2}, third = {.call = 3};

    (void)state;
    gv_inbox_init(&inbox);
    assert_true(gv_inbox_sleep(&inbox));
    assert_true(gv_inbox_publish(&inbox, &first, &first));
    assert_false(gv_inbox_publish(&inbox, &second, &second));
    gv_inbox_awake(&inbox);
    assert_non_null(gv_inbox_take(&inbox));
    assert_false(gv_inbox_publish(&inbox, &third, &third));
}

static void test_nobody_sleeps_on_mail(void **state)
{
    struct gv_message first = {.call = 1}, second = {.call = 2};

    (void)state;
    gv_inbox_init(&inbox);
    assert_false(gv_inbox_publish(&inbox, &first, &first));
    assert_false(gv_inbox_sleep(&inbox));
    assert_non_null(gv_inbox_take(&inbox));
    /* The announcement was taken back. */
    assert_false(gv_inbox_publish(&inbox, &second, &second));
}

/* --- with threads --------------------------------------------------------------------------- */

enum { PRODUCERS = 3, EACH = GV_TSAN ? 3000 : 30000 };

/* What the receiver polls: a wake is kept until it is seen. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static int n_wakes;

static void wake(void)
{
    pthread_mutex_lock(&mutex);
    n_wakes = 1;
    pthread_cond_signal(&woken);
    pthread_mutex_unlock(&mutex);
}

static void poll_for_wake(void)
{
    pthread_mutex_lock(&mutex);
    while (n_wakes == 0)
        pthread_cond_wait(&woken, &mutex);
    n_wakes = 0;
    pthread_mutex_unlock(&mutex);
}

/* Sends chains of one, two and three messages in turn. */
static void *produce(void *argument)
{
    struct gv_message *messages = argument;

    for (uint32_t i = 0, n; i < EACH; i += n) {
        n = i % 7 % 3 + 1;
        if (n > EACH - i)
            n = EACH - i;
        for (uint32_t k = 1; k < n; k++)
            messages[i + k].next = &messages[i + k - 1];
        if (gv_inbox_publish(&inbox, &messages[i + n - 1], &messages[i]))
            wake();
    }
    return NULL;
}

static void test_threads_lose_nothing_and_keep_their_order(void **state)
{
    struct gv_message *messages[PRODUCERS];
    uint64_t n_seen[PRODUCERS] = {0}, n_all = 0;
    pthread_t threads[PRODUCERS];

    (void)state;
    gv_inbox_init(&inbox);
    for (uint64_t p = 0; p < PRODUCERS; p++) {
        messages[p] = calloc(EACH, sizeof(struct gv_message));
        assert_non_null(messages[p]);
        for (uint64_t i = 0; i < EACH; i++) {
            messages[p][i].from = p;
            messages[p][i].call = i;
        }
        assert_int_equal(pthread_create(&threads[p], NULL, produce, messages[p]), 0);
    }
    while (n_all < (uint64_t)PRODUCERS * EACH) {
        struct gv_message *taken = gv_inbox_take(&inbox);

        if (taken == NULL && gv_inbox_sleep(&inbox)) {
            poll_for_wake();
            gv_inbox_awake(&inbox);
        }
        for (; taken != NULL; taken = taken->next, n_all++)
            assert_int_equal(taken->call, n_seen[taken->from]++);
    }
    for (int p = 0; p < PRODUCERS; p++) {
        assert_int_equal(pthread_join(threads[p], NULL), 0);
        free(messages[p]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_inbox_gives_nothing),
        cmocka_unit_test(test_chains_are_taken_oldest_first),
        cmocka_unit_test(test_a_sleeper_is_woken_once),
        cmocka_unit_test(test_nobody_sleeps_on_mail),
        cmocka_unit_test(test_threads_lose_nothing_and_keep_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
