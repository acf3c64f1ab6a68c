#include "tests/workers/feeds.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <grove.h>

#include "tests/workers/jobs.h"

#define COUNTS 4u

/* --- what is counted ------------------------------------------------------------------------------ */

static uint8_t *counts;

static void count(const Feeds__V1__CountRequest *request, unsigned place)
{
    int fd;

    if (request->counts[0] == '\0')
        return;
    if (counts == NULL) {
        fd = open(request->counts, O_RDWR | O_CLOEXEC);
        counts = mmap(NULL, COUNTS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (counts == MAP_FAILED)
            abort();
        (void)close(fd); /* The mapping stays. */
    }
    __atomic_fetch_add(&counts[place], 1, __ATOMIC_SEQ_CST);
}

static int heard(const Feeds__V1__CountRequest *request, int rc)
{
    unsigned times = rc == GROVE_ECANCELED   ? FEEDS_CANCELLED
                     : rc == GROVE_ETIMEDOUT ? FEEDS_TIMED_OUT
                                             : FEEDS_OTHER;

    while (times-- > 0)
        count(request, 2);
    return rc;
}

/* --- functions ------------------------------------------------------------------------------------ */

/* What happens instead of an item. */
static int happen(const Feeds__V1__CountRequest *request)
{
    switch (request->how) {
    case FEEDS__V1__COUNT_REQUEST__HOW__HOW_DIE:
        abort();
    case FEEDS__V1__COUNT_REQUEST__HOW__HOW_REFUSE:
        return grove_refuse(FEEDS__V1__REFUSAL__REFUSAL_ENOUGH, "enough of it");
    case FEEDS__V1__COUNT_REQUEST__HOW__HOW_FAIL:
        return -61;
    case FEEDS__V1__COUNT_REQUEST__HOW__HOW_END:
        return GROVE_EEND;
    case FEEDS__V1__COUNT_REQUEST__HOW__HOW_STAY:
        jobs_burn(20000000);
        return 0;
    case FEEDS__V1__COUNT_REQUEST__HOW__HOW_STAY_ONCE:
        if (counts[0] == 1)
            jobs_burn(20000000);
        return 0;
    default:
        return 0;
    }
}

int feeds_count(const Feeds__V1__CountRequest *request, struct feed_count_sink *sink)
{
    Feeds__V1__CountItem item = FEEDS__V1__COUNT_ITEM__INIT;
    char *text = grove_alloc(request->bytes + 1);
    int rc = 0;

    if (text == NULL)
        return GROVE_ENOMEM;
    memset(text, 'x', request->bytes);
    text[request->bytes] = '\0';
    item.text = text;
    item.pid = getpid();
    count(request, 0);
    for (uint32_t i = 0; rc == 0 && i < request->n; i++) {
        item.number = i;
        if (request->how != 0 && i == request->at)
            rc = happen(request);
        if (request->how == FEEDS__V1__COUNT_REQUEST__HOW__HOW_NULL)
            item.n_parts = i == request->at; /* and no array of them */
        if (rc != 0)
            return rc;
        rc = feed_count_emit_await(sink, &item);
        if (rc == 0)
            count(request, 1);
    }
    return rc != 0 ? heard(request, rc) : 0;
}

static int recount(const Feeds__V1__RecountRequest *request, struct feed_recount_sink *sink)
{
    Feeds__V1__RecountItem item = FEEDS__V1__RECOUNT_ITEM__INIT;
    int rc = 0;

    count(request->request, 0);
    for (uint32_t i = 0; rc == 0 && i < request->request->n; i++) {
        if (request->request->how != 0 && i == request->request->at)
            rc = happen(request->request);
        item.number = i;
        if (rc == 0)
            rc = feed_recount_emit_await(sink, &item);
    }
    return rc;
}

static int trickle(const Feeds__V1__TrickleRequest *request, struct feed_trickle_sink *sink)
{
    Feeds__V1__TrickleResponse item = FEEDS__V1__TRICKLE_RESPONSE__INIT;
    int rc = 0;

    count(request->request, 0);
    for (uint32_t i = 0; rc == 0 && i < request->request->n; i++) {
        item.number = i;
        rc = feed_trickle_emit_await(sink, &item);
        if (rc == 0)
            count(request->request, 1);
    }
    return rc != 0 ? heard(request->request, rc) : 0;
}

static int ping(const Feeds__V1__PingRequest *request, Feeds__V1__PingResponse *response)
{
    (void)request;
    response->pid = getpid();
    return 0;
}

const struct feed_service feeds = {
    .count = feeds_count,
    .recount = recount,
    .trickle = trickle,
    .ping = ping,
};

GROVE_WORKER(feed, &feeds);

/* --- an actor ------------------------------------------------------------------------------------- */

struct reader {
    uint32_t n;
};

static int read_some(struct reader *me, const Feeds__V1__ReadRequest *request,
                     Feeds__V1__ReadResponse *response)
{
    Feeds__V1__DrawRequest draw = FEEDS__V1__DRAW_REQUEST__INIT;
    Feeds__V1__DrawItem item = FEEDS__V1__DRAW_ITEM__INIT;
    struct reader_draw_stream draws;

    draw.n = request->of;
    response->rc = reader_draw_open(grove_self(), &draw, &draws);
    while (response->rc == 0 && response->n < request->n) {
        response->rc = reader_draw_next_await(&draws, &item);
        if (response->rc == 0 && item.number == response->n)
            response->n++;
    }
    me->n += response->n;
    return 0; /* What is still open is closed now. */
}

static int draw(const Feeds__V1__DrawRequest *request, struct reader_draw_sink *sink)
{
    Feeds__V1__DrawItem item = FEEDS__V1__DRAW_ITEM__INIT;
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < request->n; i++) {
        item.number = i;
        rc = reader_draw_emit_await(sink, &item);
    }
    return rc;
}

const struct reader_service readers = {
    .state_bytes = sizeof(struct reader), .read = read_some, .draw = draw};

GROVE_WORKER(reader, &readers);
