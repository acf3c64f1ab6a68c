#include "workers/carried.h"

#include <stdlib.h>
#include <string.h>

#include <grove/error.h>
#include <grove/method.h>

#include "actors/service.h"
#include "proto/codec.h"

/* A service of one method, for ever: its index is. */
struct carried_method {
    struct grove_service service;
    struct grove_method method;
    uint32_t index;
    char name[];
};

static uint8_t kind_of(const struct gv_roster *roster, uint32_t number)
{
    return gv_roster_streams(roster, number) ? GROVE_SERVER_STREAM : GROVE_UNARY;
}

static uint16_t add(const struct gv_roster *roster, uint32_t number)
{
    const char *name = gv_roster_name(roster, number);
    struct carried_method *carried = calloc(1, sizeof *carried + strlen(name) + 1);
    uint64_t fingerprints[2];

    if (carried == NULL)
        return 0;
    gv_roster_fingerprints(roster, number, fingerprints);
    memcpy(carried->name, name, strlen(name) + 1);
    carried->method = (struct grove_method){
        .name = carried->name,
        .local_name = carried->name,
        .request_fingerprint = fingerprints[0],
        .response_fingerprint = fingerprints[1],
        .isolation = GROVE_WORKER_PROCESS,
        .kind = kind_of(roster, number),
    };
    carried->service = (struct grove_service){
        .name = carried->name,
        .local_name = carried->name,
        .methods = &carried->method,
        .n_methods = 1,
        .index = &carried->index,
        .generator_version = GROVE_GENERATOR_VERSION,
    };
    if (gv_service_first_index(&carried->service) != 0)
        return (uint16_t)carried->index;
    free(carried);
    return 0;
}

/* Ours by the number, 0 if it cannot be. One that was carried before may have changed since. */
static uint16_t index_of(const struct gv_roster *roster, uint32_t number)
{
    uint16_t index = gv_method_named(gv_roster_name(roster, number));
    const struct grove_method *method = index != 0 ? gv_method(index) : NULL;

    if (method == NULL)
        return add(roster, number);
    if (method->request == NULL) /* It lies in a carried_method. */
        ((struct grove_method *)method)->kind = kind_of(roster, number);
    return index;
}

int gv_carried_open(struct gv_carried *carried, struct gv_roster *roster)
{
    uint32_t n = gv_roster_count(roster);

    carried->indices = calloc(n + 1, sizeof *carried->indices);
    if (carried->indices == NULL)
        return GROVE_ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        carried->indices[i] = index_of(roster, i + 1);
        if (carried->indices[i] == 0) {
            free(carried->indices);
            carried->indices = NULL;
            return GROVE_EFULL;
        }
    }
    carried->roster = gv_roster_hold(roster);
    return 0;
}

void gv_carried_close(struct gv_carried *carried)
{
    gv_roster_free(carried->roster);
    free(carried->indices);
    *carried = (struct gv_carried){.roster = NULL};
}

uint16_t gv_carried_index(const struct gv_carried *carried, uint32_t number)
{
    return number >= 1 && number <= gv_roster_count(carried->roster) ? carried->indices[number - 1]
                                                                     : 0;
}

int gv_carried_hello(const struct gv_carried *carried, struct gv_link *link,
                     Grove__Link__V1__Hello *hello)
{
    uint32_t n = gv_roster_count(carried->roster);
    Grove__Link__V1__Method *methods = calloc(n + 1, sizeof *methods);
    Grove__Link__V1__Method **list_of_them = calloc(n + 1, sizeof *list_of_them);
    int rc = GROVE_ENOMEM;

    if (methods != NULL && list_of_them != NULL) {
        for (uint32_t i = 0; i < n; i++) {
            uint64_t fingerprints[2];

            gv_roster_fingerprints(carried->roster, i + 1, fingerprints);
            grove__link__v1__method__init(&methods[i]);
            methods[i].name = (char *)gv_roster_name(carried->roster, i + 1);
            methods[i].request_fingerprint = fingerprints[0];
            methods[i].response_fingerprint = fingerprints[1];
            methods[i].streams = gv_roster_streams(carried->roster, i + 1);
            list_of_them[i] = &methods[i];
        }
        hello->n_methods = n;
        hello->methods = list_of_them;
        rc = gv_link_hello(link, hello);
    }
    free(list_of_them);
    free(methods);
    return rc;
}

int gv_carried_schema(const struct gv_carried *carried, struct gv_link *link)
{
    Grove__Link__V1__Schema nothing = GROVE__LINK__V1__SCHEMA__INIT;
    struct gv_capped_arena arena;
    ProtobufCMessage *schema;
    size_t n_bytes;
    const uint8_t *bytes = gv_roster_schema(carried->roster, &n_bytes);
    int rc;

    if (bytes == NULL)
        return gv_link_schema(link, &nothing);
    rc = gv_unpack(&grove__link__v1__schema__descriptor, (struct gv_packed){bytes, n_bytes}, &arena,
                   &schema, NULL);
    if (rc != 0)
        return rc;
    rc = gv_link_schema(link, (const Grove__Link__V1__Schema *)schema);
    gv_capped_arena_deinit(&arena);
    return rc;
}
