#include "tests/links/theirs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ARENA_BYTES ((size_t)1 << 20)

static struct gv_capped_arena arena;
Grove__Link__V1__Schema theirs;

const struct grove_method *method_named(const char *name)
{
    for (uint32_t i = 0; i < kinds_service_table.n_methods; i++)
        if (strstr(kinds_service_table.methods[i].name, name) != NULL)
            return &kinds_service_table.methods[i];
    fail();
    return NULL;
}

int describe(void **state)
{
    const struct grove_method *methods[] = {method_named("/Flat"), method_named("/Deep")};

    (void)state;
    gv_capped_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(gv_agree_describe(methods, 2, &arena, &theirs), 0);
    return 0;
}

int forget(void **state)
{
    (void)state;
    gv_capped_arena_deinit(&arena);
    return 0;
}

Grove__Link__V1__MessageSchema *message_named(const char *name)
{
    for (size_t i = 0; i < theirs.n_messages; i++)
        if (strcmp(theirs.messages[i]->name, name) == 0)
            return theirs.messages[i];
    fail();
    return NULL;
}

Grove__Link__V1__FieldSchema *field_named(const char *message, const char *name)
{
    Grove__Link__V1__MessageSchema *schema = message_named(message);

    for (size_t i = 0; i < schema->n_fields; i++)
        if (strcmp(schema->fields[i]->name, name) == 0)
            return schema->fields[i];
    fail();
    return NULL;
}
