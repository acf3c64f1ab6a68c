/*
 * Parked: what a waiting greenlet costs. Each waits for a letter on a stack
 * of its own; the growth of resident memory is divided by their number.
 * The check: the page below one of the stacks cannot be read, and every
 * greenlet goes on when its letter comes.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <grove.h>

#include "bench.grove.h"

#define STACK_BYTES_MAX ((uintptr_t)256 << 10) /* no greenlet's stack is larger */

struct hall {
    int64_t n_parked;
    int64_t sum;       /* of the letters that came */
    uintptr_t a_stack; /* an address in the stack of the newest greenlet */
};

static void sleeper(void *argument)
{
    struct hall *hall = argument;
    struct grove_letter letter;

    hall->n_parked++;
    hall->a_stack = (uintptr_t)__builtin_frame_address(0);
    if (grove_receive_await(GROVE_INFINITE, &letter) == 0)
        hall->sum += ((const Bench__V1__WakeRequest *)letter.request)->value;
    hall->n_parked--;
}

/*
 * True if, going down from an address in a stack, one comes to a page that
 * cannot be read. The kernel reads for us, so that nothing crashes.
 */
static bool guarded(uintptr_t address)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t lowest = address - STACK_BYTES_MAX;
    bool found = false;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    for (uintptr_t at = address & ~(page - 1); at > lowest && !found; at -= page)
        found = write(ends[1], (const void *)at, 1) < 0 && errno == EFAULT;
    (void)close(ends[0]); /* Nothing is left to be written. */
    (void)close(ends[1]);
    return found;
}

static int park_all_await(struct hall *hall, grove_ref *sleepers, int64_t n)
{
    int rc = 0;

    for (int64_t i = 0; i < n && rc == 0; i++)
        rc = grove_go(sleeper, hall, NULL, &sleepers[i]);
    while (rc == 0 && hall->n_parked < n)
        rc = grove_yield_await();
    return rc;
}

static int wake_all_await(struct hall *hall, const grove_ref *sleepers, int64_t n)
{
    Bench__V1__WakeRequest request = BENCH__V1__WAKE_REQUEST__INIT;
    int rc = 0;

    for (int64_t i = 0; i < n && rc == 0; i++) {
        request.value = i;
        rc = sleeper_wake_send(sleepers[i], &request);
    }
    while (rc == 0 && hall->n_parked > 0)
        rc = grove_yield_await();
    return rc;
}

int bench_parked_await(const int64_t *numbers, struct bench_result *result)
{
    int64_t n = numbers[0], before_kb, grown_kb;
    grove_ref *sleepers = malloc((size_t)n * sizeof *sleepers);
    struct hall hall = {0};
    uint64_t started_ns;
    bool guard;
    int rc;

    if (sleepers == NULL)
        return GROVE_ENOMEM;
    memset(sleepers, 1, (size_t)n * sizeof *sleepers); /* Touched: the table is not theirs. */
    before_kb = bench_resident_kb();
    started_ns = grove_now_ns();
    rc = park_all_await(&hall, sleepers, n);
    if (rc == 0) {
        result->nanoseconds = grove_now_ns() - started_ns;
        grown_kb = bench_resident_kb() - before_kb;
        guard = guarded(hall.a_stack);
        rc = wake_all_await(&hall, sleepers, n);
        result->ops = n;
        result->right = guard && hall.sum == n * (n - 1) / 2;
        (void)snprintf(result->keys, sizeof result->keys, "bytes_per=%.0f guard=%s",
                       (double)grown_kb * 1024 / (double)n, guard ? "yes" : "no"); /* It fits. */
    }
    free(sleepers);
    return rc;
}
