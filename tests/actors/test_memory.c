/*
 * Memory of a turn: grove_alloc, scopes, and how long answers live.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "runtime/loop.h"

static void test_memory_is_zeroed_aligned_and_distinct(void **state)
{
    enum { N = 300 };
    unsigned char *pieces[N];

    (void)state;
    (void)stage_spawn(NULL);
    for (size_t i = 0; i < N; i++) {
        pieces[i] = grove_alloc(i * 7);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        for (size_t k = 0; k < i * 7; k++)
            assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)i, i * 7);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < i * 7; k++)
            assert_int_equal(pieces[i][k], (unsigned char)i);
}

static void test_large_pieces_come_and_larger_ones_do_not(void **state)
{
    struct grove_scope scope;
    unsigned char *large;

    (void)state;
    (void)stage_spawn(NULL);
    grove_scope_begin(&scope);
    large = grove_alloc((size_t)32 << 20);
    assert_non_null(large);
    large[((size_t)32 << 20) - 1] = 1;
    assert_null(grove_alloc(((size_t)32 << 20) + 1));
    assert_null(grove_alloc(SIZE_MAX));
    grove_scope_end(&scope);
}

static void test_text_is_copied_and_printed(void **state)
{
    char *long_text;

    (void)state;
    (void)stage_spawn(NULL);
    assert_string_equal(grove_strdup("hello"), "hello");
    assert_string_equal(grove_strdup(""), "");
    assert_string_equal(grove_printf("%d-%s", 7, "x"), "7-x");
    long_text = grove_printf("%05000d", 1);
    assert_int_equal(strlen(long_text), 5000);
}

static uint64_t blocks_taken(void)
{
    return gv_loop_here->blocks.n_taken;
}

static void test_scopes_nest_and_free_what_was_taken_in_them(void **state)
{
    struct grove_scope outer, inner;
    char *kept, *outer_text;
    uint64_t before;

    (void)state;
    (void)stage_spawn(NULL);
    kept = grove_strdup("kept");
    before = blocks_taken();
    grove_scope_begin(&outer);
    outer_text = grove_strdup("outer");
    for (int i = 0; i < 100; i++) {
        grove_scope_begin(&inner);
        for (int k = 0; k < 50; k++)
            assert_non_null(grove_alloc(100));
        grove_scope_end(&inner);
        assert_string_equal(outer_text, "outer");
    }
    assert_in_range(blocks_taken(), before, before + 1);
    grove_scope_end(&outer);
    assert_int_equal(blocks_taken(), before);
    assert_string_equal(kept, "kept");
}

static int echo_text(grove_ref ref, char *text, Play__V1__EchoResponse *response)
{
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;

    *response = (Play__V1__EchoResponse)PLAY__V1__ECHO_RESPONSE__INIT;
    request.text = text;
    return play_echo_await(ref, &request, response);
}

static void test_answers_of_a_scope_end_with_it_and_older_ones_live_on(void **state)
{
    grove_ref ref = stage_spawn(NULL);
    Play__V1__EchoResponse older, inner;
    struct grove_scope scope;
    uint64_t before;

    (void)state;
    assert_int_equal(echo_text(ref, "older", &older), 0);
    before = blocks_taken();
    for (int i = 0; i < 10; i++) {
        grove_scope_begin(&scope);
        assert_int_equal(echo_text(ref, "inner", &inner), 0);
        assert_string_equal(inner.text, "inner");
        grove_scope_end(&scope);
    }
    assert_string_equal(older.text, "older");
    assert_int_equal(blocks_taken(), before);
}

struct counter {
    grove_ref to;
    uint64_t blocks_max;
    int n, wrong;
    bool done;
};

static void go_count(void *argument)
{
    struct counter *counter = argument;

    for (int i = 0; i < counter->n; i++) {
        Play__V1__EchoResponse response;
        struct grove_scope scope;

        grove_scope_begin(&scope);
        if (echo_text(counter->to, grove_printf("%d", i), &response) != 0
            || atoi(response.text) != i)
            counter->wrong++;
        if (blocks_taken() > counter->blocks_max)
            counter->blocks_max = blocks_taken();
        grove_scope_end(&scope);
    }
    counter->done = true;
}

static void test_a_loop_of_a_hundred_thousand_awaits_in_scopes_does_not_grow(void **state)
{
    struct counter counter = {.to = stage_spawn(NULL), .n = 100000};
    uint64_t before;

    (void)state;
    assert_int_equal(stage_add(counter.to, 1, NULL), 0); /* Its init has run. */
    before = blocks_taken();
    assert_int_equal(grove_go(go_count, &counter, NULL, NULL), 0);
    while (!counter.done)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(counter.wrong, 0);
    assert_in_range(counter.blocks_max, before, before + 10);
    assert_int_equal(blocks_taken(), before);
}

static int hold_memory(struct play *me, struct script *script)
{
    char *text = grove_strdup("mine");

    (void)me;
    if (text == NULL || grove_sleep_await(script->ms) != 0)
        return -1;
    script->rc = strcmp(text, "mine");
    return 0;
}

static void test_each_turn_has_its_own_memory_until_it_ends(void **state)
{
    struct script scripts[10];
    uint64_t before;

    (void)state;
    assert_int_equal(stage_add(stage_spawn(NULL), 1, NULL), 0);
    before = blocks_taken();
    for (int i = 0; i < 10; i++) {
        scripts[i] = (struct script){.act = hold_memory, .ms = (uint32_t)i + 1, .rc = -1};
        assert_int_equal(stage_send(stage_spawn(NULL), &scripts[i]), 0);
    }
    assert_int_equal(grove_sleep_await(20), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(scripts[i].rc, 0);
    assert_int_equal(blocks_taken(), before);
}

static void test_memory_without_a_runtime_is_there_too(void **state)
{
    struct grove_scope scope;
    unsigned char *memory;

    (void)state;
    grove_scope_begin(&scope);
    memory = grove_alloc(1000);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 16, 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(memory[i], 0);
    grove_scope_end(&scope);
    assert_string_equal(grove_printf("%s", "unit"), "unit");
    assert_null(grove_alloc(SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest own_tests[] = {
        stage_test(test_memory_without_a_runtime_is_there_too),
    };
    const struct CMUnitTest tests[] = {
        stage_test(test_memory_is_zeroed_aligned_and_distinct),
        stage_test(test_large_pieces_come_and_larger_ones_do_not),
        stage_test(test_text_is_copied_and_printed),
        stage_test(test_scopes_nest_and_free_what_was_taken_in_them),
        stage_test(test_answers_of_a_scope_end_with_it_and_older_ones_live_on),
        stage_test(test_a_loop_of_a_hundred_thousand_awaits_in_scopes_does_not_grow),
        stage_test(test_each_turn_has_its_own_memory_until_it_ends),
    };
    int n = cmocka_run_group_tests_name("memory, alone", own_tests, NULL, NULL);

    return n + cmocka_run_group_tests_name("memory", tests, stage_set_up, stage_tear_down);
}
