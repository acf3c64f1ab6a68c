/* Files: bytes, places, names, whole files, owners, and what goes wrong. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/world/sockets.h"

static char folder[] = "/tmp/grove-file-XXXXXX";
static char name[64];

static const char *in_folder(const char *last)
{
    (void)snprintf(name, sizeof name, "%s/%s", folder, last); /* It fits. */
    return name;
}

static void test_what_is_written_is_read_again(void **state)
{
    struct grove_file *file;
    char bytes[16] = "";
    size_t n_bytes;

    (void)state;
    assert_int_equal(grove_file_open_await(in_folder("a"), O_RDWR | O_CREAT, 0600, &file), 0);
    assert_int_equal(grove_file_write_await(file, "hello ", 6, -1), 0);
    assert_int_equal(grove_file_write_await(file, "world", 5, -1), 0);
    assert_int_equal(grove_file_write_await(file, "J", 1, 0), 0);
    assert_int_equal(grove_file_sync_await(file), 0);
    assert_int_equal(grove_file_read_await(file, bytes, sizeof bytes, 0, &n_bytes), 0);
    assert_int_equal(n_bytes, 11);
    assert_string_equal(bytes, "Jello world");
    assert_int_equal(grove_file_read_await(file, bytes, sizeof bytes, -1, &n_bytes), 0);
    assert_int_equal(n_bytes, 0); /* the end */
    assert_int_equal(grove_file_truncate_await(file, 5), 0);
    assert_int_equal(grove_file_read_await(file, bytes, sizeof bytes, 0, &n_bytes), 0);
    assert_int_equal(n_bytes, 5);
    assert_int_equal(grove_file_read_await(file, bytes, 1, -7, &n_bytes), GROVE_EUSAGE);
    grove_file_close(file);
}

static void test_names_are_made_found_moved_and_removed(void **state)
{
    struct grove_file_status status;
    char from[64], **names;
    size_t n_names;

    (void)state;
    assert_int_equal(grove_folder_make_await(in_folder("d"), 0700), 0);
    assert_int_equal(grove_folder_make_await(in_folder("d"), 0700), -EEXIST);
    assert_int_equal(grove_file_save_await(in_folder("d/z"), "zz", 2, 0640), 0);
    assert_int_equal(grove_file_save_await(in_folder("d/b"), "b", 1, 0600), 0);
    assert_int_equal(grove_file_status_await(in_folder("d/z"), &status), 0);
    assert_int_equal(status.n_bytes, 2);
    assert_true(status.is_file && !status.is_folder);
    assert_int_equal(status.mode & 0600, 0600);
    assert_true(llabs(status.modified_ms - grove_wall_ms()) < 60000);
    (void)snprintf(from, sizeof from, "%s", in_folder("d/z"));
    assert_int_equal(grove_file_rename_await(from, in_folder("d/c")), 0);
    assert_int_equal(grove_folder_list_await(in_folder("d"), &names, &n_names), 0);
    assert_int_equal(n_names, 2);
    assert_string_equal(names[0], "b");
    assert_string_equal(names[1], "c");
    assert_int_equal(grove_file_remove_await(in_folder("d")), -ENOTEMPTY);
    assert_non_null(strstr(grove_why(), "remove what is in it first"));
    assert_int_equal(grove_file_remove_await(in_folder("d/b")), 0);
    assert_int_equal(grove_file_remove_await(in_folder("d/c")), 0);
    assert_int_equal(grove_file_remove_await(in_folder("d")), 0);
}

static void test_a_whole_file_is_loaded_and_saved_at_once(void **state)
{
    char *bytes;
    size_t n_bytes;

    (void)state;
    assert_int_equal(grove_file_save_await(in_folder("whole"), "first", 5, 0600), 0);
    assert_int_equal(grove_file_save_await(in_folder("whole"), "second!", 7, 0600), 0);
    assert_int_equal(grove_file_load_await(in_folder("whole"), 7, &bytes, &n_bytes), 0);
    assert_int_equal(n_bytes, 7);
    assert_string_equal(bytes, "second!");
    assert_int_equal(grove_file_load_await(in_folder("whole"), 6, &bytes, &n_bytes), GROVE_ETOOBIG);
    assert_string_equal(strchr(grove_why(), ':'), ": there is more than it may be: raise the limit "
                                                  "if there is one, or do it in parts");
    assert_int_equal(access(in_folder("whole.new"), F_OK), -1);
    /* A file of the kernel's, which says that it is empty. */
    assert_int_equal(grove_file_load_await("/proc/self/status", 1 << 20, &bytes, &n_bytes), 0);
    assert_non_null(strstr(bytes, "Pid:"));
}

