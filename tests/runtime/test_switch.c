#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/switch.h"

#ifdef __x86_64__
#    include <immintrin.h>
#endif

enum { STACK_BYTES = 256 << 10 };

/* A greenlet and what it wants to tell the test; asserts are for the main stack only. */
struct green {
    struct gv_context context;
    struct gv_context *back;
    char *low;
    uint64_t seed;
    uint64_t sum;
    int n_rounds;
    int ok;
};

static void green_init(struct green *green, struct gv_context *back, void (*entry)(void *))
{
    memset(green, 0, sizeof(*green));
    green->low = aligned_alloc(64, STACK_BYTES);
    assert_non_null(green->low);
    green->back = back;
    gv_context_make(&green->context, green->low, STACK_BYTES, entry, green);
}

static void green_deinit(struct green *green)
{
    gv_context_free(&green->context);
    free(green->low);
}

static void count_rounds(void *argument)
{
    struct green *green = argument;

    for (;;) {
        green->n_rounds++;
        gv_switch(&green->context, green->back);
    }
}

static void test_a_switch_goes_there_and_comes_back(void **state)
{
    struct gv_context main;
    struct green green;

    (void)state;
    gv_context_main(&main);
    green_init(&green, &main, count_rounds);
    for (int i = 1; i <= 1000; i++) {
        gv_switch(&main, &green.context);
        assert_int_equal(green.n_rounds, i);
    }
    green_deinit(&green);
    gv_context_free(&main);
}

/* Many values that live across switches, of integers and of doubles, in nested frames. */
static __attribute__((noinline)) uint64_t mix(struct green *green, int depth)
{
    uint64_t a = green->seed * 3 + (uint64_t)depth, b = a ^ 0x5555, c = a + b, d = b * 7, e = c ^ d;
    uint64_t f = e + 11, g = f * 13, h = g ^ a;
    double p = (double)a * 0.5, q = (double)b * 0.25, r = p + q, s = p - q, t = r * 1.5, u = s + t;

    if (depth > 0)
        a += mix(green, depth - 1);
    gv_switch(&green->context, green->back);
    b += a;
    p += q;
    gv_switch(&green->context, green->back);
    return (a ^ b) + c + d + e + f + g + h + (uint64_t)(int64_t)(p + q + r + s + t + u);
}

static uint64_t mix_straight(uint64_t seed, int depth)
{
    uint64_t a = seed * 3 + (uint64_t)depth, b = a ^ 0x5555, c = a + b, d = b * 7, e = c ^ d;
    uint64_t f = e + 11, g = f * 13, h = g ^ a;
    double p = (double)a * 0.5, q = (double)b * 0.25, r = p + q, s = p - q, t = r * 1.5, u = s + t;

    if (depth > 0)
        a += mix_straight(seed, depth - 1);
    b += a;
    p += q;
    return (a ^ b) + c + d + e + f + g + h + (uint64_t)(int64_t)(p + q + r + s + t + u);
}

static void mix_and_end(void *argument)
{
    struct green *green = argument;

    green->sum = mix(green, 5);
    green->ok = 1;
    gv_switch_last(&green->context, green->back);
}

static void test_a_hundred_greenlets_keep_their_registers(void **state)
{
    enum { N = 100 };
    static struct green greens[N];
    struct gv_context main;
    int n_done = 0;

    (void)state;
    gv_context_main(&main);
    for (int i = 0; i < N; i++) {
        green_init(&greens[i], &main, mix_and_end);
        greens[i].seed = (uint64_t)i * 977 + 5;
    }
    while (n_done < N) {
        n_done = 0;
        for (int i = 0; i < N; i++) {
            if (!greens[i].ok)
                gv_switch(&main, &greens[i].context);
            n_done += greens[i].ok;
        }
    }
    for (int i = 0; i < N; i++) {
        assert_true(greens[i].sum == mix_straight(greens[i].seed, 5));
        green_deinit(&greens[i]);
    }
    gv_context_free(&main);
}

static void pass_on(void *argument)
{
    struct green *green = argument;
    struct green *next = (struct green *)(uintptr_t)green->seed;

    green->ok = 1;
    if (next != NULL)
        gv_switch_last(&green->context, &next->context);
    gv_switch_last(&green->context, green->back);
}

