#include "runtime/shield.h"

#include <grove/error.h>

#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/loop.h"
#include "runtime/runtime.h"
#include "runtime/sched.h"
#include "runtime/usage.h"

bool (*gv_job_is_given_up)(void);

static struct gv_message *message_of(struct gv_shield *shield)
{
    return (struct gv_message *)((char *)shield - offsetof(struct gv_message, body));
}

/* The time of the innermost shield is over. */
static void time_over(struct gv_timer *timer)
{
    struct gv_shield *shield =
        (struct gv_shield *)((char *)timer - offsetof(struct gv_shield, timer));

    gv_turn_end_waits(gv_loop_here, shield->turn);
}

static void arm(struct gv_loop *loop, struct gv_shield *shield)
{
    gv_wheel_arm(&loop->wheel, &shield->timer, shield->turn->deadline_ms + 1);
}

/* The record of the turn, made for its first shield; NULL without memory. */
static struct gv_shield *record_of(struct gv_loop *loop, struct gv_turn *turn)
{
    struct gv_message *message;

    if (turn->n_shields > 0)
        return turn->shield;
    message = gv_message_take(&loop->blocks, sizeof(struct gv_shield));
    if (message == NULL)
        return NULL;
    turn->shield = (struct gv_shield *)(void *)message->body;
    turn->shield->turn = turn;
    turn->shield->withheld = turn->cancelled;
    gv_timer_init(&turn->shield->timer, time_over);
    turn->cancelled = 0;
    return turn->shield;
}

static void free_record(struct gv_loop *loop, struct gv_turn *turn)
{
    gv_wheel_disarm(&loop->wheel, &turn->shield->timer);
    turn->cancelled = turn->shield->withheld;
    gv_message_give(&loop->blocks, message_of(turn->shield));
}

int grove_shield_begin(uint32_t timeout_ms)
{
    struct gv_loop *loop = gv_loop_now();
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;
    struct gv_shield *shield;
    uint32_t deadline_ms;

    if (turn == NULL)
        return gv_usage("grove_shield_begin: there is no turn here that could be cancelled; call "
                        "it in a handler, in a greenlet, or in main after grove_init");
    if (timeout_ms == 0 || timeout_ms > GROVE_SHIELD_MAX_MS)
        return gv_usage("grove_shield_begin: a shield lasts 1 to %u ms, not %u; what takes longer "
                        "belongs to an actor of its own",
                        GROVE_SHIELD_MAX_MS, timeout_ms);
    if (turn->n_shields == GROVE_SHIELDS_MAX)
        return gv_usage("grove_shield_begin: %u shields are open in this turn; is a "
                        "grove_shield_end missing?",
                        GROVE_SHIELDS_MAX);
    shield = record_of(loop, turn);
    if (shield == NULL)
        return GROVE_ENOMEM;
    deadline_ms = gv_deadline_in(loop, timeout_ms);
    shield->outside[turn->n_shields].deadline_ms = turn->deadline_ms;
    shield->outside[turn->n_shields].over = turn->cancelled;
    if (turn->n_shields++ == 0 || gv_ms_before(deadline_ms, turn->deadline_ms)) {
        turn->deadline_ms = deadline_ms;
        arm(loop, shield);
    }
    return 0;
}

void grove_shield_end(void)
{
    struct gv_loop *loop = gv_loop_now();
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;
    struct gv_shield *shield;

    if (turn == NULL || turn->n_shields == 0) {
        (void)gv_usage("grove_shield_end: no shield is open here"); /* Nothing to return it by. */
        return;
    }
    shield = turn->shield;
    turn->n_shields--;
    turn->deadline_ms = shield->outside[turn->n_shields].deadline_ms;
    turn->cancelled = shield->outside[turn->n_shields].over;
    if (turn->n_shields == 0)
        free_record(loop, turn);
    else if (!turn->cancelled)
        arm(loop, shield); /* A moment that has passed meanwhile fires soon. */
}

void gv_shields_end(struct gv_loop *loop, struct gv_turn *turn)
{
    turn->n_shields = 0;
    free_record(loop, turn);
}

bool grove_cancelled(void)
{
    const struct gv_loop *loop = gv_loop_now();
    const struct gv_turn *turn = loop != NULL ? loop->turn : NULL;

    if (turn == NULL)
        return false;
    if (gv_job_is_given_up != NULL)
        return gv_job_is_given_up();
    return turn->n_shields > 0 ? turn->shield->withheld : turn->cancelled;
}
