/*
 * Grants: the chain of one call may come back into the actor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "library.h"

/* --- grants ----------------------------------------------------------------------------------- */

static void test_without_a_grant_the_way_back_is_a_circle_and_with_it_it_is_open(void **state)
{
    grove_ref a = library_new("a", 0), b = library_new("b", 0);
    struct visit inner = {.kind = WRITE, .act = library_nap, .ms = 3};
    struct visit back = {.kind = WRITE, .act = library_ask, .to = a, .next = &inner};
    struct visit outer = {.kind = CONSULT, .act = library_ask, .to = b, .next = &back};

    (void)state;
    assert_int_equal(library_call(a, &outer), GROVE_EDEADLK);
    assert_string_equal(back.text, "library/b -> library/a -> library/b");
    assert_int_equal(inner.begun, 0);
    outer.act = library_ask_with_grant;
    assert_int_equal(library_call(a, &outer), 0);
    assert_int_equal(outer.end_rc, 0);
    assert_true(inner.begun > outer.begun && inner.ended < outer.ended);
    assert_int_equal(inner.most_writers, 2);
    /* And to itself. */
    outer.to = a;
    outer.next = &inner;
    assert_int_equal(library_call(a, &outer), 0);
}

static void test_nobody_else_comes_in_by_a_grant(void **state)
{
    grove_ref a = library_new("a", 0), b = library_new("b", 0);
    struct visit stranger = {.kind = WRITE, .act = library_nothing},
                 reader = {.kind = READ, .act = library_nothing};
    struct visit inner = {.kind = WRITE, .act = library_nothing};
    struct visit back = {.kind = WRITE, .act = library_ask, .to = a, .next = &inner};
    struct visit pause = {.kind = WRITE, .act = library_nap, .ms = 20};
    struct visit outer = {.kind = CONSULT, .act = library_ask_with_grant, .to = b, .next = &back};
    Play__V1__WriteRequest request = PLAY__V1__WRITE_REQUEST__INIT;
    Play__V1__WriteResponse response = PLAY__V1__WRITE_RESPONSE__INIT;
    struct grove_future future;

    (void)state;
    assert_int_equal(library_post(b, &pause), 0);
    assert_int_equal(library_post(a, &outer), 0);
    assert_int_equal(grove_sleep_await(2), 0);
    request.script = (uintptr_t)&stranger;
    assert_int_equal(library_write_start(a, &request, &response, &future), 0);
    assert_int_equal(library_post(a, &reader), 0);
    assert_int_equal(grove_future_await(&future), 0);
    library_settle();
    assert_int_equal(outer.rc, 0);
    assert_true(inner.begun > 0 && inner.ended < outer.ended);
    assert_true(stranger.begun > outer.ended);
    assert_true(reader.begun > stranger.ended);
}

static void test_who_came_in_lets_in_nobody_unless_it_grants_too(void **state)
{
    grove_ref a = library_new("a", 0), b = library_new("b", 0);
    struct visit third = {.kind = WRITE, .act = library_nothing};
    struct visit again = {.kind = WRITE, .act = library_ask, .to = a, .next = &third};
    struct visit second = {.kind = CONSULT, .act = library_ask, .to = b, .next = &again};
    struct visit first = {.kind = CONSULT, .act = library_ask_with_grant, .to = a, .next = &second};

    (void)state;
    assert_int_equal(library_call(a, &first), GROVE_EDEADLK);
    assert_int_equal(third.begun, 0);
    second.act = library_ask_with_grant;
    assert_int_equal(library_call(a, &first), 0);
    assert_true(third.begun > second.begun && third.ended < second.ended);
    assert_int_equal(third.most_writers, 3);
}

