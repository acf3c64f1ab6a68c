/*
 * Reminders: a bell that rings every 10 ms until somebody comes, and who rang
 * it is answered then.
 *
 * Ring arms a timer, whose ticks are Remind messages to the bell itself, and
 * defers its reply. Come answers it and cancels the timer: not one tick more
 * is handled, also if one waits in the mailbox already.
 */
#include <grove.h>
#include <stdio.h>

#include "reminders.grove.h"

#define REMINDER 1 /* the key of the timer */

struct bell {
    grove_token visitor;
    int times;
};

static int ring(struct bell *me, const Reminders__V1__RingRequest *request,
                Reminders__V1__RingResponse *response)
{
    Reminders__V1__RemindRequest remind = REMINDERS__V1__REMIND_REQUEST__INIT;
    int rc = bell_remind_every(REMINDER, 10, GROVE_FIXED_RATE, &remind);

    return rc == 0 ? grove_reply_defer(&me->visitor) : rc;
}

static int remind(struct bell *me, const Reminders__V1__RemindRequest *request,
                  Reminders__V1__RemindResponse *response)
{
    me->times++;
    return 0;
}

static int come(struct bell *me, const Reminders__V1__ComeRequest *request,
                Reminders__V1__ComeResponse *response)
{
    Reminders__V1__RingResponse answer = REMINDERS__V1__RING_RESPONSE__INIT;

    (void)grove_timer_cancel(REMINDER); /* That it was armed is known. */
    answer.times = me->times;
    return bell_ring_reply(&me->visitor, 0, &answer);
}

int main(int argc, char **argv)
{
    static const struct bell_service functions = {
        .state_bytes = sizeof(struct bell), .ring = ring, .remind = remind, .come = come};
    Reminders__V1__RingRequest ask = REMINDERS__V1__RING_REQUEST__INIT;
    Reminders__V1__RingResponse answer = REMINDERS__V1__RING_RESPONSE__INIT;
    Reminders__V1__ComeRequest go = REMINDERS__V1__COME_REQUEST__INIT;
    struct grove_future future;
    grove_ref bell;
    int rc;

    if (grove_init(&argc, &argv) != 0 || bell_spawn(&functions, NULL, NULL, &bell) != 0
        || bell_ring_start(bell, &ask, &answer, &future) != 0 || grove_sleep_await(55) != 0
        || bell_come_send(bell, &go) != 0) {
        printf("%s\n", grove_why());
        return 1;
    }
    rc = grove_future_await(&future);
    printf("rang %d times\n", answer.times);
    return rc == 0 && grove_deinit() == 0 ? 0 : 1;
}
