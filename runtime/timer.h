/*
 * Timer: a hashed wheel of millisecond ticks, one per loop.
 *
 * Four wheels of 256 slots, one per byte of the deadline. A timer lies in
 * the wheel of the highest byte in which its deadline differs from now, in
 * the slot of that byte's value. When time enters a slot of a higher wheel,
 * its timers move down; a slot of the lowest wheel fires. Most timers are
 * timeouts that are disarmed before they ever move.
 *
 *     now = 0x00012345
 *       0x00012350  differs in byte 0  ->  wheel 0, slot 0x50, fires from there
 *       0x00012701  differs in byte 1  ->  wheel 1, slot 0x27, moves at 0x00012700
 *       0x00800000  differs in byte 2  ->  wheel 2, slot 0x80, moves at 0x00800000
 *
 * Time is a uint32_t in ms of the process epoch and may wrap: deadlines lie
 * less than 2^31 ms (24 days) ahead. Arm, disarm: O(1). A timer is memory
 * of its owner and must be disarmed before that goes.
 *
 * Always: no timer fires before its deadline; an armed timer is in one list.
 */
#ifndef GV_TIMER_H
#define GV_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GV_TIMER_AHEAD_MAX_MS ((uint32_t)INT32_MAX)

enum { GV_WHEEL_LEVELS = 4, GV_WHEEL_SLOTS = 256 };

/* Lists are rings through their heads. */
struct gv_timer_link {
    struct gv_timer_link *next, *prev;
};

struct gv_timer {
    struct gv_timer_link link; /* next is NULL while not armed */
    /* Called once, on the loop, the timer being disarmed already: it may be armed again or freed. */
    void (*fire)(struct gv_timer *timer);
    uint32_t deadline_ms;
};

struct gv_wheel {
    uint32_t now_ms;          /* all up to here have fired */
    uint32_t n_armed;         /* for reports */
    struct gv_timer_link due; /* armed for a time that had come already */
    uint64_t used[GV_WHEEL_LEVELS][GV_WHEEL_SLOTS / 64]; /* slots that may hold timers */
    struct gv_timer_link slots[GV_WHEEL_LEVELS][GV_WHEEL_SLOTS];
};

void gv_wheel_init(struct gv_wheel *wheel, uint32_t now_ms);

/*
 * Fires all timers with deadlines up to now_ms, which must not go back, in
 * the order of their deadlines. A timer that is armed meanwhile for a time
 * that has come fires in the next advance.
 */
void gv_wheel_advance(struct gv_wheel *wheel, uint32_t now_ms);

/*
 * How many ms after now_ms the wheel has something to do: never later than
 * the next deadline, rarely earlier. Returns 0 if at once, -1 if never.
 */
int64_t gv_wheel_next_ms(struct gv_wheel *wheel, uint32_t now_ms);

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
static inline struct gv_timer_link *gv_wheel_place(struct gv_wheel *wheel, uint32_t deadline_ms)
{
    uint32_t differs = deadline_ms ^ wheel->now_ms;
    unsigned level = differs != 0 ? (31u - (unsigned)__builtin_clz(differs)) / 8 : 0;
    unsigned slot = deadline_ms >> 8 * level & (GV_WHEEL_SLOTS - 1);

    wheel->used[level][slot / 64] |= (uint64_t)1 << slot % 64;
    return &wheel->slots[level][slot];
}

/*
 * Arms for deadline_ms, again if it is armed already. A deadline that has
 * come fires in the next advance. Who wants to wait n ms from a moment
 * between two ticks adds one.
 */
static inline void gv_wheel_arm(struct gv_wheel *wheel, struct gv_timer *timer,
                                uint32_t deadline_ms)
{
    gv_wheel_disarm(wheel, timer);
    timer->deadline_ms = deadline_ms;
    wheel->n_armed++;
    if ((int32_t)(deadline_ms - wheel->now_ms) <= 0)
        gv_timer_link_last(&wheel->due, &timer->link);
    else
        gv_timer_link_last(gv_wheel_place(wheel, deadline_ms), &timer->link);
}

#endif