static void test_a_full_mailbox_keeps_nobody_out_who_was_granted(void **state)
{
    grove_ref a = GROVE_NOBODY, b = library_new("b", 0);
    struct visit inner = {.kind = WRITE, .act = library_nothing}, others[2];
    struct visit back = {.kind = WRITE, .act = library_ask, .to = b, .next = &inner};
    struct visit pause = {.kind = WRITE, .act = library_nap, .ms = 10};
    struct visit outer = {.kind = CONSULT, .act = library_ask_with_grant, .next = &back};

    (void)state;
    assert_int_equal(
        library_spawn(&library_functions, NULL, &(struct grove_spawn_options){.depth_max = 2}, &a),
        0);
    outer.to = b;
    back.to = a;
    assert_int_equal(library_post(b, &pause), 0);
    assert_int_equal(library_post(a, &outer), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    for (int i = 0; i < 2; i++) {
        others[i] = (struct visit){.kind = WRITE, .act = library_nothing};
        assert_int_equal(library_post(a, &others[i]), 0);
    }
    library_settle();
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
    grove_ref a = library_new("a", 0), b = library_new("b", 0);
    struct visit inner = {.kind = WRITE, .act = stay, .ms = 30};
    struct visit back = {.kind = WRITE, .act = library_ask, .to = a, .next = &inner};
    struct visit outer = {.kind = CONSULT, .act = library_ask_with_grant, .to = b, .next = &back};

    (void)state;
    grove_within(20);
    (void)library_call(a, &outer);
    library_settle();
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
                 after = {.kind = WRITE, .act = library_nothing};
    grove_ref ref = library_new(NULL, 0);

    (void)state;
    assert_int_equal(grove_grant_begin(), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "(grove.reentrant)"));
    assert_int_equal(grove_grant_end_await(), GROVE_EUSAGE);
    assert_int_equal(library_call(ref, &write), 0);
    assert_int_equal(write.rc, GROVE_EUSAGE);
    assert_int_equal(library_call(ref, &consult_), 0);
    assert_int_equal(consult_.rc, 0);
    assert_int_equal(consult_.end_rc, GROVE_EUSAGE);
    /* One that is left open ends with its handler. */
    assert_int_equal(library_call(ref, &after), 0);
}

/* --- over loops ------------------------------------------------------------------------------- */

static void test_a_chain_over_loops_comes_in_by_its_grant(void **state)
{
    grove_ref a = library_new("a", GROVE_ON_LOOP(0)), b = library_new("b", GROVE_ON_LOOP(1)),
              c = library_new("c", GROVE_ON_LOOP(0));

    (void)state;
    for (int round = 0; round < 20; round++) {
        struct visit inner = {.kind = WRITE, .act = library_nothing};
        struct visit back = {.kind = WRITE, .act = library_ask, .to = a, .next = &inner};
        struct visit through = {.kind = WRITE, .act = library_ask, .to = c, .next = &back};
        struct visit outer = {.kind = CONSULT,
                              .act = library_ask_with_grant,
                              .to = b,
                              .next = round % 2 == 0 ? &back : &through};

        assert_int_equal(library_call(a, &outer), 0);
        assert_int_equal(outer.end_rc, 0);
        assert_true(inner.begun > 0);
    }
}

static void test_a_circle_over_loops_that_no_grant_opens_is_told(void **state)
{
    grove_ref a = library_new("a", GROVE_ON_LOOP(0)), b = library_new("b", GROVE_ON_LOOP(1));
    struct visit inner = {.kind = WRITE, .act = library_nothing};
    struct visit back = {.kind = WRITE, .act = library_ask, .to = a, .next = &inner};
    struct visit second = {.kind = CONSULT, .act = library_ask, .to = b, .next = &back};
    struct visit first = {.kind = CONSULT, .act = library_ask_with_grant, .to = a, .next = &second};
    unsigned long long begin_ms = stage_now_ms();

    (void)state;
    assert_int_equal(library_call(a, &first), GROVE_EDEADLK);
    assert_in_range(stage_now_ms() - begin_ms, 0, 1500);
    assert_int_equal(inner.begun, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        library_test(test_without_a_grant_the_way_back_is_a_circle_and_with_it_it_is_open),
        library_test(test_nobody_else_comes_in_by_a_grant),
        library_test(test_who_came_in_lets_in_nobody_unless_it_grants_too),
        library_test(test_a_full_mailbox_keeps_nobody_out_who_was_granted),
        library_test(test_after_the_end_of_a_grant_nobody_is_inside_any_more),
        library_test(test_a_grant_where_there_can_be_none_says_why),
    };
    const struct CMUnitTest far_tests[] = {
        library_test(test_a_chain_over_loops_comes_in_by_its_grant),
        library_test(test_a_circle_over_loops_that_no_grant_opens_is_told),
    };
    int n = cmocka_run_group_tests_name("grants", tests, stage_set_up, stage_tear_down);

    return n
           + cmocka_run_group_tests_name("grants, far", far_tests, stage_set_up_two_loops,
                                         stage_tear_down);
}
