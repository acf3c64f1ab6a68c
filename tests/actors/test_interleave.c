/*
 * Interleaving: readers among themselves, a grant for one call's chain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

/* --- a library -------------------------------------------------------------------------------- */

struct library {
    int n_readers, n_writers;
};

enum kind { READ, WRITE, CONSULT };

/* What one of its handlers does, and what it saw. */
struct visit {
    enum kind kind;
    int (*act)(struct visit *visit);
    uint32_t ms;
    grove_ref to;          /* whom it asks */
    struct visit *next;    /* and what for */
    unsigned begun, ended; /* places in the order of all begins and ends, from 1 */
    int most_readers;      /* inside with it when it began */
    int most_writers;
    int rc, end_rc;
    char text[256];
};

static unsigned n_events, n_inside;

static int act(struct library *me, struct visit *visit, int *count)
{
    int rc;

    visit->begun = ++n_events;
    n_inside++;
    ++*count;
    visit->most_readers = me->n_readers;
    visit->most_writers = me->n_writers;
    rc = visit->act(visit);
    --*count;
    n_inside--;
    visit->ended = ++n_events;
    return rc;
}

/* It only reads; what it counts is the test's. */
static int read_(const struct library *me, const Play__V1__ReadRequest *request,
                 Play__V1__ReadResponse *response)
{
    struct library *counts = (struct library *)(uintptr_t)me;

    (void)response;
    return act(counts, (struct visit *)(uintptr_t)request->script, &counts->n_readers);
}

static int write_(struct library *me, const Play__V1__WriteRequest *request,
                  Play__V1__WriteResponse *response)
{
    (void)response;
    return act(me, (struct visit *)(uintptr_t)request->script, &me->n_writers);
}

static int consult(struct library *me, const Play__V1__ConsultRequest *request,
                   Play__V1__ConsultResponse *response)
{
    (void)response;
    return act(me, (struct visit *)(uintptr_t)request->script, &me->n_writers);
}

static const struct library_service functions = {
    .state_bytes = sizeof(struct library),
    .read = read_,
    .write = write_,
    .consult = consult,
};

static grove_ref spawn(const char *label, int place)
{
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(library_spawn(&functions, NULL,
                                   &(struct grove_spawn_options){.label = label, .place = place},
                                   &ref),
                     0);
    return ref;
}

static union {
    Play__V1__ReadResponse read;
    Play__V1__WriteResponse write;
    Play__V1__ConsultResponse consult;
} ignored;

static int call(grove_ref ref, struct visit *visit)
{
    Play__V1__ReadRequest read_request = PLAY__V1__READ_REQUEST__INIT;
    Play__V1__WriteRequest write_request = PLAY__V1__WRITE_REQUEST__INIT;
    Play__V1__ConsultRequest consult_request = PLAY__V1__CONSULT_REQUEST__INIT;

    read_request.script = write_request.script = consult_request.script = (uintptr_t)visit;
    switch (visit->kind) {
    case READ:
        return library_read_await(ref, &read_request, &ignored.read);
    case WRITE:
        return library_write_await(ref, &write_request, &ignored.write);
    default:
        return library_consult_await(ref, &consult_request, &ignored.consult);
    }
}

static int send(grove_ref ref, struct visit *visit)
{
    Play__V1__ReadRequest read_request = PLAY__V1__READ_REQUEST__INIT;
    Play__V1__WriteRequest write_request = PLAY__V1__WRITE_REQUEST__INIT;
    Play__V1__ConsultRequest consult_request = PLAY__V1__CONSULT_REQUEST__INIT;

    read_request.script = write_request.script = consult_request.script = (uintptr_t)visit;
    switch (visit->kind) {
    case READ:
        return library_read_send(ref, &read_request);
    case WRITE:
        return library_write_send(ref, &write_request);
    default:
        return library_consult_send(ref, &consult_request);
    }
}

static int nap(struct visit *visit)
{
    return visit->rc = grove_sleep_await(visit->ms);
}

static int nothing(struct visit *visit)
{
    (void)visit;
    return 0;
}

static int ask(struct visit *visit)
{
    visit->rc = call(visit->to, visit->next);
    strcpy(visit->text, grove_why());
    return visit->rc;
}

static int ask_with_grant(struct visit *visit)
{
    int rc = grove_grant_begin();

    if (rc == 0)
        (void)ask(visit);
    visit->end_rc = grove_grant_end_await();
    return rc != 0 ? rc : visit->rc;
}

