/*
 * Parcels: packed in order, thrown away whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/parcel.h"

static struct gv_blocks here, there;
static struct gv_blocks *pools[GV_LOOPS_MAX];

static int set_up(void **state)
{
    (void)state;
    gv_blocks_init(&here, 0, pools);
    gv_blocks_init(&there, 1, pools);
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

/* n messages numbered by call, linked from newest to oldest. */
static struct gv_message *chain_of(unsigned n)
{
    struct gv_message *newest = NULL;

    for (unsigned i = 0; i < n; i++) {
        struct gv_message *message = gv_message_take(&here, i % 3 == 0 ? 100 : 8);

        message->call = i;
        message->next = newest;
        newest = message;
    }
    return newest;
}

static void test_a_parcel_names_its_messages_oldest_first(void **state)
{
    static const unsigned sizes[] = {1, 4, 10, 11, 26, 27, GV_PARCEL_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct gv_message *parcel = gv_parcel_pack(&here, chain_of(sizes[i]), sizes[i]);

        assert_true(gv_message_is_parcel(parcel));
        assert_int_equal(gv_parcel_of(parcel)->n, sizes[i]);
        for (unsigned k = 0; k < sizes[i]; k++)
            assert_int_equal(gv_parcel_of(parcel)->messages[k]->call, k);
        gv_parcel_discard(&here, parcel);
    }
    assert_int_equal(here.n_taken, 0);
}

static void test_a_parcel_is_thrown_away_with_what_is_in_it(void **state)
{
    struct gv_message *parcel = gv_parcel_pack(&here, chain_of(GV_PARCEL_MAX), GV_PARCEL_MAX);
    struct gv_message *alone = chain_of(1);

    (void)state;
    assert_false(gv_message_is_parcel(alone));
    gv_parcel_discard(&there, parcel);
    gv_parcel_discard(&there, alone);
    gv_blocks_flush(&there);
    gv_blocks_trim(&here);
    assert_int_equal(here.n_taken, 0);
}

static void test_an_answer_in_the_block_of_a_signal_is_no_parcel(void **state)
{
    struct gv_message *reply = chain_of(1);

    (void)state;
    reply->method = GV_SIGNAL_PARCEL;
    reply->form_flags = GV_FLAG_REPLY;
    assert_false(gv_message_is_parcel(reply));
    gv_parcel_discard(&here, reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_parcel_names_its_messages_oldest_first),
        cmocka_unit_test(test_a_parcel_is_thrown_away_with_what_is_in_it),
        cmocka_unit_test(test_an_answer_in_the_block_of_a_signal_is_no_parcel),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
