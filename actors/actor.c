#include "actors/actor.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "actors/call.h"
#include "actors/mail.h"
#include "actors/service.h"
#include "actors/verb.h"
#include "runtime/assert.h"
#include "runtime/go.h"
#include "runtime/park.h"
#include "runtime/place.h"
#include "runtime/runtime.h"

/* --- types ------------------------------------------------------------------------------------ */

static struct gv_type types[GV_TYPES_MAX];
static _Atomic uint32_t n_types;
static atomic_flag adding = ATOMIC_FLAG_INIT;

static const struct gv_type *find_type(const struct grove_service *service, const void *functions)
{
    /* acquire: pairs with the release in add_type, so that the entry is filled. */
    uint32_t n = atomic_load_explicit(&n_types, memory_order_acquire);

    for (uint32_t i = 0; i < n; i++)
        if (types[i].functions == functions && types[i].service == service)
            return &types[i];
    return NULL;
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

        if (method->isolation == GROVE_INLINE && !has_function(method, functions))
            return gv_usage("%s: the functions struct has no .%s; set it to your function",
                            method->name, method->local_name);
    }
    return 0;
}

static const struct gv_type *add_type(const struct grove_service *service, const void *functions)
{
    const struct grove_actor_functions *head = functions;
    const struct gv_type *found;
    uint32_t n;

    if (grove_service_register(service) != 0 || check_functions(service, functions) != 0)
        return NULL;
    /* acquire and release: the lock of the table; adding a type is rare and short. */
    while (atomic_flag_test_and_set_explicit(&adding, memory_order_acquire))
        continue;
    found = find_type(service, functions);
    n = atomic_load_explicit(&n_types, memory_order_relaxed); /* relaxed: under the lock */
    if (found == NULL && n < GV_TYPES_MAX) {
        types[n] = (struct gv_type){
            .service = service,
            .functions = functions,
            .methods = service->methods,
            .n_methods = service->n_methods,
            .state_bytes = head->state_bytes,
            .first_index = gv_method_index(service, 0),
            .lacks = lacks_functions(service, functions),
            .state_apart = sizeof(struct gv_actor) + head->state_bytes > GV_SLOT_BYTES_MAX,
        };
        found = &types[n];
        atomic_store_explicit(&n_types, n + 1, memory_order_release);
    }
    atomic_flag_clear_explicit(&adding, memory_order_release);
    if (found == NULL)
        (void)gv_usage("more than %u kinds of actor; share the functions structs between actors",
                       GV_TYPES_MAX); /* The caller knows the code. */
    return found;
}

/* --- spawn ------------------------------------------------------------------------------------ */

struct init_body {
    const void *argument;
    unsigned char copied[]; /* the argument, if it was copied */
};

struct gv_rare *gv_actor_rare(struct gv_actor *actor)
{
    if (actor->rare == NULL)
        actor->rare = calloc(1, sizeof *actor->rare);
    return actor->rare;
}

static void free_parts(struct gv_actor *actor)
{
    if (actor->type->state_apart)
        free(*(void **)(void *)actor->state);
    free(actor->rare);
}

/* Fills what hangs on the slot. On failure nothing is left but the slot. */
static int fill(struct gv_actor *actor, const struct gv_type *type,
                const struct grove_spawn_options *options)
{
    actor->type = type;
    if (type->state_apart) {
        void *state = calloc(1, type->state_bytes);

        if (state == NULL)
            return GROVE_ENOMEM;
        *(void **)(void *)actor->state = state;
    }
    if (options->label != NULL) {
        if (gv_actor_rare(actor) == NULL) {
            free_parts(actor);
            return GROVE_ENOMEM;
        }
        (void)snprintf(actor->rare->label, sizeof actor->rare->label, "%s",
                       options->label); /* A cut label is still a label. */
    }
    return 0;
}

static struct gv_message *init_message(struct gv_loop *loop, const void *argument,
                                       size_t argument_bytes, uint64_t call)
{
    struct gv_message *message =
        gv_message_take(&loop->blocks, sizeof(struct init_body) + argument_bytes);
    struct init_body *body;

    if (message == NULL)
        return NULL;
    body = (struct init_body *)(void *)message->body;
    body->argument = argument;
    if (argument_bytes > 0)
        body->argument = memcpy(body->copied, argument, argument_bytes);
    message->method = GV_SIGNAL_INIT;
    message->call = call;
    return message;
}

