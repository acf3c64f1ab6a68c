#include "actors/actor.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "actors/call.h"
#include "actors/kept.h"
#include "actors/kin.h"
#include "actors/mail.h"
#include "actors/passivate.h"
#include "actors/post.h"
#include "actors/type.h"
#include "actors/verb.h"
#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/hint.h"
#include "runtime/park.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

/* --- spawn ------------------------------------------------------------------------------------ */

/* What somebody wants to spawn. */
struct order {
    const struct gv_type *type;
    const void *argument;
    const struct grove_spawn_options *options;
    uint64_t call;          /* that waits for init, 0 = none */
    struct gv_task *parent; /* or its guest; NULL = none */
};

static GV_RARE int put_label(struct gv_actor *actor, const char *label)
{
    struct gv_rare *rare = gv_actor_make_rare(actor);

    if (rare == NULL)
        return GROVE_ENOMEM;
    (void)snprintf(rare->label, sizeof rare->label, "%s",
                   label); /* A cut label is still a label. */
    return 0;
}

static GV_APART int put_state_apart(struct gv_actor *actor, const struct order *order)
{
    size_t bytes = actor->type->state_bytes;
    void *state = calloc(1, bytes > 0 ? bytes : 1);

    *(void **)(void *)actor->state = state;
    if (state != NULL && actor->type->passivates)
        return gv_passivation_prepare(actor, order->argument, order->options);
    return state != NULL ? 0 : GROVE_ENOMEM;
}

/* The parent runs here, but its home is another loop. */
static inline bool is_lent(const struct order *order)
{
    return gv_unlikely(order->parent != NULL && order->parent->class != &gv_actor_class);
}

/*
 * Puts the argument where the first turn finds it, and makes the message if
 * there must be one: for somebody who waits, a large argument, or the way to
 * another loop.
 */
static GV_INLINE int put_birth(struct gv_loop *loop, struct gv_actor *actor,
                               const struct order *order, struct gv_message **init)
{
    struct gv_birth *birth = gv_actor_birth(actor);
    size_t bytes = order->options->argument_bytes;

    *init = NULL;
    birth->message = NULL;
    birth->argument = order->argument;
    if (bytes > 0 && gv_unlikely(order->argument == NULL))
        return gv_usage("the argument is NULL, and argument_bytes says that there is one");
    if (bytes > 0 && bytes <= GV_BIRTH_COPIED_MAX) {
        birth->argument = memcpy(birth->copied, order->argument, bytes);
        bytes = 0;
    }
    if (bytes == 0 && order->call == 0 && actor->task.loop == loop->index && !is_lent(order))
        return 0;
    *init = gv_message_take(&loop->blocks, bytes);
    if (*init == NULL)
        return GROVE_ENOMEM;
    if (bytes > 0)
        birth->argument = memcpy((*init)->body, order->argument, bytes);
    (*init)->method = GV_SIGNAL_INIT;
    (*init)->call = order->call;
    return 0;
}

/* Fills what hangs on the slot. On failure nothing is left but the slot. */
static GV_INLINE int fill(struct gv_loop *loop, struct gv_actor *actor, const struct order *order,
                          struct gv_message **init)
{
    const struct grove_spawn_options *options = order->options;
    int rc;

    actor->type = order->type;
    actor->task.pinned = options->pinned | order->type->stays;
    rc = gv_task_bound(&actor->task, options->depth_max, options->bytes_max);
    if (rc != 0)
        return rc;
    if (actor->type->state_apart)
        rc = put_state_apart(actor, order);
    if (rc == 0 && options->label != NULL)
        rc = put_label(actor, options->label);
    if (rc == 0)
        rc = put_birth(loop, actor, order, init);
    if (rc != 0)
        gv_actor_free_parts(actor);
    return rc;
}

/* It has come to its home: its first turn may run, or, if it needs none, it is born. Owns init. */
static GV_INLINE void start(struct gv_loop *loop, struct gv_actor *actor, struct gv_message *init)
{
    struct gv_birth *birth = gv_actor_birth(actor);
    struct gv_task *task = &actor->task;

    task->flags &= (uint8_t)~GV_TASK_BUSY;
    if (init != NULL && init->call == 0
        && (!actor->type->has_init || birth->argument != init->body)) {
        gv_message_give(&loop->blocks, init);
        init = NULL;
    }
    if (init != NULL || actor->type->has_init) {
        birth->message = init;
        gv_sched_ready(loop, task);
        return;
    }
    task->flags &= (uint8_t)~GV_TASK_UNBORN;
    memset(birth, 0, sizeof *birth);
    /* A far sender may have been faster, or somebody who stops it. */
    if (task->mailbox.head != NULL || task->flags & GV_TASK_STOPPING)
        gv_sched_ready(loop, task);
}

/* No actor could be made. Returns rc. */
static GV_RARE int not_spawned(int rc)
{
    return gv_failed(rc, rc == GROVE_ENOMEM
                             ? "no memory, or no address space, for another actor: spawn fewer, "
                               "or raise the limit (ulimit -v)"
                             : NULL);
}

