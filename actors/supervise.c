/*
 * Supervise: what users ask of supervisors, from wherever they are.
 */
#include <grove/supervise.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "actors/call.h"
#include "actors/kin.h"
#include "actors/supervisor.h"
#include "actors/verb.h"
#include "runtime/go.h"
#include "runtime/park.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

#define SHUTDOWN_USUAL_MS 5000u

/* --- wishes, from outside ------------------------------------------------------------------------- */

static int check_rule(const struct grove_restart_rule *rule)
{
    if (rule->restarts_max > GV_RESTARTS_MAX)
        return gv_usage("restarts_max is %u, and at most %u may be; make the period shorter",
                        rule->restarts_max, GV_RESTARTS_MAX);
    if ((unsigned)rule->kind > GROVE_TEMPORARY)
        return gv_usage("%d is no kind of child: say GROVE_PERMANENT, GROVE_TRANSIENT or "
                        "GROVE_TEMPORARY",
                        (int)rule->kind);
    return 0;
}

/* The living supervisor that ref names. The class of a living task never changes, and this one lives long. */
static int find_supervisor(grove_ref ref, struct gv_task **task)
{
    *task = gv_slot_find(gv_ref_id(ref));
    if (*task == NULL)
        return GROVE_ENOACTOR;
    if ((*task)->class != &gv_supervisor_class)
        return gv_usage("this ref is no supervisor's; make one with grove_supervise");
    return 0;
}

static void send_wish(struct gv_loop *loop, uint64_t supervisor, struct gv_message *message)
{
    const struct gv_task *slot = gv_slot_task(supervisor);
    struct gv_task *task;

    message->method = GV_SIGNAL_SUPERVISE;
    message->to = supervisor;
    if (slot->loop != loop->index) {
        gv_loop_post(loop, slot->loop, message);
        return;
    }
    task = gv_slot_find(supervisor);
    if (task == NULL)
        (void)gv_supervisor_orphaned(loop, message); /* It is a wish. */
    else
        gv_supervisor_signal(loop, task, message);
}

/* A child that was filled goes to its supervisor. call: that waits for it, 0 = none. */
static int send_add(struct gv_loop *loop, uint64_t supervisor, struct gv_child *child,
                    uint64_t call)
{
    struct gv_message *message = gv_message_take(&loop->blocks, sizeof(struct gv_wish));
    struct gv_task *task = gv_slot_task(child->id);

    if (message == NULL)
        return GROVE_ENOMEM;
    child->ref = gv_task_ref(task);
    *(struct gv_wish *)(void *)message->body =
        (struct gv_wish){.kind = GV_WISH_ADD, .child = child};
    message->call = call;
    /* relaxed: a figure for reports and placement. It is alive from now on, wherever it is. */
    atomic_fetch_add_explicit(&gv_runtime.loops[task->loop]->n_sent_in, 1, memory_order_relaxed);
    send_wish(loop, supervisor, message);
    return 0;
}

/* Parks until a wish is answered; *reply is the caller's then. Owns message. */
static int ask_await(struct gv_loop *loop, uint64_t supervisor, struct gv_wish wish,
                     struct gv_message **reply)
{
    struct gv_message *message = gv_message_take(&loop->blocks, sizeof wish);
    struct gv_call *call;
    struct gv_wait wait;
    int rc = gv_may_park_for(loop, "an _await of grove/supervise.h");

    if (message == NULL)
        return GROVE_ENOMEM;
    gv_wait_init(loop, &wait, GV_WAIT_CALL, gv_turn_deadline(loop, loop->turn, GV_TIMEOUT_MS));
    call = rc == 0 ? gv_call_take(loop, supervisor, 0, wait.deadline_ms) : NULL;
    if (call == NULL) {
        gv_message_give(&loop->blocks, message);
        return rc != 0 ? rc : GROVE_ENOMEM;
    }
    call->kind = GV_SINK_WAIT;
    call->sink.wait = &wait;
    wait.call = call->id;
    wait.target = supervisor;
    *(struct gv_wish *)(void *)message->body = wish;
    message->call = call->id;
    send_wish(loop, supervisor, message);
    rc = gv_park(loop, &wait);
    if (wait.message == NULL) {
        if (wait.call != 0 && gv_call_find(loop, wait.call) != NULL)
            gv_call_give(loop, gv_call_find(loop, wait.call));
        return gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_UNKNOWN, NULL);
    }
    if (wait.message->code != 0)
        return gv_turn_take_answer(loop, loop->turn, NULL, wait.message, NULL);
    *reply = wait.message;
    return 0;
}

/* --- adding --------------------------------------------------------------------------------------- */

