#include "ticker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct ticker {
    struct seen *seen;
};

static int init(struct ticker *me, const void *argument)
{
    me->seen = *(struct seen *const *)argument;
    return 0;
}

static void see(struct ticker *me, uint32_t number)
{
    if (me->seen->n < TICKER_SEEN_MAX)
        me->seen->numbers[me->seen->n] = number;
    me->seen->n++;
}

static int tick(struct ticker *me, const Ticker__V1__TickRequest *request,
                Ticker__V1__TickResponse *response)
{
    see(me, request->number);
    response->number = request->number;
    return 0;
}

static int note(struct ticker *me, const Ticker__V1__NoteRequest *request,
                Ticker__V1__NoteResponse *response)
{
    (void)response;
    see(me, TICKER_NOTE + request->number);
    return 0;
}

static int nap(struct ticker *me, const Ticker__V1__NapRequest *request,
               Ticker__V1__NapResponse *response)
{
    (void)response;
    me->seen->n_naps++;
    return grove_sleep_await(request->ms);
}

static const struct ticker_service functions = {
    .state_bytes = sizeof(struct ticker),
    .init = init,
    .tick = tick,
    .note = note,
    .nap = nap,
};

grove_ref ticker_spawn_at(unsigned loop, struct seen *seen, uint32_t depth_max, uint32_t bytes_max)
{
    struct grove_spawn_options options = {.place = GROVE_ON_LOOP(loop),
                                          .depth_max = depth_max,
                                          .bytes_max = bytes_max,
                                          .argument_bytes = sizeof seen};
    grove_ref ref = GROVE_NOBODY;

    seen->n = 0;
    assert_int_equal(ticker_spawn_await(&functions, &seen, &options, &ref), 0);
    return ref;
}

int ticker_send(grove_ref ref, uint32_t number)
{
    return ticker_send_load(ref, number, 0);
}

int ticker_send_load(grove_ref ref, uint32_t number, size_t bytes)
{
    static uint8_t zeros[65536];
    Ticker__V1__TickRequest request = TICKER__V1__TICK_REQUEST__INIT;

    request.number = number;
    request.load = (ProtobufCBinaryData){bytes, zeros};
    return ticker_tick_send(ref, &request);
}

int ticker_send_note(grove_ref ref, uint32_t number)
{
    Ticker__V1__NoteRequest request = TICKER__V1__NOTE_REQUEST__INIT;

    request.number = number;
    return ticker_note_send(ref, &request);
}

void ticker_nap(grove_ref ref, struct seen *seen, uint32_t ms)
{
    Ticker__V1__NapRequest request = TICKER__V1__NAP_REQUEST__INIT;
    unsigned n_before = seen->n_naps;

    request.ms = ms;
    assert_int_equal(ticker_nap_send(ref, &request), 0);
    do
        assert_int_equal(grove_sleep_await(1), 0);
    while (seen->n_naps == n_before);
}

int ticker_call_note(grove_ref ref, uint32_t number)
{
    Ticker__V1__NoteRequest request = TICKER__V1__NOTE_REQUEST__INIT;
    Ticker__V1__NoteResponse response = TICKER__V1__NOTE_RESPONSE__INIT;

    request.number = number;
    return ticker_note_await(ref, &request, &response);
}

int ticker_start_tick(grove_ref ref, uint32_t number, Ticker__V1__TickResponse *response,
                      struct grove_future *future)
{
    Ticker__V1__TickRequest request = TICKER__V1__TICK_REQUEST__INIT;

    *response = (Ticker__V1__TickResponse)TICKER__V1__TICK_RESPONSE__INIT;
    request.number = number;
    return ticker_tick_start(ref, &request, response, future);
}

int ticker_start_note(grove_ref ref, uint32_t number, Ticker__V1__NoteResponse *response,
                      struct grove_future *future)
{
    Ticker__V1__NoteRequest request = TICKER__V1__NOTE_REQUEST__INIT;

    *response = (Ticker__V1__NoteResponse)TICKER__V1__NOTE_RESPONSE__INIT;
    request.number = number;
    return ticker_note_start(ref, &request, response, future);
}
