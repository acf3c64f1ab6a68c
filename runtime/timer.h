/*
 * Timer: a hashed wheel, one per loop.
 *
 * Time is counted in grains of 1/256 ms (3.9 µs) since the process epoch.
 * Six wheels of 256 slots, one per byte of the deadline: the lowest byte is
 * the part of a millisecond, the bytes above are the millisecond. A timer
 * lies in the wheel of the highest byte in which its deadline differs from
 * now, in the slot of that byte's value. When time enters a slot of a higher
 * wheel, its timers move down; a slot of the lowest wheel fires.
 *
 *     now = 0x12345.67 ms
 *       0x12345.70  differs in byte 0  ->  wheel 0, slot 0x70, fires from there
 *       0x12350.10  differs in byte 1  ->  wheel 1, slot 0x50, moves at 0x12350.00
 *       0x12701.00  differs in byte 2  ->  wheel 2, slot 0x27, moves at 0x12700.00
 *
 * A sleep is told in grains. The deadline of a call is told in ms, in a
 * uint32_t that may wrap; it lies less than 2^31 ms (24 days) ahead. Most
 * timers are such timeouts, disarmed before they ever move. Arm, disarm:
 * O(1). A timer is memory of its owner and must be disarmed before that goes.
 *
 * Always: no timer fires before its deadline; an armed timer is in one list.
 */
#ifndef GV_TIMER_H
#define GV_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GV_TIMER_AHEAD_MAX_MS ((uint32_t)INT32_MAX)
#define GV_GRAINS_PER_MS      256u
#define GV_NEVER              UINT64_MAX

enum { GV_WHEEL_LEVELS = 6, GV_WHEEL_SLOTS = 256 }; /* 48 bits of grains: 34 years */

/* Lists are rings through their heads. */
struct gv_timer_link {
    struct gv_timer_link *next, *prev;
};

struct gv_timer {
    struct gv_timer_link link; /* next is NULL while not armed */
    /* Called once, on the loop, the timer being disarmed already: it may be armed again or freed. */
    void (*fire)(struct gv_timer *timer);
    uint64_t deadline_grains;
};

struct gv_wheel {
    uint64_t now_grains;      /* all up to here have fired */
    uint32_t n_armed;         /* for reports */
    struct gv_timer_link due; /* armed for a time that had come already */
    uint64_t used[GV_WHEEL_LEVELS][GV_WHEEL_SLOTS / 64]; /* slots that may hold timers */
    struct gv_timer_link slots[GV_WHEEL_LEVELS][GV_WHEEL_SLOTS];
};

void gv_wheel_init(struct gv_wheel *wheel, uint64_t now_grains);

/*
 * Fires all timers with deadlines up to now_grains, which must not go back,
 * in the order of their deadlines. A timer that is armed meanwhile for a
 * time that has come fires in the next advance.
 */
void gv_wheel_advance(struct gv_wheel *wheel, uint64_t now_grains);

/*
 * The grain at which the wheel has something to do: never later than the
 * next deadline, and earlier only where many timers lie close together.
 * A moment that has passed if at once, GV_NEVER if never.
 */
uint64_t gv_wheel_next(struct gv_wheel *wheel);

static inline void gv_timer_init(struct gv_timer *timer, void (*fire)(struct gv_timer *timer))
{
    *timer = (struct gv_timer){.fire = fire};
}

static inline bool gv_timer_is_armed(const struct gv_timer *timer)
{
    return timer->link.next != NULL;
}

static inline void gv_timer_link_last(struct gv_timer_link *head, struct gv_timer_link *link)
{
    link->next = head;
    link->prev = head->prev;
    head->prev->next = link;
    head->prev = link;
}

/* The timer is not armed afterwards, whatever it was before. */
static inline void gv_wheel_disarm(struct gv_wheel *wheel, struct gv_timer *timer)
{
    struct gv_timer_link *link = &timer->link;

    if (link->next == NULL)
        return;
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = NULL;
    wheel->n_armed--;
}

/* Where a deadline belongs. Marks the slot as used. */
static inline struct gv_timer_link *gv_wheel_place(struct gv_wheel *wheel, uint64_t deadline_grains)
{
    /* The lowest bit changes nothing: with it, a deadline that is now counts as one of byte 0. */
    uint64_t differs = (deadline_grains ^ wheel->now_grains) | 1;
    unsigned level = (63u - (unsigned)__builtin_clzll(differs)) / 8;
    unsigned slot = deadline_grains >> 8 * level & (GV_WHEEL_SLOTS - 1);

    wheel->used[level][slot / 64] |= (uint64_t)1 << slot % 64;
    return &wheel->slots[level][slot];
}

/* Arms, again if it is armed already. A deadline that has come fires in the next advance. */
static inline void gv_wheel_arm_exactly(struct gv_wheel *wheel, struct gv_timer *timer,
                                        uint64_t deadline_grains)
{
    gv_wheel_disarm(wheel, timer);
    timer->deadline_grains = deadline_grains;
    wheel->n_armed++;
    if ((int64_t)(deadline_grains - wheel->now_grains) <= 0)
        gv_timer_link_last(&wheel->due, &timer->link);
    else
        gv_timer_link_last(gv_wheel_place(wheel, deadline_grains), &timer->link);
}

/*
 * The same for the deadline of a timeout, in ms of the epoch. Who wants to
 * wait n ms from a moment within a millisecond adds one.
 */
static inline void gv_wheel_arm(struct gv_wheel *wheel, struct gv_timer *timer,
                                uint32_t deadline_ms)
{
    uint64_t now_ms = wheel->now_grains / GV_GRAINS_PER_MS;
    int32_t ahead_ms = (int32_t)(deadline_ms - (uint32_t)now_ms);

    gv_wheel_arm_exactly(wheel, timer, (now_ms + (uint64_t)(int64_t)ahead_ms) * GV_GRAINS_PER_MS);
}

#endif
