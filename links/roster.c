#include "links/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "actors/service.h"
#include "proto/codec.h"
#include "runtime/assert.h"
#include "runtime/log.h"

#define SCHEMA_BYTES_MAX ((size_t)1 << 20)

struct offered {
    char *name;
    uint64_t request_fingerprint;
    uint64_t response_fingerprint;
    bool streams;
    char *why; /* it does not fit ours, for this reason; NULL otherwise */
};

struct gv_roster {
    uint32_t n_holders;
    uint32_t n_methods;
    struct offered *methods;
    uint8_t *schema; /* packed descriptions, NULL while none came */
    size_t schema_bytes;
    uint32_t n_numbers; /* of the table below */
    int32_t
        *numbers; /* by our index: 0 not looked up, > 0 its number, < 0 it is refused, see below */
};

#define NUMBER_NONE \
    INT32_MIN /* the peer has no such method; other negative ones: minus its number */

/* --- life ----------------------------------------------------------------------------------------- */

static void destroy(struct gv_roster *roster)
{
    for (uint32_t i = 0; i < roster->n_methods; i++) {
        free(roster->methods[i].name);
        free(roster->methods[i].why);
    }
    free(roster->methods);
    free(roster->schema);
    free(roster->numbers);
    free(roster);
}

struct gv_roster *gv_roster_new(const Grove__Link__V1__Hello *hello)
{
    struct gv_roster *roster = calloc(1, sizeof *roster);

    if (roster == NULL)
        return NULL;
    roster->n_holders = 1;
    roster->methods = calloc(hello->n_methods + 1, sizeof *roster->methods);
    if (roster->methods == NULL) {
        destroy(roster);
        return NULL;
    }
    for (size_t i = 0; i < hello->n_methods; i++) {
        struct offered *offered = &roster->methods[i];

        offered->name = strdup(hello->methods[i]->name);
        offered->request_fingerprint = hello->methods[i]->request_fingerprint;
        offered->response_fingerprint = hello->methods[i]->response_fingerprint;
        offered->streams = hello->methods[i]->streams;
        roster->n_methods++;
        if (offered->name == NULL) {
            destroy(roster);
            return NULL;
        }
    }
    return roster;
}

struct gv_roster *gv_roster_hold(struct gv_roster *roster)
{
    roster->n_holders++;
    return roster;
}

void gv_roster_free(struct gv_roster *roster)
{
    if (roster != NULL && --roster->n_holders == 0)
        destroy(roster);
}

bool gv_roster_matches(const struct gv_roster *roster, const Grove__Link__V1__Hello *hello)
{
    if (roster->n_methods != hello->n_methods)
        return false;
    for (uint32_t i = 0; i < roster->n_methods; i++) {
        const struct offered *offered = &roster->methods[i];

        if (offered->request_fingerprint != hello->methods[i]->request_fingerprint
            || offered->response_fingerprint != hello->methods[i]->response_fingerprint
            || offered->streams != hello->methods[i]->streams
            || strcmp(offered->name, hello->methods[i]->name) != 0)
            return false;
    }
    return true;
}

/* --- fitting -------------------------------------------------------------------------------------- */

/* What is only passed on has no shape: whoever made the request has looked whether it fits. */
static bool is_carried(const struct grove_method *method)
{
    return method->request == NULL;
}

static bool fits(const struct offered *offered, const struct grove_method *method)
{
    if (is_carried(method))
        return true;
    return offered->request_fingerprint == method->request_fingerprint
           && offered->response_fingerprint == method->response_fingerprint
           && offered->streams == (method->kind == GROVE_SERVER_STREAM);
}

bool gv_roster_wants_schema(const struct gv_roster *roster)
{
    for (uint32_t i = 0; roster->schema == NULL && i < roster->n_methods; i++) {
        uint16_t index = gv_method_named(roster->methods[i].name);

        /* What nobody here knows yet may be called later. */
        if (index == 0 || is_carried(gv_method(index))
            || !fits(&roster->methods[i], gv_method(index)))
            return true;
    }
    return false;
}

bool gv_roster_is_told(const struct gv_roster *roster)
{
    return roster->schema != NULL || !gv_roster_wants_schema(roster);
}

int gv_roster_learn(struct gv_roster *roster, const Grove__Link__V1__Schema *schema)
{
    size_t n_bytes;
    uint8_t *bytes;
    int rc = gv_packed_size(&schema->base, SCHEMA_BYTES_MAX, &n_bytes);

    if (rc != 0)
        return rc;
    bytes = malloc(n_bytes != 0 ? n_bytes : 1);
    if (bytes == NULL)
        return GROVE_ENOMEM;
    gv_pack(&schema->base, bytes, n_bytes);
    free(roster->schema);
    roster->schema = bytes;
    roster->schema_bytes = n_bytes;
    return 0;
}

