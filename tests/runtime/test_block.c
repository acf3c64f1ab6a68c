#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/block.h"

static struct gv_blocks here, there;
static struct gv_blocks *pools[GV_LOOPS_MAX];

static int set_up(void **state)
{
    (void)state;
    gv_blocks_init(&here, 3, pools);
    gv_blocks_init(&there, GV_LOOPS_MAX - 1, pools);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gv_blocks_flush(&here);
    gv_blocks_flush(&there);
    gv_blocks_deinit(&here);
    gv_blocks_deinit(&there);
    return 0;
}

static void test_a_message_has_room_for_its_body(void **state)
{
    static const size_t sizes[] = {0, 1, 16, 17, 80, 81, 208, 209, 975, 976, 977, 4096, 100000};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct gv_message *message = gv_message_take(&here, sizes[i]);

        assert_non_null(message);
        assert_true(gv_message_room(message) >= sizes[i]);
        assert_int_equal(gv_message_charge(message), gv_message_room(message) + sizeof(*message));
        assert_int_equal((uintptr_t)message->body % 16, 0);
        memset(message->body, 0xaa, sizes[i]);
        gv_message_give(&here, message);
    }
    assert_int_equal(here.n_taken, 0);
    assert_int_equal(here.n_heap, 0);
}

static void test_a_small_message_is_one_cache_line(void **state)
{
    struct gv_message *message = gv_message_take(&here, 16);

    (void)state;
    assert_int_equal(gv_message_charge(message), 64);
    assert_int_equal((uintptr_t)message % 64, 0);
    gv_message_give(&here, message);
}

static void test_a_taken_message_has_a_clean_header(void **state)
{
    struct gv_message *message = gv_message_take(&here, 16), *again;

    (void)state;
    message->call = 1;
    message->to = 2;
    message->from = 3;
    message->deadline_ms = 4;
    message->method = 5;
    message->form_flags = GV_FLAG_REPLY;
    message->chain = (struct gv_chain *)message;
    gv_message_give(&here, message);
    again = gv_message_take(&here, 16);
    assert_ptr_equal(again, message);
    assert_null(again->next);
    assert_null(again->chain);
    assert_int_equal(again->call | again->to | again->from | again->deadline_ms, 0);
    assert_int_equal(again->method | again->form_flags, 0);
    gv_message_give(&here, again);
}

static void test_a_message_over_the_bound_is_refused(void **state)
{
    struct gv_message *message;

    (void)state;
    assert_null(gv_message_take(&here, GV_BLOCK_BYTES_MAX - sizeof(*message) + 1));
    assert_null(gv_message_take(&here, SIZE_MAX));
    message = gv_message_take(&here, GV_BLOCK_BYTES_MAX - sizeof(*message));
    assert_non_null(message);
    assert_int_equal(gv_message_charge(message), GV_BLOCK_BYTES_MAX);
    gv_message_give(&there, message);
    assert_int_equal(here.n_heap + there.n_heap, 0);
}

static void test_no_two_messages_share_memory(void **state)
{
    enum { N = 3000 };
    static struct gv_message *all[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        all[i] = gv_message_take(&here, i % 3 == 0 ? 16 : i % 3 == 1 ? 200 : 900);
        all[i]->call = (uint64_t)i;
        memset(all[i]->body, i & 0xff, gv_message_room(all[i]));
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(all[i]->call, i);
        assert_int_equal(all[i]->body[0], i & 0xff);
        assert_int_equal(all[i]->body[gv_message_room(all[i]) - 1], i & 0xff);
        gv_message_give(&here, all[i]);
    }
}

static void test_a_foreign_block_goes_home_with_the_flush(void **state)
{
    struct gv_message *message = gv_message_take(&here, 16);

    (void)state;
    gv_message_give(&there, message);
    assert_int_equal(here.n_taken, 1);
    gv_blocks_flush(&there);
    gv_blocks_trim(&here);
    assert_int_equal(here.n_taken, 0);
}

static void test_sixty_four_foreign_blocks_go_home_by_themselves(void **state)
{
    static struct gv_message *all[GV_BLOCK_CHAIN_MAX];

    (void)state;
    for (unsigned i = 0; i < GV_BLOCK_CHAIN_MAX; i++)
        all[i] = gv_message_take(&here, i % 2 ? 16 : 100);
    for (unsigned i = 0; i < GV_BLOCK_CHAIN_MAX; i++)
        gv_message_give(&there, all[i]);
    gv_blocks_trim(&here);
    assert_int_equal(here.n_taken, 0);
}