/* Makes an actor and sends it its init, which may be NULL for want of memory. Owns init. */
static int spawn(struct gv_loop *loop, const struct gv_type *type, struct gv_message *init,
                 const struct grove_spawn_options *options, grove_ref *ref)
{
    size_t state_bytes = type->state_apart ? sizeof(void *) : type->state_bytes;
    struct gv_task *task;
    int rc;

    if (init == NULL)
        return GROVE_ENOMEM;
    rc = gv_place_task(loop, options->place, &gv_actor_class, sizeof(struct gv_actor) + state_bytes,
                       &task);
    if (rc == 0) {
        rc = gv_task_bound(task, options->depth_max, options->bytes_max);
        if (rc == 0)
            rc = fill((struct gv_actor *)task, type, options);
        if (rc != 0)
            gv_place_undo(loop, task);
    }
    if (rc != 0) {
        gv_message_give(&loop->blocks, init);
        return rc;
    }
    /* Until INIT has come, mail only queues: a far sender may be faster. */
    task->flags = GV_TASK_BUSY | GV_TASK_UNBORN;
    gv_place_start(loop, task, init, ref);
    return 0;
}

static const struct grove_spawn_options defaults;

static int type_for(struct gv_loop *loop, const struct grove_service *service,
                    const void *functions, const struct gv_type **type)
{
    if (loop == NULL)
        return gv_usage("spawn needs a thread of grove's: main after grove_init, or a handler");
    if (functions == NULL)
        return gv_usage("%s: there is no struct of functions", service->name);
    *type = find_type(service, functions);
    if (*type == NULL)
        *type = add_type(service, functions);
    return *type != NULL ? 0 : GROVE_EUSAGE;
}

int grove_spawn(const struct grove_service *service, const void *functions, const void *argument,
                const struct grove_spawn_options *options, grove_ref *ref)
{
    const struct gv_type *type;
    struct gv_loop *loop = gv_loop_now();
    int rc = type_for(loop, service, functions, &type);

    if (rc != 0)
        return rc;
    if (options == NULL)
        options = &defaults;
    return spawn(loop, type, init_message(loop, argument, options->argument_bytes, 0), options,
                 ref);
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
    const struct gv_type *type;
    struct gv_wait wait;
    struct gv_call *call;
    int rc = type_for(loop, service, functions, &type);

    if (rc != 0)
        return rc;
    if (loop->turn == NULL)
        return gv_usage("nothing may be waited for here");
    if (options == NULL)
        options = &defaults;
    gv_wait_init(loop, &wait, GV_WAIT_SPAWN, loop->turn->deadline_ms);
    call = gv_call_take(loop, 0, 0, loop->turn->deadline_ms);
    if (call == NULL)
        return GROVE_ENOMEM;
    call->kind = GV_SINK_WAIT;
    call->sink.wait = &wait;
    wait.call = call->id;
    rc = spawn(loop, type, init_message(loop, argument, options->argument_bytes, call->id), options,
               ref);
    if (rc != 0) {
        gv_call_give(loop, call);
        return gv_turn_failed(loop->turn, NULL, rc, GROVE_STARTED_NO, NULL);
    }
    return await_init(loop, &wait, *ref);
}

/* --- first and last turn ---------------------------------------------------------------------- */

int gv_actor_init_turn(struct gv_loop *loop, struct gv_actor *actor, struct gv_message *message)
{
    const struct init_body *body = (const struct init_body *)(void *)message->body;
    struct gv_turn turn;
    int rc = 0;

    turn.task = &actor->task;
    turn.message = NULL;
    turn.method = NULL;
    turn.deadline_ms = 0;
    gv_turn_begin(loop, &turn);
    if (actor->type->service->init != NULL)
        rc = actor->type->service->init(actor->type->functions, gv_actor_state(actor),
                                        body->argument);
    gv_turn_settle(loop, &turn);
    if (turn.failed)
        rc = GROVE_EDOWN;
    if (rc != 0) {
        gv_call_fail(loop, message, rc, GROVE_STARTED_YES, gv_turn_reason(&turn, rc));
    } else if (message->call != 0) {
        message->code = 0;
        gv_call_answer(loop, message);
    } else {
        gv_message_give(&loop->blocks, message);
    }
    gv_turn_end(loop, &turn);
    return rc;
}

static void deinit_turn(struct gv_loop *loop, struct gv_actor *actor)
{
    struct gv_turn turn;

    if (actor->type->service->deinit == NULL)
        return;
    turn.task = &actor->task;
    turn.message = NULL;
    turn.method = NULL;
    turn.deadline_ms = 0;
    actor->task.flags |= GV_TASK_BUSY;
    gv_turn_begin(loop, &turn);
    actor->type->service->deinit(actor->type->functions, gv_actor_state(actor));
    gv_turn_settle(loop, &turn);
    gv_turn_end(loop, &turn);
    actor->task.flags &= (uint8_t)~GV_TASK_BUSY;
}

void gv_actor_ended(struct gv_loop *loop, struct gv_task *task)
{
    (void)loop;
    if (task->class == &gv_actor_class)
        free_parts((struct gv_actor *)task);
}

void gv_actor_end(struct gv_loop *loop, struct gv_actor *actor)
{
    actor->task.flags |= GV_TASK_STOPPING;
    if (!(actor->task.flags & GV_TASK_UNBORN))
        deinit_turn(loop, actor);
    gv_task_end(loop, &actor->task);
}
