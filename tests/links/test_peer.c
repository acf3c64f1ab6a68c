/* Who may send what, and who is whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "links/peer.h"

#define EITHER GV_FRAME_CREDIT, GV_FRAME_PING, GV_FRAME_PONG, GV_FRAME_BYE, GV_FRAME_CHUNK
#define ALL_OF_CLIENTS \
    GV_FRAME_CALL, GV_FRAME_ITEM, GV_FRAME_CANCEL, GV_FRAME_MONITOR, GV_FRAME_DEMONITOR
#define ALL_OF_SERVERS \
    GV_FRAME_REPLY, GV_FRAME_ITEM, GV_FRAME_STARTED, GV_FRAME_PROGRESS, GV_FRAME_DRAIN

/* All that each side of a link may send once both have agreed; types that may be skipped aside. */
static const struct {
    enum gv_peer_class class;
    bool dialled;
    uint8_t types[24]; /* 0 ends the list */
} table[] = {
    {GV_PEER_NONE, true, {0}},
    {GV_PEER_NONE, false, {0}},
    {GV_PEER_WORKER, true, {EITHER, GV_FRAME_SCHEMA, ALL_OF_SERVERS}},
    {GV_PEER_WORKER,
     false,
     {EITHER, GV_FRAME_SCHEMA, GV_FRAME_CALL, GV_FRAME_ITEM, GV_FRAME_CANCEL, GV_FRAME_DRAIN}},
    {GV_PEER_CLIENT, true, {EITHER, GV_FRAME_SCHEMA, ALL_OF_CLIENTS}},
    {GV_PEER_CLIENT, false, {EITHER, GV_FRAME_SCHEMA, ALL_OF_SERVERS, GV_FRAME_DOWN}},
    {GV_PEER_NODE, true, {EITHER, GV_FRAME_SCHEMA, ALL_OF_CLIENTS, ALL_OF_SERVERS, GV_FRAME_DOWN}},
    {GV_PEER_NODE, false, {EITHER, GV_FRAME_SCHEMA, ALL_OF_CLIENTS, ALL_OF_SERVERS, GV_FRAME_DOWN}},
    {GV_PEER_ADMIN, true, {EITHER, GV_FRAME_CALL, GV_FRAME_ITEM, GV_FRAME_CANCEL}},
    {GV_PEER_ADMIN,
     false,
     {EITHER, GV_FRAME_SCHEMA, GV_FRAME_REPLY, GV_FRAME_ITEM, GV_FRAME_DRAIN}},
};

static void test_each_side_may_send_what_the_table_says_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        for (unsigned type = 1; type < GV_FRAME_OPTIONAL; type++) {
            bool may = memchr(table[i].types, (int)type, sizeof table[i].types) != NULL;

            if (gv_peer_may_send(table[i].class, table[i].dialled, (uint8_t)type) != may)
                fail_msg("class %d, %s: type %u", (int)table[i].class,
                         table[i].dialled ? "dialler" : "listener", type);
        }
}

static void test_nobody_greets_twice_or_sends_a_reserved_type(void **state)
{
    static const uint8_t never[] = {GV_FRAME_HELLO, GV_FRAME_WELCOME, GV_FRAME_PROBE, GV_FRAME_EXIT,
                                    GV_FRAME_OWNER};

    (void)state;
    for (int kind = GV_PEER_NONE; kind <= GV_PEER_ADMIN; kind++)
        for (size_t i = 0; i < sizeof never; i++) {
            assert_false(gv_peer_may_send((enum gv_peer_class)kind, true, never[i]));
            assert_false(gv_peer_may_send((enum gv_peer_class)kind, false, never[i]));
        }
}

static void test_types_that_may_be_skipped_come_from_anybody(void **state)
{
    (void)state;
    for (unsigned type = GV_FRAME_OPTIONAL; type <= UINT8_MAX; type++) {
        assert_true(gv_peer_may_send(GV_PEER_WORKER, true, (uint8_t)type));
        assert_true(gv_peer_may_send(GV_PEER_ADMIN, false, (uint8_t)type));
    }
}

static void test_tokens_differ_by_any_bit(void **state)
{
    uint8_t a[GV_TOKEN_BYTES] = "0123456789abcde", b[GV_TOKEN_BYTES] = "0123456789abcde";

    (void)state;
    assert_true(gv_peer_token_equal(a, b));
    for (unsigned bit = 0; bit < GV_TOKEN_BYTES * 8; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(gv_peer_token_equal(a, b));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void test_a_child_needs_its_pid_and_its_token(void **state)
{
    const struct gv_identity identity = {.pid = 42, .uid = 1};
    uint8_t known[GV_TOKEN_BYTES] = "0123456789abcde", said[GV_TOKEN_BYTES] = "0123456789abcde";

    (void)state;
    assert_null(gv_peer_check_child(&identity, 42, said, known));
    assert_non_null(strstr(gv_peer_check_child(&identity, 43, said, known), "not the process"));
    assert_non_null(strstr(gv_peer_check_child(&identity, 42, NULL, known), "its token"));
    said[GV_TOKEN_BYTES - 1] ^= 1;
    assert_non_null(strstr(gv_peer_check_child(&identity, 42, said, known), "its token"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_side_may_send_what_the_table_says_and_nothing_else),
        cmocka_unit_test(test_nobody_greets_twice_or_sends_a_reserved_type),
        cmocka_unit_test(test_types_that_may_be_skipped_come_from_anybody),
        cmocka_unit_test(test_tokens_differ_by_any_bit),
        cmocka_unit_test(test_a_child_needs_its_pid_and_its_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
