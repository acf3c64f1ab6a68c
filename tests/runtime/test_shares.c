/*
 * How the time of a turn is divided between CPU, queue and waits, by what
 * the kernel says of its thread; and which kind of stall that makes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/shares.h"

#define MS         UINT64_C(1000000)
#define THRESHOLD  (25 * MS)
#define GAP        (6 * MS)
#define N_GAPS_MAX 100u

/* A turn that has been looked at so far. */
static struct gv_shares shares;
static struct gv_look before;
static uint64_t age_ns;

static int begin(void **state)
{
    (void)state;
    shares = (struct gv_shares){0};
    before = (struct gv_look){.state = 'R', .cpu_ns = 1000 * MS, .queued_ns = 50 * MS};
    age_ns = GAP;
    return 0;
}

/* The next look, a gap later, finds the thread so. */
static void pass(char state, uint64_t cpu_ns, uint64_t charged_ns)
{
    struct gv_look now = before;

    now.state = state;
    now.cpu_ns += cpu_ns;
    now.queued_ns += charged_ns;
    now.on_disk = state == 'D';
    gv_shares_add(&shares, &before, &now, GAP);
    before = now;
    age_ns += GAP;
}

static enum grove_stall_kind kind(void)
{
    return gv_shares_kind(&shares, age_ns, THRESHOLD);
}

static void test_who_computes_all_the_time_is_on_cpu(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        pass('R', GAP, 0);
    assert_int_equal(kind(), GROVE_STALL_ON_CPU);
    assert_int_equal(shares.cpu_ns, 4 * GAP);
    assert_int_equal(gv_shares_own(&shares, age_ns), age_ns);
}

static void test_who_sleeps_is_blocked_and_on_a_disk_that_is_told(void **state)
{
    for (int i = 0; i < 4; i++)
        pass('S', 0, 0);
    assert_int_equal(kind(), GROVE_STALL_BLOCKED);
    (void)begin(state);
    for (int i = 0; i < 4; i++)
        pass('D', 0, 0);
    assert_int_equal(kind(), GROVE_STALL_DISK);
}

static void test_who_never_gets_a_cpu_is_starved_though_nothing_is_charged(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        pass('R', 0, 0);
    assert_int_equal(kind(), GROVE_STALL_STARVED);
    assert_int_equal(shares.queued_ns, 8 * GAP);
}

static void test_what_was_counted_ahead_is_not_counted_again_when_it_is_charged(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        pass('R', 0, 0);
    pass('R', GAP, 4 * GAP);
    assert_int_equal(shares.queued_ns, 4 * GAP);
    assert_int_equal(shares.cpu_ns, GAP);
    assert_int_equal(shares.owed_ns, 0);
}

static void test_who_shares_a_cpu_is_on_cpu_once_it_has_used_the_threshold_itself(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        pass('R', GAP / 3, GAP - GAP / 3);
    assert_int_equal(kind(), GROVE_STALL_STARVED);
    for (int i = 0; i < 12; i++)
        pass('R', GAP / 3, GAP - GAP / 3);
    assert_int_equal(kind(), GROVE_STALL_ON_CPU);
}

static void test_a_wait_that_was_over_when_looked_at_is_no_wait_for_a_cpu(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct gv_look now = before;

        now.cpu_ns += GAP / 10;
        now.has_waited = true;
        gv_shares_add(&shares, &before, &now, GAP);
        before = now;
        age_ns += GAP;
    }
    assert_int_equal(shares.queued_ns, 0);
    assert_int_equal(kind(), GROVE_STALL_BLOCKED);
}

static void test_the_parts_never_come_to_more_than_the_whole(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N_GAPS_MAX; i++)
        pass("RSD"[i % 3], i * 37 % 11 * MS, i * 53 % 13 * MS);
    assert_int_equal(shares.cpu_ns + shares.queued_ns + shares.blocked_ns + shares.disk_ns
                         + shares.unseen_ns,
                     N_GAPS_MAX * GAP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_who_computes_all_the_time_is_on_cpu, begin),
        cmocka_unit_test_setup(test_who_sleeps_is_blocked_and_on_a_disk_that_is_told, begin),
        cmocka_unit_test_setup(test_who_never_gets_a_cpu_is_starved_though_nothing_is_charged,
                               begin),
        cmocka_unit_test_setup(test_what_was_counted_ahead_is_not_counted_again_when_it_is_charged,
                               begin),
        cmocka_unit_test_setup(
            test_who_shares_a_cpu_is_on_cpu_once_it_has_used_the_threshold_itself, begin),
        cmocka_unit_test_setup(test_a_wait_that_was_over_when_looked_at_is_no_wait_for_a_cpu,
                               begin),
        cmocka_unit_test_setup(test_the_parts_never_come_to_more_than_the_whole, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
