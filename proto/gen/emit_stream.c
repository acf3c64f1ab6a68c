/*
 * Streams: what is written for an rpc whose function, in a worker, gives
 * many items. Its caller has a stream to take them from, its function a sink
 * to put them into; both are structs of their own type around those of
 * grove/items.h, so that the compiler sees who mixes two rpcs up.
 */
#include "proto/gen/emit.h"

/* --- header -------------------------------------------------------------------------------- */

void gen_emit_stream_types(const struct gen_method *method, struct gen_text *out)
{
    gen_put(out,
            "/* %s: its items, where they are taken and where they come from. */\n"
            "struct %s_stream {\n    struct grove_item_stream items;\n};\n"
            "struct %s_sink {\n    struct grove_item_sink items;\n};\n\n",
            method->rpc->name, method->verb, method->verb);
}

static void put_open(const struct gen_method *method, struct gen_text *out)
{
    gen_put(out, "int %s_open(grove_ref ref, const %s *request,\n    struct %s_stream *stream)",
            method->verb, method->request->c_type, method->verb);
}

static void put_next(const struct gen_method *method, struct gen_text *out)
{
    gen_put(out, "int %s_next_await(struct %s_stream *stream, %s *item)", method->verb,
            method->verb, method->response->c_type);
}

static void put_close(const struct gen_method *method, struct gen_text *out)
{
    gen_put(out, "void %s_close(struct %s_stream *stream)", method->verb, method->verb);
}

static void put_emit(const struct gen_method *method, struct gen_text *out)
{
    gen_put(out, "int %s_emit_await(struct %s_sink *sink, const %s *item)", method->verb,
            method->verb, method->response->c_type);
}

static void put_collect(const struct gen_method *method, struct gen_text *out)
{
    gen_put(out, "struct %s_sink %s_collect(struct grove_collector *collector)", method->verb,
            method->verb);
}

static void put_collected(const struct gen_method *method, struct gen_text *out)
{
    gen_put(out, "const %s *%s_collected(const struct grove_collector *collector, size_t i)",
            method->response->c_type, method->verb);
}

void gen_emit_stream_prototypes(const struct gen_method *method, struct gen_text *out)
{
    gen_put(out, "/* %s: begin, take the next item, leave before the end; see grove/items.h. */\n",
            method->rpc->name);
    put_open(method, out);
    gen_put(out, ";\n");
    put_next(method, out);
    gen_put(out, ";\n");
    put_close(method, out);
    gen_put(out, ";\n\n/* %s: in its function, give an item. */\n", method->rpc->name);
    put_emit(method, out);
    gen_put(
        out,
        "\n    __attribute__((warn_unused_result));\n\n/* %s: in a unit test of its function, the sink to give it, and what it put "
        "there. */\n",
        method->rpc->name);
    put_collect(method, out);
    gen_put(out, ";\n");
    put_collected(method, out);
    gen_put(out, ";\n\n");
}

/* --- source -------------------------------------------------------------------------------- */

void gen_emit_stream_thunk(const struct gen_service *service, const struct gen_method *method,
                           struct gen_text *out)
{
    gen_put(out,
            "static GROVE_THUNK int run_%s(const void *functions, void *state, void *body,\n"
            "    struct grove_answer *answer)\n{\n"
            "    const struct %s_service *service = functions;\n"
            "    struct %s_sink sink = {.items = {.answer = answer, .shape = &shape_of_%s}};\n"
            "    %s request;\n\n"
            "    (void)state;\n"
            "    open_%s(&request.base, body);\n"
            "    return service->%s(&request, &sink);\n}\n\n",
            method->verb, service->local, method->verb, method->response->local,
            method->request->c_type, method->request->local, method->member);
}

static void emit_taking(const struct gen_service *service, const struct gen_method *method,
                        struct gen_text *out)
{
    put_open(method, out);
    gen_put(out, "\n{\n");
    gen_emit_route(service, method, "        stream->items = (struct grove_item_stream){0};\n",
                   out);
    gen_put(out,
            "    return grove_items_open(ref, &%s_service_table, %s, &request->base,\n"
            "        &stream->items);\n}\n\n",
            service->local, method->constant);
    put_next(method, out);
    gen_put(out, "\n{\n    return grove_items_next_await(&stream->items, &item->base);\n}\n\n");
    put_close(method, out);
    gen_put(out, "\n{\n    grove_items_close(&stream->items);\n}\n\n");
}

static void emit_giving(const struct gen_method *method, struct gen_text *out)
{
    put_emit(method, out);
    gen_put(out, "\n{\n    return grove_items_emit_await(&sink->items, &item->base);\n}\n\n");
    put_collect(method, out);
    gen_put(out,
            "\n{\n    return (struct %s_sink){grove_collector_sink(collector, &shape_of_%s)};\n"
            "}\n\n",
            method->verb, method->response->local);
    put_collected(method, out);
    gen_put(out, "\n{\n    return (const %s *)grove_collector_item(collector, i);\n}\n\n",
            method->response->c_type);
}

void gen_emit_stream_verbs(const struct gen_service *service, const struct gen_method *method,
                           struct gen_text *out)
{
    emit_taking(service, method, out);
    emit_giving(method, out);
}
