/*
 * Oracle: who waits for whom, seen from outside.
 *
 * The simulated actors tell it when a wait begins, when an awaited handler
 * has ended, and when a wait is over. It looks for circles each time a wait
 * begins, since a circle can only be closed then, and judges what grove says:
 * GROVE_EDEADLK without a circle is a false alarm, GROVE_ETIMEDOUT in a circle
 * that stood for long is a miss.
 *
 * An `any` is stuck only when each of its arms is. With one arm only it is an
 * `all`.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#define ORACLE_TASKS_MAX 128u
#define ORACLE_ARMS_MAX  4u
#define ORACLE_CIRCLE_MS 100u /* a circle of calls is found within this */

enum oracle_kind { ORACLE_CALL, ORACLE_ROOM, ORACLE_ALL, ORACLE_ANY, ORACLE_STOP };

/* One thing that a wait needs. */
struct oracle_arm {
    unsigned target;     /* task */
    unsigned call;       /* 0: none that could end by itself */
    const uint8_t *done; /* of its future: not 0 once nothing is waited for; NULL: it has none */
};

void oracle_open(void);

/* task waits for its arms from now on. */
void oracle_wait(unsigned task, enum oracle_kind kind, const struct oracle_arm *arms,
                 unsigned n_arms);

/* The handler of a call has ended, or the call has failed: nobody waits for it any more. */
void oracle_call_over(unsigned call);

/* The wait of task is over with rc: true alarm, no miss? */
void oracle_judge(unsigned task, int rc);

#endif
