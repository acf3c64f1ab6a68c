#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/stack.h"

#if defined(__has_include)
#    if __has_include(<valgrind/valgrind.h>)
#        include <valgrind/valgrind.h>
#    endif
#endif
#ifndef RUNNING_ON_VALGRIND
#    define RUNNING_ON_VALGRIND              0
#    define VALGRIND_DISABLE_ERROR_REPORTING (void)0
#    define VALGRIND_ENABLE_ERROR_REPORTING  (void)0
#endif

static sigjmp_buf fault_place;

static void on_fault(int signal)
{
    (void)signal;
    siglongjmp(fault_place, 1);
}

/* Whether writing there is answered with SIGSEGV. */
static int faults(char *address)
{
    struct sigaction action = {.sa_handler = on_fault}, old;
    volatile int faulted = 0;

    assert_int_equal(sigaction(SIGSEGV, &action, &old), 0);
    VALGRIND_DISABLE_ERROR_REPORTING; /* it is on purpose */
    if (sigsetjmp(fault_place, 1) == 0)
        *(volatile char *)address = 1;
    else
        faulted = 1;
    VALGRIND_ENABLE_ERROR_REPORTING;
    assert_int_equal(sigaction(SIGSEGV, &old, NULL), 0);
    return faulted;
}

static void check_guard(struct gv_stacks *stacks)
{
    struct gv_stack *stack = gv_stack_take(stacks), *found = NULL;

    assert_non_null(stack);
    assert_true(faults(stack->low - 1));
    assert_true(faults(stack->low - stacks->guard_bytes));
    assert_false(faults(stack->low));

    assert_true(gv_stacks_guard_hit(stacks, stack->low - 1, &found));
    assert_ptr_equal(found, stack);
    assert_true(gv_stacks_guard_hit(stacks, stack->low - stacks->guard_bytes, &found));
    assert_ptr_equal(found, stack);
    assert_false(gv_stacks_guard_hit(stacks, stack->low, &found));
    assert_false(gv_stacks_guard_hit(stacks, stack->low - stacks->guard_bytes - 1, &found));
    assert_false(gv_stacks_guard_hit(stacks, &stacks, &found));
    gv_stack_give(stacks, stack);
}

static void test_a_write_below_a_stack_hits_its_guard(void **state)
{
    struct gv_stacks stacks;

    (void)state;
    gv_stacks_init(&stacks, 0);
    check_guard(&stacks);
    gv_stacks_deinit(&stacks);
}

static void test_an_old_kernel_guards_by_mprotect(void **state)
{
    enum gv_guard before = gv_stack_guard();
    struct gv_stacks stacks;

    (void)state;
    gv_stack_guard_force(GV_GUARD_MPROTECT);
    gv_stacks_init(&stacks, 0);
    check_guard(&stacks);
    gv_stacks_deinit(&stacks);
    gv_stack_guard_force(before);
}

static void test_mprotect_guards_end_before_the_maps_of_the_process(void **state)
{
    enum gv_guard before = gv_stack_guard();
    struct gv_stack *first = NULL, *stack;
    struct gv_stacks stacks;
    uint32_t n = 0;

    (void)state;
    if (GV_SANITIZED || RUNNING_ON_VALGRIND)
        skip(); /* they have room for fewer stacks than that */
    gv_stack_guard_force(GV_GUARD_MPROTECT);
    /* Twice: the count of the process goes down again. */
    for (int i = 0; i < 2; i++) {
        gv_stacks_init(&stacks, 0);
        for (n = 0; (stack = gv_stack_take(&stacks)) != NULL; n++) {
            stack->next = first;
            first = stack;
        }
        assert_int_equal(n, GV_STACK_MPROTECT_MAX);
        while (first != NULL) {
            stack = first;
            first = stack->next;
            gv_stack_give(&stacks, stack);
        }
        gv_stacks_deinit(&stacks);
    }
    gv_stack_guard_force(before);
}

static void test_the_warmest_stack_is_taken_first(void **state)
{
    struct gv_stack *a, *b;
    struct gv_stacks stacks;

    (void)state;
    gv_stacks_init(&stacks, 0);
    a = gv_stack_take(&stacks);
    b = gv_stack_take(&stacks);
    assert_ptr_not_equal(a, b);
    gv_stack_give(&stacks, a);
    gv_stack_give(&stacks, b);
    assert_ptr_equal(gv_stack_take(&stacks), b);
    assert_ptr_equal(gv_stack_take(&stacks), a);
    gv_stack_give(&stacks, a);
    gv_stack_give(&stacks, b);
    gv_stacks_deinit(&stacks);
}

static void test_stacks_max_bounds_a_pool(void **state)
{
    struct gv_stack *all[3];
    struct gv_stacks stacks;

    (void)state;
    gv_stacks_init(&stacks, 3);
    for (int i = 0; i < 3; i++)
        assert_non_null(all[i] = gv_stack_take(&stacks));
    assert_null(gv_stack_take(&stacks));
    gv_stack_give(&stacks, all[1]);
    assert_ptr_equal(gv_stack_take(&stacks), all[1]);
    for (int i = 0; i < 3; i++)
        gv_stack_give(&stacks, all[i]);
    gv_stacks_deinit(&stacks);
}

