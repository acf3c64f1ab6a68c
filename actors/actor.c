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
#include "actors/post.h"
#include "actors/service.h"
#include "actors/verb.h"
#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/hint.h"
#include "runtime/park.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

/* --- types ------------------------------------------------------------------------------------ */

/* Twice as many places as types, so that a search is short. */
#define PLACES (2 * GV_TYPES_MAX)

#define STATE_BYTES_MAX ((size_t)1 << 30)

static struct gv_type types[GV_TYPES_MAX];
static uint32_t n_types; /* under the lock */
static atomic_flag adding = ATOMIC_FLAG_INIT;

/* Hashed by the functions' address; entries never go. */
static const struct gv_type *_Atomic places[PLACES];

static_assert((PLACES & (PLACES - 1)) == 0, "a place is cut from the hash");

/* Where the type is, or where it would go. */
static const struct gv_type *_Atomic *
find_place(const struct grove_service *service, const void *functions, const struct gv_type **found)
{
    uint32_t i = (uint32_t)((uintptr_t)functions * UINT64_C(0x9e3779b97f4a7c15) >> 32);

    for (;; i++) {
        /* acquire: pairs with the release in add_type, so that the entry is filled. */
        const struct gv_type *type =
            atomic_load_explicit(&places[i & (PLACES - 1)], memory_order_acquire);

        *found = type;
        if (type == NULL || (type->functions == functions && type->service == service))
            return &places[i & (PLACES - 1)];
    }
}

static bool has_function(const struct grove_method *method, const void *functions)
{
    void *function;

    memcpy(&function, (const char *)functions + method->function_offset, sizeof function);
    return function != NULL;
}

bool gv_type_has(const struct gv_type *type, uint32_t method)
{
    return has_function(&type->service->methods[method], type->functions);
}

/* True if a function is missing where one may be. */
static bool lacks_functions(const struct grove_service *service, const void *functions)
{
    for (uint32_t i = 0; i < service->n_methods; i++)
        if (!has_function(&service->methods[i], functions))
            return true;
    return false;
}

static int check_functions(const struct grove_service *service, const void *functions)
{
    if (service->init == NULL)
        return gv_usage("%s has no actors: every rpc of it is a worker's; open a pool for it",
                        service->name);
    for (uint32_t i = 0; i < service->n_methods; i++) {
        const struct grove_method *method = &service->methods[i];

        if (method->isolation != GROVE_WORKER_PROCESS && !has_function(method, functions))
            return gv_usage("%s: the functions struct has no .%s; set it to your function",
                            method->name, method->local_name);
    }
    return 0;
}

/* True if a handler of this service may let others in beside it. */
static bool interleaves(const struct grove_service *service)
{
    for (uint32_t i = 0; i < service->n_methods; i++)
        if (service->methods[i].readonly || service->methods[i].reentrant)
            return true;
    return false;
}

static uint32_t slot_bytes(const struct grove_actor_functions *head)
{
    size_t bytes = sizeof(struct gv_actor) + head->state_bytes;

    return (uint32_t)(bytes <= GV_SLOT_BYTES_MAX ? bytes
                                                 : sizeof(struct gv_actor) + sizeof(void *));
}

static GV_RARE const struct gv_type *add_type(const struct grove_service *service,
                                              const void *functions)
{
    const struct grove_actor_functions *head = functions;
    const struct gv_type *_Atomic *place;
    const struct gv_type *found;

    if (grove_service_register(service) != 0 || check_functions(service, functions) != 0)
        return NULL;
    if (head->state_bytes > STATE_BYTES_MAX) {
        (void)gv_usage("%s: a state of %zu bytes is too large: at most 1 GiB; keep pointers in it",
                       service->name, head->state_bytes); /* The caller knows the code. */
        return NULL;
    }
    /* acquire and release: the lock of the table; adding a type is rare and short. */
    while (atomic_flag_test_and_set_explicit(&adding, memory_order_acquire))
        continue;
    place = find_place(service, functions, &found);
    if (found == NULL && n_types < GV_TYPES_MAX) {
        types[n_types] = (struct gv_type){
            .service = service,
            .functions = functions,
            .methods = service->methods,
            .n_methods = service->n_methods,
            .state_bytes = head->state_bytes,
            .slot_bytes = slot_bytes(head),
            .first_index = gv_method_index(service, 0),
            .lacks = lacks_functions(service, functions),
            .state_apart = sizeof(struct gv_actor) + head->state_bytes > GV_SLOT_BYTES_MAX,
            .has_init = head->init != NULL,
            .has_deinit = head->deinit != NULL,
            .has_down = head->down != NULL,
            .on_error = head->restart_on_error,
            .stays = interleaves(service),
        };
        found = &types[n_types++];
        atomic_store_explicit(place, found, memory_order_release);
    }
    atomic_flag_clear_explicit(&adding, memory_order_release);
    if (found == NULL)
        (void)gv_usage("more than %u kinds of actor; share the functions structs between actors",
                       GV_TYPES_MAX); /* The caller knows the code. */
    return found;
}

