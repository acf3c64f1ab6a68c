/*
 * The floors where two CPUs or two processes meet, and what all floors use.
 * Two CPUs meet at a cache line or a ring of parcels that are copied in and
 * out, a chain at a time; two processes at a socket, both on one CPU, since
 * waking another one can only cost more.
 */
#include "floor.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RING      1024 /* slots between two threads */
#define CHAIN     64   /* parcels told of at once */
#define LOOKS_MAX 4096 /* at a cache line before somebody else may have the CPU */

uint64_t floor_now_ns(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time); /* It cannot fail for this clock. */
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void *floor_must(void *memory)
{
    if (memory == NULL) {
        perror("grove-floor");
        exit(EXIT_FAILURE);
    }
    return memory;
}

/* --- two CPUs --------------------------------------------------------------------------------- */

static _Alignas(128) _Atomic int64_t ping;
static _Alignas(128) _Atomic int64_t pong;

/* What travels: a cache line, as the smallest message of anybody is one. */
struct parcel {
    _Alignas(64) int64_t value;
};

static struct parcel ring[RING];

/*
 * Binds this thread to the first or the last CPU that the process could use
 * at first: the set is asked for once, before anybody is bound.
 */
static void bind_to(bool last)
{
    static cpu_set_t set;
    static bool known;
    cpu_set_t one;
    int cpu = last ? CPU_SETSIZE - 1 : 0;

    if (!known && sched_getaffinity(0, sizeof set, &set) != 0)
        return;
    known = true;
    while (!CPU_ISSET(cpu, &set))
        cpu += last ? -1 : 1;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)sched_setaffinity(0, sizeof one, &one); /* Unbound is slower, not wrong. */
}

/* Returns what stands there once it is at least value. */
static int64_t await_line(_Atomic int64_t *line, int64_t value)
{
    unsigned n_looks = 0;
    int64_t found;

    /* acquire: pairs with the release of who stores there. */
    while ((found = atomic_load_explicit(line, memory_order_acquire)) < value)
        if (++n_looks % LOOKS_MAX == 0)
            (void)sched_yield(); /* Never fails here. Both may be on one CPU. */
    return found;
}

static void *answer_spinning(void *argument)
{
    int64_t n = *(const int64_t *)argument;

    for (int64_t i = 1; i <= n; i++) {
        (void)await_line(&ping, i);                            /* It is i: nobody is ahead. */
        atomic_store_explicit(&pong, i, memory_order_release); /* release: see await_line */
    }
    return NULL;
}

/* Starts a thread on the last CPU; the caller goes on on the first. */
static void start_beside(pthread_t *thread, void *(*function)(void *), void *argument)
{
    bind_to(true); /* The new thread inherits it. */
    if (pthread_create(thread, NULL, function, argument) != 0) {
        perror("grove-floor");
        exit(EXIT_FAILURE);
    }
}

void floor_spin(const int64_t *numbers, struct bench_result *result)
{
    int64_t n = numbers[0];
    pthread_t thread;
    uint64_t started_ns;

    start_beside(&thread, answer_spinning, &n);
    bind_to(false);
    started_ns = floor_now_ns();
    for (int64_t i = 1; i <= n; i++) {
        atomic_store_explicit(&ping, i, memory_order_release); /* release: see await_line */
        (void)await_line(&pong, i);                            /* It is i: nobody is ahead. */
    }
    result->nanoseconds = floor_now_ns() - started_ns;
    result->ops = 2 * n;
    result->right = pthread_join(thread, NULL) == 0;
}

struct far {
    int64_t n, sum;
};

static void *take_all(void *argument)
{
    struct far *far = argument;

    for (int64_t i = 0; i < far->n;) {
        int64_t there = await_line(&ping, i + 1);

        for (; i < there; i++)
            far->sum += ring[i % RING].value;
        atomic_store_explicit(&pong, i, memory_order_release); /* release: see await_line */
    }
    return NULL;
}

void floor_stream(const int64_t *numbers, struct bench_result *result)
{
    struct far far = {.n = numbers[0]};
    pthread_t thread;
    uint64_t started_ns;
    int64_t taken = 0;

    start_beside(&thread, take_all, &far);
    bind_to(false);
    started_ns = floor_now_ns();
    for (int64_t i = 0; i < numbers[0]; i++) {
        if (i - taken == RING)
            taken = await_line(&pong, i + 1 - RING);
        ring[i % RING] = (struct parcel){.value = 1};
        if ((i + 1) % CHAIN == 0 || i + 1 == numbers[0])
            atomic_store_explicit(&ping, i + 1, memory_order_release); /* release: see await_line */
    }
    result->right = pthread_join(thread, NULL) == 0 && far.sum == numbers[0];
    result->nanoseconds = floor_now_ns() - started_ns;
    result->ops = numbers[0];
}

/* --- two processes ---------------------------------------------------------------------------- */

#define REQUEST_BYTES 256
#define ANSWER_BYTES  16

static void answer_requests(int fd)
{
    unsigned char request[REQUEST_BYTES];

    while (recv(fd, request, sizeof request, MSG_WAITALL) == (ssize_t)sizeof request)
        if (write(fd, request, ANSWER_BYTES) != ANSWER_BYTES)
            break;
}

/* A request of 256 bytes to another process and its answer of 16, one at a time. */
void floor_socket(const int64_t *numbers, struct bench_result *result)
{
    unsigned char request[REQUEST_BYTES] = {0}, answer[ANSWER_BYTES];
    uint64_t started_ns;
    int64_t i = 0;
    int ends[2];
    pid_t child;

    bind_to(false);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || (child = fork()) < 0) {
        perror("grove-floor");
        exit(EXIT_FAILURE);
    }
    if (child == 0) {
        (void)close(ends[0]); /* It is the parent's. */
        answer_requests(ends[1]);
        _exit(EXIT_SUCCESS);
    }
    (void)close(ends[1]); /* It is the child's. */
    started_ns = floor_now_ns();
    for (; i < numbers[0]; i++)
        if (write(ends[0], request, sizeof request) != (ssize_t)sizeof request
            || recv(ends[0], answer, sizeof answer, MSG_WAITALL) != (ssize_t)sizeof answer)
            break;
    result->nanoseconds = floor_now_ns() - started_ns;
    (void)close(ends[0]); /* The child ends at this. */
    result->ops = numbers[0];
    result->right = waitpid(child, NULL, 0) == child && i == numbers[0];
}
