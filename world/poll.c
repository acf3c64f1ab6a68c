#include <grove/poll.h>

#include <errno.h>
#include <stdlib.h>

#include "actors/holding.h"
#include "actors/io.h"
#include "runtime/usage.h"

/* A wait for a descriptor. The loop owns it, so that nothing of it is left when that is closed. */
struct polling {
    struct gv_holding holding;
    struct gv_loop *loop;
    struct gv_watch *watch;
    struct gv_wait *waiter;
    unsigned ready;
};

static void close_polling(struct gv_holding *holding)
{
    struct polling *polling = (struct polling *)holding;

    gv_holding_remove(holding);
    gv_io_forsake(polling->loop, &polling->waiter, GROVE_ECANCELED);
    polling->loop->env->watch_close(polling->watch);
    free(polling);
}

static void on_ready(void *owner, bool readable, bool writable)
{
    struct polling *polling = owner;

    polling->ready |= (readable ? GROVE_READABLE : 0) | (writable ? GROVE_WRITABLE : 0);
    gv_io_wake(polling->loop, &polling->waiter, 0);
}

/* Watches until it is closed. Returns 0 or a code. */
static int open_polling(struct gv_loop *loop, int fd, unsigned wanted, struct polling **result)
{
    struct polling *polling = calloc(1, sizeof *polling);
    struct gv_watch_options options = {.fd = fd,
                                       .readable = (wanted & GROVE_READABLE) != 0,
                                       .writable = (wanted & GROVE_WRITABLE) != 0,
                                       .ready = on_ready,
                                       .owner = polling};
    int rc = polling != NULL ? loop->env->watch_open(loop->poller, &options, &polling->watch)
                             : GROVE_ENOMEM;

    if (rc != 0) {
        free(polling);
        return rc;
    }
    polling->loop = loop;
    polling->holding.close = close_polling;
    gv_holding_put(&loop->main_held, &polling->holding);
    *result = polling;
    return 0;
}

static void leave(struct gv_wait **place)
{
    close_polling(&((struct polling *)((char *)place - offsetof(struct polling, waiter)))->holding);
}

int grove_poll_await(int fd, unsigned wanted, unsigned *ready)
{
    struct gv_loop *loop = gv_io_loop();
    struct polling *polling;
    bool gone;
    int rc;

    if (loop == NULL)
        return gv_usage_wait("grove_poll_await");
    if (wanted == 0 || (wanted & ~(unsigned)(GROVE_READABLE | GROVE_WRITABLE)) != 0)
        return gv_usage("grove_poll_await: wanted is %u; say GROVE_READABLE, GROVE_WRITABLE, or "
                        "both",
                        wanted);
    if (loop->turn->cancelled)
        return gv_io_failed(loop, GROVE_ECANCELED, "wait for", "a descriptor");
    rc = open_polling(loop, fd, wanted, &polling);
    if (rc == -EEXIST)
        return gv_usage("grove_poll_await: another turn waits for descriptor %d on this loop, or a "
                        "stream has it; let one wait for both ways",
                        fd);
    if (rc == -EPERM)
        return gv_io_refused(loop, rc,
                             "wait for a descriptor: it is a file or a folder, which are "
                             "always ready; use grove/file.h for those");
    if (rc != 0)
        return gv_io_failed(loop, rc, "wait for", "a descriptor");
    rc = gv_io_await_or(loop, &polling->waiter, gv_io_deadline(loop), &gone, leave);
    if (rc == 0 && gone)
        rc = GROVE_ECANCELED;
    if (rc == 0 && ready != NULL)
        *ready = polling->ready & wanted;
    if (!gone)
        close_polling(&polling->holding);
    return rc == 0 ? 0 : gv_io_failed(loop, rc, "wait for", "a descriptor");
}
