/* Directories for sockets: whose they are, who may enter, what becomes of those left behind. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <grove/error.h>

#include "runtime/options.h"
#include "workers/pool.h"

static char folder[] = "/tmp/test-dir-XXXXXX";
static char path[GV_POOL_PATH_BYTES];

static void set_folder(const char *name)
{
    char error[GV_OPTION_ERROR_BYTES];

    assert_int_equal(gv_option_set("run_dir", name, error), 0);
}

static int set_up(void **state)
{
    (void)state;
    set_folder(folder);
    return 0;
}

/* A name in the folder. */
static const char *in_folder(const char *name)
{
    static char text[256];

    (void)snprintf(text, sizeof text, "%s/%s", folder, name); /* It fits. */
    return text;
}

static bool exists(const char *name)
{
    struct stat stat;

    return lstat(name, &stat) == 0;
}

static void touch(const char *name)
{
    int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

/* Opens one and closes it, so that what can be swept is. */
static void sweep(void)
{
    int fd;

    assert_int_equal(gv_host_directory_open(path, &fd), 0);
    gv_host_directory_close(path, fd);
}

static void test_a_directory_is_only_its_owners_whatever_the_umask_allows(void **state)
{
    mode_t mask = umask(0);
    struct stat stat;
    int fd;

    (void)state;
    assert_int_equal(gv_host_directory_open(path, &fd), 0);
    (void)umask(mask); /* It cannot fail. */
    assert_int_equal(strncmp(path, folder, strlen(folder)), 0);
    assert_int_equal(lstat(path, &stat), 0);
    assert_int_equal(stat.st_mode & 07777, 0700);
    assert_int_equal(stat.st_uid, geteuid());
    gv_host_directory_close(path, fd);
}

static void test_a_directory_has_all_rights_whatever_the_umask_forbids(void **state)
{
    mode_t mask = umask(0777);
    struct stat stat;
    int fd = -1, rc = gv_host_directory_open(path, &fd);

    (void)state;
    (void)umask(mask); /* It cannot fail. */
    assert_int_equal(rc, 0);
    assert_int_equal(lstat(path, &stat), 0);
    assert_int_equal(stat.st_mode & 07777, 0700);
    gv_host_directory_close(path, fd);
}

static unsigned n_entries(void)
{
    DIR *directory = opendir(folder);
    unsigned n = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        n++;
    assert_int_equal(closedir(directory), 0);
    return n;
}

/* With room for the folder and for nothing else the directory is made, but cannot be opened. */
static void test_a_failure_leaves_no_directory(void **state)
{
    int fd = open("/", O_RDONLY | O_CLOEXEC), rc;
    struct rlimit before, narrow;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    narrow = (struct rlimit){(rlim_t)fd + 1, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &narrow), 0);
    fd = -1;
    rc = gv_host_directory_open(path, &fd);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(rc, -EMFILE);
    assert_int_equal(fd, -1);
    assert_int_equal(n_entries(), 2);
}

static void test_a_chosen_folder_must_be_absolute(void **state)
{
    int fd = -1;

    (void)state;
    set_folder("run/grove");
    assert_int_equal(gv_host_directory_open(path, &fd), GROVE_EUSAGE);
    assert_int_equal(fd, -1);
}

