/*
 * Checks of services: what is built, where refusals come from, and that no
 * two things get the same name in C.
 */
#include <inttypes.h>
#include <string.h>

#include "proto/gen/check.h"
#include "proto/gen/names.h"

#define ENDINGS        7u    /* of the names of an rpc's verbs, at most */
#define GEN_CREDIT_MAX 1024u /* GROVE_CREDIT_MAX of grove/items.h */

/* Items come from workers: there a function that waits for its reader holds nobody up. */
static void check_stream(struct gen *gen, const struct gen_method *method)
{
    const struct gen_place options = gen_place_part(&method->place, GEN_RPC_OPTIONS);
    const struct gen_place credit = gen_place_part(&options, (enum gen_step)GEN_OPTION_CREDIT);

    if (method->rpc->client_streaming)
        gen_complain(gen, &method->place,
                     "the requests of a streaming rpc are not streamed in grove; send the parts "
                     "one by one, or make them a repeated field of one request");
    else if (method->streams && method->isolation != GEN_WORKER)
        gen_complain(gen, &method->place,
                     "a stream of items comes from a worker, as a slow reader would stop an "
                     "actor; add option (grove.isolation) = WORKER, or return a page and a token "
                     "for the next one");
    if (method->credit != 0 && !method->streams)
        gen_complain(gen, &credit,
                     "only a streaming rpc has credit; remove (grove.credit), or return a stream");
    if (method->credit > GEN_CREDIT_MAX)
        gen_complain(gen, &credit,
                     "credit = %" PRIu64 " items would pile up at a slow reader; use at most %u",
                     method->credit, GEN_CREDIT_MAX);
}

static void check_built(struct gen *gen, const struct gen_method *method)
{
    const struct gen_place options = gen_place_part(&method->place, GEN_RPC_OPTIONS);
    const struct gen_place pool = gen_place_part(&options, (enum gen_step)GEN_OPTION_POOL);
    const struct gen_place overflow = gen_place_part(&options, (enum gen_step)GEN_OPTION_OVERFLOW);
    const struct gen_place priority = gen_place_part(&options, (enum gen_step)GEN_OPTION_PRIORITY);
    const struct gen_place timeout = gen_place_part(&options, (enum gen_step)GEN_OPTION_TIMEOUT_MS);

    if (method->pool != NULL && method->isolation != GEN_WORKER)
        gen_complain(gen, &pool,
                     "only a WORKER rpc runs in a pool; add (grove.isolation) = WORKER "
                     "or remove the pool");
    if (method->priority != 0 && method->isolation != GEN_WORKER)
        gen_complain(
            gen, &priority,
            "only jobs for workers have a priority, a mailbox is first come, first served; "
            "add (grove.isolation) = WORKER or remove the priority");
    if (method->overflow != 0 && method->isolation == GEN_WORKER)
        gen_complain(
            gen, &overflow,
            "a WORKER rpc waits in its pool's queue, from which nothing is dropped; remove "
            "(grove.overflow), and make the queue as long as you want (queue_max)");
    if ((method->readonly || method->reentrant) && method->isolation != GEN_INLINE)
        gen_complain(gen, &method->place,
                     "only an INLINE rpc lets others in while it waits; remove (grove.%s), or the "
                     "isolation",
                     method->readonly ? "readonly" : "reentrant");
    if (method->pool != NULL && strpbrk(method->pool, "\"\\\n\r") != NULL)
        gen_complain(gen, &pool,
                     "the name of a pool has a quote, backslash or line end; use "
                     "letters, digits and hyphens");
    if (method->timeout_ms >= UINT32_MAX)
        gen_complain(gen, &timeout,
                     "timeout_ms = %" PRIu64 " means forever; say grove_within("
                     "GROVE_INFINITE) where that is meant",
                     method->timeout_ms);
}

static void check_types(struct gen *gen, const struct gen_service *service,
                        const struct gen_method *method)
{
    const char *rpc = method->rpc->name;
    const struct gen_place input = gen_place_part(&method->place, GEN_RPC_INPUT);
    const struct gen_place output = gen_place_part(&method->place, GEN_RPC_OUTPUT);
    const char *request = method->request->message->name;
    const char *response = method->response->message->name;

    if (!gen_is_pascal(rpc))
        return; /* That is told already; messages are named after what it will be. */
    if (strcmp(request, gen_printf("%sRequest", rpc)) != 0
        && strcmp(request, gen_printf("%s%sRequest", service->proto->name, rpc)) != 0)
        gen_complain(gen, &input, "the request of rpc %s is called %s; call it %sRequest", rpc,
                     request, rpc);
    if (strcmp(response, gen_printf("%sResponse", rpc)) == 0
        || strcmp(response, gen_printf("%s%sResponse", service->proto->name, rpc)) == 0
        || (method->streams && strcmp(response, gen_printf("%sItem", rpc)) == 0))
        return;
    if (method->streams)
        gen_complain(gen, &output,
                     "the items of rpc %s are called %s; call them %sItem or %sResponse", rpc,
                     response, rpc, rpc);
    else
        gen_complain(gen, &output, "the response of rpc %s is called %s; call it %sResponse", rpc,
                     response, rpc);
}

