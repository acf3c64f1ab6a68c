/*
 * Blocks: messages that carry so many bytes, from one actor to another on
 * the same loop, so that the memory of messages is taken and given back and
 * their content copied once. The sender waits for room when the mailbox is
 * full. The check is the number of bytes that came, and what stood in them.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove.h>

#include "bench.grove.h"
#include "total.h"

struct store {
    int64_t left;  /* parcels to come */
    int64_t bytes; /* of the parcels that were right */
    grove_ref referee;
};

struct store_start {
    int64_t expected;
    grove_ref referee;
};

static int open_store(struct store *me, const void *argument)
{
    const struct store_start *start = argument;

    me->left = start->expected;
    me->referee = start->referee;
    return 0;
}

/* A parcel of n bytes begins and ends with the low byte of its number, counted down to 1. */
static int keep(struct store *me, const Bench__V1__KeepRequest *request,
                Bench__V1__KeepResponse *response)
{
    const uint8_t *bytes = request->parcel.data;
    size_t n = request->parcel.len;

    (void)response;
    if (bytes[0] == (uint8_t)me->left && bytes[n - 1] == (uint8_t)me->left)
        me->bytes += (int64_t)n;
    me->left--;
    return me->left == 0 ? bench_total_send(me->referee, me->bytes) : 0;
}

static const struct store_service functions = {
    .state_bytes = sizeof(struct store), .init = open_store, .keep = keep};

static int send_all_await(grove_ref store, uint8_t *parcel, const int64_t *numbers)
{
    Bench__V1__KeepRequest request = BENCH__V1__KEEP_REQUEST__INIT;
    int rc = 0;

    request.parcel.data = parcel;
    request.parcel.len = (size_t)numbers[0];
    for (int64_t left = numbers[1]; left > 0 && rc == 0; left--) {
        parcel[0] = parcel[numbers[0] - 1] = (uint8_t)left;
        rc = store_keep_send_await(store, &request);
    }
    return rc;
}

int bench_blocks_await(const int64_t *numbers, struct bench_result *result)
{
    struct store_start start = {.expected = numbers[1], .referee = grove_self()};
    uint8_t *parcel = calloc(1, (size_t)numbers[0]);
    struct bench_total total;
    uint64_t started_ns = 0;
    grove_ref store;
    int rc = GROVE_ENOMEM;

    if (parcel != NULL)
        rc = store_spawn_await(&functions, &start, NULL, &store);
    if (rc == 0) {
        started_ns = grove_now_ns();
        rc = send_all_await(store, parcel, numbers);
    }
    if (rc == 0)
        rc = bench_total_await(&total);
    free(parcel);
    if (rc != 0)
        return rc;
    result->nanoseconds = total.ended_ns - started_ns;
    result->ops = numbers[1];
    result->right = total.sum == numbers[0] * numbers[1];
    (void)snprintf(result->keys, sizeof result->keys, "ns_per=%.1f",
                   (double)result->nanoseconds / (double)result->ops); /* It fits. */
    return 0;
}
