#include "workers/served.h"

#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "links/agree.h"

#define TOOK_NS            300000u /* of a job of which nothing is known */
#define SCHEMA_ARENA_BYTES ((size_t)4 << 20)

/* --- the list ------------------------------------------------------------------------------------- */

/* True if the program has given a function for this WORKER method. */
static bool is_served(const struct grove_worker_entry *entry, const struct grove_method *method)
{
    void (*function)(void);

    if (method->isolation != GROVE_WORKER_PROCESS)
        return false;
    memcpy(&function, (const char *)entry->functions + method->function_offset, sizeof function);
    return function != NULL;
}

/* Counts the methods that the entries serve, and lists them if there is a list. */
static uint32_t list(const struct grove_worker_entry *first, const struct grove_worker_entry *end,
                     struct gv_served_method *methods)
{
    uint32_t n = 0;

    for (const struct grove_worker_entry *entry = first; entry != end; entry++)
        for (uint32_t i = 0; entry->service != NULL && i < entry->service->n_methods; i++) {
            const struct grove_method *method = &entry->service->methods[i];

            if (!is_served(entry, method))
                continue;
            if (methods != NULL)
                methods[n] = (struct gv_served_method){method, entry->functions, TOOK_NS};
            n++;
        }
    return n;
}

int gv_served_init(struct gv_served *served, const struct grove_worker_entry *first,
                   const struct grove_worker_entry *end)
{
    served->n = list(first, end, NULL);
    served->methods = calloc(served->n + 1, sizeof *served->methods);
    if (served->methods == NULL)
        return GROVE_ENOMEM;
    (void)list(first, end, served->methods); /* It counts the same again. */
    return 0;
}

void gv_served_deinit(struct gv_served *served)
{
    free(served->methods);
}

/* --- what a pool is told -------------------------------------------------------------------------- */

int gv_served_hello(const struct gv_served *served, struct gv_link *link,
                    Grove__Link__V1__Hello *hello)
{
    Grove__Link__V1__Method *methods = calloc(served->n + 1, sizeof *methods);
    Grove__Link__V1__Method **list_of_them = calloc(served->n + 1, sizeof *list_of_them);
    int rc = GROVE_ENOMEM;

    if (methods != NULL && list_of_them != NULL) {
        for (uint32_t i = 0; i < served->n; i++) {
            const struct grove_method *method = served->methods[i].method;

            grove__link__v1__method__init(&methods[i]);
            methods[i].name = (char *)method->name;
            methods[i].request_fingerprint = method->request_fingerprint;
            methods[i].response_fingerprint = method->response_fingerprint;
            methods[i].streams = method->kind == GROVE_SERVER_STREAM;
            list_of_them[i] = &methods[i];
        }
        hello->n_methods = served->n;
        hello->methods = list_of_them;
        rc = gv_link_hello(link, hello);
    }
    free(list_of_them);
    free(methods);
    return rc;
}

int gv_served_schema(const struct gv_served *served, struct gv_link *link)
{
    const struct grove_method **methods = calloc(served->n + 1, sizeof(*methods));
    Grove__Link__V1__Schema answer;
    struct gv_capped_arena arena;
    int rc = GROVE_ENOMEM;

    gv_capped_arena_init(&arena, SCHEMA_ARENA_BYTES);
    for (uint32_t i = 0; methods != NULL && i < served->n; i++)
        methods[i] = served->methods[i].method;
    if (methods != NULL)
        rc = gv_agree_describe(methods, served->n, &arena, &answer);
    if (rc == 0)
        rc = gv_link_schema(link, &answer);
    gv_capped_arena_deinit(&arena);
    free(methods);
    return rc;
}

/* --- warming up ----------------------------------------------------------------------------------- */

int gv_served_warm_up(const struct grove_worker_entry *first, const struct grove_worker_entry *end)
{
    int rc = 0;

    for (const struct grove_worker_entry *entry = first; rc == 0 && entry != end; entry++)
        if (entry->warm_up != NULL)
            rc = entry->warm_up();
    return rc;
}
