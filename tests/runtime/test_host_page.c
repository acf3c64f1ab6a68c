/* Pages that we share with children. */
#include <errno.h>
#include <unistd.h>

#include "tests/runtime/host_shell.h"

static void test_a_page_is_shared_with_a_child_and_cannot_shrink(void **state)
{
    struct gv_page page, again;
    struct end end;

    (void)state;
    assert_int_equal(env->page_open(env->world, 8192, &page), 0);
    assert_int_equal(page.bytes, 8192);
    assert_int_equal(((char *)page.memory)[8191], 0);
    (void)spawn_shell("printf hello >&3", &page.fd, 1, &end);
    POLL_UNTIL(end.n == 1);
    assert_string_equal(page.memory, "hello");
    if (!gv_host_old_kernel) {
        assert_int_equal(ftruncate(page.fd, 0), -1);
        assert_int_equal(ftruncate(page.fd, 100000), -1);
    }

    assert_int_equal(env->page_inherit(env->world, dup(page.fd), 8192, &again), 0);
    ((char *)again.memory)[0] = 'j';
    assert_string_equal(page.memory, "jello");
    assert_int_equal(env->page_inherit(env->world, page.fd, 8193, &again), -EINVAL);
    assert_int_equal(env->page_inherit(env->world, 999, 1, &again), -EBADF);
    env->page_close(env->world, &page);
    assert_string_equal(again.memory, "jello");
    env->page_close(env->world, &again);
}

/* --- group ------------------------------------------------------------------------------------ */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_is_shared_with_a_child_and_cannot_shrink),
    };
    const struct CMUnitTest old_tests[] = {
        cmocka_unit_test(test_a_page_is_shared_with_a_child_and_cannot_shrink),
    };

    return cmocka_run_group_tests_name("host_page", tests, open_world, close_world)
           + cmocka_run_group_tests_name("host_page, old kernel", old_tests,
                                         open_world_as_before_linux_5, close_world_as_now);
}
