/*
 * Fuzz entry of a worker's greeting as a pool takes it: HELLO, its list of
 * methods, the SCHEMA that is asked for where fingerprints differ, and what
 * is then known of each method. The first byte says how many bytes arrive
 * at a time, 0: all. The checksums of whole frames are set right here.
 *
 * Whatever comes, the link lives or drops its peer with one line, and a
 * method that was not agreed upon has no number.
 */
#include <stdlib.h>
#include <string.h>

#include "actors/service.h"
#include "jobs.grove.h"
#include "links/roster.h"
#include "tests/links/fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static struct gv_link link_under_test;
static struct gv_roster *roster;
static bool link_closed;

static const char *welcome(void)
{
    Grove__Link__V1__Welcome message = GROVE__LINK__V1__WELCOME__INIT;

    return gv_link_welcome(&link_under_test, &message) == 0 ? NULL : "memory is short";
}

static const char *hello_came(void *owner, const Grove__Link__V1__Hello *hello)
{
    Grove__Link__V1__Schema question = GROVE__LINK__V1__SCHEMA__INIT;

    (void)owner;
    roster = gv_roster_new(hello);
    if (roster == NULL)
        return "memory is short";
    if (!gv_roster_matches(roster, hello))
        abort(); /* It is this very HELLO's. */
    if (!gv_roster_wants_schema(roster))
        return welcome();
    return gv_link_schema(&link_under_test, &question) == 0 ? NULL : "memory is short";
}

static const char *schema_came(void *owner, const Grove__Link__V1__Schema *schema)
{
    (void)owner;
    if (roster == NULL)
        abort();
    if (gv_roster_learn(roster, schema) != 0)
        return "its SCHEMA is too large";
    return welcome();
}

static const char *frame_came(void *owner, const struct gv_frame *frame)
{
    (void)owner;
    return frame->type == GV_FRAME_REPLY ? NULL : "it sent a frame of no meaning here";
}

static void closed(void *owner)
{
    (void)owner;
    link_closed = true;
}

static const struct gv_link_events events = {
    .hello = hello_came, .schema = schema_came, .frame = frame_came, .closed = closed};

static void mend(uint8_t *bytes, size_t n_bytes)
{
    size_t at = GV_FRAME_PREFACE_BYTES;
    uint32_t number = 0;

    while (n_bytes >= at && n_bytes - at >= GV_FRAME_HEAD_BYTES) {
        struct gv_frame frame;

        gv_frame_read_head(&frame, bytes + at);
        if (gv_frame_check(&frame, GV_FRAME_MAX_DEFAULT) != NULL
            || n_bytes - at < GV_FRAME_HEAD_BYTES + (size_t)frame.length)
            return;
        gv_frame_seal(bytes + at, number++);
        at += GV_FRAME_HEAD_BYTES + frame.length;
    }
}

/* Each method has a number and no reason why not, or the other way round. */
static void ask_for_numbers(void)
{
    for (uint32_t i = 0; i < job_service_table.n_methods; i++) {
        const char *why = NULL;
        uint16_t number = 0;
        int rc = gv_roster_number(roster, gv_method_index(&job_service_table, i), &number, &why);

        if ((rc == 0) != (number != 0) || (rc == GROVE_ENOTSUP && why == NULL))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct gv_link_options options = {
        .env = &fake.env, .events = &events, .name = "fuzz", .class = GV_PEER_WORKER};
    uint8_t *copy;

    if (n_bytes < 1 || gv_method_index(&job_service_table, 0) == 0)
        return 0;
    copy = malloc(n_bytes);
    if (copy == NULL)
        abort();
    memcpy(copy, bytes + 1, n_bytes - 1);
    fake_reset();
    link_closed = false;
    roster = NULL;
    gv_link_accept(&link_under_test, &options, &fake.b);
    mend(copy, n_bytes - 1);
    fake.portion = bytes[0];
    fake_feed(&fake.b, copy, n_bytes - 1);
    if (fake.n_lines > 1)
        abort();
    if (link_under_test.state == GV_LINK_READY)
        ask_for_numbers(); /* What differs is logged. */
    gv_link_close(&link_under_test);
    fake_run();
    if (!link_closed)
        abort();
    gv_roster_free(roster);
    free(copy);
    return 0;
}
