/*
 * The floor of upload: payloads to another process through a bare pair of
 * sockets, each answered by eight bytes of its own. Both ends write from and
 * read into one buffer, and look at nothing else.
 */
#include "floor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool read_all(int fd, uint8_t *bytes, size_t n_bytes)
{
    while (n_bytes > 0) {
        ssize_t n = read(fd, bytes, n_bytes);

        if (n <= 0)
            return false;
        bytes += n;
        n_bytes -= (size_t)n;
    }
    return true;
}

static bool write_all(int fd, const uint8_t *bytes, size_t n_bytes)
{
    while (n_bytes > 0) {
        ssize_t n = write(fd, bytes, n_bytes);

        if (n <= 0)
            return false;
        bytes += n;
        n_bytes -= (size_t)n;
    }
    return true;
}

static void absorb(int fd, uint8_t *payload, size_t n_bytes)
{
    while (read_all(fd, payload, n_bytes) && write_all(fd, payload, sizeof(uint64_t)))
        continue;
    _exit(EXIT_SUCCESS);
}

static bool take_answer(int fd, uint64_t expected)
{
    uint64_t number;

    return read_all(fd, (uint8_t *)&number, sizeof number) && number == expected;
}

/* Jobs, bytes, and how many are under way at once. */
void floor_upload(const int64_t *numbers, struct bench_result *result)
{
    size_t n_bytes = (size_t)numbers[1];
    uint8_t *payload = floor_must(malloc(n_bytes));
    int64_t n_sent = 0, n_answered = 0;
    uint64_t started_ns;
    bool right = true;
    int ends[2];
    pid_t child;

    memset(payload, 'u', n_bytes);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || (child = fork()) < 0) {
        perror("grove-floor");
        exit(EXIT_FAILURE);
    }
    if (child == 0) {
        (void)close(ends[0]); /* It is the parent's. */
        absorb(ends[1], payload, n_bytes);
    }
    (void)close(ends[1]); /* It is the child's. */
    started_ns = floor_now_ns();
    while (right && n_answered < numbers[0]) {
        if (n_sent < numbers[0] && n_sent - n_answered < numbers[2]) {
            memcpy(payload, &n_sent, sizeof n_sent);
            right = write_all(ends[0], payload, n_bytes);
            n_sent++;
        } else {
            right = take_answer(ends[0], (uint64_t)n_answered++);
        }
    }
    result->nanoseconds = floor_now_ns() - started_ns;
    (void)close(ends[0]); /* The child ends at this. */
    result->ops = numbers[0];
    result->right = right && waitpid(child, NULL, 0) == child;
    free(payload);
}
