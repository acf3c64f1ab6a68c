/*
 * Blocking file: four greenlets each read a file from a disk that needs 60 ms for it.
 *
 * Files are always "ready", so no event loop can wait for them: read(2) just
 * takes its time, and with --bad everything else waits with it. The stall watch
 * names the line and the file. Without --bad a thread kept for files reads, and
 * only who asked waits. The slow disk is a named pipe: into it a thread writes 60 ms
 * after it was opened. Prints what it is and
 * "4 files in N ms, a tick of 1 ms late by max N us".
 */
#include <errno.h>
#include <fcntl.h>
#include <grove.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/blocking_file.XXXXXX";
static int n_read, failure, late_us_max;

static void path_of(int i, char path[64])
{
    (void)snprintf(path, 64, "%s/%d", folder, i);
}

static void *disk(void *argument) /* a thread: one file, 60 ms */
{
    char path[64];

    path_of((int)(intptr_t)argument, path);
    int fd = open(path, O_WRONLY); /* when it is opened for reading */
    (void)usleep(60000);
    if (fd < 0 || write(fd, "content", 7) != 7)
        perror(path);
    (void)close(fd);
    return NULL;
}

static void read_on_the_loop(void *index)
{
    char path[64], bytes[16];

    path_of(*(int *)index, path);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    failure = n == 7 ? failure : -errno;
    (void)close(fd);
    n_read++;
}

static void read_in_grove(void *index)
{
    char path[64], *bytes;
    size_t n;

    path_of(*(int *)index, path);
    int rc = grove_file_load_await(path, 16, &bytes, &n);
    failure = rc == 0 && n == 7 ? failure : rc;
    n_read++;
}

static void ticker(void *argument)
{
    for (unsigned long long ns = grove_now_ns(); grove_sleep_await(1) == 0; ns = grove_now_ns()) {
        int late_us = (int)((grove_now_ns() - ns) / 1000) - 1000;
        late_us_max = late_us > late_us_max ? late_us : late_us_max;
    }
}

static int read_all_await(bool bad)
{
    struct grove_spawn_options copied = {.argument_bytes = sizeof(int)};
    pthread_t disks[4];
    char path[64];
    int rc = 0;

    for (int i = 0; i < 4 && rc == 0; i++) {
        path_of(i, path);
        if (mkfifo(path, 0600) != 0
            || pthread_create(&disks[i], NULL, disk, (void *)(intptr_t)i) != 0)
            return -errno;
        rc = grove_go(bad ? read_on_the_loop : read_in_grove, &i, &copied, NULL);
    }
    while (rc == 0 && n_read < 4)
        rc = grove_sleep_await(1);
    for (int i = 0; i < 4 && rc == 0; i++) {
        path_of(i, path);
        (void)pthread_join(disks[i], NULL);
        (void)unlink(path);
    }
    return rc != 0 ? rc : failure;
}

int main(int argc, char **argv)
{
    grove_init(&argc, &argv);
    bool bad = argc == 2 && strcmp(argv[1], "--bad") == 0;
    if (argc > 1 && !bad)
        return fprintf(stderr, "usage: blocking_file [--bad]\n"), 2;
    if (mkdtemp(folder) == NULL || grove_go(ticker, NULL, NULL, NULL) != 0)
        return perror(folder), 1;
    (void)grove_sleep_await(5); /* the ticker ticks */
    unsigned long long start_ms = grove_now_ms();
    int rc = read_all_await(bad);
    unsigned long long took_ms = grove_now_ms() - start_ms;
    (void)grove_sleep_await(5); /* and once more */
    (void)rmdir(folder);
    if (rc != 0)
        return fprintf(stderr, "blocking_file: %s\n", grove_error_text(rc)), 1;
    printf("%s\n4 files in %llu ms, a tick of 1 ms late by max %d us\n",
           bad ? "bad: read(2) on the loop" : "good: grove_file_load_await", took_ms, late_us_max);
    return grove_deinit();
}
