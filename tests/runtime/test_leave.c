/*
 * Leaving: a caller goes on as if what it has called had returned, with all
 * that it kept in registers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/leave.h"
#include "runtime/sanitize.h"
#include "runtime/switch.h"

enum { STACK_BYTES = 256 << 10 };

#define APART __attribute__((noinline))

static struct {
    const void *local;
    unsigned n_went_on; /* callees that came to their end all the same */
    bool found;
    volatile int64_t seed;
    volatile double part;
} world;

static int (*volatile callee)(int depth);

/* Uses registers that it must keep, on the way down and up. */
static APART int sink(int depth)
{
    int64_t a = world.seed * 3, b = world.seed * 5, c = world.seed * 7, d = world.seed * 11;
    double x = world.part * 3, y = world.part * 5;
    struct gv_leave leave;
    int rc = 1;

    if (depth > 0) {
        rc = callee(depth - 1);
    } else {
        world.found = gv_leave_find(world.local, &leave);
        if (world.found)
            gv_leave_to(&leave, -42);
    }
    world.n_went_on++;
    return a + b + c + d + (int64_t)(x + y) != 0 ? rc : 2;
}

/* What it holds over the call must be as it was. */
static APART GV_FRAMED int stand(int depth, int *rc)
{
    volatile int local = 7;
    int64_t a = world.seed + 1, b = world.seed + 2, c = world.seed + 3, d = world.seed + 4,
            e = world.seed + 5, f = world.seed + 6;
    double x = world.part + 1, y = world.part + 2, z = world.part + 3;

    world.local = (const void *)&local;
    *rc = callee(depth);
    return a == world.seed + 1 && b == world.seed + 2 && c == world.seed + 3 && d == world.seed + 4
           && e == world.seed + 5 && f == world.seed + 6 && x == world.part + 1
           && y == world.part + 2 && z == world.part + 3 && local == 7;
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.seed = 1000;
    world.part = 0.5;
    callee = sink;
    return 0;
}

static void check(int kept, int rc, int depth)
{
    assert_true(kept);
#if defined(__x86_64__) || defined(__aarch64__)
    assert_true(world.found);
    assert_int_equal(world.n_went_on, 0);
    assert_int_equal(rc, -42);
    (void)depth;
#else
    assert_false(world.found);
    assert_int_equal(world.n_went_on, depth + 1);
    assert_int_equal(rc, 1);
#endif
}

static void test_the_caller_goes_on_with_the_result_and_all_it_kept(void **state)
{
    (void)state;
    for (int depth = 0; depth < 30; depth += 7) {
        int rc = 0, kept;

        world.n_went_on = 0;
        kept = stand(depth, &rc);
        check(kept, rc, depth);
    }
}

static struct gv_context home, away;
static int away_rc, away_kept;

static void run_away(void *unused)
{
    (void)unused;
    away_kept = stand(4, &away_rc);
    gv_switch(&away, &home);
    abort(); /* Nobody switches back. */
}

static void test_the_same_on_a_stack_of_its_own(void **state)
{
    char *low = aligned_alloc(64, STACK_BYTES);

    (void)state;
    assert_non_null(low);
    gv_context_main(&home);
    gv_context_make(&away, low, STACK_BYTES, run_away, NULL);
    gv_switch(&home, &away);
    check(away_kept, away_rc, 4);
    gv_context_free(&away);
    free(low);
}

static APART int find_elsewhere(int depth)
{
    struct gv_leave leave;

    (void)depth;
    world.found = gv_leave_find(world.local, &leave);
    return 1;
}

static void test_what_lies_in_no_frame_of_this_stack_is_not_found(void **state)
{
    (void)state;
    world.local = (const void *)UINTPTR_MAX; /* above all frames */
    world.found = true;
    assert_int_equal(find_elsewhere(0), 1);
    assert_false(world.found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_caller_goes_on_with_the_result_and_all_it_kept, set_up),
        cmocka_unit_test_setup(test_the_same_on_a_stack_of_its_own, set_up),
        cmocka_unit_test_setup(test_what_lies_in_no_frame_of_this_stack_is_not_found, set_up),
    };

    return cmocka_run_group_tests_name("leave", tests, NULL, NULL);
}
