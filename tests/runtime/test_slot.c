/*
 * Slots: ids, lives, and how they come back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/slot.h"

static struct gv_slots slots[2];

static int set_up(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        gv_slots_init(&slots[i], i);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gv_slots_close();
    return 0;
}

static struct gv_task *born(unsigned by, unsigned home, size_t bytes)
{
    struct gv_task *task = gv_slot_take(&slots[by], home, bytes);

    assert_non_null(task);
    gv_slot_live(task);
    return task;
}

static void test_a_slot_is_zeroed_for_each_life(void **state)
{
    static const size_t sizes[] = {64, 128, 129, 192, 200, 512, 1000, 4096};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int life = 0; life < 2; life++) {
            struct gv_task *task = born(0, 0, sizes[i]);
            unsigned char *rest = (unsigned char *)(task + 1);

            assert_int_equal(task->flags, 0);
            assert_null(task->mailbox.head);
            assert_null(task->turn);
            for (size_t k = 0; k < sizes[i] - sizeof *task; k++)
                assert_int_equal(rest[k], 0);
            memset(rest, 0xaa, sizes[i] - sizeof *task);
            task->flags = 0xff;
            task->bounds.depth_max = 77;
            gv_slot_give(&slots[0], task);
        }
}

static void test_an_id_names_one_life_only(void **state)
{
    struct gv_task *task = born(0, 0, 128);
    uint64_t first = gv_task_id(task);

    (void)state;
    assert_int_equal(first & 1, 1);
    assert_ptr_equal(gv_slot_find(first), task);
    gv_slot_give(&slots[0], task);
    assert_null(gv_slot_find(first));
    assert_ptr_equal(born(0, 0, 128), task);
    assert_int_equal(gv_task_id(task), first + 2);
    assert_null(gv_slot_find(first));
    assert_null(gv_slot_find(first + 1));
    assert_ptr_equal(gv_slot_find(first + 2), task);
}

static void test_ids_that_never_were_name_nobody(void **state)
{
    (void)state;
    (void)born(0, 0, 128);
    assert_null(gv_slot_find(0));
    assert_null(gv_slot_find(UINT64_MAX));
    for (uint64_t class = 0; class < 8; class ++)
        for (uint64_t index = 1; index < 1u << 25; index = index * 2 + 63)
            assert_null(gv_slot_find((class << 25 | index) << GV_SLOT_SHIFT | 1));
}

static void test_a_slot_whose_generation_would_wrap_is_retired(void **state)
{
    struct gv_task *task = born(0, 0, 128);

    (void)state;
    atomic_store(&task->id, gv_task_id(task) | GV_SLOT_GENERATION);
    assert_ptr_equal(gv_slot_find(gv_task_id(task)), task);
    gv_slot_give(&slots[0], task);
    for (int i = 0; i < 500; i++)
        assert_ptr_not_equal(born(0, 0, 128), task);
}

static void test_a_far_spawner_takes_again_what_a_home_has_too_many_of(void **state)
{
    uint64_t slot_max = 0;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        struct gv_task *task = born(0, 1, 128);
        uint64_t slot = gv_task_id(task) >> GV_SLOT_SHIFT;

        assert_int_equal(task->loop, 1);
        slot_max = slot > slot_max ? slot : slot_max;
        gv_slot_give(&slots[1], task);
    }
    assert_in_range(slot_max, 1, 8 * 64);
}

static void test_many_slots_given_in_any_order_come_back_once_each(void **state)
{
    enum { N = 1000 };
    static struct gv_task *tasks[N];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            tasks[i] = born(0, 0, 300);
            assert_int_equal(tasks[i]->bounds.depth_max, 0);
            tasks[i]->bounds.depth_max = 1;
        }
        for (int i = 0; i < N; i++)
            gv_slot_give(&slots[0], tasks[(i * 7) % N]);
    }
}

static void test_a_slot_that_was_never_started_goes_back_where_it_was_taken(void **state)
{
    struct gv_task *task = born(0, 1, 128);

    (void)state;
    gv_slot_give(&slots[0], task);
    assert_ptr_equal(born(0, 1, 128), task);
}

static unsigned n_seen;

static void see(struct gv_loop *loop, struct gv_task *task)
{
    (void)loop;
    n_seen++;
    assert_int_equal(task->loop, 1);
}

static void test_each_meets_the_living_that_have_arrived_at_their_home(void **state)
{
    struct gv_task *dead;

    (void)state;
    n_seen = 0;
    for (int i = 0; i < 5; i++) {
        born(1, 1, 128)->arrived = 1;
        born(0, 1, 500)->arrived = 1;
        born(0, 0, 128)->arrived = 1;
        (void)born(0, 1, 128); /* still on its way */
    }
    dead = born(1, 1, 128);
    dead->arrived = 1;
    gv_slot_give(&slots[1], dead);
    gv_slots_each(NULL, 1, see);
    assert_int_equal(n_seen, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_slot_is_zeroed_for_each_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_id_names_one_life_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ids_that_never_were_name_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_slot_whose_generation_would_wrap_is_retired, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_far_spawner_takes_again_what_a_home_has_too_many_of,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_slots_given_in_any_order_come_back_once_each,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_slot_that_was_never_started_goes_back_where_it_was_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_each_meets_the_living_that_have_arrived_at_their_home,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
