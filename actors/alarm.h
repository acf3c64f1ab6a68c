/*
 * Alarm: a timer of an actor or greenlet; its ticks are messages.
 *
 *     arm ──▶ home: wheel ──due──▶ tick in the mailbox ──▶ turn: still armed? ─▶ handler
 *                                   one at most                │ no
 *                                                              ▼ given back, unseen
 *
 * A tick names its alarm by key and number; numbers are never used twice by a
 * task. When its turn comes it is looked for among the task's alarms: one
 * that was cancelled or replaced is not there, so its tick is dropped
 * wherever it had got to. That is why a cancel need not search the mailbox.
 *
 * Who touches what: the wheel, the due time and the request belong to the
 * task's home; the table, and what was counted, to who runs its turns, which
 * may be a borrower (lend.h). He tells home by message what to arm and what
 * to free; those messages arrive in order, and before the task itself.
 *
 *     turns at home                    turns at a borrower
 *     arm, free: at once               arm, free ──GV_SIGNAL_ALARM──▶ home
 *
 * Always: an alarm in the table has its memory; `waiting` is set from the
 * moment its tick is in the mailbox until that is handled.
 */
#ifndef GV_ALARM_H
#define GV_ALARM_H

#include <stdbool.h>
#include <stdint.h>

#include "actors/alarm_table.h"
#include "runtime/loop.h"

/* In front of the request, in the body of a message of GV_FORM_TICK. */
struct gv_tick {
    uint64_t key;
    uint64_t number; /* 0: to be handled whatever became of its timer */
    uint64_t due_grains;
    uint64_t spare; /* the request behind it is aligned to 16 */
};

/*
 * A tick's turn has come: true if it is to be handled; *tick is then what it
 * was. Message stays the caller's.
 */
bool gv_alarm_strikes(struct gv_loop *loop, struct gv_task *task, struct gv_message *message,
                      struct gv_tick *tick);

/* It has been handled: what comes behind that is armed, or freed. Owns message, which may be NULL. */
void gv_alarm_struck(struct gv_loop *loop, struct gv_task *task, const struct gv_tick *tick,
                     struct gv_message *message);

/* What a borrower says of an alarm has come home. Owns message. */
void gv_alarm_told(struct gv_loop *loop, struct gv_message *message);

/* Cancels all. On the task's home, while nobody runs its turns. */
void gv_alarms_end(struct gv_loop *loop, struct gv_alarms *alarms);

#endif
