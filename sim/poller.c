#include "sim/poller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/fault.h"
#include "sim/process.h"
#include "sim/thread.h"
#include "sim/world.h"

struct gv_sim_event {
    struct gv_sim_event *next;
    uint64_t due_ns;
    void (*run)(void *object);
    void *object;
};

void gv_sim_post(struct gv_poller *poller, uint64_t delay_ns, void (*run)(void *object),
                 void *object)
{
    struct gv_sim_event *event = malloc(sizeof *event), **place = &poller->events;

    if (event == NULL)
        gv_sim_crash("no memory for an event");
    *event =
        (struct gv_sim_event){.due_ns = gv_sim.now_ns + delay_ns, .run = run, .object = object};
    while (*place != NULL && (*place)->due_ns <= event->due_ns)
        place = &(*place)->next;
    event->next = *place;
    *place = event;
    if (poller->waiter != NULL)
        gv_sim_thread_wake(poller->waiter, event->due_ns);
}

void gv_sim_cancel(struct gv_poller *poller, const void *object)
{
    struct gv_sim_event **place = &poller->events;

    while (*place != NULL) {
        struct gv_sim_event *event = *place;

        if (event->object != object) {
            place = &event->next;
            continue;
        }
        *place = event->next;
        free(event);
    }
}

static void run_due(struct gv_poller *poller)
{
    unsigned n = 0;

    while (poller->events != NULL && poller->events->due_ns <= gv_sim.now_ns) {
        struct gv_sim_event *event = poller->events;
        void (*run)(void *) = event->run;
        void *object = event->object;

        if (n++ > 0 && gv_sim_draw(GV_SIM_ORDER, 8) == 0)
            return;
        poller->events = event->next;
        free(event);
        run(object);
    }
}

/* Until when this poll waits if nothing is posted meanwhile. */
static uint64_t end_of_poll(const struct gv_poller *poller, int64_t timeout_ns)
{
    uint64_t until_ns = GV_SIM_NEVER;

    if (timeout_ns >= 0) {
        until_ns = gv_sim.now_ns + (uint64_t)timeout_ns;
        until_ns += gv_sim_late_ns(gv_sim_mix.late_max_us);
    }
    if (timeout_ns > 0 && gv_sim_strikes(GROVE_SIM_EARLY, GV_SIM_ORDER, gv_sim_mix.early_ppm))
        until_ns =
            gv_sim.now_ns
            + gv_sim_draw(GV_SIM_ORDER, timeout_ns < 1000000 ? (uint32_t)timeout_ns + 1 : 1000000);
    if (poller->events != NULL && poller->events->due_ns < until_ns)
        until_ns = poller->events->due_ns;
    return poller->woken_ns < until_ns ? poller->woken_ns : until_ns;
}

void gv_sim_poller_poll(struct gv_poller *poller, int64_t timeout_ns)
{
    if (timeout_ns != 0 || gv_sim_happens(GV_SIM_ORDER, gv_sim_mix.switch_ppm)) {
        uint64_t until_ns = timeout_ns != 0 ? end_of_poll(poller, timeout_ns) : gv_sim.now_ns;

        poller->waiter = gv_sim_thread_running();
        gv_sim_thread_wait(until_ns);
        poller->waiter = NULL;
    }
    if (poller->woken_ns <= gv_sim.now_ns)
        poller->woken_ns = GV_SIM_NEVER;
    run_due(poller);
}

void gv_sim_poller_wake(struct gv_poller *poller)
{
    uint64_t woken_ns = gv_sim.now_ns + gv_sim_late_ns(gv_sim_mix.wake_late_us);

    gv_sim_note("wake", poller->loop, 0);
    if (woken_ns < poller->woken_ns)
        poller->woken_ns = woken_ns;
    if (poller->waiter != NULL)
        gv_sim_thread_wake(poller->waiter, poller->woken_ns);
}

/* --- life ------------------------------------------------------------------------------------- */

int gv_sim_poller_open(void *world, unsigned loop, struct gv_poller **result)
{
    struct gv_process *process = gv_sim_thread_running()->process;
    struct gv_poller *poller = calloc(1, sizeof *poller);

    (void)world;
    if (poller == NULL)
        return -ENOMEM;
    poller->process = process;
    poller->loop = loop;
    poller->woken_ns = GV_SIM_NEVER;
    poller->next = process->pollers;
    process->pollers = poller;
    *result = poller;
    return 0;
}

void gv_sim_poller_free(struct gv_poller *poller)
{
    struct gv_poller **place = &poller->process->pollers;

    while (*place != poller)
        place = &(*place)->next;
    *place = poller->next;
    while (poller->events != NULL) {
        struct gv_sim_event *event = poller->events;

        poller->events = event->next;
        free(event);
    }
    free(poller);
}

void gv_sim_poller_close(struct gv_poller *poller)
{
    /* The last upcalls of what was closed come here. */
    while (poller->n_objects > 0 && poller->events != NULL)
        gv_sim_poller_poll(poller, -1);
    GV_SIM_CHECK(poller->n_objects == 0,
                 "a poller was closed with %u streams, listeners or children open",
                 poller->n_objects);
    gv_sim_poller_free(poller);
}

int gv_sim_poller_thread_start(void *world, struct gv_poller *poller, void (*run)(void *),
                               void *argument)
{
    char name[16];

    (void)world;
    (void)snprintf(name, sizeof name, "loop %u", poller->loop); /* It fits, or is cut. */
    poller->thread = gv_sim_thread_start(poller->process, name, gv_sim.now_ns + gv_sim_travel_ns(),
                                         run, argument);
    return poller->thread != NULL ? 0 : -EAGAIN;
}

void gv_sim_poller_thread_join(struct gv_poller *poller)
{
    gv_sim_thread_join(poller->thread);
}
