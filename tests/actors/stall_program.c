/*
 * A program whose handler holds its loop up, in the way and as often as its
 * arguments say: stall_program WAY TIMES MS. Between two of them it lets the
 * watch see the end of the first. When it ends it writes, to standard output,
 * a line for each stall that is kept:
 *
 *     number=1 kind=2 began=… took_ms=101 actor=… method=… waits="…" where="…"
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/runtime.h"
#include "stage.h"

#define WARM_MS     300u
#define REST_MS     15u
#define RIVALS      8
#define LINES       64u
#define PLANTED_MAX 1024u
#define NS_OF_MS    1000000u

static unsigned long long clock_ns(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now); /* These clocks exist. */
    return (unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec;
}

static unsigned long long clock_ms(clockid_t clock)
{
    return clock_ns(clock) / NS_OF_MS;
}

/* How long this thread has waited for a CPU, ever. */
static unsigned long long queued_ms(void)
{
    unsigned long long ns = 0;
    FILE *file = fopen("/proc/thread-self/schedstat", "re");

    if (file != NULL) {
        if (fscanf(file, "%*u %llu", &ns) != 1)
            ns = 0;
        (void)fclose(file);
    }
    return ns / NS_OF_MS;
}

/* --- helpers that end a wait from another thread ------------------------------------------------ */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static int ends[2];
static unsigned hold_ms;

static void *hold_mutex(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&mutex);
    (void)pthread_barrier_wait(&barrier);
    (void)usleep(hold_ms * 1000);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void *write_late(void *unused)
{
    (void)unused;
    (void)pthread_barrier_wait(&barrier);
    (void)usleep(hold_ms * 1000);
    return write(ends[1], "x", 1) == 1 ? NULL : &mutex;
}

static void begin_helper(pthread_t *helper, void *(*run)(void *), unsigned ms)
{
    hold_ms = ms;
    (void)pthread_barrier_init(&barrier, NULL, 2);
    if (pthread_create(helper, NULL, run, NULL) != 0)
        abort();
    (void)pthread_barrier_wait(&barrier);
}

static void end_helper(pthread_t helper)
{
    (void)pthread_join(helper, NULL);
    (void)pthread_barrier_destroy(&barrier);
}

/* --- ways ---------------------------------------------------------------------------------------- */

static int stall_in_usleep(struct play *me, struct script *script)
{
    (void)me;
    (void)usleep(script->ms * 1000);
    return 0;
}

static int stall_in_mutex(struct play *me, struct script *script)
{
    pthread_t helper;

    (void)me;
    begin_helper(&helper, hold_mutex, script->ms);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    end_helper(helper);
    return 0;
}

static int stall_in_pipe(struct play *me, struct script *script)
{
    pthread_t helper;
    char byte;

    (void)me;
    if (pipe(ends) != 0)
        abort();
    begin_helper(&helper, write_late, script->ms);
    (void)!read(ends[0], &byte, 1);
    end_helper(helper);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return 0;
}

/* As a look-up does whose server is slow: a datagram, then poll. */
static int stall_in_lookup(struct play *me, struct script *script)
{
    struct timeval patience = {0, (suseconds_t)script->ms * 1000};
    char answer[16];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)me;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)!recv(fd, answer, sizeof answer, 0);
    (void)close(fd);
    return 0;
}

/* Files, until so much time is over beside the wait for a CPU: one alone may be fast. */
static int stall_in_files(struct play *me, struct script *script)
{
    unsigned long long until_ms = clock_ms(CLOCK_MONOTONIC) - queued_ms() + script->ms;
    static const char bytes[1 << 16];
    char path[] = "stall-XXXXXX";
    int fd = mkstemp(path);

    (void)me;
    if (fd < 0)
        return 0;
    while (clock_ms(CLOCK_MONOTONIC) - queued_ms() < until_ms)
        if (write(fd, bytes, sizeof bytes) < 0 || fsync(fd) != 0 || lseek(fd, 0, SEEK_SET) != 0)
            break;
    (void)close(fd);
    (void)unlink(path);
    return 0;
}

