#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/timer.h"

#define MS(n) ((uint64_t)(n)*GV_GRAINS_PER_MS)

static struct gv_wheel wheel;

struct alarm {
    struct gv_timer timer;
    uint32_t fired_ms; /* what the wheel thought the time was */
    uint64_t fired_grains;
    int n_fired;
    struct alarm *other;
    uint32_t again_ms;
};

static void ring(struct gv_timer *timer)
{
    struct alarm *alarm = (struct alarm *)timer;

    alarm->n_fired++;
    alarm->fired_grains = wheel.now_grains;
    alarm->fired_ms = (uint32_t)(wheel.now_grains / GV_GRAINS_PER_MS);
}

static struct alarm alarm_at(uint32_t deadline_ms)
{
    struct alarm alarm = {.again_ms = deadline_ms};

    gv_timer_init(&alarm.timer, ring);
    return alarm;
}

static void test_a_timer_fires_at_its_deadline_and_once(void **state)
{
    struct alarm alarm = alarm_at(0);

    (void)state;
    gv_wheel_init(&wheel, MS(1000));
    gv_wheel_arm(&wheel, &alarm.timer, 1005);
    assert_int_equal(gv_wheel_next(&wheel), MS(1005));
    gv_wheel_advance(&wheel, MS(1004));
    assert_int_equal(alarm.n_fired, 0);
    assert_true(gv_timer_is_armed(&alarm.timer));
    gv_wheel_advance(&wheel, MS(1005));
    assert_int_equal(alarm.n_fired, 1);
    assert_false(gv_timer_is_armed(&alarm.timer));
    gv_wheel_advance(&wheel, MS(5000));
    assert_int_equal(alarm.n_fired, 1);
    assert_true(gv_wheel_next(&wheel) == GV_NEVER);
}

/* Steps as a loop does: to where next says, and there shall be no step for nothing. */
static void run_until_fired(struct alarm *alarm, uint64_t deadline_grains)
{
    assert_int_equal(gv_wheel_next(&wheel), deadline_grains);
    gv_wheel_advance(&wheel, deadline_grains - 1);
    assert_int_equal(alarm->n_fired, 0);
    assert_int_equal(gv_wheel_next(&wheel), deadline_grains);
    gv_wheel_advance(&wheel, deadline_grains);
    assert_int_equal(alarm->n_fired, 1);
    assert_int_equal(alarm->fired_grains, deadline_grains);
}

static void test_far_deadlines_are_met_to_the_millisecond(void **state)
{
    static const uint32_t starts[] = {0,        255,        256,         0xffff,
                                      0x123456, 0x7fffffff, 0xffffff00u, 0xffffffffu};
    static const uint32_t delays[] = {1,
                                      2,
                                      255,
                                      256,
                                      257,
                                      65535,
                                      65536,
                                      100000,
                                      0xffffff,
                                      0x1000000,
                                      0x1010101,
                                      500000000,
                                      GV_TIMER_AHEAD_MAX_MS};

    (void)state;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        for (size_t j = 0; j < sizeof(delays) / sizeof(delays[0]); j++) {
            struct alarm alarm = alarm_at(0);

            gv_wheel_init(&wheel, MS(starts[i]) + 77);
            gv_wheel_arm(&wheel, &alarm.timer, starts[i] + delays[j]); /* It may wrap. */
            run_until_fired(&alarm, MS(starts[i]) + MS(delays[j]));
        }
    }
}

static void test_exact_deadlines_are_met_to_the_grain(void **state)
{
    static const uint64_t starts[] = {0, 255, 0x12345678, 0xffffffffff, 0x7fffffffffff};
    static const uint64_t delays[] = {1, 2, 255, 256, 257, 65535, 0x1000001, MS(UINT32_MAX)};

    (void)state;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        for (size_t j = 0; j < sizeof(delays) / sizeof(delays[0]); j++) {
            struct alarm alarm = alarm_at(0);

            gv_wheel_init(&wheel, starts[i]);
            gv_wheel_arm_exactly(&wheel, &alarm.timer, starts[i] + delays[j]);
            run_until_fired(&alarm, starts[i] + delays[j]);
        }
    }
}

static unsigned n_rung;

static void ring_in_turn(struct gv_timer *timer)
{
    assert_int_equal(((struct alarm *)timer)->again_ms, n_rung);
    n_rung++;
}

