/*
 * Grant: what handlers say of who may come in beside them.
 */
#include <string.h>

#include <grove/error.h>
#include <grove/interleave.h>

#include "actors/inside.h"
#include "runtime/park.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

void grove_turn_reads(void)
{
    struct gv_turn *turn = gv_loop_here->turn;

    if (turn == NULL || turn->task == NULL || turn->task->class != &gv_actor_class)
        return;
    turn->opens |= GV_OPENS_READS;
    turn->task->flags |= GV_TASK_RECEIVING;
}

/* What was known of those that wait is no longer so. */
static void forget_strangers(const struct gv_task *task)
{
    const uint8_t known = GV_FLAG_ASKED | GV_FLAG_STRANGER;
    struct gv_beside *beside = gv_beside_of(task);

    if (beside != NULL)
        memset(beside->heard, 0, sizeof beside->heard);

    for (struct gv_message *request = task->mailbox.head; request != NULL; request = request->next)
        request->form_flags &= (uint8_t)~known;
    for (struct gv_message *request = gv_beside_first_waiting(task); request != NULL;
         request = request->next)
        request->form_flags &= (uint8_t)~known;
}

int grove_grant_begin(void)
{
    struct gv_loop *loop = gv_loop_now();
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;

    if (turn == NULL || turn->task == NULL || turn->method == NULL || !turn->method->reentrant)
        return gv_usage("grove_grant_begin: only the handler of an rpc with `option "
                        "(grove.reentrant) = true` may let its own chain in");
    if (turn->opens & GV_OPENS_GRANTS)
        return gv_usage("grove_grant_begin: this handler has granted that already; is a "
                        "grove_grant_end_await missing?");
    turn->grants = gv_loop_next_wait(loop);
    turn->opens |= GV_OPENS_GRANTS;
    turn->task->flags |= GV_TASK_RECEIVING;
    forget_strangers(turn->task);
    return 0;
}

int grove_grant_end_await(void)
{
    struct gv_loop *loop = gv_loop_now();
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;
    uint8_t cancelled;
    int rc = 0;

    if (turn == NULL || !(turn->opens & GV_OPENS_GRANTS))
        return gv_usage("grove_grant_end_await: there is no grant here");
    turn->opens &= (uint8_t)~GV_OPENS_GRANTS;
    cancelled = turn->cancelled;
    while (rc == 0 && !gv_beside_is_alone(turn->task, turn)) {
        struct gv_wait wait;

        /* Who is cancelled waits all the same: what it let in has been cancelled too, and touches its state. */
        cancelled |= turn->cancelled;
        turn->cancelled = 0;
        gv_wait_init(loop, &wait, GV_WAIT_BESIDE, 0);
        wait.target = gv_task_id(turn->task);
        rc = gv_park(loop, &wait);
    }
    turn->cancelled |= cancelled;
    if (turn->opens == 0 && gv_beside_main(turn->task) == turn
        && gv_beside_first(turn->task) == NULL)
        turn->task->flags &= (uint8_t)~GV_TASK_RECEIVING;
    return rc;
}