static void test_a_closed_directory_is_gone_with_its_socket(void **state)
{
    char name[GV_POOL_PATH_BYTES + 4];
    int fd;

    (void)state;
    assert_int_equal(gv_host_directory_open(path, &fd), 0);
    (void)snprintf(name, sizeof name, "%s/s", path); /* It fits. */
    touch(name);
    gv_host_directory_close(path, fd);
    assert_false(exists(path));
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_what_a_dead_process_left_is_swept(void **state)
{
    char left[256];
    int ends[2], status;
    ssize_t n;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char name[GV_POOL_PATH_BYTES];
        int fd;

        if (gv_host_directory_open(name, &fd) != 0)
            _exit(1);
        _exit(write(ends[1], name, strlen(name)) > 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    n = read(ends[0], left, sizeof left - 3);
    assert_true(n > 0);
    assert_int_equal(close(ends[0]) | close(ends[1]), 0);
    left[n] = '\0';
    assert_true(exists(left));
    strcpy(left + n, "/s");
    touch(left);
    left[n] = '\0';
    sweep();
    assert_false(exists(left));
}

static void test_what_a_living_one_holds_is_left_alone(void **state)
{
    char held[GV_POOL_PATH_BYTES];
    int fd;

    (void)state;
    assert_int_equal(gv_host_directory_open(held, &fd), 0);
    sweep();
    assert_true(exists(held));
    gv_host_directory_close(held, fd);
}

static void test_what_is_not_exactly_ours_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_folder("grove-000000000000000a"), 0700), 0);
    assert_int_equal(chmod(in_folder("grove-000000000000000a"), 0755), 0);
    assert_int_equal(mkdir(in_folder("other"), 0700), 0);
    assert_int_equal(symlink("other", in_folder("grove-000000000000000b")), 0);
    assert_int_equal(mkdir(in_folder("grove-000000000000000c"), 0700), 0);
    touch(in_folder("grove-000000000000000c/letter"));
    assert_int_equal(mkdir(in_folder("grove-mine"), 0700), 0);
    touch(in_folder("grove-mine/s"));
    sweep();
    assert_true(exists(in_folder("grove-mine/s")));
    assert_int_equal(unlink(in_folder("grove-mine/s")), 0);
    sweep();
    assert_int_equal(rmdir(in_folder("grove-mine")), 0);
    assert_true(exists(in_folder("grove-000000000000000a")));
    assert_true(exists(in_folder("grove-000000000000000b")));
    assert_true(exists(in_folder("grove-000000000000000c/letter")));
    assert_int_equal(unlink(in_folder("grove-000000000000000c/letter")), 0);
    assert_int_equal(rmdir(in_folder("grove-000000000000000c")), 0);
    assert_int_equal(unlink(in_folder("grove-000000000000000b")), 0);
    assert_int_equal(rmdir(in_folder("grove-000000000000000a")), 0);
    assert_int_equal(rmdir(in_folder("other")), 0);
}

static void test_a_folder_that_is_not_there_or_too_deep_is_refused(void **state)
{
    static const char up[] = "/../tmp/../tmp/../tmp/../tmp/../tmp/../tmp/../tmp/../tmp/../tmp";
    char deep[256];
    int fd = -1;

    (void)state;
    set_folder(in_folder("nowhere"));
    assert_int_equal(gv_host_directory_open(path, &fd), -ENOENT);
    (void)snprintf(deep, sizeof deep, "%s/..%s/../..%s", folder, up, folder);
    set_folder(deep);
    assert_int_equal(gv_host_directory_open(path, &fd), -ENAMETOOLONG);
    assert_int_equal(fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_directory_is_only_its_owners_whatever_the_umask_allows,
                               set_up),
        cmocka_unit_test_setup(test_a_directory_has_all_rights_whatever_the_umask_forbids, set_up),
        cmocka_unit_test_setup(test_a_failure_leaves_no_directory, set_up),
        cmocka_unit_test_setup(test_a_chosen_folder_must_be_absolute, set_up),
        cmocka_unit_test_setup(test_a_closed_directory_is_gone_with_its_socket, set_up),
        cmocka_unit_test_setup(test_what_a_dead_process_left_is_swept, set_up),
        cmocka_unit_test_setup(test_what_a_living_one_holds_is_left_alone, set_up),
        cmocka_unit_test_setup(test_what_is_not_exactly_ours_is_left_alone, set_up),
        cmocka_unit_test_setup(test_a_folder_that_is_not_there_or_too_deep_is_refused, set_up),
    };
    int n_failed;

    if (mkdtemp(folder) == NULL)
        return 1;
    n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    return n_failed + (rmdir(folder) != 0); /* Nothing may be left in it. */
}