static void settle(void)
{
    do
        assert_int_equal(grove_sleep_await(5), 0);
    while (n_inside > 0);
    assert_int_equal(grove_sleep_await(5), 0);
}

/* --- readers ---------------------------------------------------------------------------------- */

static void test_readers_wait_beside_each_other_and_a_writer_waits_for_all_of_them(void **state)
{
    struct visit readers[4], writer = {.kind = WRITE, .act = nap, .ms = 10},
                             late = {.kind = READ, .act = nap, .ms = 10};
    unsigned long long begin_ms = stage_now_ms();
    grove_ref ref = spawn("library", 0);

    (void)state;
    for (int i = 0; i < 4; i++) {
        readers[i] = (struct visit){.kind = READ, .act = nap, .ms = 20};
        assert_int_equal(send(ref, &readers[i]), 0);
        if (i < 2)
            assert_int_equal(grove_sleep_await(1), 0); /* Two are inside, two come together. */
    }
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(n_inside, 4);
    assert_int_equal(send(ref, &writer), 0);
    assert_int_equal(send(ref, &late), 0);
    settle();
    assert_int_equal(readers[3].most_readers, 4);
    for (int i = 0; i < 4; i++)
        assert_true(readers[i].ended < writer.begun);
    assert_int_equal(writer.most_readers, 0);
    /* Who came behind a writer waits behind it. */
    assert_true(late.begun > writer.ended);
    assert_in_range(stage_now_ms() - begin_ms, 40, 55);
}