enum { SAVERS = 8, SAVED_BYTES = 300000 };

static void save_many(void *argument)
{
    char *bytes = malloc(SAVED_BYTES);
    int *rc = argument;

    memset(bytes, 'a' + *rc, SAVED_BYTES);
    *rc = grove_file_save_await(in_folder("shared"), bytes, SAVED_BYTES, 0600);
    free(bytes);
}

static void test_of_many_who_save_one_file_at_once_each_saves_a_whole_one(void **state)
{
    grove_ref savers[SAVERS];
    int rcs[SAVERS];
    size_t n_bytes;
    char *bytes;

    (void)state;
    for (int i = 0; i < SAVERS; i++) {
        rcs[i] = i;
        assert_int_equal(grove_go(save_many, &rcs[i], NULL, &savers[i]), 0);
    }
    for (int i = 0; i < SAVERS; i++)
        join(savers[i]);
    for (int i = 0; i < SAVERS; i++)
        assert_int_equal(rcs[i], 0);
    assert_int_equal(grove_file_load_await(in_folder("shared"), 1 << 20, &bytes, &n_bytes), 0);
    assert_int_equal(n_bytes, SAVED_BYTES);
    for (size_t i = 0; i < n_bytes; i++)
        assert_int_equal(bytes[i], bytes[0]);
    assert_int_equal(access(in_folder("shared.new"), F_OK), -1);
}

static void test_what_is_no_file_is_not_replaced_by_one(void **state)
{
    struct stat status;

    (void)state;
    assert_int_equal(mkfifo(in_folder("fifo0"), 0600), 0);
    assert_int_equal(grove_file_save_await(in_folder("fifo0"), "x", 1, 0600), -EEXIST);
    assert_int_equal(stat(in_folder("fifo0"), &status), 0);
    assert_true(S_ISFIFO(status.st_mode));
}

static void test_null_is_told_and_not_looked_at(void **state)
{
    struct grove_file_status status;
    struct grove_file *file;
    size_t n_bytes;
    char *bytes;

    (void)state;
    assert_int_equal(grove_file_open_await(NULL, O_RDONLY, 0, &file), GROVE_EUSAGE);
    assert_int_equal(grove_file_load_await(NULL, 10, &bytes, &n_bytes), GROVE_EUSAGE);
    assert_int_equal(grove_file_save_await("x", NULL, 1, 0600), GROVE_EUSAGE);
    assert_int_equal(grove_file_save_await(NULL, "x", 1, 0600), GROVE_EUSAGE);
    assert_int_equal(grove_file_status_await(NULL, &status), GROVE_EUSAGE);
    assert_int_equal(grove_file_rename_await("x", NULL), GROVE_EUSAGE);
    assert_int_equal(grove_file_open_await("/dev/null", O_WRONLY, 0, &file), 0);
    assert_int_equal(grove_file_write_await(file, NULL, 1, -1), GROVE_EUSAGE);
    grove_file_close(file);
    assert_int_equal(grove_file_sync_await(NULL), GROVE_EUSAGE);
    assert_string_equal(grove_why(), "sync: there is no file; grove_file_open_await opens one");
}

