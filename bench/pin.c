#include "pin.h"

#include <errno.h>
#include <sched.h>

#include <grove.h>

#include "bench.grove.h"

static int pin(struct pin *me, const Bench__V1__PinRequest *request,
               Bench__V1__PinResponse *response)
{
    cpu_set_t set;

    (void)me;
    (void)response;
    CPU_ZERO(&set);
    CPU_SET(request->cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : -errno;
}

static const struct pin_service functions = {.pin = pin};

/* The next CPU of the set after `after`, from the first again behind the last. */
static int next_cpu(const cpu_set_t *set, int after)
{
    int cpu = after;

    do
        cpu = (cpu + 1) % CPU_SETSIZE;
    while (!CPU_ISSET(cpu, set));
    return cpu;
}

int bench_pin_await(void)
{
    cpu_set_t set;
    int cpu = -1;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return -errno;
    for (unsigned k = 0; k < grove_loops(); k++) {
        struct grove_spawn_options there = {.place = GROVE_ON_LOOP(k)};
        Bench__V1__PinRequest request = BENCH__V1__PIN_REQUEST__INIT;
        Bench__V1__PinResponse response = BENCH__V1__PIN_RESPONSE__INIT;
        grove_ref ref;
        int rc = pin_spawn_await(&functions, NULL, &there, &ref);

        if (rc != 0)
            return rc;
        cpu = next_cpu(&set, cpu);
        request.cpu = (uint32_t)cpu;
        rc = pin_pin_await(ref, &request, &response);
        if (rc != 0)
            return rc;
        rc = grove_stop_await(ref, GROVE_STOP_NOW);
        if (rc != 0)
            return rc;
    }
    return 0;
}