/* What hangs on the slot of an actor: its post. On failure nothing is left but the slot. */
static int make_post(struct gv_actor *actor, struct gv_child *child, const struct grove_child *what,
                     uint64_t supervisor)
{
    struct gv_rare *rare = gv_actor_make_rare(actor);
    struct gv_post *post = rare != NULL ? calloc(1, sizeof *post) : NULL;
    size_t bytes = what->options.argument_bytes;

    if (post == NULL)
        return GROVE_ENOMEM;
    post->argument = what->argument;
    if (bytes > 0) {
        post->argument = post->copied = malloc(bytes);
        if (post->copied == NULL) {
            free(post);
            return GROVE_ENOMEM;
        }
        memcpy(post->copied, what->argument, bytes);
    }
    post->supervisor = supervisor;
    post->child = child;
    post->on_error = what->rule.on_error;
    rare->post = post;
    return 0;
}

static int make_child(struct gv_loop *loop, grove_ref supervisor, const struct grove_child *what,
                      struct gv_child **result)
{
    struct gv_child *child = gv_child_new(&what->rule, SHUTDOWN_USUAL_MS);
    struct gv_task *task;
    int rc;

    if (child == NULL)
        return GROVE_ENOMEM;
    rc = gv_actor_reserve(loop, what->service, what->functions, &what->options, &task);
    if (rc == 0) {
        rc = make_post((struct gv_actor *)task, child, what, gv_ref_id(supervisor));
        if (rc != 0)
            gv_actor_unreserve(loop, task);
    }
    if (rc != 0) {
        gv_child_free(child);
        return rc;
    }
    child->id = gv_task_id(task);
    task->class->describe(task, child->label, sizeof child->label);
    *result = child;
    return 0;
}

static int check_add(struct gv_loop *loop, grove_ref supervisor, const struct grove_child *what)
{
    struct gv_task *task;
    int rc;

    if (loop == NULL)
        return gv_usage_thread("grove_supervisor_add");
    if (what == NULL || what->service == NULL || what->functions == NULL)
        return gv_usage("grove_supervisor_add: the child has no service or no functions; set them "
                        "to &NAME_service_table and your struct NAME_service");
    if (what->argument == NULL && what->options.argument_bytes > 0)
        return gv_usage("grove_supervisor_add: the argument is NULL, and argument_bytes says that "
                        "there is one");
    rc = check_rule(&what->rule);
    return rc != 0 ? rc : find_supervisor(supervisor, &task);
}

/* Gives up what make_child made. */
static void undo_child(struct gv_loop *loop, struct gv_child *child)
{
    struct gv_task *task = gv_slot_task(child->id);

    if (!child->is_supervisor) {
        struct gv_rare *rare = gv_actor_rare((struct gv_actor *)task);

        free(rare->post->copied);
        free(rare->post);
        gv_actor_unreserve(loop, task);
    } else {
        gv_place_undo(loop, task);
    }
    gv_child_free(child);
}

int grove_supervisor_add(grove_ref supervisor, const struct grove_child *what, grove_ref *ref)
{
    struct gv_loop *loop = gv_loop_now();
    struct gv_child *child;
    int rc = check_add(loop, supervisor, what);

    if (rc == 0)
        rc = make_child(loop, supervisor, what, &child);
    if (rc != 0)
        return rc;
    if (ref != NULL)
        *ref = gv_task_ref(gv_slot_task(child->id));
    rc = send_add(loop, gv_ref_id(supervisor), child, 0);
    if (rc != 0)
        undo_child(loop, child);
    return rc;
}

int grove_supervisor_add_await(grove_ref supervisor, const struct grove_child *what, grove_ref *ref)
{
    struct gv_loop *loop = gv_loop_now();
    struct gv_child *child;
    struct gv_call *call;
    struct gv_wait wait;
    int rc = check_add(loop, supervisor, what);

    if (rc == 0 && loop->turn == NULL)
        rc = gv_usage_wait("grove_supervisor_add_await");
    if (rc == 0)
        rc = gv_may_park(loop);
    if (rc == 0)
        rc = make_child(loop, supervisor, what, &child);
    if (rc != 0)
        return rc;
    gv_wait_init(loop, &wait, GV_WAIT_SPAWN, loop->turn->deadline_ms);
    wait.target = child->id;
    if (ref != NULL)
        *ref = gv_task_ref(gv_slot_task(child->id));
    call = gv_call_take(loop, child->id, 0, wait.deadline_ms);
    if (call != NULL) {
        call->kind = GV_SINK_WAIT;
        call->sink.wait = &wait;
        wait.call = call->id;
    }
    rc = call != NULL ? send_add(loop, gv_ref_id(supervisor), child, call->id) : GROVE_ENOMEM;
    if (rc != 0) {
        if (call != NULL)
            gv_call_give(loop, call);
        undo_child(loop, child);
        return rc;
    }
    rc = gv_park(loop, &wait);
    if (wait.message != NULL)
        return gv_turn_take_answer(loop, loop->turn, NULL, wait.message, NULL);
    if (wait.call != 0 && gv_call_find(loop, wait.call) != NULL)
        gv_call_give(loop, gv_call_find(loop, wait.call));
    return gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_UNKNOWN, NULL);
}

