#include <grove/signal.h>

#include <errno.h>
#include <stdlib.h>

#include "actors/holding.h"
#include "actors/io.h"
#include "runtime/usage.h"

struct grove_signals {
    struct gv_holding holding;
    struct gv_loop *loop;
    struct gv_signals *base;
    struct gv_wait *waiter;
    uint64_t came; /* a bit for each */
};

static void on_came(void *owner, int number)
{
    struct grove_signals *signals = owner;

    signals->came |= gv_signal_bit(number);
    gv_io_wake(signals->loop, &signals->waiter, 0);
}

static void close_holding(struct gv_holding *holding)
{
    grove_signals_close((struct grove_signals *)holding);
}

int grove_signals_open(const int *numbers, unsigned n, struct grove_signals **signals)
{
    struct gv_loop *loop = gv_io_loop();
    struct grove_signals *opened;
    struct gv_holding **head;
    uint64_t set = 0;
    int rc;

    if (loop == NULL)
        return gv_usage_thread("grove_signals_open");
    if (signals == NULL)
        return gv_usage_null("grove_signals_open", "the place for the signals");
    for (unsigned i = 0; i < n; i++) {
        if (numbers[i] < 1 || numbers[i] > 64)
            return gv_usage("grove_signals_open: %d is no signal", numbers[i]);
        set |= gv_signal_bit(numbers[i]);
    }
    if (set == 0)
        return gv_usage("grove_signals_open: no signal is named");
    rc = gv_holding_owner(loop, "grove_signals_open", &head);
    if (rc != 0)
        return rc;
    opened = calloc(1, sizeof *opened);
    if (opened == NULL)
        return gv_io_failed(loop, GROVE_ENOMEM, "wait for", "signals");
    opened->loop = loop;
    opened->holding.close = close_holding;
    rc = loop->env->signals_open(loop->poller, set, on_came, opened, &opened->base);
    if (rc != 0) {
        free(opened);
        if (rc == -EINVAL)
            return gv_usage(
                "grove_signals_open: one of these signals cannot be caught, as SIGKILL, "
                "SIGSTOP and those of faults; leave it out");
        return gv_io_failed(loop, rc, "wait for", "signals");
    }
    gv_holding_put(head, &opened->holding);
    *signals = opened;
    return 0;
}

int grove_signal_await(struct grove_signals *signals, int *number)
{
    struct gv_loop *loop = gv_io_loop();
    uint32_t deadline_ms;
    int rc;

    if (loop == NULL)
        return gv_usage_wait("grove_signal_await");
    if (number == NULL)
        return gv_usage_null("grove_signal_await", "the place for the number");
    if (signals == NULL)
        return gv_usage("grove_signal_await: no signals are open; grove_signals_open opens them");
    if (signals->loop != loop)
        return gv_usage("grove_signal_await: these signals are heard on loop %u and this is loop "
                        "%u; wait there",
                        signals->loop->index, loop->index);
    if (signals->waiter != NULL)
        return gv_usage("grove_signal_await: another turn waits for these; open them once more");
    if (loop->turn->cancelled)
        return gv_io_failed(loop, GROVE_ECANCELED, "wait for", "signals");
    deadline_ms = gv_io_deadline(loop);
    while (signals->came == 0) {
        bool gone;

        rc = gv_io_await_or(loop, &signals->waiter, deadline_ms, &gone, gv_io_leave);
        if (rc == 0 && gone)
            rc = GROVE_ECANCELED;
        if (rc != 0)
            return gv_io_failed(loop, rc, "wait for", "signals");
    }
    *number = __builtin_ctzll(signals->came) + 1;
    signals->came &= signals->came - 1;
    return 0;
}

void grove_signals_close(struct grove_signals *signals)
{
    if (signals == NULL)
        return;
    if (signals->loop != gv_loop_here) {
        (void)gv_usage("grove_signals_close: these signals are heard on loop %u; close them there",
                       signals->loop->index); /* There is no way to return it. */
        return;
    }
    gv_holding_remove(&signals->holding);
    gv_io_forsake(signals->loop, &signals->waiter, GROVE_ECANCELED);
    signals->loop->env->signals_close(signals->base);
    free(signals);
}
