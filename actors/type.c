#include "actors/type.h"

#include <stdatomic.h>
#include <string.h>

#include <grove/error.h>

#include "actors/passivate.h"
#include "actors/service.h"
#include "runtime/hint.h"
#include "runtime/usage.h"

#define STATE_BYTES_MAX ((size_t)1 << 30)

static struct gv_type types[GV_TYPES_MAX];
static uint32_t n_types; /* under the lock */
static atomic_flag adding = ATOMIC_FLAG_INIT;

const struct gv_type *_Atomic gv_type_places[GV_TYPE_PLACES];

static_assert((GV_TYPE_PLACES & (GV_TYPE_PLACES - 1)) == 0, "a place is cut from the hash");

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

/* passivates: its actors are apart from the state of which they are rid while they are passive. */
static uint32_t slot_bytes(const struct grove_actor_functions *head, bool passivates)
{
    size_t bytes = sizeof(struct gv_actor) + head->state_bytes;

    if (passivates)
        return GV_PASSIVATION_SLOT_BYTES;
    return (uint32_t)(bytes <= GV_SLOT_BYTES_MAX ? bytes
                                                 : sizeof(struct gv_actor) + sizeof(void *));
}

/* The type for a struct of functions. Under the lock, with room for it. */
static const struct gv_type *make_type(const struct grove_service *service, const void *functions,
                                       bool passivates)
{
    const struct grove_actor_functions *head = functions;
    bool apart = passivates || sizeof(struct gv_actor) + head->state_bytes > GV_SLOT_BYTES_MAX;

    types[n_types] = (struct gv_type){
        .service = service,
        .functions = functions,
        .methods = service->methods,
        .n_methods = service->n_methods,
        .state_bytes = head->state_bytes,
        .slot_bytes = slot_bytes(head, passivates),
        .first_index = gv_method_index(service, 0),
        .lacks = lacks_functions(service, functions),
        .state_apart = apart,
        .has_init = passivates || head->init != NULL, /* One that passes over a NULL init. */
        .has_deinit = head->deinit != NULL,
        .has_down = head->down != NULL,
        .on_error = head->restart_on_error,
        .stays = interleaves(service),
        .passivates = passivates,
        .usual = !apart && !interleaves(service),
    };
    return &types[n_types++];
}

/* acquire and release: the lock of the table; adding a type is rare and short. */
static void lock(void)
{
    while (atomic_flag_test_and_set_explicit(&adding, memory_order_acquire))
        continue;
}

static void unlock(void)
{
    atomic_flag_clear_explicit(&adding, memory_order_release);
}

static const struct gv_type *no_room(void)
{
    (void)gv_usage("more than %u kinds of actor; share the functions structs between actors",
                   GV_TYPES_MAX); /* The caller knows the code. */
    return NULL;
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
    lock();
    place = gv_type_place(service, functions, &found);
    if (found == NULL && n_types < GV_TYPES_MAX) {
        found = make_type(service, functions, head->passivate_after_ms != 0);
        atomic_store_explicit(place, found, memory_order_release);
    }
    unlock();
    return found != NULL ? found : no_room();
}

/* The type of those actors of a type that are passivated. */
static GV_RARE const struct gv_type *passivating(const struct gv_type *type)
{
    struct gv_type *both = &types[type - types];
    const struct gv_type *found;

    lock();
    /* relaxed: under the lock. */
    found = atomic_load_explicit(&both->passivating, memory_order_relaxed);
    if (found == NULL && n_types < GV_TYPES_MAX) {
        found = make_type(type->service, type->functions, true);
        /* release: pairs with the acquire in type_for. */
        atomic_store_explicit(&both->passivating, found, memory_order_release);
    }
    unlock();
    return found != NULL ? found : no_room();
}

const struct gv_type *gv_type_other(const struct grove_service *service, const void *functions,
                                    const struct grove_spawn_options *options,
                                    const struct gv_type *type)
{
    const struct gv_type *other;

    if (type == NULL)
        type = add_type(service, functions);
    if (options->passivate_after_ms == 0 || type == NULL || type->passivates)
        return type;
    /* acquire: pairs with the release in passivating. */
    other = atomic_load_explicit(&((struct gv_type *)type)->passivating, memory_order_acquire);
    return other != NULL ? other : passivating(type);
}
