/*
 * Counter: an actor with state, a message that nobody answers, a refusal,
 * and two clients at work at the same time.
 *
 * main sends the counter a 4. Then one client adds 2 and another 3, three
 * times each; over 10 the counter refuses. Prints each step and the sum.
 */
#include <grove.h>
#include <stdio.h>

#include "counter.grove.h"

struct counter {
    int value;
};

static int add(struct counter *me, const Counter__V1__AddRequest *request,
               Counter__V1__AddResponse *response)
{
    if (request->amount > 10 - me->value)
        return grove_refuse(COUNTER__V1__REFUSAL__REFUSAL_TOO_HIGH, "%d and %d is too high",
                            me->value, request->amount);
    me->value += request->amount;
    response->value = me->value;
    return 0;
}

struct client {
    grove_ref counter;
};

static int init(struct client *me, const void *counter)
{
    me->counter = *(const grove_ref *)counter;
    return 0;
}

static int work(struct client *me, const Counter__V1__WorkRequest *request,
                Counter__V1__WorkResponse *response)
{
    Counter__V1__AddRequest ask = COUNTER__V1__ADD_REQUEST__INIT;
    Counter__V1__AddResponse answer = COUNTER__V1__ADD_RESPONSE__INIT;

    ask.amount = request->amount;
    for (int i = 0; i < 3; i++) {
        int rc = counter_add_await(me->counter, &ask, &answer); /* 0, a refusal, or a failure */
        if (rc < 0)
            return rc;
        response->refused += rc > 0;
        printf("add %d: %s\n", ask.amount, rc == 0 ? "done" : grove_why());
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct counter_service counting = {sizeof(struct counter), .add = add};
    static const struct client_service asking = {sizeof(struct client), init, .work = work};
    Counter__V1__AddRequest four = COUNTER__V1__ADD_REQUEST__INIT;
    Counter__V1__WorkRequest task = COUNTER__V1__WORK_REQUEST__INIT;
    Counter__V1__WorkResponse done[2] = {COUNTER__V1__WORK_RESPONSE__INIT,
                                         COUNTER__V1__WORK_RESPONSE__INIT};
    struct grove_future futures[2], *both[2] = {&futures[0], &futures[1]};
    grove_ref counter, client;

    grove_init(&argc, &argv);
    four.amount = 4;
    if (counter_spawn(&counting, NULL, NULL, &counter) || counter_add_send(counter, &four))
        return 1;
    for (int i = 0; i < 2; i++) {
        task.amount = 2 + i;
        if (client_spawn(&asking, &counter, NULL, &client)
            || client_work_start(client, &task, &done[i], both[i]))
            return 1;
    }
    if (grove_all_await(both, 2) != 0)
        return fprintf(stderr, "counter: %s\n", grove_why()), 1;
    printf("refused %d times\n", done[0].refused + done[1].refused);
    return grove_deinit();
}
