/*
 * Services: registration and indices.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stage.h"

#include "actors/service.h"

static void test_registering_twice_gives_the_same_indices(void **state)
{
    uint32_t n;
    uint16_t index;

    (void)state;
    assert_int_equal(grove_service_register(&play_service_table), 0);
    n = gv_method_count();
    index = gv_method_index(&play_service_table, 0);
    assert_int_not_equal(index, 0);
    assert_int_equal(grove_service_register(&play_service_table), 0);
    assert_int_equal(gv_method_count(), n);
    assert_int_equal(gv_method_index(&play_service_table, 0), index);
}

static void test_methods_stand_in_a_row_and_are_found_by_name(void **state)
{
    uint16_t first = gv_method_index(&play_service_table, 0);

    (void)state;
    for (uint32_t i = 0; i < play_service_table.n_methods; i++) {
        assert_int_equal(gv_method_index(&play_service_table, i), first + i);
        assert_ptr_equal(gv_method((uint16_t)(first + i)), &play_service_table.methods[i]);
        assert_int_equal(gv_method_named(play_service_table.methods[i].name), first + i);
        if (i > 0)
            assert_true(
                strcmp(play_service_table.methods[i - 1].name, play_service_table.methods[i].name)
                < 0);
    }
    assert_int_equal(gv_method_named("play.v1.PlayService/None"), 0);
    assert_null(gv_method(0));
    assert_null(gv_method((uint16_t)(gv_method_count() + 1)));
}

static void test_code_of_another_generator_is_refused_by_every_way_in(void **state)
{
    static uint32_t index;
    struct grove_service old = play_service_table;
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    grove_ref ref = stage_spawn(NULL);

    (void)state;
    old.index = &index;
    old.generator_version = 99;
    assert_int_equal(grove_service_register(&old), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "99"));
    assert_int_equal(gv_method_index(&old, 0), 0);
    assert_int_equal(grove_send(ref, &old, 0, &request.base), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "99"));
    assert_int_equal(grove_spawn(&old, &stage_player, NULL, NULL, &ref), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "grove-gen"));
}

static void test_more_methods_than_the_table_holds_are_refused(void **state)
{
    static uint32_t index;
    struct grove_service endless = play_service_table;
    uint32_t n = gv_method_count();

    (void)state;
    endless.index = &index;
    endless.n_methods = GV_METHODS_MAX;
    assert_int_equal(grove_service_register(&endless), GROVE_EFULL);
    assert_int_equal(gv_method_count(), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_registering_twice_gives_the_same_indices),
        stage_test(test_methods_stand_in_a_row_and_are_found_by_name),
        stage_test(test_code_of_another_generator_is_refused_by_every_way_in),
        stage_test(test_more_methods_than_the_table_holds_are_refused),
    };

    return cmocka_run_group_tests_name("service", tests, stage_set_up, stage_tear_down);
}