static void test_tops_have_29_colours(void **state)
{
    enum { N = 2 * GV_STACK_COLOURS };
    struct gv_stack *all[N];
    unsigned char seen[64] = {0};
    struct gv_stacks stacks;
    int n_colours = 0;

    (void)state;
    gv_stacks_init(&stacks, 0);
    for (int i = 0; i < N; i++) {
        all[i] = gv_stack_take(&stacks);
        assert_int_equal((uintptr_t)all[i] % 64, 0);
        n_colours += seen[(uintptr_t)all[i] / 64 % 64]++ == 0;
        assert_in_range(gv_stack_room(all[i]), stacks.stack_bytes - 2 * stacks.guard_bytes,
                        stacks.stack_bytes - stacks.guard_bytes);
    }
    assert_int_equal(n_colours, GV_STACK_COLOURS);
    for (int i = 0; i < N; i++)
        gv_stack_give(&stacks, all[i]);
    gv_stacks_deinit(&stacks);
}

static void test_trim_returns_pages_and_keeps_guards(void **state)
{
    enum { N = 1500, KEEP = 10 };
    static struct gv_stack *all[N];
    struct gv_stacks stacks;
    char *low;

    (void)state;
    gv_stacks_init(&stacks, 0);
    for (int i = 0; i < N; i++) {
        all[i] = gv_stack_take(&stacks);
        memset(all[i]->low, 1, 10);
    }
    low = all[3]->low;
    for (int i = 0; i < N; i++)
        gv_stack_give(&stacks, all[i]);
    assert_int_equal(gv_stacks_trim(&stacks, KEEP), N - KEEP);
    assert_int_equal(gv_stacks_trim(&stacks, KEEP), 0);
    assert_int_equal(stacks.n_stacks, KEEP);
    assert_int_equal(*low, 0);
    assert_true(faults(low - 1));

    /* The kept ones come first and warm, the cold ones follow; none comes twice. */
    for (int i = 0; i < N; i++) {
        all[i] = gv_stack_take(&stacks);
        assert_non_null(all[i]);
        assert_null(all[i]->owner);
        all[i]->owner = all[i]; /* a twice given stack would come with an owner */
        assert_int_equal(*all[i]->low, i < KEEP);
        assert_true(faults(all[i]->low - 1));
    }
    for (int i = 0; i < N; i++)
        gv_stack_give(&stacks, all[i]);
    gv_stacks_deinit(&stacks);
}

static void test_trim_unmaps_slabs_that_nobody_uses(void **state)
{
    enum { N = GV_SANITIZED ? 1500 : 3 * GV_STACK_SLAB };
    static struct gv_stack *all[N];
    struct gv_stacks stacks;
    char *low;

    (void)state;
    gv_stacks_init(&stacks, 0);
    for (int i = 0; i < N; i++)
        all[i] = gv_stack_take(&stacks);
    low = all[0]->low;
    for (int i = 0; i < N; i++)
        gv_stack_give(&stacks, all[i]);
    /* At most so many at a time. */
    for (uint32_t left = N, n; left > 0; left -= n) {
        n = gv_stacks_trim(&stacks, 0);
        assert_int_equal(n, left < GV_STACK_TRIM_MAX ? left : GV_STACK_TRIM_MAX);
    }
    assert_true(faults(low));
    /* One slab is kept, so that the next greenlet need not map one. */
    assert_non_null(stacks.slabs);
    gv_stacks_deinit(&stacks);
}

struct guest {
    struct gv_context *back;
    struct gv_stack *stack;
    int depth;
};

static __attribute__((noinline)) int dig(struct guest *guest, int depth)
{
    volatile char frame[200];

    frame[0] = (char)depth;
    return depth == 0 ? frame[0] : dig(guest, depth - 1) + (frame[0] != (char)depth);
}

static void run_guest(void *argument)
{
    struct guest *guest = argument;

    guest->depth = dig(guest, 20);
    gv_switch_last(&guest->stack->context, guest->back);
}

static void test_greenlets_run_on_pooled_stacks(void **state)
{
    struct gv_stacks stacks;
    struct gv_context main;

    (void)state;
    gv_stacks_init(&stacks, 0);
    gv_context_main(&main);
    for (int i = 0; i < 200; i++) {
        struct guest guest = {.back = &main, .depth = -1};

        guest.stack = gv_stack_take(&stacks);
        assert_non_null(guest.stack);
        gv_context_make(&guest.stack->context, guest.stack->low, gv_stack_room(guest.stack),
                        run_guest, &guest);
        gv_switch(&main, &guest.stack->context);
        assert_int_equal(guest.depth, 0);
        gv_stack_give(&stacks, guest.stack);
        if (i % 50 == 49)
            assert_int_equal(gv_stacks_trim(&stacks, 0), 1);
    }
    gv_context_free(&main);
    gv_stacks_deinit(&stacks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_write_below_a_stack_hits_its_guard),
        cmocka_unit_test(test_an_old_kernel_guards_by_mprotect),
        cmocka_unit_test(test_mprotect_guards_end_before_the_maps_of_the_process),
        cmocka_unit_test(test_the_warmest_stack_is_taken_first),
        cmocka_unit_test(test_stacks_max_bounds_a_pool),
        cmocka_unit_test(test_tops_have_29_colours),
        cmocka_unit_test(test_trim_returns_pages_and_keeps_guards),
        cmocka_unit_test(test_trim_unmaps_slabs_that_nobody_uses),
        cmocka_unit_test(test_greenlets_run_on_pooled_stacks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