static void test_greenlets_hand_over_to_each_other(void **state)
{
    struct gv_context main;
    struct green first, second, third;

    (void)state;
    gv_context_main(&main);
    green_init(&first, &main, pass_on);
    green_init(&second, &main, pass_on);
    green_init(&third, &main, pass_on);
    first.seed = (uintptr_t)&second;
    second.seed = (uintptr_t)&third;
    gv_switch(&main, &first.context);
    assert_true(first.ok && second.ok && third.ok);
    green_deinit(&first);
    green_deinit(&second);
    green_deinit(&third);
    gv_context_free(&main);
}

static void end_at_once(void *argument)
{
    struct green *green = argument;
    char space[512];

    snprintf(space, sizeof(space), "%d", ++green->n_rounds);
    green->ok = atoi(space) == green->n_rounds;
    gv_switch_last(&green->context, green->back);
}

static void test_the_stack_of_one_that_ended_is_used_again(void **state)
{
    struct gv_context main;
    struct green green;

    (void)state;
    gv_context_main(&main);
    green_init(&green, &main, end_at_once);
    for (int i = 1; i <= 300; i++) {
        gv_context_make(&green.context, green.low, STACK_BYTES, end_at_once, &green);
        gv_switch(&main, &green.context);
        assert_int_equal(green.n_rounds, i);
        assert_true(green.ok);
    }
    green_deinit(&green);
    gv_context_free(&main);
}

static void look_at_alignment(void *argument)
{
    struct green *green = argument;
#ifdef __x86_64__
    /* movaps, which faults when the stack is not aligned. */
    volatile __m128 four = _mm_set1_ps((float)green->seed);
    float parts[4];

    _mm_storeu_ps(parts, four);
    green->ok = parts[0] == 3.0f && ((uintptr_t)&four & 15) == 0;
#else
    volatile _Alignas(16) char sixteen[16] = {3};

    green->ok = sixteen[0] == 3 && ((uintptr_t)sixteen & 15) == 0;
#endif
    gv_switch_last(&green->context, green->back);
}

static void test_a_new_stack_is_aligned(void **state)
{
    struct gv_context main;
    struct green green;

    (void)state;
    gv_context_main(&main);
    /* An odd size is rounded to what the machine wants. */
    for (size_t cut = 0; cut < 64; cut += 7) {
        green_init(&green, &main, look_at_alignment);
        green.seed = 3;
        gv_context_make(&green.context, green.low, STACK_BYTES - cut, look_at_alignment, &green);
        gv_switch(&main, &green.context);
        assert_true(green.ok);
        green_deinit(&green);
    }
    gv_context_free(&main);
}

static void jump_within(void *argument)
{
    struct green *green = argument;
    jmp_buf place;

    /* volatile: it is read after the jump */
    volatile int n = 0;

    if (setjmp(place) == 0) {
        n++;
        gv_switch(&green->context, green->back);
        longjmp(place, 1);
    }
    green->ok = n == 1;
    gv_switch_last(&green->context, green->back);
}

static void test_a_jump_within_one_stack_works_after_a_switch(void **state)
{
    struct gv_context main;
    struct green green;

    (void)state;
    gv_context_main(&main);
    green_init(&green, &main, jump_within);
    gv_switch(&main, &green.context);
    gv_switch(&main, &green.context);
    assert_true(green.ok);
    green_deinit(&green);
    gv_context_free(&main);
}

static void test_a_switched_out_stack_tells_where_it_stands(void **state)
{
    struct gv_context main;
    struct green green;

    (void)state;
    gv_context_main(&main);
    green_init(&green, &main, count_rounds);
    gv_switch(&main, &green.context);
#ifndef GV_SWITCH_PORTABLE
    assert_in_range((uintptr_t)green.context.sp, (uintptr_t)green.low,
                    (uintptr_t)green.low + STACK_BYTES);
    assert_in_range((uintptr_t)green.context.fp, (uintptr_t)green.context.sp,
                    (uintptr_t)green.low + STACK_BYTES);
    assert_non_null(green.context.pc);
#else
    assert_null(green.context.pc);
#endif
    green_deinit(&green);
    gv_context_free(&main);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_switch_goes_there_and_comes_back),
        cmocka_unit_test(test_a_hundred_greenlets_keep_their_registers),
        cmocka_unit_test(test_greenlets_hand_over_to_each_other),
        cmocka_unit_test(test_the_stack_of_one_that_ended_is_used_again),
        cmocka_unit_test(test_a_new_stack_is_aligned),
        cmocka_unit_test(test_a_jump_within_one_stack_works_after_a_switch),
        cmocka_unit_test(test_a_switched_out_stack_tells_where_it_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
