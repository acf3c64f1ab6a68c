/*
 * Emit: writes the C of one .proto, NAME.grove.h and NAME.grove.c.
 *
 * Expects a schema without complaints: no cycles among messages, no
 * streams but of workers, known names. What is written here is read by users when they
 * look up what a verb does, so it should be as readable as code by hand.
 */
#ifndef GEN_EMIT_H
#define GEN_EMIT_H

#include "proto/gen/schema.h"
#include "proto/gen/service.h"
#include "proto/gen/text.h"

/* All of one file. */
struct gen_unit {
    struct gen *gen;
    const char *base; /* "bank", or "bank/v1/bank": the file's name without .proto */
    struct gen_service *services;
    size_t n_services;
};

void gen_emit_header(const struct gen_unit *unit, struct gen_text *out);
void gen_emit_source(const struct gen_unit *unit, struct gen_text *out);

/* The parts of the source, in this order. */
void gen_emit_shapes(const struct gen_unit *unit, struct gen_text *out);
void gen_emit_tables(const struct gen_unit *unit, struct gen_text *out);

/* The verbs of one rpc, in the header and in the source. */
void gen_emit_verb_prototypes(const struct gen_method *method, struct gen_text *out);
void gen_emit_verbs(const struct gen_service *service, const struct gen_method *method,
                    struct gen_text *out);

/* Of a streaming rpc: its two ends in the header, its thunk, and what verbs are to others. */
void gen_emit_stream_types(const struct gen_method *method, struct gen_text *out);
void gen_emit_stream_thunk(const struct gen_service *service, const struct gen_method *method,
                           struct gen_text *out);
void gen_emit_stream_prototypes(const struct gen_method *method, struct gen_text *out);
void gen_emit_stream_verbs(const struct gen_service *service, const struct gen_method *method,
                           struct gen_text *out);

/* For verbs: an actor's rpc that runs in a worker: its ref becomes that of the pool. */
void gen_emit_route(const struct gen_service *service, const struct gen_method *method,
                    const char *undo, struct gen_text *out);

/* The functions of one flat message. */
void gen_emit_flat(const struct gen *gen, const struct gen_type *type, struct gen_text *out);

/* The functions of one message that is copied whole, after those of the messages inside it. */
void gen_emit_deep(const struct gen *gen, const struct gen_type *type, struct gen_text *out);

/* Over names, numbers, types, labels, oneofs and enum values, and those of all messages inside. */
uint64_t gen_fingerprint(struct gen *gen, struct gen_type *type);

/* The C type of a number, bool or enum as a struct member. */
const char *gen_number_type(const struct gen *gen, const gen_field *field);

/* The case member of a oneof ("kind_case") and the enumerator of one of its fields. */
char *gen_case_member(const gen_message *message, const gen_field *field);
char *gen_case_constant(const struct gen_type *type, const gen_field *field);

#endif
