#include "actors/future.h"

#include <grove/error.h>
#include <grove/task.h>

#include "actors/call.h"
#include "actors/deadlock.h"
#include "actors/items.h"
#include "actors/mail.h"
#include "actors/verb.h"
#include "runtime/assert.h"
#include "runtime/noyield.h"
#include "runtime/park.h"
#include "runtime/usage.h"

#define FUTURES_MAX 1024u

/* --- start and finish ------------------------------------------------------------------------- */

/* The call is over, however: tells the future and wakes who waits. */
static void mark_done(struct gv_loop *loop, struct gv_call *call, int rc,
                      enum grove_started started)
{
    struct grove_future *future = call->sink.future;
    struct gv_wait *wait = future->waiter;

    gv_assert(!call->answered && !future->done);
    gv_wheel_disarm(&loop->wheel, &call->timer);
    call->answered = 1;
    future->done = 1;
    future->rc = rc;
    future->started = (uint8_t)started;
    if (wait == NULL || wait->woken || --wait->n_left > 0)
        return;
    gv_wake(loop, wait, 0);
}

void gv_future_finish(struct gv_loop *loop, struct gv_call *call, struct gv_message *reply)
{
    call->reply = reply;
    mark_done(loop, call, reply->code,
              reply->code == 0 ? GROVE_STARTED_YES : gv_reply_started(reply));
}

static void future_expired(struct gv_timer *timer)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_call *call = (struct gv_call *)((char *)timer - offsetof(struct gv_call, timer));
    bool unseen;

    /* A target here may answer at once, such as a pool: it is too late for that. */
    call->answered = 1;
    unseen = gv_call_withdraw(loop, call);
    call->answered = 0;
    mark_done(loop, call, GROVE_ETIMEDOUT, unseen ? GROVE_STARTED_NO : GROVE_STARTED_UNKNOWN);
}

int grove_call_start(grove_ref ref, const struct grove_service *service, uint32_t method,
                     const ProtobufCMessage *request, struct grove_future *future)
{
    struct gv_verb verb;
    struct gv_call *call;
    int rc;

    if (future == NULL)
        return gv_usage_null("the _start of a call", "the future");
    *future = (struct grove_future){.response = future->response};
    if (!grove_can_await())
        return gv_usage_wait("start");
    if (future->response == NULL)
        return gv_usage_null("the _start of a call", "the response");
    rc = gv_verb_begin(&verb, ref, service, method, request);
    if (rc != 0)
        return rc;
    call = gv_call_take(verb.loop, verb.message->to, verb.index, verb.deadline_ms);
    if (call == NULL) {
        gv_message_give(&verb.loop->blocks, verb.message);
        return gv_turn_failed(verb.turn, NULL, GROVE_ENOMEM, GROVE_STARTED_NO, NULL);
    }
    call->kind = GV_SINK_FUTURE;
    call->answered = 0;
    call->reply = NULL;
    call->sink.future = future;
    call->turn = verb.turn;
    verb.message->call = call->id;
    verb.message->deadline_ms = verb.deadline_ms;
    rc = gv_mail_post(verb.loop, verb.task, verb.message);
    if (rc != 0) {
        gv_message_give(&verb.loop->blocks, verb.message);
        gv_call_give(verb.loop, call);
        return gv_turn_failed(verb.turn, NULL, rc, GROVE_STARTED_NO, gv_mail_reason(rc));
    }
    if (verb.deadline_ms != 0) {
        call->timer.fire = future_expired;
        gv_wheel_arm(&verb.loop->wheel, &call->timer, verb.deadline_ms);
    }
    future->call = call->id;
    future->target = call->target;
    future->method = verb.method;
    call->next = verb.turn->futures;
    verb.turn->futures = call;
    return 0;
}

/* --- giving up -------------------------------------------------------------------------------- */

void gv_future_give_up(struct gv_loop *loop, struct gv_call *call)
{
    bool waits = !call->answered;

    /* A target here may answer at once: that must not reach the future, which may be gone. */
    call->answered = 1;
    if (waits)
        (void)gv_call_withdraw(loop, call); /* Nobody asks what became of it. */
    if (call->reply != NULL)
        gv_message_give(&loop->blocks, call->reply);
    if (call->kind == GV_SINK_STREAM)
        gv_items_free(loop, call->sink.items);
    gv_call_give(loop, call);
}

void gv_futures_give_up(struct gv_loop *loop, struct gv_turn *turn)
{
    while (turn->futures != NULL) {
        struct gv_call *call = turn->futures;

        turn->futures = call->next;
        gv_future_give_up(loop, call);
    }
}

/* Takes the call of a future off its turn's list; NULL if it does not hang there (any more). */
static struct gv_call *unlink_call(struct gv_turn *turn, const struct grove_future *future)
{
    for (struct gv_call **link = &turn->futures; *link != NULL; link = &(*link)->next)
        if ((*link)->id == future->call) {
            struct gv_call *call = *link;

            *link = call->next;
            return call;
        }
    return NULL;
}

