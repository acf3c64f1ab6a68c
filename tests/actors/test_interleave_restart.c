/*
 * An actor of a supervisor that has several turns open fails: it begins anew
 * behind the end of the last of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "library.h"

static grove_ref top, ref;

static int open_library(void **state)
{
    struct grove_child child = {.service = &library_service_table, .functions = &library_functions};

    library_inside = 0;
    assert_int_equal(grove_supervise(NULL, &top), 0);
    assert_int_equal(grove_supervisor_add_await(top, &child, &ref), 0);
    return library_start_over(state);
}

static int close_library(void **state)
{
    (void)state;
    assert_int_equal(library_inside, 0);
    return grove_stop_await(top, GROVE_STOP_NOW);
}

static int break_down(struct visit *visit)
{
    visit->rc = grove_sleep_await(visit->ms);
    return grove_fail("a page is torn");
}

static Play__V1__ReadResponse ignored;

static void start_reader(struct visit *visit, struct grove_future *future)
{
    Play__V1__ReadRequest request = PLAY__V1__READ_REQUEST__INIT;

    request.script = (uintptr_t)visit;
    assert_int_equal(library_read_start(ref, &request, &ignored, future), 0);
    assert_int_equal(grove_sleep_await(1), 0);
}

/* The new incarnation is the old one's heir in name and mail alone. */
static void check_begun_anew(const struct visit *readers, unsigned n)
{
    struct visit writer = {.kind = WRITE, .act = library_nothing};

    assert_int_equal(library_call(ref, &writer), 0);
    assert_int_equal(writer.most_readers, 0);
    for (unsigned i = 0; i < n; i++)
        assert_true(readers[i].ended > 0 && readers[i].ended < writer.begun);
}

static void fail_as(unsigned which)
{
    struct visit readers[3], late = {.kind = READ, .act = library_nothing};
    struct grove_future futures[4];

    for (unsigned i = 0; i < 3; i++) {
        readers[i] = (struct visit){.kind = READ, .act = library_nap, .ms = 30};
        if (i == which) {
            readers[i].act = break_down;
            readers[i].ms = 10;
        }
        start_reader(&readers[i], &futures[i]);
    }
    assert_int_equal(library_inside, 3);
    assert_int_equal(grove_future_await(&futures[which]), GROVE_EDOWN);
    assert_non_null(strstr(grove_why(), "torn"));
    start_reader(&late, &futures[3]); /* Nobody comes in beside those that are left. */
    for (unsigned i = 0; i < 3; i++)
        if (i != which)
            assert_int_equal(grove_future_await(&futures[i]), 0);
    assert_int_equal(grove_future_await(&futures[3]), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_true(late.begun > readers[i].ended);
    check_begun_anew(readers, 3);
}

static void test_when_the_first_reader_fails_the_others_end_before_it_begins_anew(void **state)
{
    (void)state;
    fail_as(0);
}

static void test_when_a_further_reader_fails_the_others_end_before_it_begins_anew(void **state)
{
    (void)state;
    fail_as(2);
}

static void test_when_one_that_a_grant_let_in_fails_the_one_that_granted_ends_first(void **state)
{
    grove_ref b = library_new("b", 0);
    struct visit inner = {.kind = WRITE, .act = break_down, .ms = 3};
    struct visit back = {.kind = WRITE, .act = library_ask, .to = ref, .next = &inner};
    struct visit outer = {.kind = CONSULT, .act = library_ask_with_grant, .to = b, .next = &back};

    (void)state;
    assert_int_equal(library_call(ref, &outer), GROVE_EDOWN);
    assert_int_equal(back.rc, GROVE_EDOWN);
    assert_non_null(strstr(back.text, "torn"));
    assert_int_equal(outer.end_rc, 0);
    assert_true(inner.ended < outer.ended);
    check_begun_anew(&outer, 1);
    outer.next = &back; /* And the new one grants and is asked back as the old one was. */
    inner.act = library_nap;
    assert_int_equal(library_call(ref, &outer), 0);
    assert_int_equal(inner.most_writers, 2);
    assert_int_equal(grove_stop_await(b, GROVE_STOP_NOW), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define restart_test(function) \
    cmocka_unit_test_setup_teardown(function, open_library, close_library)
        restart_test(test_when_the_first_reader_fails_the_others_end_before_it_begins_anew),
        restart_test(test_when_a_further_reader_fails_the_others_end_before_it_begins_anew),
        restart_test(test_when_one_that_a_grant_let_in_fails_the_one_that_granted_ends_first),
    };

    return cmocka_run_group_tests_name("interleaving, restart", tests, stage_set_up,
                                       stage_tear_down);
}
