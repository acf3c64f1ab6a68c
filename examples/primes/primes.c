/*
 * Primes: a worker process searches for primes and gives them one by one.
 * Its reader takes what it wants and leaves; then the search ends too. With
 * credit for 4 the worker is never far ahead of a reader that thinks about
 * each. First the search is called as the plain function that it is, as a
 * unit test would.
 */
#include <grove.h>
#include <stdio.h>

#include "primes.grove.h"

static bool is_prime(uint32_t number)
{
    for (uint32_t i = 2; i * i <= number; i++)
        if (number % i == 0)
            return false;
    return number > 1;
}

static int search(const Primes__V1__SearchRequest *request, struct prime_search_sink *sink)
{
    Primes__V1__SearchResponse found = PRIMES__V1__SEARCH_RESPONSE__INIT;
    int rc = 0;

    for (found.prime = request->from; rc == 0; found.prime++)
        if (is_prime(found.prime))
            rc = prime_search_emit_await(sink, &found); /* waits while nobody takes them */
    return rc;
}
static const struct prime_service primes = {.search = search};
GROVE_WORKER(prime, &primes);

/* Without a worker: a collector takes three, then it leaves. */
static void try_it(void)
{
    Primes__V1__SearchRequest request = PRIMES__V1__SEARCH_REQUEST__INIT;
    struct grove_collector collector = {.n_max = 3};
    struct prime_search_sink sink = prime_search_collect(&collector);
    int rc = search(&request, &sink);

    for (size_t i = 0; i < collector.n_items; i++)
        printf("here: %u\n", prime_search_collected(&collector, i)->prime);
    printf("here: %s\n", grove_error_name(rc));
    grove_collector_free(&collector);
}

static int read_await(grove_ref pool)
{
    Primes__V1__SearchRequest request = PRIMES__V1__SEARCH_REQUEST__INIT;
    Primes__V1__SearchResponse found = PRIMES__V1__SEARCH_RESPONSE__INIT;
    struct prime_search_stream search_there;
    int rc;

    request.from = 1000000;
    rc = prime_search_open(pool, &request, &search_there);
    while (rc == 0 && search_there.items.n_items < 5) {
        rc = prime_search_next_await(&search_there, &found);
        if (rc == 0)
            printf("there: %u\n", found.prime);
    }
    prime_search_close(&search_there); /* Returning would do. */
    return rc;
}

int main(int argc, char **argv)
{
    grove_ref pool;

    grove_init(&argc, &argv);
    try_it();
    if (grove_pool_open(NULL, &pool) != 0 || read_await(pool) != 0)
        return fprintf(stderr, "primes: %s\n", grove_why()), 1;
    return grove_deinit();
}
