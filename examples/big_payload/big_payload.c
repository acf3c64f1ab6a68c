/*
 * A big payload: eight pictures of 4 MiB go to worker processes and come back inverted.
 *
 * Nothing in the program says how: messages of 64 KiB and more travel through
 * memory that each worker shares with the program, and only their place goes
 * over the wire. The pool's figures tell: all pictures went so, both ways, and
 * a while after the last one the memory is given back.
 */
#include <grove.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "big_payload.grove.h"

enum { PICTURES = 8, BYTES = 4 << 20 };

static int invert(const Pictures__V1__InvertRequest *request,
                  Pictures__V1__InvertResponse *response)
{
    unsigned char *pixels = grove_alloc(request->pixels.len);

    if (pixels == NULL)
        return GROVE_ENOMEM;
    for (size_t i = 0; i < request->pixels.len; i++) {
        pixels[i] = (unsigned char)~request->pixels.data[i];
        response->sum += pixels[i];
    }
    response->pixels.data = pixels;
    response->pixels.len = request->pixels.len;
    return 0;
}

static const struct picture_service functions = {.invert = invert};
GROVE_WORKER(picture, &functions);

static grove_ref pool;
static int n_back, n_right;

/* One picture: all its pixels are `color`. */
static void show(void *color)
{
    Pictures__V1__InvertRequest request = PICTURES__V1__INVERT_REQUEST__INIT;
    Pictures__V1__InvertResponse response = PICTURES__V1__INVERT_RESPONSE__INIT;
    unsigned char *pixels = grove_alloc(BYTES);
    unsigned char inverted = (unsigned char)~*(unsigned char *)color;

    if (pixels != NULL) {
        memset(pixels, *(unsigned char *)color, BYTES);
        request.pixels.data = pixels;
        request.pixels.len = BYTES;
        if (picture_invert_await(pool, &request, &response) != 0)
            fprintf(stderr, "big_payload: %s\n", grove_why());
        else
            n_right += response.pixels.len == BYTES && response.pixels.data[BYTES - 1] == inverted
                       && response.sum == (uint64_t)BYTES * inverted;
    }
    n_back++;
}

int main(int argc, char **argv)
{
    static unsigned char colors[PICTURES];
    struct grove_pool_options options = {.n_workers = 2};
    struct grove_pool_stats stats;

    grove_init(&argc, &argv);
    if (grove_pool_open(&options, &pool) != 0)
        return fprintf(stderr, "big_payload: %s\n", grove_why()), 1;
    for (int i = 0; i < PICTURES; i++) {
        colors[i] = (unsigned char)(30 * i);
        if (grove_go(show, &colors[i], NULL, NULL) != 0)
            return fprintf(stderr, "big_payload: %s\n", grove_why()), 1;
    }
    while (n_back < PICTURES)
        (void)grove_sleep_await(1); /* the pictures are on their way */
    if (grove_pool_stats(pool, &stats) != 0)
        return fprintf(stderr, "big_payload: %s\n", grove_why()), 1;
    printf("%d of %d pictures are right\n", n_right, PICTURES);
    printf("through shared memory: %llu there, %llu back\n",
           (unsigned long long)stats.slab_requests, (unsigned long long)stats.slab_answers);
    for (int i = 0; i < 100 && stats.slab_used > 0; i++) { /* it takes a second or two */
        (void)grove_sleep_await(100);
        (void)grove_pool_stats(pool, &stats); /* It cannot fail while the pool is open. */
    }
    printf("it takes %llu bytes now\n", (unsigned long long)stats.slab_used);
    return grove_pool_close_await(pool, 1000) == 0 && n_right == PICTURES ? grove_deinit() : 1;
}
