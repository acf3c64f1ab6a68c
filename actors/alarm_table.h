/*
 * Alarm table: the alarms of one task by their keys. Chains in buckets, whose
 * number doubles when there are as many alarms; it never shrinks. Belongs to
 * who runs the task's turns.
 *
 * Always: a key is there at most once.
 */
#ifndef GV_ALARM_TABLE_H
#define GV_ALARM_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/message.h"
#include "runtime/timer.h"

struct gv_alarm {
    struct gv_timer timer;     /* home */
    struct gv_alarm *next;     /* of its bucket, or of those to be freed */
    struct gv_message *sample; /* home: a whole tick; GROVE_ONCE sends it, the others copies */
    uint64_t key, number;
    uint64_t task;
    uint64_t due_grains;                          /* home: of the tick that comes next */
    uint64_t n_ticks, late_grains, latest_grains; /* of those handled */
    _Atomic uint32_t n_missed;                    /* home counts */
    _Atomic bool waiting;
    uint32_t ms;  /* until it is due, and its period */
    uint8_t mode; /* enum grove_timer_mode */
};

/* The alarms of one task. All zeros is none. */
struct gv_alarms {
    struct gv_alarm **buckets;
    uint32_t n_buckets; /* 0, or a power of two */
    uint32_t n;
    struct gv_alarm *left; /* out of the table, but not yet freed: memory was short */
    uint64_t last_number;
};

/* The alarm of a key, NULL if there is none. */
struct gv_alarm *gv_alarm_find(const struct gv_alarms *alarms, uint64_t key);

/* Takes the alarm of a key out; NULL if there is none. The caller owns it. */
struct gv_alarm *gv_alarm_take(struct gv_alarms *alarms, uint64_t key);

/* Makes room for one more. False only if there is none at all. */
bool gv_alarm_grow(struct gv_alarms *alarms);

/* Puts in one whose key is not there, behind a grow. */
void gv_alarm_put(struct gv_alarms *alarms, struct gv_alarm *alarm);

/* Takes any out; NULL if there is none left. The caller owns it. */
struct gv_alarm *gv_alarm_take_any(struct gv_alarms *alarms);

#endif
