/* The ring of stalls and its counters; the public side of <grove/stall.h>. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <grove/error.h>

#include "runtime/stall_report.h"
#include "runtime/usage.h"

#define KEPT 64u

/* Held for a copy, by the monitor and by who reads: both are short. */
static atomic_flag busy = ATOMIC_FLAG_INIT;

static struct {
    struct grove_stall_counts counts;
    struct grove_stall stalls[KEPT]; /* number k at k % KEPT */
    char texts[KEPT][GV_STALL_TEXT_BYTES];
} ring;

static void lock(void)
{
    /* acquire and release: what one wrote is seen by the next. */
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        continue;
}

static void unlock(void)
{
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

void gv_stall_keep(struct grove_stall *stall, const char *text)
{
    unsigned place;

    lock();
    stall->number = ++ring.counts.n_stalls;
    ring.counts.n_kind[stall->kind]++;
    if (stall->over)
        ring.counts.took_ns[stall->kind] += stall->took_ns;
    place = stall->number % KEPT;
    ring.stalls[place] = *stall;
    (void)snprintf(ring.texts[place], GV_STALL_TEXT_BYTES, "%s", text); /* It fits. */
    unlock();
}

void gv_stall_keep_again(const struct grove_stall *stall, const char *text)
{
    unsigned place = stall->number % KEPT;

    lock();
    if (ring.stalls[place].number == stall->number) {
        ring.counts.n_kind[ring.stalls[place].kind]--;
        ring.counts.n_kind[stall->kind]++;
        if (stall->over)
            ring.counts.took_ns[stall->kind] += stall->took_ns;
        ring.stalls[place] = *stall;
        if (text != NULL)
            (void)snprintf(ring.texts[place], GV_STALL_TEXT_BYTES, "%s", text); /* It fits. */
    }
    unlock();
}

void gv_stall_count_reported(void)
{
    lock();
    ring.counts.n_reported++;
    unlock();
}

void grove_stall_count(struct grove_stall_counts *counts)
{
    lock();
    *counts = ring.counts;
    unlock();
}

unsigned grove_stalls(uint64_t after, struct grove_stall *stalls, unsigned n_max)
{
    uint64_t first, last;
    unsigned n = 0;

    lock();
    last = ring.counts.n_stalls;
    first = last > KEPT ? last - KEPT + 1 : 1;
    for (uint64_t number = after >= first ? after + 1 : first; number <= last && n < n_max;
         number++)
        stalls[n++] = ring.stalls[number % KEPT];
    unlock();
    return n;
}

int grove_stall_text(uint64_t number, char *text, size_t room)
{
    bool kept;

    if (room == 0)
        return gv_usage("grove_stall_text: there is no room");
    lock();
    kept = number != 0 && ring.stalls[number % KEPT].number == number;
    if (kept)
        (void)snprintf(text, room, "%s",
                       ring.texts[number % KEPT]); /* As much as there is room for. */
    unlock();
    return kept ? 0
                : gv_usage("grove_stall_text: stall %llu is not kept; the last %u are",
                           (unsigned long long)number, KEPT);
}
