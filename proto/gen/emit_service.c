/*
 * Services: the functions struct, the thunks and the table.
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include <grove/method.h>

#include "proto/gen/emit.h"
#include "proto/gen/names.h"

/* --- header -------------------------------------------------------------------------------- */

static void emit_member(const struct gen_service *service, const struct gen_method *method,
                        struct gen_text *out)
{
    gen_put_comment(out, gen_place_comment(&method->place), 4);
    if (method->streams)
        gen_put(out, "    int (*%s)(const %s *request, struct %s_sink *sink);\n", method->member,
                method->request->c_type, method->verb);
    else if (method->isolation == GEN_WORKER)
        gen_put(out, "    int (*%s)(const %s *request, %s *response);\n", method->member,
                method->request->c_type, method->response->c_type);
    else
        gen_put(out, "    int (*%s)(%sstruct %s *me, const %s *request,\n        %s *response);\n",
                method->member, method->readonly ? "const " : "", service->state,
                method->request->c_type, method->response->c_type);
}

static void emit_functions(const struct gen_service *service, struct gen_text *out)
{
    if (service->has_actor) {
        gen_put(out, "/* The state of one actor; yours to define. */\nstruct %s;\n\n",
                service->state);
        gen_put_comment(out, gen_place_comment(&service->place), 0);
        gen_put(out,
                "struct %s_service {\n    size_t state_bytes; /* sizeof(struct %s) */\n"
                "    /* First turn; NULL: the state starts as zeros. */\n"
                "    int (*init)(struct %s *me, const void *argument);\n"
                "    /* Last turn; NULL: nothing to undo. */\n"
                "    void (*deinit)(struct %s *me);\n"
                "    /* Somebody it watches has ended; NULL: it watches nobody. */\n"
                "    void (*down)(struct %s *me, const struct grove_down *down);\n"
                "    bool restart_on_error; /* a handler that returns < 0 has failed */\n"
                "    uint32_t passivate_after_ms; /* see <grove/passivate.h>; 0: never */\n",
                service->local, service->state, service->state, service->state, service->state);
    } else {
        gen_put_comment(out, gen_place_comment(&service->place), 0);
        gen_put(out, "struct %s_service {\n", service->local);
    }
    for (size_t i = 0; i < service->n_methods; i++)
        emit_member(service, &service->methods[i], out);
    gen_put(out, "};\n\n");
}

static void put_spawn(const struct gen_service *service, const char *ending, struct gen_text *out)
{
    gen_put(out,
            "int %s_spawn%s(const struct %s_service *functions, const void *argument,\n"
            "    const struct grove_spawn_options *options, grove_ref *ref)",
            service->local, ending, service->local);
}

static void emit_service_header(const struct gen_service *service, struct gen_text *out)
{
    gen_put(out, "/* --- %s --- */\n\n", service->full_name);
    for (size_t i = 0; i < service->n_methods; i++)
        if (service->methods[i].streams)
            gen_emit_stream_types(&service->methods[i], out);
    emit_functions(service, out);

    gen_put(out, "/* Places in %s_service_table.methods. */\nenum %s_method {\n", service->local,
            service->local);
    for (size_t i = 0; i < service->n_methods; i++)
        gen_put(out, "    %s = %zu,\n", service->methods[i].constant, i);
    gen_put(out, "};\n\nextern const struct grove_service %s_service_table;\n\n", service->local);

    if (service->has_actor) {
        gen_put(out, "/* Starts an actor; _await waits for its init and returns what that "
                     "returned. */\n");
        put_spawn(service, "", out);
        gen_put(out, ";\n");
        put_spawn(service, "_await", out);
        gen_put(out, ";\n\n");
    }
    for (size_t i = 0; i < service->n_methods; i++)
        gen_emit_verb_prototypes(&service->methods[i], out);
}

void gen_emit_header(const struct gen_unit *unit, struct gen_text *out)
{
    char *guard = gen_printf("GROVE_PROTO_%s_GROVE_H", unit->base);

    for (char *at = guard; *at != '\0'; at++)
        *at = (char)(isalnum((unsigned char)*at) ? toupper((unsigned char)*at) : '_');
    gen_put(out, "/* Written by grove-gen from %s; change that file instead. */\n",
            unit->gen->file_name);
    gen_put(out, "#ifndef %s\n#define %s\n\n", guard, guard);
    gen_put(out, "#include <stdbool.h>\n#include <stddef.h>\n\n"
                 "#include <grove/actor.h>\n#include <grove/call.h>\n"
                 "#include <grove/group.h>\n"
                 "#include <grove/interleave.h>\n"
                 "#include <grove/items.h>\n"
                 "#include <grove/method.h>\n#include <grove/monitor.h>\n"
                 "#include <grove/reply.h>\n#include <grove/timer.h>\n\n");
    gen_put(out, "#include \"%s.pb-c.h\"\n\n", unit->base);
    for (size_t i = 0; i < unit->n_services; i++)
        emit_service_header(&unit->services[i], out);
    gen_put(out, "#endif\n");
}

