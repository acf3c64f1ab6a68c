/*
 * Capped arena: alignment, the cap to the byte, nothing left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/arena.h"

static void test_pieces_are_aligned_and_apart(void **state)
{
    (void)state;
    struct gv_capped_arena arena;
    uint8_t *last = NULL;

    gv_capped_arena_init(&arena, 1 << 20);
    for (size_t n = 0; n < 300; n++) {
        uint8_t *piece = gv_capped_arena_alloc(&arena, n);

        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % 16, 0);
        assert_ptr_not_equal(piece, last);
        memset(piece, (int)n, n);
        last = piece;
    }
    gv_capped_arena_deinit(&arena);
}

static void test_the_cap_is_reached_and_never_passed(void **state)
{
    (void)state;
    struct gv_capped_arena arena;
    unsigned n = 0;

    gv_capped_arena_init(&arena, 4096);
    while (gv_capped_arena_alloc(&arena, 100) != NULL)
        n++;
    assert_int_equal(n, 4096 / 112);
    assert_null(gv_capped_arena_alloc(&arena, 100));
    assert_non_null(gv_capped_arena_alloc(&arena, 4096 % 112));
    assert_null(gv_capped_arena_alloc(&arena, 1));
    assert_int_equal(arena.is_short, 0);
    gv_capped_arena_deinit(&arena);
}

static void test_a_piece_of_impossible_size_is_refused(void **state)
{
    (void)state;
    struct gv_capped_arena arena;

    gv_capped_arena_init(&arena, SIZE_MAX);
    assert_null(gv_capped_arena_alloc(&arena, SIZE_MAX));
    assert_null(gv_capped_arena_alloc(&arena, SIZE_MAX - 15));
    gv_capped_arena_deinit(&arena);
}

static void test_an_arena_can_be_used_again(void **state)
{
    (void)state;
    struct gv_capped_arena arena;

    gv_capped_arena_init(&arena, 64);
    for (int i = 0; i < 3; i++) {
        assert_non_null(arena.allocator.alloc(arena.allocator.allocator_data, 64));
        assert_null(arena.allocator.alloc(arena.allocator.allocator_data, 1));
        gv_capped_arena_deinit(&arena);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_aligned_and_apart),
        cmocka_unit_test(test_the_cap_is_reached_and_never_passed),
        cmocka_unit_test(test_a_piece_of_impossible_size_is_refused),
        cmocka_unit_test(test_an_arena_can_be_used_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
