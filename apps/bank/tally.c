/* Tally: counts what happens during a demo. See tally.h. */
#include "apps/bank/tally.h"

#include <grove.h>

#include "apps/bank/histogram.h"

struct tally {
    uint64_t accepted;
    uint64_t overdrawn;
    uint64_t screened_out;
    uint64_t refused_otherwise;
    uint64_t failed;
    uint64_t screenings;
    uint64_t screenings_failed;
    uint64_t asked;
    uint64_t ended_ns;
    uint32_t ended;
    int32_t failure; /* the first one */
    struct bank_histogram transfer;
    struct bank_histogram screening;
    struct bank_histogram screening_work;
};

static int note_transfer(struct tally *me, const Bank__V1__NoteTransferRequest *request,
                         Bank__V1__NoteTransferResponse *response)
{
    (void)response; /* An empty message. */
    if (request->code == 0)
        me->accepted++;
    else if (request->code == BANK__V1__REFUSAL__REFUSAL_OVERDRAWN)
        me->overdrawn++;
    else if (request->code == BANK__V1__REFUSAL__REFUSAL_SCREENED)
        me->screened_out++;
    else if (request->code > 0)
        me->refused_otherwise++;
    else if (me->failed++ == 0)
        me->failure = request->code;
    bank_histogram_add(&me->transfer, request->took_ns);
    return 0;
}

static int note_screening(struct tally *me, const Bank__V1__NoteScreeningRequest *request,
                          Bank__V1__NoteScreeningResponse *response)
{
    (void)response; /* An empty message. */
    me->screenings++;
    if (request->code < 0)
        me->screenings_failed++;
    bank_histogram_add(&me->screening, request->took_ns);
    if (request->work_ns != 0)
        bank_histogram_add(&me->screening_work, request->work_ns);
    return 0;
}

static int note_end(struct tally *me, const Bank__V1__NoteEndRequest *request,
                    Bank__V1__NoteEndResponse *response)
{
    (void)response; /* An empty message. */
    me->asked += request->asked;
    me->ended++;
    me->ended_ns = grove_now_ns();
    return 0;
}

/* Makes the message of a latency; NULL without memory. */
static Bank__V1__Latency *latency_of(const struct bank_histogram *histogram)
{
    Bank__V1__Latency *latency = grove_alloc(sizeof *latency);

    if (latency == NULL)
        return NULL;
    bank__v1__latency__init(latency);
    latency->p50 = bank_histogram_permille(histogram, 500);
    latency->p99 = bank_histogram_permille(histogram, 990);
    latency->max = histogram->max;
    return latency;
}

static int summarize(struct tally *me, const Bank__V1__SummarizeRequest *request,
                     Bank__V1__SummarizeResponse *response)
{
    (void)request; /* An empty message. */
    response->accepted = me->accepted;
    response->overdrawn = me->overdrawn;
    response->screened_out = me->screened_out;
    response->refused_otherwise = me->refused_otherwise;
    response->failed = me->failed;
    response->failure = me->failure;
    response->screenings = me->screenings;
    response->screenings_failed = me->screenings_failed;
    response->asked = me->asked;
    response->ended = me->ended;
    response->ended_ns = me->ended_ns;
    response->transfer = latency_of(&me->transfer);
    response->screening = latency_of(&me->screening);
    response->screening_work = latency_of(&me->screening_work);
    return response->transfer != NULL && response->screening != NULL
                   && response->screening_work != NULL
               ? 0
               : GROVE_ENOMEM;
}

const struct tally_service bank_tally = {
    .state_bytes = sizeof(struct tally),
    .note_transfer = note_transfer,
    .note_screening = note_screening,
    .note_end = note_end,
    .summarize = summarize,
};