static void test_a_reader_waits_for_a_writer_that_waits(void **state)
{
    struct visit writer = {.kind = WRITE, .act = nap, .ms = 20},
                 reader = {.kind = READ, .act = nothing};
    grove_ref ref = spawn(NULL, 0);

    (void)state;
    assert_int_equal(send(ref, &writer), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(call(ref, &reader), 0);
    assert_true(reader.begun > writer.ended);
}

static void test_only_the_reader_whose_caller_left_is_cancelled(void **state)
{
    struct visit readers[3];
    grove_ref ref = spawn(NULL, 0);

    (void)state;
    for (int i = 0; i < 3; i++)
        readers[i] = (struct visit){.kind = READ, .act = nap, .ms = 50};
    assert_int_equal(send(ref, &readers[0]), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(send(ref, &readers[1]), 0);
    grove_within(10);
    assert_int_equal(call(ref, &readers[2]), GROVE_ETIMEDOUT);
    settle();
    assert_int_equal(readers[0].rc, 0);
    assert_int_equal(readers[1].rc, 0);
    assert_int_equal(readers[2].rc, GROVE_ECANCELED);
}

static void test_a_kill_cancels_all_of_them_and_nothing_is_begun_any_more(void **state)
{
    struct visit readers[3], writer = {.kind = WRITE, .act = nothing};
    grove_ref ref = spawn(NULL, 0);

    (void)state;
    for (int i = 0; i < 3; i++) {
        readers[i] = (struct visit){.kind = READ, .act = nap, .ms = 500};
        assert_int_equal(send(ref, &readers[i]), 0);
        assert_int_equal(grove_sleep_await(1), 0);
    }
    assert_int_equal(send(ref, &writer), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_KILL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(readers[i].rc, GROVE_ECANCELED);
    assert_int_equal(n_inside, 0);
    assert_int_equal(writer.begun, 0);
}

static void test_a_drain_waits_for_all_of_them_and_what_is_queued(void **state)
{
    struct visit readers[3], writer = {.kind = WRITE, .act = nap, .ms = 1};
    grove_ref ref = spawn(NULL, 0);

    (void)state;
    for (int i = 0; i < 3; i++) {
        readers[i] = (struct visit){.kind = READ, .act = nap, .ms = 20};
        assert_int_equal(send(ref, &readers[i]), 0);
        assert_int_equal(grove_sleep_await(1), 0);
    }
    assert_int_equal(send(ref, &writer), 0);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    assert_true(writer.ended > 0);
    assert_int_equal(readers[0].rc, 0);
}

static void test_many_readers_more_than_come_in_at_once(void **state)
{
    enum { MANY = 300 };
    static struct visit readers[MANY];
    unsigned long long begin_ms = stage_now_ms();
    struct visit writer = {.kind = WRITE, .act = nothing};
    grove_ref ref = spawn(NULL, 0);

    (void)state;
    for (int i = 0; i < MANY; i++) {
        readers[i] = (struct visit){.kind = READ, .act = nap, .ms = 10};
        assert_int_equal(send(ref, &readers[i]), 0);
    }
    assert_int_equal(call(ref, &writer), 0);
    for (int i = 0; i < MANY; i++)
        assert_true(readers[i].ended > 0 && readers[i].ended < writer.begun);
    /* 64 at a time, and who has ended makes room. */
    assert_in_range(stage_now_ms() - begin_ms, 50, 80);
}

/* --- grants ----------------------------------------------------------------------------------- */

static void test_without_a_grant_the_way_back_is_a_circle_and_with_it_it_is_open(void **state)
{
    grove_ref a = spawn("a", 0), b = spawn("b", 0);
    struct visit inner = {.kind = WRITE, .act = nap, .ms = 3};
    struct visit back = {.kind = WRITE, .act = ask, .to = a, .next = &inner};
    struct visit outer = {.kind = CONSULT, .act = ask, .to = b, .next = &back};

    (void)state;
    assert_int_equal(call(a, &outer), GROVE_EDEADLK);
    assert_string_equal(back.text, "library/b -> library/a -> library/b");
    assert_int_equal(inner.begun, 0);
    outer.act = ask_with_grant;
    assert_int_equal(call(a, &outer), 0);
    assert_int_equal(outer.end_rc, 0);
    assert_true(inner.begun > outer.begun && inner.ended < outer.ended);
    assert_int_equal(inner.most_writers, 2);
    /* And to itself. */
    outer.to = a;
    outer.next = &inner;
    assert_int_equal(call(a, &outer), 0);
}

static void test_nobody_else_comes_in_by_a_grant(void **state)
{
    grove_ref a = spawn("a", 0), b = spawn("b", 0);
    struct visit stranger = {.kind = WRITE, .act = nothing},
                 reader = {.kind = READ, .act = nothing};
    struct visit inner = {.kind = WRITE, .act = nothing};
    struct visit back = {.kind = WRITE, .act = ask, .to = a, .next = &inner};
    struct visit pause = {.kind = WRITE, .act = nap, .ms = 20};
    struct visit outer = {.kind = CONSULT, .act = ask_with_grant, .to = b, .next = &back};
    Play__V1__WriteRequest request = PLAY__V1__WRITE_REQUEST__INIT;
    Play__V1__WriteResponse response = PLAY__V1__WRITE_RESPONSE__INIT;
    struct grove_future future;

    (void)state;
    assert_int_equal(send(b, &pause), 0);
    assert_int_equal(send(a, &outer), 0);
    assert_int_equal(grove_sleep_await(2), 0);
    request.script = (uintptr_t)&stranger;
    assert_int_equal(library_write_start(a, &request, &response, &future), 0);
    assert_int_equal(send(a, &reader), 0);
    assert_int_equal(grove_future_await(&future), 0);
    settle();
    assert_int_equal(outer.rc, 0);
    assert_true(inner.begun > 0 && inner.ended < outer.ended);
    assert_true(stranger.begun > outer.ended);
    assert_true(reader.begun > stranger.ended);
}

static void test_who_came_in_lets_in_nobody_unless_it_grants_too(void **state)
{
    grove_ref a = spawn("a", 0), b = spawn("b", 0);
    struct visit third = {.kind = WRITE, .act = nothing};
    struct visit again = {.kind = WRITE, .act = ask, .to = a, .next = &third};
    struct visit second = {.kind = CONSULT, .act = ask, .to = b, .next = &again};
    struct visit first = {.kind = CONSULT, .act = ask_with_grant, .to = a, .next = &second};

    (void)state;
    assert_int_equal(call(a, &first), GROVE_EDEADLK);
    assert_int_equal(third.begun, 0);
    second.act = ask_with_grant;
    assert_int_equal(call(a, &first), 0);
    assert_true(third.begun > second.begun && third.ended < second.ended);
    assert_int_equal(third.most_writers, 3);
}

static void test_a_full_mailbox_keeps_nobody_out_who_was_granted(void **state)
{
    grove_ref a = GROVE_NOBODY, b = spawn("b", 0);
    struct visit inner = {.kind = WRITE, .act = nothing}, others[2];
    struct visit back = {.kind = WRITE, .act = ask, .to = b, .next = &inner};
    struct visit pause = {.kind = WRITE, .act = nap, .ms = 10};
    struct visit outer = {.kind = CONSULT, .act = ask_with_grant, .next = &back};

    (void)state;
    assert_int_equal(
        library_spawn(&functions, NULL, &(struct grove_spawn_options){.depth_max = 2}, &a), 0);
    outer.to = b;
    back.to = a;
    assert_int_equal(send(b, &pause), 0);
    assert_int_equal(send(a, &outer), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    for (int i = 0; i < 2; i++) {
        others[i] = (struct visit){.kind = WRITE, .act = nothing};
        assert_int_equal(send(a, &others[i]), 0);
    }
    settle();
    assert_int_equal(outer.rc, 0);
    assert_true(inner.begun > 0 && inner.ended < outer.ended);
    assert_true(others[0].begun > outer.ended && others[1].begun > others[0].begun);
}

static int stay(struct visit *visit)
{
    visit->rc = grove_sleep_await(1000);
    visit->end_rc = grove_shield_begin(100);
    (void)grove_sleep_await(visit->ms);
    grove_shield_end();
    return 0;
}

static void test_after_the_end_of_a_grant_nobody_is_inside_any_more(void **state)
{
    grove_ref a = spawn("a", 0), b = spawn("b", 0);
    struct visit inner = {.kind = WRITE, .act = stay, .ms = 30};
    struct visit back = {.kind = WRITE, .act = ask, .to = a, .next = &inner};
    struct visit outer = {.kind = CONSULT, .act = ask_with_grant, .to = b, .next = &back};

    (void)state;
    grove_within(20);
    (void)call(a, &outer);
    settle();
    /* It came to its deadline, and waited for the clean-up of whom it had let in. */
    assert_true(outer.rc == GROVE_ETIMEDOUT || outer.rc == GROVE_ECANCELED);
    assert_int_equal(inner.rc, GROVE_ECANCELED);
    assert_int_equal(outer.end_rc, 0);
    assert_true(inner.ended < outer.ended);
}

static int grant_twice(struct visit *visit)
{
    visit->rc = grove_grant_begin();
    visit->end_rc = grove_grant_begin();
    return 0;
}

static void test_a_grant_where_there_can_be_none_says_why(void **state)
{
    struct visit write = {.kind = WRITE, .act = grant_twice},
                 consult_ = {.kind = CONSULT, .act = grant_twice},
                 after = {.kind = WRITE, .act = nothing};
    grove_ref ref = spawn(NULL, 0);

    (void)state;
    assert_int_equal(grove_grant_begin(), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "(grove.reentrant)"));
    assert_int_equal(grove_grant_end_await(), GROVE_EUSAGE);
    assert_int_equal(call(ref, &write), 0);
    assert_int_equal(write.rc, GROVE_EUSAGE);
    assert_int_equal(call(ref, &consult_), 0);
    assert_int_equal(consult_.rc, 0);
    assert_int_equal(consult_.end_rc, GROVE_EUSAGE);
    /* One that is left open ends with its handler. */
    assert_int_equal(call(ref, &after), 0);
}

/* --- circles ---------------------------------------------------------------------------------- */

static void
test_a_reader_that_asks_back_as_a_reader_is_no_circle_but_as_a_writer_it_is(void **state)
{
    grove_ref a = spawn("a", 0), b = spawn("b", 0);
    struct visit inner = {.kind = READ, .act = nothing};
    struct visit back = {.kind = WRITE, .act = ask, .to = a, .next = &inner};
    struct visit outer = {.kind = READ, .act = ask, .to = b, .next = &back};

    (void)state;
    assert_int_equal(call(a, &outer), 0);
    assert_true(inner.begun > outer.begun && inner.ended < outer.ended);
    inner.kind = WRITE;
    assert_int_equal(call(a, &outer), GROVE_EDEADLK);
    assert_string_equal(back.text, "library/b -> library/a -> library/b");
}

static void test_one_reader_in_a_circle_is_told_though_others_only_sleep(void **state)
{
    grove_ref a = spawn("a", 0), b = spawn("b", 0);
    struct visit sleeper = {.kind = READ, .act = nap, .ms = 20};
    struct visit inner = {.kind = WRITE, .act = nothing};
    struct visit back = {.kind = WRITE, .act = ask, .to = a, .next = &inner};
    struct visit outer = {.kind = READ, .act = ask, .to = b, .next = &back};
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    assert_int_equal(send(a, &sleeper), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(call(a, &outer), GROVE_EDEADLK);
    assert_in_range(stage_now_ms() - begin_ms, 1, 5);
    settle();
}

static void test_a_reader_behind_a_waiting_writer_may_close_a_circle(void **state)
{
    grove_ref a = spawn("a", 0), b = spawn("b", 0);
    struct visit inner = {.kind = READ, .act = nothing}, writer = {.kind = WRITE, .act = nothing};
    struct visit back = {.kind = WRITE, .act = ask, .to = a, .next = &inner};
    struct visit pause = {.kind = WRITE, .act = nap, .ms = 10};
    struct visit outer = {.kind = READ, .act = ask, .to = b, .next = &back};

    (void)state;
    assert_int_equal(send(b, &pause), 0);
    assert_int_equal(send(a, &outer), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(send(a, &writer), 0); /* Nobody overtakes it. */
    settle();
    assert_int_equal(back.rc, GROVE_EDEADLK);
    assert_true(writer.begun > 0);
}

/* --- over loops ------------------------------------------------------------------------------- */

static void test_a_chain_over_loops_comes_in_by_its_grant(void **state)
{
    grove_ref a = spawn("a", GROVE_ON_LOOP(0)), b = spawn("b", GROVE_ON_LOOP(1)),
              c = spawn("c", GROVE_ON_LOOP(0));

    (void)state;
    for (int round = 0; round < 20; round++) {
        struct visit inner = {.kind = WRITE, .act = nothing};
        struct visit back = {.kind = WRITE, .act = ask, .to = a, .next = &inner};
        struct visit through = {.kind = WRITE, .act = ask, .to = c, .next = &back};
        struct visit outer = {.kind = CONSULT,
                              .act = ask_with_grant,
                              .to = b,
                              .next = round % 2 == 0 ? &back : &through};

        assert_int_equal(call(a, &outer), 0);
        assert_int_equal(outer.end_rc, 0);
        assert_true(inner.begun > 0);
    }
}

static void test_a_circle_over_loops_that_no_grant_opens_is_told(void **state)
{
    grove_ref a = spawn("a", GROVE_ON_LOOP(0)), b = spawn("b", GROVE_ON_LOOP(1));
    struct visit inner = {.kind = WRITE, .act = nothing};
    struct visit back = {.kind = WRITE, .act = ask, .to = a, .next = &inner};
    struct visit second = {.kind = CONSULT, .act = ask, .to = b, .next = &back};
    struct visit first = {.kind = CONSULT, .act = ask_with_grant, .to = a, .next = &second};
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    assert_int_equal(call(a, &first), GROVE_EDEADLK);
    assert_in_range(stage_now_ms() - begin_ms, 0, 1500);
    assert_int_equal(inner.begun, 0);
}

static int start_over(void **state)
{
    (void)state;
    n_events = 0;
    return 0;
}

#define test(function) cmocka_unit_test_setup(function, start_over)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_readers_wait_beside_each_other_and_a_writer_waits_for_all_of_them),
        test(test_a_reader_waits_for_a_writer_that_waits),
        test(test_only_the_reader_whose_caller_left_is_cancelled),
        test(test_a_kill_cancels_all_of_them_and_nothing_is_begun_any_more),
        test(test_a_drain_waits_for_all_of_them_and_what_is_queued),
        test(test_many_readers_more_than_come_in_at_once),
        test(test_without_a_grant_the_way_back_is_a_circle_and_with_it_it_is_open),
        test(test_nobody_else_comes_in_by_a_grant),
        test(test_who_came_in_lets_in_nobody_unless_it_grants_too),
        test(test_a_full_mailbox_keeps_nobody_out_who_was_granted),
        test(test_after_the_end_of_a_grant_nobody_is_inside_any_more),
        test(test_a_grant_where_there_can_be_none_says_why),
        test(test_a_reader_that_asks_back_as_a_reader_is_no_circle_but_as_a_writer_it_is),
        test(test_one_reader_in_a_circle_is_told_though_others_only_sleep),
        test(test_a_reader_behind_a_waiting_writer_may_close_a_circle),
    };
    const struct CMUnitTest far_tests[] = {
        test(test_a_chain_over_loops_comes_in_by_its_grant),
        test(test_a_circle_over_loops_that_no_grant_opens_is_told),
    };
    int n = cmocka_run_group_tests_name("interleaving", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("interleaving, far", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
