#include "sim/signal.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "sim/fault.h"
#include "sim/poller.h"
#include "sim/world.h"

struct gv_signals {
    struct gv_signals *next;
    struct gv_poller *poller;
    uint64_t set, news;
    void (*came)(void *owner, int signal);
    void *owner;
    bool closed, telling;
};

/* Of the one process that there is for a signal. A seed that ends leaves none. */
static struct gv_signals *watchers;

static void tell(void *object)
{
    struct gv_signals *watcher = object;
    uint64_t news = watcher->news;

    watcher->news = 0;
    watcher->telling = true;
    for (int i = 1; i <= 64 && !watcher->closed; i++)
        if (news & gv_signal_bit(i))
            watcher->came(watcher->owner, i);
    watcher->telling = false;
    if (watcher->closed)
        free(watcher);
}

unsigned gv_sim_signal_send(int signal)
{
    unsigned n = 0;

    gv_sim_note("signal", (uint64_t)signal, 0);
    for (struct gv_signals *watcher = watchers; watcher != NULL; watcher = watcher->next) {
        if ((watcher->set & gv_signal_bit(signal)) == 0)
            continue;
        n++;
        /* One that is still on its way takes this one along. */
        if (watcher->news == 0)
            gv_sim_post(watcher->poller, gv_sim_travel_ns(), tell, watcher);
        watcher->news |= gv_signal_bit(signal);
    }
    return n;
}

unsigned grove_sim_signal(int signal)
{
    return grove_sim_seed(NULL) && signal >= 1 && signal <= 64 ? gv_sim_signal_send(signal) : 0;
}

int gv_sim_signals_open(struct gv_poller *poller, uint64_t set,
                        void (*came)(void *owner, int signal), void *owner,
                        struct gv_signals **signals)
{
    uint64_t never = gv_signal_bit(SIGKILL) | gv_signal_bit(SIGSTOP);
    struct gv_signals *watcher;

    if (set == 0 || (set & never) != 0)
        return -EINVAL;
    watcher = calloc(1, sizeof *watcher);
    if (watcher == NULL)
        return -ENOMEM;
    watcher->poller = poller;
    watcher->set = set;
    watcher->came = came;
    watcher->owner = owner;
    watcher->next = watchers;
    watchers = watcher;
    poller->n_objects++;
    *signals = watcher;
    return 0;
}

void gv_sim_signals_close(struct gv_signals *watcher)
{
    struct gv_signals **place = &watchers;

    while (*place != watcher)
        place = &(*place)->next;
    *place = watcher->next;
    watcher->poller->n_objects--;
    gv_sim_cancel(watcher->poller, watcher);
    watcher->closed = true;
    if (!watcher->telling)
        free(watcher);
}

void gv_sim_signals_block(void *world)
{
    (void)world;
}