static void check_refusals(struct gen *gen, const struct gen_service *service)
{
    const struct gen_place options = gen_place_part(&service->place, GEN_SERVICE_OPTIONS);
    const struct gen_place place = gen_place_part(&options, (enum gen_step)GEN_OPTION_REFUSALS);

    if (service->refusals_name == NULL)
        return;
    if (service->refusals == NULL || service->refusals->enumeration == NULL) {
        gen_complain(gen, &place,
                     "there is no enum \"%s\" for the refusals; write its full name with the "
                     "package, and import its file",
                     service->refusals_name);
        return;
    }
    const gen_enum *refusals = service->refusals->enumeration;
    for (size_t i = 0; i < refusals->n_value; i++) {
        if (refusals->value[i]->number < 0)
            gen_complain(gen, &place,
                         "%s is %" PRId32 ", but a refusal is a positive number; "
                         "renumber it",
                         refusals->value[i]->name, refusals->value[i]->number);
    }
}

/* --- names in C ---------------------------------------------------------------------------- */

struct taken {
    const char *name;
    const char *by; /* what it stands for in the .proto */
};

struct names {
    struct gen *gen;
    struct taken *taken;
    size_t n;
};

static void take(struct names *names, const char *name, const char *by,
                 const struct gen_place *place)
{
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->taken[i].name, name) == 0 && strcmp(names->taken[i].by, by) != 0) {
            gen_complain(names->gen, place, "%s and %s are both called %s in C; rename one",
                         names->taken[i].by, by, name);
            return;
        }
    }
    names->taken[names->n++] = (struct taken){name, by};
}

static void take_method(struct names *names, const struct gen_method *method)
{
    /* A WORKER rpc has only the first four. */
    static const char *const endings[ENDINGS] = {"_await",   "_send",  "_send_await", "_start",
                                                 "_publish", "_after", "_every"};
    static const char *const of_stream[ENDINGS + 1] = {"_open",       "_next_await", "_close",
                                                       "_emit_await", "_collect",    "_collected",
                                                       "_stream",     "_sink"};
    const char *by = gen_printf("rpc %s", method->full_name);
    size_t n = method->streams ? ENDINGS + 1 : method->isolation == GEN_WORKER ? 4 : ENDINGS;

    for (size_t i = 0; i < n; i++)
        take(names, gen_printf("%s%s", method->verb, method->streams ? of_stream[i] : endings[i]),
             by, &method->place);
    take(names, method->constant, by, &method->place);
}

static void take_service(struct names *names, const struct gen_service *service)
{
    const char *by = gen_printf("service %s", service->full_name);

    /* Tags and functions share one list here; a rule less to explain, and a name more apart. */
    take(names, service->state, by, &service->place);
    take(names, gen_printf("%s_service", service->local), by, &service->place);
    take(names, gen_printf("%s_service_table", service->local), by, &service->place);
    take(names, gen_printf("%s_spawn", service->local), by, &service->place);
    take(names, gen_printf("%s_spawn_await", service->local), by, &service->place);
    for (size_t i = 0; i < service->n_methods; i++)
        take_method(names, &service->methods[i]);
}

static void check_member(struct gen *gen, const struct gen_service *service, size_t index)
{
    static const char *const kept[] = {
        "state_bytes", "init", "deinit", "down", "restart_on_error", "passivate_after_ms"};
    const struct gen_method *method = &service->methods[index];

    for (size_t i = 0; service->has_actor && i < sizeof kept / sizeof kept[0]; i++) {
        if (strcmp(method->member, kept[i]) == 0)
            gen_complain(gen, &method->place,
                         "%s is a member of every actor's functions already; rename rpc %s",
                         kept[i], method->rpc->name);
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(service->methods[i].member, method->member) == 0)
            gen_complain(gen, &method->place,
                         "rpc %s and rpc %s are both called %s in C; rename one",
                         service->methods[i].rpc->name, method->rpc->name, method->member);
    }
}

static void check_unique(const struct gen_unit *unit)
{
    struct names names = {.gen = unit->gen};
    size_t n_names = 0;

    for (size_t i = 0; i < unit->n_services; i++)
        n_names += 5 + (ENDINGS + 2) * unit->services[i].n_methods;
    names.taken = gen_alloc(sizeof *names.taken * (n_names + 1));
    for (size_t i = 0; i < unit->n_services; i++)
        take_service(&names, &unit->services[i]);
}

void gen_check_services(const struct gen_unit *unit)
{
    struct gen *gen = unit->gen;

    for (size_t i = 0; i < unit->n_services; i++) {
        const struct gen_service *service = &unit->services[i];

        if (service->n_methods == 0)
            gen_complain(gen, &service->place, "service %s has no rpc; add one or remove it",
                         service->proto->name);
        check_refusals(gen, service);
        for (size_t k = 0; k < service->n_methods; k++) {
            check_stream(gen, &service->methods[k]);
            check_built(gen, &service->methods[k]);
            check_types(gen, service, &service->methods[k]);
            check_member(gen, service, k);
        }
    }
    check_unique(unit);
}