/* --- source -------------------------------------------------------------------------------- */

static void emit_thunk(const struct gen_service *service, const struct gen_method *method,
                       struct gen_text *out)
{
    bool is_worker = method->isolation == GEN_WORKER;

    if (method->streams) {
        gen_emit_stream_thunk(service, method, out);
        return;
    }
    gen_put(out,
            "static GROVE_THUNK int run_%s(const void *functions, void *state, void *body,\n"
            "    struct grove_answer *answer)\n{\n"
            "    const struct %s_service *service = functions;\n"
            "    %s request;\n    %s response = %s__INIT;\n\n",
            method->verb, service->local, method->request->c_type, method->response->c_type,
            method->response->c_upper);
    if (is_worker)
        gen_put(out, "    (void)state;\n");
    if (method->readonly)
        gen_put(out, "    grove_turn_reads();\n");
    gen_put(out,
            "    open_%s(&request.base, body);\n"
            "    int rc = service->%s(%s&request, &response);\n"
            "    if (rc != 0)\n        return rc;\n"
            "    return grove_answer_put(answer, &shape_of_%s, &response.base);\n}\n\n",
            method->request->local, method->member, is_worker ? "" : "state, ",
            method->response->local);
    if (method->isolation == GEN_THREAD)
        gen_put(out,
                "static int block_%s(const void *functions, void *state, void *body,\n"
                "    struct grove_answer *answer)\n{\n"
                "    const struct grove_thunk thunk = {run_%s, functions, state, body};\n\n"
                "    return grove_thread_await(&thunk, answer);\n}\n\n",
                method->verb, method->verb);
}

static void emit_life(const struct gen_service *service, struct gen_text *out)
{
    static const char *const members[] = {
        "state_bytes", "init", "deinit", "down", "restart_on_error", "passivate_after_ms"};

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        gen_put(out,
                "static_assert(offsetof(struct %s_service, %s)\n"
                "                  == offsetof(struct grove_actor_functions, %s),\n"
                "              \"the library reads it\");\n",
                service->local, members[i], members[i]);
    gen_put(out,
            "\nstatic int init_%s(const void *functions, void *state, const void *argument)\n{\n"
            "    const struct %s_service *service = functions;\n\n"
            "    return service->init == NULL ? 0 : service->init(state, argument);\n}\n\n",
            service->local, service->local);
    gen_put(out,
            "static void deinit_%s(const void *functions, void *state)\n{\n"
            "    const struct %s_service *service = functions;\n\n"
            "    if (service->deinit != NULL)\n        service->deinit(state);\n}\n\n",
            service->local, service->local);
    gen_put(out,
            "static void down_%s(const void *functions, void *state,\n"
            "    const struct grove_down *down)\n{\n"
            "    const struct %s_service *service = functions;\n\n"
            "    if (service->down != NULL)\n        service->down(state, down);\n}\n\n",
            service->local, service->local);
}

static void emit_method(const struct gen_unit *unit, const struct gen_service *service,
                        const struct gen_method *method, struct gen_text *out)
{
    gen_put(out,
            "    {\n        .name = \"%s\",\n        .local_name = \"%s\",\n"
            "        .request = &shape_of_%s,\n        .response = &shape_of_%s,\n"
            "        .thunk = %s_%s,\n",
            method->full_name, method->member, method->request->local, method->response->local,
            method->isolation == GEN_THREAD ? "block" : "run", method->verb);
    if (service->refusals != NULL)
        gen_put(out, "        .refusals = &%s__descriptor,\n", service->refusals->c_lower);
    if (method->pool != NULL)
        gen_put(out, "        .pool = \"%s\",\n", method->pool);
    gen_put(out,
            "        .request_fingerprint = 0x%016" PRIx64 ",\n"
            "        .response_fingerprint = 0x%016" PRIx64 ",\n"
            "        .function_offset = offsetof(struct %s_service, %s),\n",
            gen_fingerprint(unit->gen, method->request),
            gen_fingerprint(unit->gen, method->response), service->local, method->member);
    gen_put(out,
            "        .timeout_ms = %" PRIu64 ",\n        .key_field = %" PRIu32 ",\n"
            "        .placement_field = %" PRIu32 ",\n        .kind = %s,\n"
            "        .isolation = %s,\n        .idempotency = %u,\n"
            "        .audience = %" PRIu64 ",\n        .overflow = %s,\n",
            method->timeout_ms, gen_marked_field(method->request->message, GEN_OPTION_KEY),
            gen_marked_field(method->request->message, GEN_OPTION_PLACEMENT),
            method->streams ? "GROVE_SERVER_STREAM" : "GROVE_UNARY",
            method->isolation == GEN_WORKER   ? "GROVE_WORKER_PROCESS"
            : method->isolation == GEN_THREAD ? "GROVE_THREAD"
                                              : "GROVE_INLINE",
            method->idempotency, method->audience,
            method->overflow != 0 ? "GROVE_DROP_OLDEST" : "GROVE_REFUSE_NEWEST");
    if (method->credit != 0)
        gen_put(out, "        .credit = %" PRIu64 ",\n", method->credit);
    if (method->priority != 0)
        gen_put(out, "        .priority = %s,\n",
                method->priority == 1 ? "GROVE_PRIORITY_HIGH" : "GROVE_PRIORITY_LOW");
    if (method->readonly)
        gen_put(out, "        .readonly = 1,\n");
    if (method->reentrant)
        gen_put(out, "        .reentrant = 1,\n");
    gen_put(out, "    },\n");
}