/* CPU time, however long others let it wait. */
static int stall_on_cpu(struct play *me, struct script *script)
{
    unsigned long long until_ms = clock_ms(CLOCK_THREAD_CPUTIME_ID) + script->ms;

    (void)me;
    while (clock_ms(CLOCK_THREAD_CPUTIME_ID) < until_ms)
        continue;
    return 0;
}

static pid_t rivals[RIVALS];

/* Children that want the last CPU for ever, stopped so far; and die with us. */
static void make_rivals(void)
{
    cpu_set_t all;

    (void)sched_getaffinity(0, sizeof all, &all);
    for (int i = 0; i < RIVALS; i++) {
        rivals[i] = fork();
        if (rivals[i] != 0)
            continue;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)sched_setaffinity(0, sizeof all, &all);
        (void)raise(SIGSTOP);
        for (;;)
            continue;
    }
}

static void tell_rivals(int signal_number)
{
    for (int i = 0; i < RIVALS; i++)
        (void)kill(rivals[i], signal_number);
}

static void pin(bool to_one)
{
    static cpu_set_t all;
    cpu_set_t one;

    if (!to_one) {
        (void)sched_setaffinity(0, sizeof all, &all);
        return;
    }
    (void)sched_getaffinity(0, sizeof all, &all);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    (void)sched_setaffinity(0, sizeof one, &one);
    for (int i = 0; i < RIVALS; i++)
        (void)sched_setaffinity(rivals[i], sizeof one, &one);
}

/* A little CPU time on one CPU that many others want. */
static int stall_by_others(struct play *me, struct script *script)
{
    unsigned long long until_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + 12 * NS_OF_MS;

    (void)me;
    (void)script;
    pin(true);
    tell_rivals(SIGCONT);
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < until_ns)
        continue;
    tell_rivals(SIGSTOP);
    pin(false);
    return 0;
}

/* A short turn of computing, with others between: none either. */
static int spin_shortly(struct play *me, struct script *script)
{
    return stall_on_cpu(me, script);
}

/* Waits as long, and lets the others run: this is none. */
static int wait_politely(struct play *me, struct script *script)
{
    (void)me;
    return grove_sleep_await(script->ms);
}

static const struct {
    const char *name;
    int (*act)(struct play *me, struct script *script);
} ways[] = {
    {"usleep", stall_in_usleep},  {"mutex", stall_in_mutex}, {"pipe", stall_in_pipe},
    {"lookup", stall_in_lookup},  {"files", stall_in_files}, {"cpu", stall_on_cpu},
    {"starved", stall_by_others}, {"polite", wait_politely}, {"spin", spin_shortly},
};

static int (*the_way)(struct play *me, struct script *script);
static unsigned long long planted_ns[PLANTED_MAX]; /* when */
static unsigned n_planted;

static int plant(struct play *me, struct script *script)
{
    if (n_planted < PLANTED_MAX)
        planted_ns[n_planted++] = clock_ns(CLOCK_MONOTONIC);
    return the_way(me, script);
}

/* From the moment that the stall was planted to its report. */
static double told_after_ms(const struct grove_stall *stall)
{
    unsigned long long last_ns = 0;

    for (unsigned i = 0; i < n_planted && planted_ns[i] < stall->reported_ns; i++)
        last_ns = planted_ns[i];
    return (double)(stall->reported_ns - last_ns) / NS_OF_MS;
}

/* --- other places than a handler ----------------------------------------------------------------- */

/* Counted behind a call, so that the compiler leaves our frame below it. */
static volatile unsigned n_calls;

static void sleep_badly(void *ms)
{
    (void)usleep((useconds_t)(uintptr_t)ms * 1000);
    n_calls++;
}

/* A greenlet that waits, as it should, as long as main lets it. */
static void wait_well(void *unused)
{
    (void)unused;
    while (grove_sleep_await(1) == 0)
        continue;
}

static void in_greenlet(unsigned ms)
{
    const struct grove_spawn_options options = {.label = "rude"};

    (void)grove_go(sleep_badly, (void *)(uintptr_t)ms, &options, NULL);
    (void)grove_sleep_await(1);
}

static void in_main_alone(unsigned ms)
{
    (void)usleep(ms * 1000);
}

