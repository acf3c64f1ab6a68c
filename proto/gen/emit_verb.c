/*
 * Verbs: what a program calls of an rpc.
 */
#include <string.h>

#include "proto/gen/emit.h"
#include "proto/gen/names.h"

/* --- prototypes ---------------------------------------------------------------------------- */

/* The name and parameters of a verb, without what ends it. */
static void put_verb(const struct gen_method *method, const char *ending, bool answers,
                     struct gen_text *out)
{
    gen_put(out, "int %s%s(grove_ref ref, const %s *request", method->verb, ending,
            method->request->c_type);
    if (answers)
        gen_put(out, ",\n    %s *response", method->response->c_type);
    if (strcmp(ending, "_start") == 0)
        gen_put(out, ", struct grove_future *future");
    gen_put(out, ")");
}

/* The name and parameters of a verb that arms a timer. */
static void put_timer_verb(const struct gen_method *method, bool again, struct gen_text *out)
{
    gen_put(out, "int %s_%s(uint64_t key, uint32_t %s,\n    %sconst %s *request)", method->verb,
            again ? "every" : "after", again ? "period_ms" : "delay_ms",
            again ? "enum grove_timer_mode mode, " : "", method->request->c_type);
}

/* The name and parameters of the verb that publishes. */
static void put_publish(const struct gen_method *method, struct gen_text *out)
{
    gen_put(out,
            "int %s_publish(grove_ref group, const %s *request,\n"
            "    struct grove_published *published)",
            method->verb, method->request->c_type);
}

static void emit_publish_prototype(const struct gen_method *method, struct gen_text *out)
{
    gen_put(out, "/* %s: send it to all members of a group. */\n", method->rpc->name);
    put_publish(method, out);
    gen_put(out, ";\n\n");
}

static void emit_timer_prototypes(const struct gen_method *method, struct gen_text *out)
{
    gen_put(out, "/* %s: send it to oneself later, or again and again; see grove/timer.h. */\n",
            method->rpc->name);
    put_timer_verb(method, false, out);
    gen_put(out, ";\n");
    put_timer_verb(method, true, out);
    gen_put(out, ";\n\n");
}

/* The name and parameters of the verb that answers a deferred call, and of the one that hands it on. */
static void put_reply_verb(const struct gen_method *method, struct gen_text *out)
{
    gen_put(out, "int %s_reply(const grove_token *token, int code,\n    const %s *response)",
            method->verb, method->response->c_type);
}

static void put_delegate_verb(const struct gen_method *method, struct gen_text *out)
{
    gen_put(out, "int %s_delegate(const grove_token *token, grove_ref ref,\n    const %s *request)",
            method->verb, method->request->c_type);
}

static void emit_reply_prototypes(const struct gen_method *method, struct gen_text *out)
{
    if (method->isolation != GEN_WORKER) {
        gen_put(out, "/* %s: answer it later, see grove/reply.h. */\n", method->rpc->name);
        put_reply_verb(method, out);
        gen_put(out, ";\n");
    }
    gen_put(out,
            "/* %s: let ref answer this way the call of the token; NULL: the running one. */\n",
            method->rpc->name);
    put_delegate_verb(method, out);
    gen_put(out, ";\n\n");
}

void gen_emit_verb_prototypes(const struct gen_method *method, struct gen_text *out)
{
    if (method->streams) {
        gen_emit_stream_prototypes(method, out);
        return;
    }
    gen_put(out, "/* %s: call, tell, tell and wait for room, begin a call. */\n",
            method->rpc->name);
    put_verb(method, "_await", true, out);
    gen_put(out, ";\n");
    put_verb(method, "_send", false, out);
    gen_put(out, ";\n");
    put_verb(method, "_send_await", false, out);
    gen_put(out, ";\n");
    put_verb(method, "_start", true, out);
    gen_put(out, ";\n\n");
    if (method->isolation != GEN_WORKER) {
        emit_publish_prototype(method, out);
        emit_timer_prototypes(method, out);
    }
    emit_reply_prototypes(method, out);
}