static bool has_refusal_codes(const struct gen_service *service)
{
    const gen_enum *refusals = service->refusals == NULL ? NULL : service->refusals->enumeration;

    for (size_t i = 0; refusals != NULL && i < refusals->n_value; i++) {
        if (gen_connect_code(refusals->value[i]) != NULL)
            return true;
    }
    return false;
}

static void emit_service_table(const struct gen_service *service, struct gen_text *out)
{
    const char *local = service->local;

    gen_put(out,
            "static uint32_t %s_index;\n\nconst struct grove_service %s_service_table = {\n"
            "    .name = \"%s\",\n    .local_name = \"%s\",\n    .methods = %s_methods,\n"
            "    .fields = fields,\n    .schema = schema,\n    .schema_bytes = sizeof schema,\n"
            "    .generator_version = %d,\n    .n_methods = %zu,\n"
            "    .n_fields = sizeof fields / sizeof fields[0],\n"
            "    .functions_bytes = sizeof(struct %s_service),\n",
            local, local, service->full_name, local, local, GROVE_GENERATOR_VERSION,
            service->n_methods, local);
    if (service->has_actor)
        gen_put(out, "    .init = init_%s,\n    .deinit = deinit_%s,\n    .down = down_%s,\n",
                local, local, local);
    if (has_refusal_codes(service))
        gen_put(out,
                "    .refusal_codes = %s_refusal_codes,\n"
                "    .n_refusal_codes = sizeof %s_refusal_codes / sizeof %s_refusal_codes[0],\n",
                local, local, local);
    gen_put(out, "    .index = &%s_index,\n};\n\n", local);
}

static void emit_service_source(const struct gen_unit *unit, const struct gen_service *service,
                                struct gen_text *out)
{
    gen_put(out, "/* --- %s --- */\n\n", service->full_name);
    if (service->has_actor)
        emit_life(service, out);
    for (size_t i = 0; i < service->n_methods; i++)
        emit_thunk(service, &service->methods[i], out);

    gen_put(out, "static const struct grove_method %s_methods[] = {\n", service->local);
    for (size_t i = 0; i < service->n_methods; i++)
        emit_method(unit, service, &service->methods[i], out);
    gen_put(out, "};\n\n");
    emit_service_table(service, out);

    if (service->has_actor) {
        static const char *const endings[] = {"", "_await"};

        for (size_t i = 0; i < 2; i++) {
            put_spawn(service, endings[i], out);
            gen_put(out,
                    "\n{\n    return grove_spawn%s(&%s_service_table, functions, argument, "
                    "options, ref);\n}\n\n",
                    endings[i], service->local);
        }
    }
    for (size_t i = 0; i < service->n_methods; i++)
        gen_emit_verbs(service, &service->methods[i], out);
}

void gen_emit_source(const struct gen_unit *unit, struct gen_text *out)
{
    gen_put(out, "/* Written by grove-gen from %s; change that file instead. */\n",
            unit->gen->file_name);
    gen_put(out, "#include \"%s.grove.h\"\n\n", unit->base);
    if (unit->n_services == 0) {
        gen_put(out, "/* There is no service in it. */\n");
        return;
    }
    gen_put(out, "#include <assert.h>\n\n#include <grove/shape.h>\n\n");
    gen_emit_shapes(unit, out);
    gen_emit_tables(unit, out);
    for (size_t i = 0; i < unit->n_services; i++)
        emit_service_source(unit, &unit->services[i], out);
}
