/*
 * Timer: how time passes through the wheels.
 *
 * Advance jumps from one used slot to the next, so that hours without a
 * timer cost nothing. The marks of used slots are cleared late: disarm does
 * not know whether it emptied one.
 */
#include "runtime/timer.h"

#include "runtime/assert.h"

#define LOOKED_AT_MAX 16 /* timers of one slot, to find the earliest */

static void ring_init(struct gv_timer_link *head)
{
    head->next = head->prev = head;
}

static bool ring_is_empty(const struct gv_timer_link *head)
{
    return head->next == head;
}

/* Moves a whole ring to an empty head. */
static void ring_move(struct gv_timer_link *to, struct gv_timer_link *from)
{
    ring_init(to);
    if (ring_is_empty(from))
        return;
    *to = *from;
    to->next->prev = to->prev->next = to;
    ring_init(from);
}

/* The first slot in use from `first` on, or -1. */
static int first_used(struct gv_wheel *wheel, unsigned level, unsigned first)
{
    for (unsigned word = first / 64; word < GV_WHEEL_SLOTS / 64; word++) {
        uint64_t *used = &wheel->used[level][word];
        uint64_t mask = word == first / 64 ? ~(uint64_t)0 << first % 64 : ~(uint64_t)0;

        while ((*used & mask) != 0) {
            unsigned bit = (unsigned)__builtin_ctzll(*used & mask);

            if (!ring_is_empty(&wheel->slots[level][word * 64 + bit]))
                return (int)(word * 64 + bit);
            *used &= ~((uint64_t)1 << bit);
        }
    }
    return -1;
}

/* The slot with timers that time enters next, and when; NULL if there is none. */
static struct gv_timer_link *next_slot(struct gv_wheel *wheel, uint64_t *at_grains)
{
    for (unsigned level = 0; level < GV_WHEEL_LEVELS; level++) {
        unsigned here = wheel->now_grains >> 8 * level & (GV_WHEEL_SLOTS - 1);
        uint64_t below = ((uint64_t)1 << 8 * (level + 1)) - 1;
        int slot = here + 1 < GV_WHEEL_SLOTS ? first_used(wheel, level, here + 1) : -1;

        if (slot >= 0) {
            *at_grains = (wheel->now_grains & ~below) | (uint64_t)slot << 8 * level;
            return &wheel->slots[level][slot];
        }
    }
    return NULL;
}

/* Moves the timers of a slot that time has just entered to lower wheels. */
static void move_down(struct gv_wheel *wheel, unsigned level)
{
    unsigned slot = wheel->now_grains >> 8 * level & (GV_WHEEL_SLOTS - 1);
    struct gv_timer_link moving;

    ring_move(&moving, &wheel->slots[level][slot]);
    while (!ring_is_empty(&moving)) {
        struct gv_timer *timer = (struct gv_timer *)moving.next;

        moving.next = timer->link.next;
        moving.next->prev = &moving;
        gv_timer_link_last(gv_wheel_place(wheel, timer->deadline_grains), &timer->link);
    }
}

/* Fires a ring. Timers may arm and disarm each other meanwhile. */
static void fire(struct gv_wheel *wheel, struct gv_timer_link *ring)
{
    struct gv_timer_link firing;

    ring_move(&firing, ring);
    while (!ring_is_empty(&firing)) {
        struct gv_timer *timer = (struct gv_timer *)firing.next;

        gv_wheel_disarm(wheel, timer);
        timer->fire(timer);
    }
}

void gv_wheel_advance(struct gv_wheel *wheel, uint64_t now_grains)
{
    uint64_t at_grains;

    gv_assert(now_grains >= wheel->now_grains);

    fire(wheel, &wheel->due);
    while (next_slot(wheel, &at_grains) != NULL && at_grains <= now_grains) {
        wheel->now_grains = at_grains;
        for (unsigned level = GV_WHEEL_LEVELS - 1; level > 0; level--) {
            if ((at_grains & (((uint64_t)1 << 8 * level) - 1)) == 0)
                move_down(wheel, level);
        }
        fire(wheel, &wheel->slots[0][at_grains & (GV_WHEEL_SLOTS - 1)]);
    }
    wheel->now_grains = now_grains;
}

uint64_t gv_wheel_next(struct gv_wheel *wheel)
{
    uint64_t at_grains, earliest = GV_NEVER;
    const struct gv_timer_link *slot, *link;
    int n = 0;

    if (!ring_is_empty(&wheel->due))
        return wheel->now_grains;
    slot = next_slot(wheel, &at_grains);
    if (slot == NULL)
        return GV_NEVER;
    /* All in this slot come before all in others. A few are looked at, so that a loop with few timers never wakes for nothing. */
    for (link = slot->next; link != slot && n < LOOKED_AT_MAX; link = link->next, n++) {
        uint64_t deadline_grains = ((const struct gv_timer *)link)->deadline_grains;

        if (deadline_grains < earliest)
            earliest = deadline_grains;
    }
    return link == slot ? earliest : at_grains;
}

void gv_wheel_init(struct gv_wheel *wheel, uint64_t now_grains)
{
    *wheel = (struct gv_wheel){.now_grains = now_grains};
    ring_init(&wheel->due);
    for (unsigned level = 0; level < GV_WHEEL_LEVELS; level++) {
        for (unsigned slot = 0; slot < GV_WHEEL_SLOTS; slot++)
            ring_init(&wheel->slots[level][slot]);
    }
}
