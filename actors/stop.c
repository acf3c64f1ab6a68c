/*
 * Stop: how users ask an actor, a greenlet or a pool to end, and wait for it.
 * What then happens stands in dispatch.c (between turns), doom.h, abandon.h
 * and watchdog.h (at a deadline).
 */
#include <grove/actor.h>
#include <grove/call.h>
#include <grove/error.h>

#include "actors/actor.h"
#include "actors/call.h"
#include "actors/deadlock.h"
#include "actors/mail.h"
#include "actors/verb.h"
#include "runtime/doom.h"
#include "runtime/park.h"
#include "runtime/place.h"
#include "runtime/usage.h"
#include "runtime/watchdog.h"

#define LATE_MS (2 * GV_WATCHDOG_LATE_MS) /* how long the end may take behind the stop deadline */

/* The living task of ref, with a STOP for it; or a code. */
static int make_stop(struct gv_loop *loop, grove_ref ref, enum grove_stop_mode mode,
                     struct gv_task **task, struct gv_message **message)
{
    if (loop == NULL)
        return gv_usage_thread("grove_stop");
    if ((unsigned)mode > GROVE_STOP_KILL)
        return gv_usage("%d is no way to stop: say GROVE_STOP_DRAIN, GROVE_STOP_NOW or "
                        "GROVE_STOP_KILL",
                        (int)mode);
    *task = gv_mail_task(loop, ref);
    if (*task == NULL)
        return gv_failed(GROVE_ENOACTOR, NULL);
    *message = gv_message_take(&loop->blocks, sizeof(struct gv_stop_body));
    if (*message == NULL)
        return gv_failed(GROVE_ENOMEM, NULL);
    (*message)->method = GV_SIGNAL_STOP;
    (*message)->to = gv_ref_id(ref);
    ((struct gv_stop_body *)(void *)(*message)->body)->mode = mode;
    ((struct gv_stop_body *)(void *)(*message)->body)->doom.mail_stays = false;
    (*message)->deadline_ms = 0;
    return 0;
}

static GV_APART int stop_by_message(grove_ref ref, enum grove_stop_mode mode, uint32_t timeout_ms)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_message *message;
    struct gv_task *task;
    int rc = make_stop(loop, ref, mode, &task, &message);

    if (rc == 0 && timeout_ms != GROVE_INFINITE) {
        message->deadline_ms = gv_deadline_in(loop, timeout_ms);
        gv_watchdog_expect(loop, gv_ref_id(ref), message->deadline_ms);
    }
    if (rc == 0)
        gv_signal_send(loop, task, message);
    /* One that is lent may have been stopped by itself: then this was its last message. */
    if (rc == 0 && mode != GROVE_STOP_DRAIN)
        gv_guest_stop(loop, gv_ref_id(ref), mode == GROVE_STOP_KILL);
    return rc;
}

int grove_stop(grove_ref ref, enum grove_stop_mode mode)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_task *task = loop != NULL ? gv_mail_task(loop, ref) : NULL;

    if (task == NULL || task->loop != loop->index || task->class != &gv_actor_class
        || (unsigned)mode > GROVE_STOP_KILL)
        return stop_by_message(ref, mode, GROVE_INFINITE);
    /* Nobody waits for the end, so a flag says it all. */
    gv_actor_stop(loop, task, mode);
    return 0;
}

int grove_stop_within(grove_ref ref, enum grove_stop_mode mode, uint32_t timeout_ms)
{
    return stop_by_message(ref, mode, timeout_ms);
}

/* Sends the stop and parks until its answer. Owns message. */
static int stop_and_park(struct gv_loop *loop, struct gv_wait *wait, struct gv_task *task,
                         struct gv_message *message, struct gv_cycle *cycle)
{
    struct gv_call *call = gv_call_take(loop, wait->target, 0, wait->deadline_ms);
    int rc;

    if (call == NULL) {
        gv_message_give(&loop->blocks, message);
        return GROVE_ENOMEM;
    }
    call->kind = GV_SINK_WAIT;
    call->sink.wait = wait;
    wait->call = call->id;
    message->call = call->id;
    gv_signal_send(loop, task, message);
    gv_deadlock_watch(loop, wait, cycle);
    rc = gv_park(loop, wait);
    gv_deadlock_unwatch(loop, cycle);
    if (wait->message != NULL) {
        /* Gone already is what was asked for. */
        rc = wait->message->code == GROVE_ENOACTOR ? 0 : wait->message->code;
        gv_message_give(&loop->blocks, wait->message);
    } else if (wait->call != 0 && gv_call_find(loop, wait->call) != NULL) {
        gv_call_give(loop, gv_call_find(loop, wait->call));
    }
    return rc;
}

int grove_stop_await(grove_ref ref, enum grove_stop_mode mode)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_cycle cycle = {.text = ""};
    struct gv_message *message;
    struct gv_task *task;
    struct gv_wait wait;
    int rc;

    if (loop == NULL || loop->turn == NULL)
        return gv_usage_wait("grove_stop_await");
    gv_wait_init(loop, &wait, GV_WAIT_STOP, gv_turn_deadline(loop, loop->turn, GV_TIMEOUT_MS));
    wait.target = gv_ref_id(ref);
    rc = gv_may_park(loop);
    if (rc != 0)
        return gv_failed(rc, NULL);
    rc = make_stop(loop, ref, mode, &task, &message);
    if (rc == 0 && loop->turn->task != NULL && gv_task_id(loop->turn->task) == wait.target) {
        gv_message_give(&loop->blocks, message);
        rc = GROVE_EDEADLK;
    }
    /* One that is killed waits for nobody any more, whatever circle it stands in. */
    if (rc == 0 && mode != GROVE_STOP_KILL && gv_deadlock_closes(loop, &wait, &cycle)) {
        gv_message_give(&loop->blocks, message);
        rc = GROVE_EDEADLK;
    }
    if (rc == GROVE_EDEADLK)
        return gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_NO, cycle.text);
    if (rc != 0)
        return rc;
    rc = stop_and_park(loop, &wait, task, message, &cycle);
    return rc == 0 ? 0
                   : gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_UNKNOWN,
                                    rc == GROVE_EDEADLK ? cycle.text : NULL);
}

int grove_stop_within_await(grove_ref ref, enum grove_stop_mode mode, uint32_t timeout_ms)
{
    struct gv_loop *loop = gv_loop_here;
    int rc;

    if (loop == NULL || loop->turn == NULL)
        return gv_usage_wait("grove_stop_within_await");
    rc = stop_by_message(ref, mode, timeout_ms);
    if (rc != 0)
        return rc;
    if (loop->turn->within_ms == 0 && timeout_ms < GROVE_INFINITE - LATE_MS)
        grove_within(timeout_ms + LATE_MS);
    rc = grove_stop_await(ref, mode);
    return rc == GROVE_ENOACTOR ? 0 : rc; /* It was quicker. */
}
