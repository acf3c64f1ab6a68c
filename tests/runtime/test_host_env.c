/* Time and choice, as the real world has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/host.h"

static const struct gv_env *env;

static void test_time_does_not_go_back(void **state)
{
    uint64_t before = env->now_ns(env->world);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = env->now_ns(env->world);

        assert_true(now >= before);
        before = now;
    }
    assert_true(env->wall_ms(env->world) > INT64_C(1700000000000));
}

static void test_choices_stay_below_n_and_reach_all(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint32_t choice = env->choose(env->world, 7, GV_CHOICE_LOOP);

        assert_true(choice < 7);
        seen |= 1u << choice;
    }
    assert_int_equal(seen, 0x7f);
    assert_int_equal(env->choose(env->world, 1, GV_CHOICE_READY), 0);
}

static void test_random_numbers_differ(void **state)
{
    uint64_t all[100];

    (void)state;
    for (int i = 0; i < 100; i++) {
        all[i] = env->random(env->world);
        for (int k = 0; k < i; k++)
            assert_true(all[k] != all[i]);
    }
}

static void test_a_broken_pipe_does_not_end_us(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(write(ends[1], "x", 1), -1);
    assert_int_equal(close(ends[1]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_does_not_go_back),
        cmocka_unit_test(test_choices_stay_below_n_and_reach_all),
        cmocka_unit_test(test_random_numbers_differ),
        cmocka_unit_test(test_a_broken_pipe_does_not_end_us),
    };

    env = gv_env_host();
    return cmocka_run_group_tests_name("host_env", tests, NULL, NULL);
}