static void test_timers_of_one_millisecond_fire_in_the_order_of_their_grains(void **state)
{
    struct alarm alarms[GV_GRAINS_PER_MS];

    (void)state;
    n_rung = 0;
    gv_wheel_init(&wheel, MS(3));
    for (unsigned i = 0; i < GV_GRAINS_PER_MS; i++) {
        unsigned place = i * 77 % GV_GRAINS_PER_MS;

        alarms[place] = alarm_at(place);
        alarms[place].timer.fire = ring_in_turn;
        gv_wheel_arm_exactly(&wheel, &alarms[place].timer, MS(10) + place);
    }
    gv_wheel_advance(&wheel, MS(10) + 5);
    assert_int_equal(n_rung, 6);
    gv_wheel_advance(&wheel, MS(11));
    assert_int_equal(n_rung, GV_GRAINS_PER_MS);
}

static void test_among_many_timers_the_next_is_never_told_too_late(void **state)
{
    struct alarm alarms[100];

    (void)state;
    gv_wheel_init(&wheel, MS(3));
    /* The earliest is the last that would be found. */
    for (unsigned i = 0; i < 100; i++) {
        alarms[i] = alarm_at(0);
        gv_wheel_arm_exactly(&wheel, &alarms[i].timer, MS(10) + 200 - i);
    }
    while (alarms[99].n_fired == 0) {
        uint64_t next = gv_wheel_next(&wheel);

        assert_true(next > wheel.now_grains && next <= MS(10) + 101);
        gv_wheel_advance(&wheel, next);
    }
    assert_int_equal(alarms[98].n_fired, 0);
    gv_wheel_advance(&wheel, MS(20));
}

static void test_a_disarmed_timer_does_not_fire(void **state)
{
    struct alarm alarm = alarm_at(0);

    (void)state;
    gv_wheel_init(&wheel, MS(7));
    gv_wheel_disarm(&wheel, &alarm.timer);
    gv_wheel_arm(&wheel, &alarm.timer, 20);
    gv_wheel_disarm(&wheel, &alarm.timer);
    gv_wheel_disarm(&wheel, &alarm.timer);
    assert_int_equal(wheel.n_armed, 0);
    assert_true(gv_wheel_next(&wheel) == GV_NEVER);
    gv_wheel_advance(&wheel, MS(100));
    assert_int_equal(alarm.n_fired, 0);
}

static void test_arming_again_moves_the_deadline(void **state)
{
    struct alarm alarm = alarm_at(0);

    (void)state;
    gv_wheel_init(&wheel, MS(0));
    gv_wheel_arm(&wheel, &alarm.timer, 10);
    gv_wheel_arm(&wheel, &alarm.timer, 1000);
    assert_int_equal(wheel.n_armed, 1);
    gv_wheel_advance(&wheel, MS(999));
    assert_int_equal(alarm.n_fired, 0);
    gv_wheel_advance(&wheel, MS(1000));
    assert_int_equal(alarm.n_fired, 1);
}

static void test_a_deadline_that_has_come_fires_in_the_next_advance(void **state)
{
    struct alarm now = alarm_at(0), past = alarm_at(0);

    (void)state;
    gv_wheel_init(&wheel, MS(100));
    gv_wheel_arm(&wheel, &now.timer, 100);
    gv_wheel_arm(&wheel, &past.timer, 40);
    assert_true(gv_wheel_next(&wheel) <= MS(100));
    gv_wheel_advance(&wheel, MS(100));
    assert_int_equal(now.n_fired + past.n_fired, 2);
    assert_int_equal(wheel.n_armed, 0);
}

static void ring_and_arm_again(struct gv_timer *timer)
{
    struct alarm *alarm = (struct alarm *)timer;

    alarm->n_fired++;
    alarm->fired_grains = wheel.now_grains;
    alarm->fired_ms = (uint32_t)(wheel.now_grains / GV_GRAINS_PER_MS);
    gv_wheel_arm(&wheel, timer, alarm->fired_ms + alarm->again_ms);
}

static void test_timers_may_be_armed_while_one_fires(void **state)
{
    struct alarm at_once = alarm_at(0), later = alarm_at(3);

    (void)state;
    at_once.timer.fire = later.timer.fire = ring_and_arm_again;
    gv_wheel_init(&wheel, MS(0));
    gv_wheel_arm(&wheel, &at_once.timer, 5);
    gv_wheel_arm(&wheel, &later.timer, 5);
    gv_wheel_advance(&wheel, MS(12));
    /* 5, 8, 11 are in; what has come already waits for the next advance, or this one would not end. */
    assert_int_equal(later.n_fired, 3);
    assert_int_equal(later.fired_ms, 11);
    assert_int_equal(at_once.n_fired, 1);
    assert_true(gv_wheel_next(&wheel) <= MS(12));
    gv_wheel_advance(&wheel, MS(12));
    assert_int_equal(at_once.n_fired, 2);
    gv_wheel_disarm(&wheel, &at_once.timer);
    gv_wheel_disarm(&wheel, &later.timer);
}