/* --- spawn ------------------------------------------------------------------------------------ */

/* What somebody wants to spawn. */
struct order {
    const struct gv_type *type;
    const void *argument;
    const struct grove_spawn_options *options;
    uint64_t call;          /* that waits for init, 0 = none */
    struct gv_task *parent; /* or its guest; NULL = none */
};

struct gv_rare *gv_actor_make_rare(struct gv_actor *actor)
{
    struct gv_rare *rare = gv_actor_rare(actor), *made;

    if (rare != NULL)
        return rare;
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;
    /*
     * While it is lent, home and borrower may both want one. release: pairs
     * with the acquire in gv_actor_rare; acquire: the other's is as good.
     */
    if (atomic_compare_exchange_strong_explicit(&actor->rare, &rare, made, memory_order_acq_rel,
                                                memory_order_acquire))
        return made;
    free(made);
    return rare;
}

void gv_actor_free_parts(struct gv_actor *actor)
{
    struct gv_rare *rare = gv_actor_rare(actor);

    if (actor->type->state_apart)
        free(*(void **)(void *)actor->state);
    if (rare != NULL)
        free(rare->why);
    if (rare != NULL)
        free(rare->beside);
    free(rare);
}

static GV_RARE int put_label(struct gv_actor *actor, const char *label)
{
    struct gv_rare *rare = gv_actor_make_rare(actor);

    if (rare == NULL)
        return GROVE_ENOMEM;
    (void)snprintf(rare->label, sizeof rare->label, "%s",
                   label); /* A cut label is still a label. */
    return 0;
}

static GV_APART int put_state_apart(struct gv_actor *actor)
{
    void *state = calloc(1, actor->type->state_bytes);

    *(void **)(void *)actor->state = state;
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
        rc = put_state_apart(actor);
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
    if (order->parent != NULL) {
        task->child = 1;
        if (is_lent(order)) {
            gv_kin_send_home(loop, order->parent, task, init, ref);
            return 0;
        }
        gv_kin_link(order->parent, task);
    }
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
static inline const struct gv_type *
type_for(const struct gv_loop *loop, const struct grove_service *service, const void *functions)
{
    const struct gv_type *type;

    if (gv_unlikely(loop == NULL || functions == NULL || service == NULL))
        return no_type(loop, service);
    (void)find_place(service, functions, &type); /* Where it stands does not matter. */
    return gv_likely(type != NULL) ? type : add_type(service, functions);
}

/* deinit runs behind the end of all children. */
static GV_RARE int late_child(void)
{
    (void)gv_usage("deinit spawns no children, they have ended before it; spawn with .detached");
    return GROVE_ESTOPPING;
}

/* Whose child the new one will be. False: it is too late for one. */
static inline bool put_parent(const struct gv_loop *loop, struct order *order)
{
    order->parent = order->options->detached ? NULL : gv_kin_spawner(loop);
    return order->parent == NULL || !(loop->turn->odd & GV_ODD_LAST);
}

int grove_spawn(const struct grove_service *service, const void *functions, const void *argument,
                const struct grove_spawn_options *options, grove_ref *ref)
{
    struct gv_loop *loop = gv_loop_now();
    struct order order = {
        .type = type_for(loop, service, functions),
        .argument = argument,
        .options = options != NULL ? options : &defaults,
    };

    if (gv_unlikely(order.type == NULL))
        return GROVE_EUSAGE;
    if (gv_unlikely(!put_parent(loop, &order)))
        return late_child();
    return spawn(loop, &order, ref);
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
        .type = type_for(loop, service, functions),
        .argument = argument,
        .options = options != NULL ? options : &defaults,
    };
    struct gv_wait wait;
    struct gv_call *call;
    int rc;

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
        .type = type_for(loop, service, functions), .argument = "", .options = &bare};
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