/* --- bodies -------------------------------------------------------------------------------- */

void gen_emit_route(const struct gen_service *service, const struct gen_method *method,
                    const char *undo, struct gen_text *out)
{
    if (method->isolation != GEN_WORKER || !service->has_actor)
        return;
    gen_put(out,
            "    int rc = grove_worker_route(&ref, &%s_service_table.methods[%s]);\n\n"
            "    if (rc != 0) {\n%s        return rc;\n    }\n",
            service->local, method->constant, undo);
}

static void emit_call_verbs(const struct gen_service *service, const struct gen_method *method,
                            struct gen_text *out)
{
    const char *common =
        gen_printf("ref, &%s_service_table, %s, &request->base", service->local, method->constant);

    put_verb(method, "_await", true, out);
    gen_put(out, "\n{\n");
    gen_emit_route(service, method, "", out);
    gen_put(out, "    return grove_call_await(%s,\n        &response->base);\n}\n\n", common);
    put_verb(method, "_send", false, out);
    gen_put(out, "\n{\n");
    gen_emit_route(service, method, "", out);
    gen_put(out, "    return grove_send(%s);\n}\n\n", common);
    put_verb(method, "_send_await", false, out);
    gen_put(out, "\n{\n");
    gen_emit_route(service, method, "", out);
    gen_put(out, "    return grove_send_await(%s);\n}\n\n", common);
    put_verb(method, "_start", true, out);
    gen_put(out, "\n{\n");
    gen_emit_route(service, method, "        *future = (struct grove_future){.response = NULL};\n",
                   out);
    gen_put(
        out,
        "    if (future != NULL)\n        future->response = &response->base;\n    return grove_call_start(%s, future);\n}\n\n",
        common);
}

static void emit_publish_verb(const struct gen_service *service, const struct gen_method *method,
                              struct gen_text *out)
{
    put_publish(method, out);
    gen_put(out,
            "\n{\n    return grove_group_publish(group, &%s_service_table, %s,\n"
            "        &request->base, published);\n}\n\n",
            service->local, method->constant);
}

static void emit_timer_verbs(const struct gen_service *service, const struct gen_method *method,
                             struct gen_text *out)
{
    for (int again = 0; again < 2; again++) {
        put_timer_verb(method, again != 0, out);
        gen_put(out,
                "\n{\n    const struct grove_timer timer = {.key = key, .ms = %s, .mode = %s};\n\n"
                "    return grove_timer_arm(&timer, &%s_service_table, %s, &request->base);\n}\n\n",
                again != 0 ? "period_ms" : "delay_ms", again != 0 ? "mode" : "GROVE_ONCE",
                service->local, method->constant);
    }
}

static void emit_reply_verbs(const struct gen_service *service, const struct gen_method *method,
                             struct gen_text *out)
{
    if (method->isolation != GEN_WORKER) {
        put_reply_verb(method, out);
        gen_put(out,
                "\n{\n    return grove_reply(token, &%s_service_table, %s, code,\n"
                "        response != NULL ? &response->base : NULL);\n}\n\n",
                service->local, method->constant);
    }
    put_delegate_verb(method, out);
    gen_put(out, "\n{\n");
    gen_emit_route(service, method, "", out);
    gen_put(out,
            "    return grove_delegate(token, ref, &%s_service_table, %s,\n"
            "        &request->base);\n}\n\n",
            service->local, method->constant);
}

void gen_emit_verbs(const struct gen_service *service, const struct gen_method *method,
                    struct gen_text *out)
{
    if (method->streams) {
        gen_emit_stream_verbs(service, method, out);
        return;
    }
    emit_call_verbs(service, method, out);
    if (method->isolation != GEN_WORKER) {
        emit_publish_verb(service, method, out);
        emit_timer_verbs(service, method, out);
    }
    emit_reply_verbs(service, method, out);
}