/* --- making one ----------------------------------------------------------------------------------- */

static int place_root(struct gv_loop *loop, struct gv_task *task)
{
    struct gv_message *init = gv_message_take(&loop->blocks, 0);

    if (init == NULL)
        return GROVE_ENOMEM;
    gv_place_start(loop, task, init, NULL);
    return 0;
}

static int place_child(struct gv_loop *loop, struct gv_supervisor *me,
                       const struct grove_supervisor_options *options)
{
    struct gv_child *child = gv_child_new(&options->rule, GROVE_INFINITE);
    int rc;

    if (child == NULL)
        return GROVE_ENOMEM;
    me->parent = gv_ref_id(options->parent);
    me->self = child;
    me->aim = GV_AIM_REST; /* Its children wait, as it does, until its parent has it begin. */
    me->down = true;
    child->id = gv_task_id(&me->task);
    child->is_supervisor = true;
    me->task.class->describe(&me->task, child->label, sizeof child->label);
    rc = send_add(loop, me->parent, child, 0);
    if (rc != 0)
        gv_child_free(child);
    return rc;
}

int grove_supervise(const struct grove_supervisor_options *options, grove_ref *ref)
{
    static const struct grove_supervisor_options usual;
    struct gv_loop *loop = gv_loop_now();
    struct gv_supervisor *me;
    struct gv_task *task;
    int rc;

    if (options == NULL)
        options = &usual;
    if (loop == NULL)
        return gv_usage_thread("grove_supervise");
    if ((unsigned)options->strategy > GROVE_REST_FOR_ONE)
        return gv_usage("%d is no strategy: say GROVE_ONE_FOR_ONE, GROVE_ONE_FOR_ALL or "
                        "GROVE_REST_FOR_ONE",
                        (int)options->strategy);
    rc = check_rule(&options->rule);
    if (rc == 0 && !grove_ref_is_nobody(options->parent))
        rc = find_supervisor(options->parent, &task);
    if (rc == 0)
        rc = gv_place_task(loop, options->place, &gv_supervisor_class, sizeof *me, &task);
    if (rc != 0)
        return rc;
    me = (struct gv_supervisor *)task;
    me->strategy = (uint8_t)options->strategy;
    me->end_mode = GROVE_STOP_NOW;
    if (options->label != NULL)
        (void)snprintf(me->label, sizeof me->label, "%s",
                       options->label); /* A cut label is still a label. */
    rc = gv_task_bound(task, 0, 0);
    if (ref != NULL)
        *ref = gv_task_ref(task);
    task->flags = GV_TASK_BUSY;
    gv_kin_number(loop, task);
    if (rc == 0)
        rc = grove_ref_is_nobody(options->parent) ? place_root(loop, task)
                                                  : place_child(loop, me, options);
    if (rc != 0)
        gv_place_undo(loop, task);
    return rc;
}

/* --- asking --------------------------------------------------------------------------------------- */

static int check_ask(struct gv_loop *loop, grove_ref supervisor, const char *function)
{
    struct gv_task *task;

    if (loop == NULL || loop->turn == NULL)
        return gv_usage_wait(function);
    return find_supervisor(supervisor, &task);
}

int grove_supervisor_remove_await(grove_ref supervisor, grove_ref child)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_message *reply;
    int rc = check_ask(loop, supervisor, "grove_supervisor_remove_await");

    if (rc == 0)
        rc = ask_await(loop, gv_ref_id(supervisor),
                       (struct gv_wish){.kind = GV_WISH_REMOVE, .id = gv_ref_id(child)}, &reply);
    if (rc == 0)
        gv_message_give(&loop->blocks, reply);
    return rc;
}

int grove_supervisor_children_await(grove_ref supervisor, struct grove_child_info *infos,
                                    unsigned n_max, unsigned *n)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_message *reply;
    const struct gv_list *what;
    int rc = check_ask(loop, supervisor, "grove_supervisor_children_await");

    if (rc == 0 && (n == NULL || (infos == NULL && n_max > 0)))
        rc = gv_usage_null("grove_supervisor_children_await", n == NULL ? "`n`" : "`infos`");
    if (rc == 0)
        rc = ask_await(loop, gv_ref_id(supervisor),
                       (struct gv_wish){.kind = GV_WISH_LIST, .n_max = n_max}, &reply);
    if (rc != 0)
        return rc;
    what = (const struct gv_list *)(const void *)reply->body;
    *n = what->n;
    if (what->n_listed > 0)
        memcpy(infos, what->infos, what->n_listed * sizeof infos[0]);
    gv_message_give(&loop->blocks, reply);
    return 0;
}
