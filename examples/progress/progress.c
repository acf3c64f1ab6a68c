/*
 * Progress: a worker process renders a film and says how far it is; its
 * caller follows. The second caller has no patience: he leaves, and the job,
 * which asks now and then, ends too, without its worker being killed.
 * Prints what was heard, and what became of both.
 */
#include <grove.h>
#include <stdio.h>

#include "progress.grove.h"

static uint64_t render_frame(uint32_t frame)
{
    uint64_t pixels = frame;
    for (unsigned long long until_ms = grove_now_ms() + 20; grove_now_ms() < until_ms;)
        pixels = pixels * 6364136223846793005u + 1442695040888963407u;
    return pixels;
}

static int render(const Progress__V1__RenderRequest *request, Progress__V1__RenderResponse *answer)
{
    for (uint32_t i = 0; i < request->frames; i++) {
        if (grove_job_cancelled())
            return GROVE_ECANCELED; /* Nobody hears it any more. */
        answer->frames += render_frame(i) != 0;
        grove_job_progress((double)(i + 1) / request->frames,
                           2 * i < request->frames ? "the first half" : "the second half");
    }
    return 0;
}
static const struct film_service film = {.render = render};
GROVE_WORKER(film, &film);

static void watch_await(grove_ref pool, uint32_t frames, uint32_t patience_ms)
{
    Progress__V1__RenderRequest request = PROGRESS__V1__RENDER_REQUEST__INIT;
    Progress__V1__RenderResponse answer = PROGRESS__V1__RENDER_RESPONSE__INIT;
    struct grove_progress progress;
    struct grove_future future;

    request.frames = frames;
    grove_within(patience_ms);
    int rc = film_render_start(pool, &request, &answer, &future);
    while (rc == 0 && grove_progress_await(&future, &progress))
        printf("%3.0f %%, %s\n", 100 * progress.fraction, progress.note);
    if (rc == 0)
        rc = grove_future_await(&future);
    if (rc == 0)
        printf("rendered %u frames\n", answer.frames);
    else
        printf("not rendered: %s\n", grove_error_name(rc));
}

int main(int argc, char **argv)
{
    struct grove_pool_options options = {.n_workers = 1, .grace_ms = 5000};
    struct grove_pool_stats stats = {0};
    grove_ref pool;

    grove_init(&argc, &argv);
    if (grove_pool_open(&options, &pool) != 0)
        return fprintf(stderr, "progress: %s\n", grove_why()), 1;
    watch_await(pool, 40, 20000);
    watch_await(pool, 100000, 500);
    watch_await(pool, 2, 20000);
    if (grove_pool_stats(pool, &stats) == 0)
        printf("workers killed: %d\n", (int)stats.restarts);
    return grove_deinit();
}
