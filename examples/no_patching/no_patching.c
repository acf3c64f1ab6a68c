/*
 * No patching: ten greenlets each sleep 50 ms, and a thread of the program's own does so too.
 *
 * Some runtimes replace the C or standard library's calls by their own while a
 * program starts, and what was imported before stays as it was. grove replaces
 * nothing: nanosleep is nanosleep, wherever it stands and whoever was loaded
 * first. With --bad greenlets call it: each holds up its loop, and the stall watch
 * names the line. Without it they call what can let others run, and its name says
 * so: all ten sleep at the same time. The thread sleeps as it always did. Prints
 * what it is and "10 sleeps of 50 ms in N ms, a thread slept N ms".
 */
#include <grove.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct timespec nap = {.tv_nsec = 50 * 1000 * 1000};
static int n_slept;

static void sleep_in_the_kernel(void *argument)
{
    (void)nanosleep(&nap, NULL);
    n_slept++;
}

static void sleep_in_grove(void *argument)
{
    (void)grove_sleep_await(50);
    n_slept++;
}

static void *sleep_in_a_thread(void *slept_ms)
{
    unsigned long long start_ms = grove_now_ms();

    (void)nanosleep(&nap, NULL);
    *(unsigned long long *)slept_ms = grove_now_ms() - start_ms;
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned long long slept_ms;
    pthread_t thread;
    int rc = 0;

    grove_init(&argc, &argv);
    bool bad = argc == 2 && strcmp(argv[1], "--bad") == 0;
    if (argc > 1 && !bad)
        return fprintf(stderr, "usage: no_patching [--bad]\n"), 2;
    if (pthread_create(&thread, NULL, sleep_in_a_thread, &slept_ms) != 0)
        return fprintf(stderr, "no_patching: no thread can be started\n"), 1;

    unsigned long long start_ms = grove_now_ms();
    for (int i = 0; i < 10 && rc == 0; i++)
        rc = grove_go(bad ? sleep_in_the_kernel : sleep_in_grove, NULL, NULL, NULL);
    while (rc == 0 && n_slept < 10)
        rc = grove_sleep_await(1);
    unsigned long long took_ms = grove_now_ms() - start_ms;
    (void)pthread_join(thread, NULL);
    if (rc != 0)
        return fprintf(stderr, "no_patching: %s\n", grove_why()), 1;
    printf("%s\n10 sleeps of 50 ms in %llu ms, a thread slept %llu ms\n",
           bad ? "bad: nanosleep, not patched" : "good: grove_sleep_await", took_ms, slept_ms);
    return grove_deinit();
}