/* The limit of a file's size makes a full disk. */
static void test_a_save_that_fails_leaves_the_old_content(void **state)
{
    struct rlimit limit, small;
    char *bytes, *large = calloc(1, 100000);
    size_t n_bytes;

    (void)state;
    assert_int_equal(grove_file_save_await(in_folder("kept"), "old", 3, 0600), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = (struct rlimit){1000, limit.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(grove_file_save_await(in_folder("kept"), large, 100000, 0600), GROVE_ETOOBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(grove_file_load_await(in_folder("kept"), 100, &bytes, &n_bytes), 0);
    assert_string_equal(bytes, "old");
    assert_int_equal(access(in_folder("kept.new"), F_OK), -1);
    free(large);
}

static void test_errors_name_the_path_and_what_to_do(void **state)
{
    struct grove_file *file;
    char *bytes;
    size_t n_bytes;

    (void)state;
    assert_int_equal(grove_file_open_await("/no/such/file", O_RDONLY, 0, &file), -ENOENT);
    assert_string_equal(grove_why(), "open /no/such/file: No such file or directory: there is no "
                                     "such name: create it, or mend the path");
    assert_int_equal(grove_file_load_await(folder, 10, &bytes, &n_bytes), -EISDIR);
    assert_int_equal(grove_file_remove_await(in_folder("none")), -ENOENT);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_NO);
    assert_int_equal(grove_file_open_await(in_folder("ro"), O_RDONLY | O_CREAT, 0600, &file), 0);
    assert_int_equal(grove_file_write_await(file, "x", 1, 0), -EBADF);
    assert_int_equal(grove_file_write_await(file, "x", (64u << 20) + 1, 0), GROVE_ETOOBIG);
    grove_file_close(file);
}

/* --- leaving --------------------------------------------------------------------------------------- */

struct reader {
    struct grove_file *file;
    bool begun;
    int rc;
    char bytes[8];
};

static void read_pipe(void *argument)
{
    struct reader *reader = argument;
    size_t n_bytes;

    grove_within(20);
    reader->begun = true;
    reader->rc = grove_file_read_await(reader->file, reader->bytes, 4, -1, &n_bytes);
}

/* A pipe with a name stands for a disk that does not answer. */
static void test_a_reader_leaves_a_disk_that_hangs(void **state)
{
    struct reader reader = {.rc = 1};
    struct grove_file *file;
    char command[128];
    size_t n_bytes;
    grove_ref who;

    (void)state;
    (void)snprintf(command, sizeof command, "mkfifo %s", in_folder("pipe")); /* It fits. */
    assert_int_equal(system(command), 0);
    assert_int_equal(grove_file_open_await(in_folder("pipe"), O_RDWR, 0, &file), 0);
    reader.file = file;
    assert_int_equal(grove_go(read_pipe, &reader, NULL, &who), 0);
    while (!reader.begun)
        assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(grove_file_read_await(file, command, 1, -1, &n_bytes), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "say an offset"));
    join(who);
    assert_int_equal(reader.rc, GROVE_ETIMEDOUT);
    assert_string_equal(reader.bytes, "");
    /* Nobody's memory is written when it answers at last. */
    assert_int_equal(grove_file_write_await(file, "late", 4, 0), -ESPIPE);
    grove_file_close(file);
    {
        FILE *pipe = fopen(in_folder("pipe"), "w");

        assert_int_equal(fputs("late", pipe), 1);
        assert_int_equal(fclose(pipe), 0);
    }
    assert_int_equal(grove_sleep_await(5), 0);
    assert_string_equal(reader.bytes, "");
}

static unsigned n_descriptors(void)
{
    char **names;
    size_t n_names = 0;

    assert_int_equal(grove_folder_list_await("/proc/self/fd", &names, &n_names), 0);
    return (unsigned)n_names;
}

static void forget_file(void *argument)
{
    struct grove_file *file;

    (void)argument;
    assert_int_equal(grove_file_open_await(in_folder("a"), O_RDWR | O_CREAT, 0600, &file), 0);
}

static void leave_open(void *argument)
{
    struct grove_file *file;

    (void)argument;
    grove_within(1);
    (void)grove_file_open_await(in_folder("fifo2"), O_WRONLY, 0, &file); /* waits for a reader */
}

static void test_no_descriptor_is_left_by_who_forgot_or_left(void **state)
{
    char command[128];
    unsigned n_before = n_descriptors();
    grove_ref who;

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(grove_go(forget_file, NULL, NULL, &who), 0);
        join(who);
    }
    (void)snprintf(command, sizeof command, "mkfifo %s", in_folder("fifo2")); /* It fits. */
    assert_int_equal(system(command), 0);
    assert_int_equal(grove_go(leave_open, NULL, NULL, &who), 0);
    join(who);
    {
        FILE *pipe =
            fopen(in_folder("fifo2"), "r"); /* now the open succeeds, and nobody wants it */

        assert_non_null(pipe);
        assert_int_equal(fclose(pipe), 0);
    }
    for (int i = 0; i < 1000 && n_descriptors() != n_before; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(n_descriptors(), n_before);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    stage_open_loops(1);
    return grove_option_set("stall", "off"); /* Its reports open files of their own. */
}

static int tear_down(void **state)
{
    char command[64];

    (void)stage_tear_down(state);
    (void)snprintf(command, sizeof command, "rm -r %s", folder); /* It fits. */
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_what_is_written_is_read_again),
        stage_test(test_names_are_made_found_moved_and_removed),
        stage_test(test_a_whole_file_is_loaded_and_saved_at_once),
        stage_test(test_a_save_that_fails_leaves_the_old_content),
        stage_test(test_of_many_who_save_one_file_at_once_each_saves_a_whole_one),
        stage_test(test_what_is_no_file_is_not_replaced_by_one),
        stage_test(test_null_is_told_and_not_looked_at),
        stage_test(test_errors_name_the_path_and_what_to_do),
        stage_test(test_a_reader_leaves_a_disk_that_hangs),
        stage_test(test_no_descriptor_is_left_by_who_forgot_or_left),
    };

    return cmocka_run_group_tests_name("file", tests, set_up, tear_down);
}
