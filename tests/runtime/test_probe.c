#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/probe.h"

static int n_looked;

static uint64_t look(void)
{
    n_looked++;
    return 7;
}

static void test_nothing_is_computed_while_nobody_listens(void **state)
{
    struct gv_probes probes = {0};

    (void)state;
    gv_probe(&probes, SEND, look(), look());
    assert_int_equal(n_looked, 0);
}

static void test_only_the_chosen_points_reach_the_sink(void **state)
{
    uint64_t counts[GV_PROBE_COUNT] = {0};
    struct gv_probes probes = {.on = 1u << GV_PROBE_PARK | 1u << GV_PROBE_COMMIT,
                               .sink = gv_probe_count,
                               .listener = counts};

    (void)state;
    gv_probe(&probes, SEND, 1, 2);
    gv_probe(&probes, PARK, 1, 2);
    gv_probe(&probes, PARK, 1, 2);
    gv_probe(&probes, COMMIT, 1, 2);
    for (int point = 0; point < GV_PROBE_COUNT; point++)
        assert_int_equal(counts[point], point == GV_PROBE_PARK     ? 2
                                        : point == GV_PROBE_COMMIT ? 1
                                                                   : 0);
}

static uint64_t hash_of(const uint64_t trace[][3], size_t n)
{
    uint64_t hash = 1;
    struct gv_probes probes = {.on = UINT32_MAX, .sink = gv_probe_hash, .listener = &hash};

    for (size_t i = 0; i < n; i++)
        probes.sink(probes.listener, (enum gv_probe_point)trace[i][0], trace[i][1], trace[i][2]);
    return hash;
}

static void test_the_hash_tells_traces_apart(void **state)
{
    static const uint64_t first[][3] = {{GV_PROBE_SEND, 1, 2}, {GV_PROBE_START, 3, 4}};
    static const uint64_t order[][3] = {{GV_PROBE_START, 3, 4}, {GV_PROBE_SEND, 1, 2}};
    static const uint64_t value[][3] = {{GV_PROBE_SEND, 1, 2}, {GV_PROBE_START, 4, 3}};
    static const uint64_t point[][3] = {{GV_PROBE_SEND, 1, 2}, {GV_PROBE_END, 3, 4}};

    (void)state;
    assert_true(hash_of(first, 2) == hash_of(first, 2));
    assert_true(hash_of(first, 2) != hash_of(order, 2));
    assert_true(hash_of(first, 2) != hash_of(value, 2));
    assert_true(hash_of(first, 2) != hash_of(point, 2));
    assert_true(hash_of(first, 2) != hash_of(first, 1));
    /* The same with every compiler: a replay is compared across builds. */
    assert_true(hash_of(first, 2) == UINT64_C(0x57a0f6c2626e9205));
}

static void test_every_point_has_its_name(void **state)
{
    (void)state;
    for (int point = 0; point < GV_PROBE_COUNT; point++)
        assert_non_null(gv_probe_name((enum gv_probe_point)point));
    assert_string_equal(gv_probe_name(GV_PROBE_SEND), "SEND");
    assert_string_equal(gv_probe_name(GV_PROBE_FRAME_OUT), "FRAME_OUT");
    assert_string_equal(gv_probe_name(GV_PROBE_COMMIT), "COMMIT");
    assert_string_equal(gv_probe_name(GV_PROBE_COUNT), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_computed_while_nobody_listens),
        cmocka_unit_test(test_only_the_chosen_points_reach_the_sink),
        cmocka_unit_test(test_the_hash_tells_traces_apart),
        cmocka_unit_test(test_every_point_has_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