static GV_INLINE int spawn(struct gv_loop *loop, const struct order *order, grove_ref *ref)
{
    struct gv_message *init;
    struct gv_task *task;
    int rc =
        gv_place_task(loop, order->options->place, &gv_actor_class, order->type->slot_bytes, &task);

    if (rc != 0)
        return not_spawned(rc);
    rc = fill(loop, (struct gv_actor *)task, order, &init);
    if (rc != 0) {
        gv_place_undo(loop, task);
        return not_spawned(rc);
    }
    /* Until it is started, mail only queues: a far sender may be faster than INIT. */
    task->flags = GV_TASK_BUSY | GV_TASK_UNBORN;
    if (is_lent(order)) {
        gv_kin_send_home(loop, order->parent, task, init, ref);
        return 0;
    }
    if (order->parent != NULL)
        gv_kin_link(order->parent, task, task->loop != loop->index ? GV_KIN_FAR : 0);
    else
        gv_kin_number(loop, task);
    if (task->loop == loop->index) {
        gv_place_here(loop, task, ref);
        start(loop, (struct gv_actor *)task, init);
    } else {
        gv_place_start(loop, task, init, ref);
    }
    return 0;
}

static const struct grove_spawn_options defaults;

static GV_RARE const struct gv_type *no_type(const struct gv_loop *loop,
                                             const struct grove_service *service)
{
    if (service == NULL)
        (void)gv_usage("spawn: there is no service; give &NAME_service_table");
    else if (loop == NULL)
        (void)gv_usage("spawn needs a thread of grove's: main after grove_init, or a handler");
    else
        (void)gv_usage("%s: there is no struct of functions", service->name);
    return NULL; /* The caller knows the code. */
}

/* The type of what shall be spawned; NULL with a reason if there can be none. */
static inline const struct gv_type *type_for(const struct gv_loop *loop,
                                             const struct grove_service *service,
                                             const void *functions,
                                             const struct grove_spawn_options *options)
{
    const struct gv_type *type;

    if (gv_unlikely(loop == NULL || functions == NULL || service == NULL))
        return no_type(loop, service);
    (void)gv_type_place(service, functions, &type); /* Where it stands does not matter. */
    return gv_likely(type != NULL && options->passivate_after_ms == 0)
               ? type
               : gv_type_other(service, functions, options, type);
}

/* deinit, and the clean-ups of an abandoned handler, run behind the end of all children. */
static GV_RARE int late_child(void)
{
    (void)gv_usage("deinit, and clean-ups of an abandoned handler, spawn no children, which have "
                   "ended before; spawn with .detached");
    return GROVE_ESTOPPING;
}

/* Whose child the new one will be. False: it is too late for one. */
static inline bool put_parent(const struct gv_loop *loop, struct order *order)
{
    order->parent = order->options->detached ? NULL : gv_kin_spawner(loop);
    return order->parent == NULL || !(loop->turn->odd & GV_ODD_LAST);
}

/* All that spawn_usual does not. */
static GV_APART int spawn_otherwise(const struct grove_service *service, const void *functions,
                                    const void *argument, const struct grove_spawn_options *options,
                                    grove_ref *ref)
{
    struct gv_loop *loop = gv_loop_now();
    struct order order = {
        .argument = argument,
        .options = options != NULL ? options : &defaults,
    };

    order.type = type_for(loop, service, functions, order.options);
    if (order.type == NULL)
        return GROVE_EUSAGE;
    if (!put_parent(loop, &order))
        return late_child();
    return spawn(loop, &order, ref);
}

/* Nobody wants of the new one what few do. */
static inline bool is_usual(const struct gv_type *type, const struct grove_spawn_options *options)
{
    if (gv_unlikely(type == NULL) || gv_unlikely(!type->usual))
        return false;
    return options == NULL
           || (options->place == GROVE_HERE
               && (options->depth_max | options->bytes_max | options->passivate_after_ms) == 0
               && options->label == NULL && options->argument_bytes == 0 && !options->pinned
               && !options->detached);
}

/* Who spawns, if it will be the new one's parent; else NULL. False: that needs a closer look. */
static inline bool find_parent(const struct gv_loop *loop, struct gv_task **parent)
{
    struct gv_task *task = loop->turn != NULL ? loop->turn->task : NULL;

    *parent = NULL;
    /* relaxed: a late one is stopped like the rest */
    if (gv_unlikely(atomic_load_explicit(&gv_runtime.closing, memory_order_relaxed)))
        return false;
    if (task == NULL)
        return true;
    if (gv_unlikely(task->class != &gv_actor_class))
        return task->class != gv_actor_class.guest;
    if (gv_unlikely(loop->turn->odd & GV_ODD_LAST))
        return false;
    *parent = task;
    return true;
}

