/*
 * Agree: may two processes call each other although their .proto files
 * differ?
 *
 * Each method has a fingerprint of its request and of its response. Where
 * they are equal there is nothing to ask. Where they differ, the side that
 * serves describes its messages, and the side that calls compares them with
 * its own, field by field, as deep as they go:
 *
 *     additive    a field or enum value that only one side has; another name
 *                 for the same number
 *     breaking    another type, a list where there was none, a field that
 *                 moved into or out of a oneof, a name under another number,
 *                 a required field that the other side lacks
 *
 * No recursion: what is still to be looked at stands in a list, which is
 * bounded.
 */
#ifndef GV_AGREE_H
#define GV_AGREE_H

#include <stddef.h>

#include <grove/method.h>

#include "grove/link.pb-c.h"
#include "proto/arena.h"

#define GV_AGREE_TYPES_MAX 512u /* messages, and enums, that methods lead to */
#define GV_AGREE_WHY_BYTES 200u

enum gv_agreement { GV_AGREE_SAME, GV_AGREE_ADDITIVE, GV_AGREE_BREAKING };

/* What differs, for people. */
struct gv_difference {
    enum gv_agreement agreement;
    char why[GV_AGREE_WHY_BYTES]; /* the first difference of that weight, "" if none */
};

/*
 * Describes what these methods take and give. schema's parts live in the
 * arena, which the caller has initialised. Returns 0, GROVE_ENOMEM, or
 * GROVE_ETOOBIG beyond GV_AGREE_TYPES_MAX.
 */
int gv_agree_describe(const struct grove_method *const *methods, size_t n_methods,
                      struct gv_capped_arena *arena, Grove__Link__V1__Schema *schema);

/* Compares our message type with the one that they call their_name. */
void gv_agree_message(const ProtobufCMessageDescriptor *ours, const Grove__Link__V1__Schema *theirs,
                      const char *their_name, struct gv_difference *difference);

/* Compares request and response of our method with theirs of the same name. */
void gv_agree_method(const struct grove_method *method, const Grove__Link__V1__Schema *theirs,
                     struct gv_difference *difference);

#endif
