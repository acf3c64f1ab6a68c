#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/arena.h"

static struct gv_blocks blocks;
static struct gv_blocks *pools[GV_LOOPS_MAX];
static struct gv_arena arena;

static int set_up(void **state)
{
    (void)state;
    gv_blocks_init(&blocks, 0, pools);
    arena = (struct gv_arena){0};
    return 0;
}

/* The pool asserts that every chunk has come back. */
static int tear_down(void **state)
{
    (void)state;
    gv_arena_cut(&arena, &blocks, NULL, 0);
    gv_blocks_deinit(&blocks);
    return 0;
}

static void test_pieces_are_zeroed_aligned_and_do_not_overlap(void **state)
{
    enum { N = 500 };
    unsigned char *pieces[N];

    (void)state;
    for (size_t i = 0; i < N; i++) {
        pieces[i] = gv_arena_take(&arena, &blocks, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        for (size_t k = 0; k < i; k++)
            assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)i, i);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_equal(pieces[i][k], (unsigned char)i);
}

static void test_nothing_is_taken_before_the_first_piece(void **state)
{
    (void)state;
    assert_int_equal(blocks.n_taken, 0);
    gv_arena_cut(&arena, &blocks, NULL, 0);
    assert_int_equal(blocks.n_taken, 0);
}

static void test_a_cut_gives_back_what_came_after_its_mark_and_nothing_else(void **state)
{
    char *kept = gv_arena_take(&arena, &blocks, 100);
    struct gv_message *chunk = arena.chunk;
    size_t used_bytes = arena.used_bytes;
    char *after;

    (void)state;
    strcpy(kept, "kept");
    for (int i = 0; i < 100; i++) {
        char *piece = gv_arena_take(&arena, &blocks, 300);

        assert_non_null(piece);
        memset(piece, 0xaa, 300);
    }
    gv_arena_cut(&arena, &blocks, chunk, used_bytes);
    assert_int_equal(blocks.n_taken, 1);
    assert_string_equal(kept, "kept");
    /* What is taken again is zeroed again. */
    after = gv_arena_take(&arena, &blocks, 300);
    for (int i = 0; i < 300; i++)
        assert_int_equal(after[i], 0);
    assert_true(after >= kept + 100);
}

static void test_a_piece_larger_than_half_a_block_is_refused(void **state)
{
    (void)state;
    assert_null(gv_arena_take(&arena, &blocks, GV_BLOCK_BYTES_MAX / 2 + 1));
    assert_null(gv_arena_take(&arena, &blocks, SIZE_MAX));
    assert_non_null(gv_arena_take(&arena, &blocks, 100000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pieces_are_zeroed_aligned_and_do_not_overlap, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_is_taken_before_the_first_piece, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_cut_gives_back_what_came_after_its_mark_and_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_piece_larger_than_half_a_block_is_refused, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