uint32_t gv_roster_count(const struct gv_roster *roster)
{
    return roster->n_methods;
}

const char *gv_roster_name(const struct gv_roster *roster, uint32_t number)
{
    gv_assert(number >= 1 && number <= roster->n_methods);
    return roster->methods[number - 1].name;
}

void gv_roster_fingerprints(const struct gv_roster *roster, uint32_t number,
                            uint64_t fingerprints[2])
{
    gv_assert(number >= 1 && number <= roster->n_methods);
    fingerprints[0] = roster->methods[number - 1].request_fingerprint;
    fingerprints[1] = roster->methods[number - 1].response_fingerprint;
}

bool gv_roster_streams(const struct gv_roster *roster, uint32_t number)
{
    gv_assert(number >= 1 && number <= roster->n_methods);
    return roster->methods[number - 1].streams;
}

const uint8_t *gv_roster_schema(const struct gv_roster *roster, size_t *n_bytes)
{
    *n_bytes = roster->schema_bytes;
    return roster->schema;
}

/* Fingerprints differ: do the schemas fit all the same? Sets offered->why if not. */
static int judge(struct gv_roster *roster, struct offered *offered,
                 const struct grove_method *method)
{
    struct gv_difference difference = {.agreement = GV_AGREE_BREAKING,
                                       .why = "the other side did not describe it"};
    struct gv_capped_arena arena;
    ProtobufCMessage *schema;

    if (offered->streams != (method->kind == GROVE_SERVER_STREAM)) {
        (void)snprintf(difference.why, sizeof difference.why, "%s",
                       offered->streams ? "the other side answers with a stream of items"
                                        : "the other side answers once, not with a stream");
    } else if (roster->schema != NULL) {
        int rc = gv_unpack(&grove__link__v1__schema__descriptor,
                           (struct gv_packed){roster->schema, roster->schema_bytes}, &arena,
                           &schema, NULL);

        if (rc != 0)
            return rc;
        gv_agree_method(method, (const Grove__Link__V1__Schema *)schema, &difference);
        gv_capped_arena_deinit(&arena);
    }
    if (difference.agreement < GV_AGREE_BREAKING) {
        gv_log(GV_LOG_INFO, "link.schema", "method=%s verdict=additive why=\"%s\"", method->name,
               difference.why);
        return 0;
    }
    gv_log(GV_LOG_WARN, "link.schema", "method=%s verdict=refused why=\"%s\"", method->name,
           difference.why);
    offered->why = strdup(difference.why);
    return offered->why != NULL ? 0 : GROVE_ENOMEM;
}

static int look_up(struct gv_roster *roster, const struct grove_method *method, int32_t *number)
{
    for (uint32_t i = 0; i < roster->n_methods; i++) {
        struct offered *offered = &roster->methods[i];
        int rc;

        if (strcmp(offered->name, method->name) != 0)
            continue;
        rc = fits(offered, method) ? 0 : judge(roster, offered, method);
        if (rc == 0)
            *number = offered->why == NULL ? (int32_t)(i + 1) : -(int32_t)(i + 1);
        return rc;
    }
    *number = NUMBER_NONE;
    return 0;
}

static int grow_numbers(struct gv_roster *roster, uint32_t n_numbers)
{
    int32_t *numbers = realloc(roster->numbers, n_numbers * sizeof *numbers);

    if (numbers == NULL)
        return GROVE_ENOMEM;
    memset(numbers + roster->n_numbers, 0, (n_numbers - roster->n_numbers) * sizeof *numbers);
    roster->numbers = numbers;
    roster->n_numbers = n_numbers;
    return 0;
}

int gv_roster_number(struct gv_roster *roster, uint16_t index, uint16_t *number, const char **why)
{
    int rc;

    if (index >= roster->n_numbers) {
        rc = grow_numbers(roster, gv_method_count() + 1);
        if (rc != 0)
            return rc;
        gv_assert(index < roster->n_numbers);
    }
    if (roster->numbers[index] == 0) {
        rc = look_up(roster, gv_method(index), &roster->numbers[index]);
        if (rc != 0)
            return rc;
    }
    if (roster->numbers[index] > 0) {
        *number = (uint16_t)roster->numbers[index];
        return 0;
    }
    *why = roster->numbers[index] == NUMBER_NONE
               ? "the worker program has no function for this method"
               : roster->methods[-roster->numbers[index] - 1].why;
    return GROVE_ENOTSUP;
}