void grove_future_cancel(struct grove_future *future)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_call *call;

    if (future == NULL)
        (void)gv_usage_null("grove_future_cancel", "the future"); /* There is nothing to return. */
    if (loop == NULL || loop->turn == NULL || future == NULL)
        return;
    call = unlink_call(loop->turn, future);
    if (call == NULL)
        return;
    gv_future_give_up(loop, call);
    future->done = 1;
    future->rc = GROVE_ECANCELED;
    future->started = GROVE_STARTED_UNKNOWN;
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* The future is done: writes the caller's response or notes the failure. */
static int collect(struct gv_loop *loop, struct gv_turn *turn, struct grove_future *future)
{
    struct gv_call *call = unlink_call(turn, future);
    struct gv_message *reply;

    if (call == NULL)
        return future->rc; /* Awaited before, or cancelled. */
    reply = call->reply;
    gv_call_give(loop, call);
    if (reply != NULL)
        return gv_turn_take_answer(loop, turn, future->method, reply, future->response);
    return gv_turn_failed(turn, NULL, future->rc, future->started, NULL);
}

static void clear_waiter(const struct gv_wait *wait)
{
    for (uint32_t i = 0; i < wait->n_futures; i++)
        wait->futures[i]->waiter = NULL;
}

/* Makes wait the waiter of its futures and counts for how many. False if it need not wait at all. */
static bool set_waiter(struct gv_wait *wait)
{
    bool one_done = false;

    for (uint32_t i = 0; i < wait->n_futures; i++) {
        struct grove_future *future = wait->futures[i];

        one_done |= future->done != 0;
        /* One that is named twice comes once. */
        wait->n_left += !future->done && future->waiter != wait;
        future->waiter = wait;
    }
    if (wait->kind == GV_WAIT_ANY)
        wait->n_left = one_done ? 0 : 1;
    if (wait->n_left == 0)
        clear_waiter(wait);
    return wait->n_left > 0;
}

/* Parks until n_left of the futures that are not done yet have come. */
static int park_for(struct gv_loop *loop, struct grove_future *const futures[], unsigned n,
                    enum gv_wait_kind kind)
{
    struct gv_cycle cycle;
    struct gv_wait wait;
    int rc;

    gv_wait_init(loop, &wait, kind, 0); /* Each future has its own deadline. */
    wait.futures = futures;
    wait.n_futures = n;
    wait.n_left = 0;
    if (!set_waiter(&wait))
        return 0;
    if (gv_deadlock_closes(loop, &wait, &cycle)) {
        clear_waiter(&wait);
        return gv_turn_failed(loop->turn, NULL, GROVE_EDEADLK, GROVE_STARTED_UNKNOWN,
                              cycle.text); /* The calls have been sent. */
    }
    gv_deadlock_watch(loop, &wait, &cycle);
    rc = gv_park(loop, &wait);
    gv_deadlock_unwatch(loop, &cycle);
    clear_waiter(&wait);
    if (rc != 0)
        (void)gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_UNKNOWN,
                             rc == GROVE_EDEADLK ? cycle.text : NULL); /* Returns rc. */
    return rc;
}

static int check(struct gv_loop *loop, const char *function, struct grove_future *const futures[],
                 unsigned n)
{
    if (loop == NULL || loop->turn == NULL)
        return gv_usage_wait(function);
    if (futures == NULL && n > 0)
        return gv_usage_null(function, "the array");
    if (n > FUTURES_MAX)
        return gv_usage("%u futures are awaited at once; at most %u may be", n,
                        (unsigned)FUTURES_MAX);
    for (unsigned i = 0; i < n; i++) {
        if (futures[i] == NULL)
            return gv_usage("%s: future %u of %u is NULL", function, i, n);
        if (futures[i]->call == 0 && !futures[i]->done)
            return gv_usage("%s: future %u of %u was never started, or its start failed", function,
                            i, n);
    }
    /* They may be done, and the await must not pass only then. */
    return gv_noyield_check(loop, loop->turn, "the await of futures");
}

static int all_await(const char *function, struct grove_future *const futures[], unsigned n)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_turn *turn;
    int rc = check(loop, function, futures, n), first = 0;

    if (rc != 0)
        return rc;
    turn = loop->turn;
    rc = park_for(loop, futures, n, GV_WAIT_ALL);
    if (rc != 0)
        return rc;
    /* Backwards, so that the failure record is that of the first one. */
    for (unsigned i = n; i-- > 0;) {
        rc = collect(loop, turn, futures[i]);
        if (rc != 0)
            first = rc;
    }
    return first;
}

int grove_all_await(struct grove_future *const futures[], unsigned n)
{
    return all_await("grove_all_await", futures, n);
}

int grove_any_await(struct grove_future *const futures[], unsigned n, unsigned *which)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_turn *turn;
    int rc = check(loop, "grove_any_await", futures, n);

    if (rc != 0)
        return rc;
    if (n == 0)
        return gv_usage("grove_any_await: of no futures none can be done");
    if (which == NULL)
        return gv_usage_null("grove_any_await", "`which`");
    turn = loop->turn;
    rc = park_for(loop, futures, n, GV_WAIT_ANY);
    if (rc != 0)
        return rc;
    for (*which = 0; !futures[*which]->done; ++*which)
        gv_assert(*which + 1 < n);
    return collect(loop, turn, futures[*which]);
}

int grove_future_await(struct grove_future *future)
{
    return all_await("grove_future_await", &future, 1);
}