static void ring_and_disarm_other(struct gv_timer *timer)
{
    struct alarm *alarm = (struct alarm *)timer;

    alarm->n_fired++;
    gv_wheel_disarm(&wheel, &alarm->other->timer);
}

static void test_a_firing_timer_may_disarm_its_neighbour(void **state)
{
    struct alarm first = alarm_at(0), second = alarm_at(0), third = alarm_at(0);

    (void)state;
    first.timer.fire = ring_and_disarm_other;
    first.other = &second;
    gv_wheel_init(&wheel, MS(0));
    gv_wheel_arm(&wheel, &first.timer, 5);
    gv_wheel_arm(&wheel, &second.timer, 5);
    gv_wheel_arm(&wheel, &third.timer, 5);
    gv_wheel_advance(&wheel, MS(9));
    assert_int_equal(first.n_fired, 1);
    assert_int_equal(second.n_fired, 0);
    assert_int_equal(third.n_fired, 1);
    assert_int_equal(wheel.n_armed, 0);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Against the plainest wheel there is: an array that is searched. Milliseconds wrap meanwhile. */
static void test_a_thousand_random_timers_fire_when_a_list_says(void **state)
{
    enum { N = 1000, STEPS = 3000 };
    static struct alarm alarms[N];
    static uint64_t deadlines[N]; /* 0: not armed */
    uint64_t now = MS(0xffffff00u);
    int expected[N] = {0};
    uint32_t seed = 4711;

    (void)state;
    gv_wheel_init(&wheel, now);
    for (int i = 0; i < N; i++)
        alarms[i] = alarm_at(0);
    for (int step = 0; step < STEPS; step++) {
        for (int n = 0; n < 5; n++) {
            uint32_t i = next_random(&seed) % N;
            uint32_t delay = next_random(&seed) % (1u << next_random(&seed) % 24);

            if (next_random(&seed) % 4 == 0) {
                gv_wheel_disarm(&wheel, &alarms[i].timer);
                deadlines[i] = 0;
            } else if (next_random(&seed) % 2 == 0) {
                deadlines[i] = MS((now + delay) / GV_GRAINS_PER_MS);
                gv_wheel_arm(&wheel, &alarms[i].timer,
                             (uint32_t)((now + delay) / GV_GRAINS_PER_MS));
            } else {
                deadlines[i] = now + delay;
                gv_wheel_arm_exactly(&wheel, &alarms[i].timer, now + delay);
            }
        }
        now += next_random(&seed) % (1u << next_random(&seed) % 16);
        assert_true(gv_wheel_next(&wheel) != GV_NEVER);
        gv_wheel_advance(&wheel, now);
        for (int i = 0; i < N; i++) {
            if (deadlines[i] != 0 && deadlines[i] <= now) {
                deadlines[i] = 0;
                expected[i]++;
            }
            assert_int_equal(alarms[i].n_fired, expected[i]);
            assert_int_equal(gv_timer_is_armed(&alarms[i].timer), deadlines[i] != 0);
        }
    }
    assert_true(now > MS(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_timer_fires_at_its_deadline_and_once),
        cmocka_unit_test(test_far_deadlines_are_met_to_the_millisecond),
        cmocka_unit_test(test_exact_deadlines_are_met_to_the_grain),
        cmocka_unit_test(test_timers_of_one_millisecond_fire_in_the_order_of_their_grains),
        cmocka_unit_test(test_among_many_timers_the_next_is_never_told_too_late),
        cmocka_unit_test(test_a_disarmed_timer_does_not_fire),
        cmocka_unit_test(test_arming_again_moves_the_deadline),
        cmocka_unit_test(test_a_deadline_that_has_come_fires_in_the_next_advance),
        cmocka_unit_test(test_timers_may_be_armed_while_one_fires),
        cmocka_unit_test(test_a_firing_timer_may_disarm_its_neighbour),
        cmocka_unit_test(test_a_thousand_random_timers_fire_when_a_list_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