/* Beside its spawner, which is at home, from a slot that holds all of it: the way of nearly all. */
static GV_INLINE int spawn_usual(struct gv_loop *loop, const struct gv_type *type,
                                 struct gv_task *parent, const void *argument, grove_ref *ref)
{
    struct gv_task *task = gv_slot_take(&loop->slots, loop->index, type->slot_bytes);
    struct gv_actor *actor = (struct gv_actor *)task;

    if (gv_unlikely(task == NULL))
        return not_spawned(GROVE_ENOMEM);
    task->class = &gv_actor_class;
    task->bounds = gv_runtime.usual;
    actor->type = type;
    gv_slot_live(task);
    if (parent != NULL)
        gv_kin_link(parent, task, 0);
    gv_place_here(loop, task, ref);
    if (gv_likely(type->has_init)) {
        gv_actor_birth(actor)->argument = argument;
        task->flags = GV_TASK_UNBORN;
        gv_sched_ready(loop, task);
    }
    return 0;
}

int grove_spawn(const struct grove_service *service, const void *functions, const void *argument,
                const struct grove_spawn_options *options, grove_ref *ref)
{
    struct gv_loop *loop = gv_loop_here;
    const struct gv_type *type;
    struct gv_task *parent;

    if (gv_unlikely(loop == NULL))
        return spawn_otherwise(service, functions, argument, options, ref);
    (void)gv_type_place(service, functions, &type); /* Where it stands does not matter. */
    if (!is_usual(type, options) || gv_unlikely(!find_parent(loop, &parent)))
        return spawn_otherwise(service, functions, argument, options, ref);
    return spawn_usual(loop, type, parent, argument, ref);
}

/* Parks until the child's init has answered the call of `wait`. */
static int await_init(struct gv_loop *loop, struct gv_wait *wait, grove_ref ref)
{
    int rc;

    wait->target = gv_ref_id(ref);
    rc = gv_park(loop, wait);
    if (wait->message != NULL)
        return gv_turn_take_answer(loop, loop->turn, NULL, wait->message, NULL);
    if (wait->call != 0 && gv_call_find(loop, wait->call) != NULL)
        gv_call_give(loop, gv_call_find(loop, wait->call));
    /* Whoever gave up waiting for init wants no half-made child. */
    (void)grove_stop(ref, GROVE_STOP_KILL); /* Gone already is as good. */
    return gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_UNKNOWN, NULL);
}

int grove_spawn_await(const struct grove_service *service, const void *functions,
                      const void *argument, const struct grove_spawn_options *options,
                      grove_ref *ref)
{
    struct gv_loop *loop = gv_loop_now();
    struct order order = {
        .argument = argument,
        .options = options != NULL ? options : &defaults,
    };
    struct gv_wait wait;
    struct gv_call *call;
    int rc;

    order.type = type_for(loop, service, functions, order.options);
    if (order.type == NULL)
        return GROVE_EUSAGE;
    if (loop->turn == NULL)
        return gv_usage("nothing may be waited for here");
    if (!put_parent(loop, &order))
        return late_child();
    gv_wait_init(loop, &wait, GV_WAIT_SPAWN, loop->turn->deadline_ms);
    call = gv_call_take(loop, 0, 0, loop->turn->deadline_ms);
    if (call == NULL)
        return not_spawned(GROVE_ENOMEM);
    call->kind = GV_SINK_WAIT;
    call->sink.wait = &wait;
    wait.call = call->id;
    order.call = call->id;
    rc = spawn(loop, &order, ref);
    if (rc != 0) {
        gv_call_give(loop, call);
        return rc;
    }
    return await_init(loop, &wait, *ref);
}

int gv_actor_reserve(struct gv_loop *loop, const struct grove_service *service,
                     const void *functions, const struct grove_spawn_options *options,
                     struct gv_task **task)
{
    struct grove_spawn_options bare = *options;
    struct order order = {
        .type = type_for(loop, service, functions, options), .argument = "", .options = &bare};
    struct gv_message *init;
    int rc;

    bare.argument_bytes = 0;
    if (order.type == NULL)
        return GROVE_EUSAGE;
    rc = gv_place_task(loop, options->place, &gv_actor_class, order.type->slot_bytes, task);
    if (rc != 0)
        return not_spawned(rc);
    rc = fill(loop, (struct gv_actor *)*task, &order, &init);
    if (rc != 0) {
        gv_place_undo(loop, *task);
        return not_spawned(rc);
    }
    if (init != NULL)
        gv_message_give(&loop->blocks, init);
    (*task)->flags = GV_TASK_BUSY | GV_TASK_UNBORN;
    return 0;
}

void gv_actor_unreserve(struct gv_loop *loop, struct gv_task *task)
{
    gv_actor_free_parts((struct gv_actor *)task);
    gv_place_undo(loop, task);
}

void gv_actor_start(struct gv_loop *loop, struct gv_actor *actor, struct gv_message *init)
{
    if (gv_actor_post(actor) != NULL)
        gv_post_start(loop, actor, init);
    else
        start(loop, actor, init);
}