static void in_main(unsigned ms)
{
    static bool begun;

    if (!begun)
        (void)grove_go(wait_well, NULL, NULL, NULL);
    begun = true;
    (void)grove_sleep_await(5);
    sleep_badly((void *)(uintptr_t)ms);
}

static void between_turns(unsigned ms)
{
    (void)gv_loop_call(gv_loop_here, gv_runtime.n_loops - 1, sleep_badly, (void *)(uintptr_t)ms);
    (void)grove_sleep_await(ms + 20);
}

/*
 * Long turns queue up behind short ones, by which the loop has learned that
 * it can run many without a look at the world. How late is a timer meanwhile?
 */
static uint64_t latest_ns, all_ns;

static void note_lateness(void *unused)
{
    (void)unused;
    for (;;) {
        uint64_t before_ns = grove_now_ns(), took_ns;

        if (grove_sleep_await(1) != 0)
            return;
        took_ns = grove_now_ns() - before_ns;
        if (took_ns > latest_ns)
            latest_ns = took_ns;
    }
}

static void long_queue(unsigned ms)
{
    static struct script scripts[64];
    grove_ref who = stage_spawn("busy");
    uint64_t began_ns;

    for (unsigned i = 0; i < 2000; i++)
        (void)stage_add(who, 1, NULL);
    (void)grove_go(note_lateness, NULL, NULL, NULL);
    (void)grove_sleep_await(10);
    latest_ns = 0;
    began_ns = grove_now_ns();
    for (unsigned i = 0; i < 64; i++) {
        scripts[i] = (struct script){.act = stall_on_cpu, .ms = ms};
        (void)stage_send(who, &scripts[i]);
    }
    while (scripts[63].n_ends == 0)
        (void)grove_sleep_await(1);
    all_ns = grove_now_ns() - began_ns;
    (void)printf("late_permille=%" PRIu64 "\n", latest_ns * 1000 / all_ns);
}

static const struct {
    const char *name;
    void (*run)(unsigned ms);
} places[] = {
    {"greenlet", in_greenlet},  {"main", in_main},     {"main alone", in_main_alone},
    {"between", between_turns}, {"queue", long_queue},
};

/* --- the program --------------------------------------------------------------------------------- */

static void print_stalls(void)
{
    static struct grove_stall stalls[LINES];
    unsigned n = grove_stalls(0, stalls, LINES);

    for (unsigned i = 0; i < n; i++)
        (void)printf(
            "number=%" PRIu64 " kind=%d over=%d took_ms=%" PRIu64
            " told_ms=%.0f cpu=%u queued=%u blocked=%u actor=%s method=%s waits=\"%s\" where=\"%s\"\n",
            stalls[i].number, (int)stalls[i].kind, stalls[i].over, stalls[i].took_ns / NS_OF_MS,
            told_after_ms(&stalls[i]), stalls[i].on_cpu_permille, stalls[i].queued_permille,
            stalls[i].blocked_permille, stalls[i].actor, stalls[i].method, stalls[i].waits_for,
            stalls[i].where);
}

int main(int argc, char **argv)
{
    struct script script = {.act = plant};
    void (*place)(unsigned ms) = NULL;
    grove_ref slow;
    int rc = 0;

    if (argc == 4 && strcmp(argv[1], "starved") == 0)
        make_rivals();
    if (grove_init(&argc, &argv) != 0 || argc != 4)
        return 2;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if (strcmp(argv[1], ways[i].name) == 0)
            the_way = ways[i].act;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (strcmp(argv[1], places[i].name) == 0)
            place = places[i].run;
    if (the_way == NULL && place == NULL)
        return 2;
    script.ms = (uint32_t)atoi(argv[3]);
    slow = stage_spawn_on(grove_loops() - 1, "slow");
    (void)grove_sleep_await(WARM_MS); /* The watch has read by then what names lines. */
    for (int i = 0; i < atoi(argv[2]); i++) {
        if (place != NULL)
            place(script.ms);
        else
            rc = stage_perform(slow, &script);
        if (rc != 0)
            (void)fprintf(stderr, "stall_program: %s\n", grove_error_name(rc));
        (void)grove_sleep_await(REST_MS); /* main is never stopped. */
    }
    print_stalls();
    return grove_deinit() == 0 ? 0 : 3;
}
