/*
 * Fuzz entry of a link's incoming half. The first byte chooses how the rest
 * is fed:
 *
 *     bit 0      0: from the first byte of a connection; 1: after a good greeting
 *     bit 1      1: the input is a row of frames whose checksums are set right
 *                here, so that what lies behind them is reached too
 *     bits 2-7   bytes of one arrival, 0: all at once
 *
 * Whatever comes, the link lives or drops its peer, and holds no more memory
 * than the bounds allow.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/codec.h"
#include "tests/links/fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static struct gv_link link_under_test;
static bool link_closed;

static const char *hello_came(void *owner, const Grove__Link__V1__Hello *hello)
{
    Grove__Link__V1__Welcome welcome = GROVE__LINK__V1__WELCOME__INIT;

    (void)owner;
    for (size_t i = 0; i < hello->n_methods; i++)
        if (hello->methods[i]->name == NULL)
            abort();
    return gv_link_welcome(&link_under_test, &welcome) == 0 ? NULL : "memory is short";
}

static const char *schema_came(void *owner, const Grove__Link__V1__Schema *schema)
{
    (void)owner;
    (void)schema;
    return NULL;
}

static const char *frame_came(void *owner, const struct gv_frame *frame)
{
    volatile uint8_t sum = 0;

    (void)owner;
    if (frame->body_bytes > GV_LINK_MESSAGE_MAX)
        abort();
    for (size_t i = 0; i < frame->body_bytes; i++)
        sum = (uint8_t)(sum + frame->body[i]);
    return NULL;
}

static void closed(void *owner)
{
    (void)owner;
    link_closed = true;
}

static const struct gv_link_events events = {
    .hello = hello_came, .schema = schema_came, .frame = frame_came, .closed = closed};

static void greet(void)
{
    Grove__Link__V1__Hello hello = GROVE__LINK__V1__HELLO__INIT;
    struct gv_frame frame = {.type = GV_FRAME_HELLO, .budget_us = GV_BUDGET_NONE};
    uint8_t bytes[256] = GV_FRAME_PREFACE, *at = bytes + GV_FRAME_PREFACE_BYTES;
    size_t n_bytes;

    hello.class_ = GROVE__LINK__V1__CLASS__CLASS_WORKER;
    hello.protocol_min = hello.protocol_max = GV_LINK_PROTOCOL;
    hello.frame_max = GV_FRAME_MAX_DEFAULT;
    hello.window = GV_LINK_WINDOW;
    if (gv_packed_size(&hello.base, 128, &n_bytes) != 0)
        abort();
    gv_pack(&hello.base, gv_frame_write_head(&frame, at, n_bytes), n_bytes);
    gv_frame_seal(at, 0);
    fake_feed(&fake.b, bytes, GV_FRAME_PREFACE_BYTES + gv_frame_bytes(n_bytes));
    if (link_under_test.state != GV_LINK_READY)
        abort();
}

/* Sets the checksum of each whole frame in bytes, the first of which has this number. */
static void mend(uint8_t *bytes, size_t n_bytes, uint32_t number)
{
    size_t at = 0;

    while (n_bytes - at >= GV_FRAME_HEAD_BYTES) {
        struct gv_frame frame;

        gv_frame_read_head(&frame, bytes + at);
        if (gv_frame_check(&frame, GV_FRAME_MAX_DEFAULT) != NULL
            || n_bytes - at < GV_FRAME_HEAD_BYTES + (size_t)frame.length)
            return;
        gv_frame_seal(bytes + at, number++);
        at += GV_FRAME_HEAD_BYTES + frame.length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct gv_link_options options = {
        .env = &fake.env, .events = &events, .name = "fuzz", .class = GV_PEER_WORKER};
    uint8_t how = n_bytes > 0 ? bytes[0] : 0, *copy;

    if (n_bytes == 0)
        return 0;
    n_bytes--;
    copy = malloc(n_bytes + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, bytes + 1, n_bytes);
    fake_reset();
    link_closed = false;
    gv_link_accept(&link_under_test, &options, &fake.b);
    if (how & 1)
        greet();
    if (how & 2)
        mend(copy, n_bytes, how & 1);
    fake.portion = how >> 2;
    fake_feed(&fake.b, copy, n_bytes);
    gv_link_close(&link_under_test);
    fake_run();
    if (!link_closed || fake.n_lines > 1)
        abort();
    free(copy);
    return 0;
}