/* The largest ones carry the others: what came in a parcel goes home in it. */
static void test_large_foreign_blocks_carry_the_others_home(void **state)
{
    enum { N = 500 };
    static struct gv_message *all[N];

    (void)state;
    for (int every = 1; every <= 100; every += 33) {
        for (int i = 0; i < N; i++)
            all[i] = gv_message_take(&here, i % every == 0 ? 900 : i % 2 ? 16 : 100);
        for (int i = 0; i < N; i++)
            gv_message_give(&there, all[i]);
        gv_blocks_flush(&there);
        assert_int_equal(there.strangers, 0);
        gv_blocks_trim(&here);
        assert_int_equal(here.n_taken, 0);
    }
    /* Each has come home once: no two of these are the same. */
    for (int i = 0; i < N; i++) {
        all[i] = gv_message_take(&here, 900);
        all[i]->call = (uint64_t)i;
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(all[i]->call, i);
        gv_message_give(&here, all[i]);
    }
}

static void test_a_spare_parcel_comes_before_links_and_goes_home_with_the_flush(void **state)
{
    struct gv_message *parcel = gv_message_take(&here, 900), *small = gv_message_take(&here, 8);

    (void)state;
    gv_message_give(&there, parcel);
    gv_blocks_flush(&there);
    assert_int_equal(there.strangers, 0);
    gv_blocks_trim(&here);
    assert_int_equal(here.n_taken, 1);

    parcel = gv_message_take(&here, 900);
    gv_message_give(&there, parcel);
    gv_message_give(&there, small);
    assert_ptr_equal(there.returns[3].parcel, parcel);
    assert_null(there.returns[3].first);
    gv_blocks_flush(&there);
    assert_int_equal(there.strangers, 0);
    gv_blocks_trim(&here);
    assert_int_equal(here.n_taken, 0);
}

/* A parcel that is one block among others carries nothing. */
static void test_a_second_parcel_goes_home_as_a_block(void **state)
{
    struct gv_message *first = gv_message_take(&here, 900), *second = gv_message_take(&here, 100),
                      *small = gv_message_take(&here, 8);

    (void)state;
    small->method = first->method = second->method = GV_SIGNAL_PARCEL;
    memset(small->body, 0xff, 16);
    memset(second->body, 0xff, 80);
    gv_message_give(&there, small);
    gv_message_give(&there, first);
    gv_message_give(&there, second);
    gv_blocks_flush(&there);
    gv_blocks_trim(&here);
    assert_int_equal(here.n_taken, 0);
}

static void test_blocks_that_came_home_are_used_before_new_slabs(void **state)
{
    enum { N = 1023 };
    static struct gv_message *all[N];

    (void)state;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < N; i++)
            all[i] = gv_message_take(&here, 8);
        for (int i = 0; i < N; i++)
            gv_message_give(&there, all[i]);
        gv_blocks_flush(&there);
    }
    assert_int_equal(here.n_slabs, 1);
}

static void test_trim_keeps_one_slab_per_class(void **state)
{
    enum { N = 10000 };
    static struct gv_message *all[N];

    (void)state;
    for (int i = 0; i < N; i++)
        all[i] = gv_message_take(&here, 16);
    assert_int_equal(here.n_slabs, (N + 1022) / 1023);
    gv_blocks_trim(&here);
    assert_int_equal(here.n_slabs, (N + 1022) / 1023);
    for (int i = 0; i < N; i++) {
        if (i != 5000)
            gv_message_give(&here, all[i]);
    }
    gv_blocks_trim(&here);
    /* One that is in use, one that is kept. */
    assert_int_equal(here.n_slabs, 2);
    all[5000]->body[0] = 1;
    for (int i = 0; i < 2000; i++)
        all[i] = gv_message_take(&here, 16);
    for (int i = 0; i < 2000; i++)
        gv_message_give(&here, all[i]);
    gv_message_give(&here, all[5000]);
    gv_blocks_trim(&here);
    assert_int_equal(here.n_slabs, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_message_has_room_for_its_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_small_message_is_one_cache_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_taken_message_has_a_clean_header, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_message_over_the_bound_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_no_two_messages_share_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_foreign_block_goes_home_with_the_flush, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_sixty_four_foreign_blocks_go_home_by_themselves,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_large_foreign_blocks_carry_the_others_home, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_spare_parcel_comes_before_links_and_goes_home_with_the_flush, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_second_parcel_goes_home_as_a_block, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_blocks_that_came_home_are_used_before_new_slabs,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_trim_keeps_one_slab_per_class, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
