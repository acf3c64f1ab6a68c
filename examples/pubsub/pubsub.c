/*
 * Pubsub: a group, one publisher, and listeners of which one is slow.
 *
 * Publishing never waits. The slow listener's mailbox has room for 4
 * messages; what finds none is refused to it, counted, and a dead letter.
 * The others get all hundred prices while it still thinks about its first one.
 */
#include <grove.h>
#include <stdio.h>

#include "pubsub.grove.h"

#define PRICES    100
#define LISTENERS 3

struct listener {
    bool slow;
    int32_t prices;
    int64_t last_cents;
};

static int join(struct listener *me, const void *slow)
{
    grove_ref group;
    int rc = grove_group_open("prices", &group);

    me->slow = *(const bool *)slow;
    return rc == 0 ? grove_group_join(group, grove_self()) : rc;
}

static int price(struct listener *me, const Pubsub__V1__PriceRequest *request,
                 Pubsub__V1__PriceResponse *response)
{
    int rc = me->slow ? grove_sleep_await(200) : 0;

    me->prices++;
    me->last_cents = request->cents;
    return rc;
}

static int count(struct listener *me, const Pubsub__V1__CountRequest *request,
                 Pubsub__V1__CountResponse *response)
{
    response->prices = me->prices;
    response->last_cents = me->last_cents;
    return 0;
}

/* A call waits in the mailbox behind the prices, so it counts them all. */
static int report(int i, grove_ref listener)
{
    Pubsub__V1__CountRequest request = PUBSUB__V1__COUNT_REQUEST__INIT;
    Pubsub__V1__CountResponse response = PUBSUB__V1__COUNT_RESPONSE__INIT;
    int rc = listener_count_await(listener, &request, &response);

    if (rc == 0)
        printf("listener %d: %d prices, the last one %lld\n", i, response.prices,
               (long long)response.last_cents);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct listener_service functions = {sizeof(struct listener), join, .price = price,
                                                      .count = count};
    Pubsub__V1__PriceRequest request = PUBSUB__V1__PRICE_REQUEST__INIT;
    struct grove_spawn_options options = {.argument_bytes = sizeof(bool)};
    struct grove_published published;
    grove_ref listeners[LISTENERS], group;
    unsigned long long n_got = 0, n_refused = 0;
    int rc = 0;

    grove_init(&argc, &argv);
    for (int i = 0; i < LISTENERS; i++) {
        bool slow = i == 0;

        options.depth_max = slow ? 4 : 0; /* 0: as usual, 1024 */
        if (listener_spawn_await(&functions, &slow, &options, &listeners[i]) != 0)
            return fprintf(stderr, "pubsub: %s\n", grove_why()), 1;
    }
    if (grove_group_open("prices", &group) != 0)
        return 1;
    for (request.cents = 1; request.cents <= PRICES && rc == 0; request.cents++) {
        rc = listener_price_publish(group, &request, &published);
        n_got += published.n_here;
        n_refused += published.n_refused;
        if (rc == 0)
            rc =
                grove_yield_await(); /* The listeners' turn; a publisher that is an actor returns. */
    }
    printf("published %d, got %llu, refused %llu\n", PRICES, n_got, n_refused);
    for (int i = LISTENERS; i-- > 0 && rc == 0;)
        rc = report(i, listeners[i]);
    if (rc != 0)
        fprintf(stderr, "pubsub: %s\n", grove_why());
    return grove_deinit() != 0 || rc != 0;
}
