/*
 * Remote worker: a pool whose workers are on another machine. DIR has
 * certificates, as "grove certs DIR" makes them.
 *
 *     remote_worker DIR             opens the pool, and starts this program once
 *                                   more, as if it were the other machine
 *     remote_worker --connect ...   is the other machine; --help tells the rest
 *
 * Prints who came, what he counted, and that he has left.
 */
#include <grove.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "remote_worker.grove.h"

static int count(const Faraway__V1__CountRequest *request, Faraway__V1__CountResponse *answer)
{
    for (uint32_t i = 2; i < request->below; i++) {
        bool prime = true;
        for (uint32_t j = 2; j * j <= i && prime; j++)
            prime = i % j != 0;
        answer->primes += prime;
    }
    return 0;
}
static const struct prime_service prime = {.count = count};
GROVE_WORKER(prime, &prime);

/* A file of DIR, in a place of its own for each of the six. */
static const char *in(const char *dir, const char *name)
{
    static char paths[6][256];
    static unsigned n;
    char *path = paths[n++ % 6];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static int start_machine(grove_ref pool, const char *self, const char *dir,
                         struct grove_process **machine)
{
    char url[128];
    int rc = grove_pool_url(pool, url, sizeof url);

    if (rc != 0)
        return rc;
    return grove_process_spawn((const char *const[]){self, "--connect", url, "--workers", "2",
                                                     "--cert", in(dir, "worker.pem"), "--key",
                                                     in(dir, "worker.key"), "--ca",
                                                     in(dir, "ca.pem"), NULL},
                               NULL, machine);
}

static int run_await(const char *self, const char *dir)
{
    struct grove_pool_options options = {
        .only_remote = true,
        .listen = "tls+tcp://127.0.0.1:0", /* 0.0.0.0:7000, to be found by other machines */
        .allow = "worker",                 /* the name in their certificate */
        .cert = in(dir, "server.pem"),
        .key = in(dir, "server.key"),
        .ca = in(dir, "ca.pem"),
    };
    Faraway__V1__CountRequest request = FARAWAY__V1__COUNT_REQUEST__INIT;
    Faraway__V1__CountResponse answer = FARAWAY__V1__COUNT_RESPONSE__INIT;
    struct grove_process *machine = NULL;
    struct grove_pool_stats stats;
    grove_ref pool;
    int rc = grove_pool_open(&options, &pool);

    if (rc == 0)
        rc = start_machine(pool, self, dir, &machine);
    request.below = 1000000;
    if (rc == 0) /* It waits until somebody has come. */
        rc = prime_count_await(pool, &request, &answer);
    if (rc != 0)
        return rc;
    grove_pool_stats(pool, &stats);
    printf("%u machine with %u workers came, %u processes are here\n", stats.n_remote,
           stats.n_remote_workers, stats.n_workers);
    printf("%u primes below %u\n", answer.primes, request.below);

    grove_process_kill(machine, SIGTERM);
    rc = grove_process_wait_await(machine, NULL);
    for (int i = 0; i < 1000 && stats.n_remote > 0 && rc == 0; i++) {
        rc = grove_sleep_await(1);
        grove_pool_stats(pool, &stats);
    }
    printf("it has left, and %llu jobs were lost\n", (unsigned long long)stats.failed);
    grove_process_close(machine);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--connect") == 0 || strcmp(argv[1], "--help") == 0))
        return grove_worker_main(argc, argv);
    grove_init(&argc, &argv);
    if (argc != 2 || argv[1][0] == '-')
        return fprintf(stderr, "usage: remote_worker DIR (made by: grove certs DIR)\n"), 2;
    if (run_await(argv[0], argv[1]) != 0)
        return fprintf(stderr, "remote_worker: %s\n", grove_why()), 1;
    return grove_deinit();
}
