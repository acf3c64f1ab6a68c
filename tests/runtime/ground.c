#include "ground.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <grove/task.h>

#include "runtime/options.h"

_Atomic(unsigned) ground_orphaned, ground_answered;

/* --- virtual time ----------------------------------------------------------------------------- */

static struct gv_env virtual_env;
static uint64_t virtual_ns;
unsigned ground_n_polls;

void ground_pass(uint64_t ns)
{
    virtual_ns += ns;
}

static uint64_t virtual_now_ns(void *world)
{
    (void)world;
    return virtual_ns;
}

static void virtual_poll(struct gv_poller *poller, int64_t timeout_ns)
{
    gv_env_host()->poller_poll(poller, 0);
    ground_n_polls++;
    if (timeout_ns < 0) {
        (void)fprintf(stderr, "ground: everybody waits and nothing will ever happen\n");
        abort();
    }
    virtual_ns += (uint64_t)timeout_ns;
}

/* --- upcalls ---------------------------------------------------------------------------------- */

static void arrived(struct gv_loop *loop, struct gv_message *message)
{
    struct gv_task *task = gv_slot_find(message->to);

    if (task == NULL) {
        gv_message_give(&loop->blocks, message);
        return;
    }
    if (message->method == GV_SIGNAL_INIT)
        task->arrived = 1;
    task->class->signal(loop, task, message);
}

static void orphaned(struct gv_loop *loop, struct gv_message *message, int code)
{
    (void)code;
    ground_orphaned++;
    gv_message_give(&loop->blocks, message);
}

static void answer(struct gv_loop *loop, struct gv_message *message)
{
    ground_answered++;
    gv_message_give(&loop->blocks, message);
}

static void entered(struct gv_loop *loop, struct gv_message *message)
{
    (void)loop;
    (void)message;
}

static void turn_ending(struct gv_loop *loop, struct gv_turn *turn)
{
    (void)loop;
    (void)turn;
}

static int loop_opened(struct gv_loop *loop)
{
    (void)loop;
    return 0;
}

static const struct gv_upcalls upcalls = {
    .arrived = arrived,
    .orphaned = orphaned,
    .answer = answer,
    .entered = entered,
    .turn_ending = turn_ending,
    .loop_opened = loop_opened,
};

/* --- begin and end ---------------------------------------------------------------------------- */

static void open_options(const char *option, const char *value)
{
    char error[GV_OPTION_ERROR_BYTES] = "";

    gv_options_reset();
    if (gv_options_read(NULL, NULL, error) != 0)
        fail_msg("%s", error);
    if (option != NULL && gv_option_set(option, value, error) != 0)
        fail_msg("%s", error);
    ground_orphaned = ground_answered = 0;
}

void ground_open(const char *option, const char *value)
{
    open_options(option, value);
    virtual_env = *gv_env_host();
    virtual_env.now_ns = virtual_now_ns;
    virtual_env.poller_poll = virtual_poll;
    virtual_ns = 1000000000u;
    assert_int_equal(gv_runtime_open(&virtual_env, &upcalls, 1), 0);
}

void ground_open_loops(unsigned n)
{
    open_options(NULL, NULL);
    assert_int_equal(gv_runtime_open(gv_env_host(), &upcalls, n), 0);
}

void ground_close(void)
{
    gv_runtime_close();
}

static uint64_t n_alive(void)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < gv_runtime.n_loops; i++)
        n += gv_loop_actors(gv_runtime.loops[i]);
    return n;
}

void ground_drain(void)
{
    for (int i = 0; i < 10000 && n_alive() > 0; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(n_alive(), 0);
}

/* --- tasks ------------------------------------------------------------------------------------ */

static void run(struct gv_loop *loop, struct gv_task *task)
{
    struct worker *me = (struct worker *)task;
    struct gv_message *message;
    struct gv_turn turn = {.task = task};

    loop->budget--;
    task->flags |= GV_TASK_BUSY;
    message = gv_mailbox_take(&task->mailbox);
    if (message != NULL)
        gv_message_give(&loop->blocks, message);
    gv_turn_begin(loop, &turn);
    me->act(me);
    gv_turn_end(loop, &turn);
    task->flags &= (uint8_t)~GV_TASK_BUSY;
    if (task->flags & GV_TASK_STOPPING)
        gv_task_end(loop, task);
    else if (task->mailbox.head != NULL)
        gv_sched_ready(loop, task);
}

static void signal_worker(struct gv_loop *loop, struct gv_task *task, struct gv_message *message)
{
    if (message->method == GV_SIGNAL_INIT) {
        task->flags &= (uint8_t)~GV_TASK_BUSY;
        gv_sched_ready(loop, task);
    }
    gv_message_give(&loop->blocks, message);
}

static struct gv_waitlist *no_waitlist(struct gv_task *task, bool make)
{
    (void)task;
    (void)make;
    return NULL;
}

static void describe(const struct gv_task *task, char *text, size_t room)
{
    (void)task;
    (void)snprintf(text, room, "worker"); /* It fits. */
}

static const struct gv_task_class worker_class = {
    .name = "worker",
    .run = run,
    .signal = signal_worker,
    .waitlist = no_waitlist,
    .describe = describe,
    .kind = GROVE_REF_ACTOR,
};

struct worker *ground_worker(unsigned loop, void (*act)(struct worker *me), void *argument)
{
    struct gv_loop *here = gv_loop_here;
    struct gv_message *init = gv_message_take(&here->blocks, 0);
    struct gv_task *task = NULL;
    struct worker *worker;

    assert_non_null(init);
    assert_int_equal(gv_place_task(here, GROVE_ON_LOOP(loop), &worker_class, sizeof *worker, &task),
                     0);
    assert_int_equal(gv_task_bound(task, 0, 0), 0);
    task->flags = GV_TASK_BUSY;
    worker = (struct worker *)task;
    worker->act = act;
    worker->argument = argument;
    gv_place_start(here, task, init, NULL);
    return worker;
}

void ground_poke(struct worker *worker)
{
    struct gv_message *message = gv_message_take(&gv_loop_here->blocks, 0);

    if (message != NULL && gv_task_push(gv_loop_here, &worker->task, message) != 0)
        gv_message_give(&gv_loop_here->blocks, message);
}

void ground_end(struct worker *worker)
{
    worker->task.flags |= GV_TASK_STOPPING;
    gv_sched_ready(gv_loop_here, &worker->task);
}
