/*
 * Pool crash: photo 3 makes a worker process break. That job fails, the
 * others do not notice, and the worker is replaced. Whoever asks for it again
 * and again is refused after three deaths, and the job is kept as a dead letter.
 * Prints who heard what. The report of each crash goes to standard error.
 */
#include <grove.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "pool_crash.grove.h"

static int thumbnail(const Crash__V1__ThumbnailRequest *request,
                     Crash__V1__ThumbnailResponse *answer)
{
    if (request->photo == 3)
        raise(SIGSEGV); /* As a write beyond the end of a buffer would. */
    answer->bytes = 1000 * request->photo;
    answer->worker = getpid();
    return 0;
}
static const struct studio_service studio = {.thumbnail = thumbnail};
GROVE_WORKER(studio, &studio);

static void ask_await(grove_ref pool, uint32_t photo)
{
    Crash__V1__ThumbnailRequest request = CRASH__V1__THUMBNAIL_REQUEST__INIT;
    Crash__V1__ThumbnailResponse answer = CRASH__V1__THUMBNAIL_RESPONSE__INIT;

    request.photo = photo;
    int rc = studio_thumbnail_await(pool, &request, &answer);
    if (rc == 0)
        printf("photo %u: %u bytes\n", photo, answer.bytes);
    else
        printf("photo %u: %s: %s\n", photo, grove_error_name(rc), grove_why());
}

static void tell(grove_ref pool)
{
    struct grove_pool_letter letters[8];
    struct grove_pool_quarantine quarantine;
    struct grove_pool_stats stats = {0};
    int n = grove_pool_dead_letters(pool, letters, 8);

    for (int i = 0; i < n && i < 8; i++)
        printf("dead letter %d: %s, %s, %u run\n", (int)letters[i].id, letters[i].method->name,
               grove_dead_name(letters[i].reason), letters[i].attempts);
    if (grove_pool_quarantines(pool, &quarantine, 1) == 1)
        printf("quarantined: %s, %u deaths\n", quarantine.method->name, quarantine.deaths);
    if (grove_pool_stats(pool, &stats) == 0)
        printf("%d done, %d failed, %d workers replaced\n", (int)stats.done, (int)stats.failed,
               (int)stats.restarts);
}

int main(int argc, char **argv)
{
    struct grove_pool_options options = {.n_workers = 2};
    grove_ref pool;

    grove_init(&argc, &argv);
    if (grove_pool_open(&options, &pool) != 0)
        return fprintf(stderr, "pool_crash: %s\n", grove_why()), 1;
    for (uint32_t photo = 1; photo <= 4; photo++)
        ask_await(pool, photo);
    for (int again = 0; again < 3; again++) /* The third time it is known. */
        ask_await(pool, 3);
    ask_await(pool, 5);
    grove_sleep_await(100); /* until the last worker is there again */
    tell(pool);
    return grove_deinit();
}
