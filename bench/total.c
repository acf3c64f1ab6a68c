#include "total.h"

#include "bench.grove.h"

int bench_total_send(grove_ref referee, int64_t sum)
{
    Bench__V1__TotalRequest request = BENCH__V1__TOTAL_REQUEST__INIT;

    request.sum = sum;
    request.ended_ns = grove_now_ns();
    return total_total_send(referee, &request);
}

int bench_total_await(struct bench_total *total)
{
    struct grove_letter letter;
    int rc = grove_receive_await(GROVE_INFINITE, &letter);

    if (rc == 0) {
        const Bench__V1__TotalRequest *request = (const Bench__V1__TotalRequest *)letter.request;

        *total = (struct bench_total){.sum = request->sum, .ended_ns = request->ended_ns};
    }
    return rc;
}
