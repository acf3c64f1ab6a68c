#include "actors/edition.h"

#include <string.h>

#include <grove/error.h>

#include "actors/deadletter.h"
#include "actors/group.h"
#include "actors/mail.h"
#include "actors/service.h"
#include "actors/verb.h"
#include "runtime/place.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

#define UNMADE_MAX (1024u - sizeof(struct gv_message)) /* what is larger is told as that */

/* --- delivering ------------------------------------------------------------------------------- */

/* What is published, on the loop where it is delivered. */
struct edition {
    uint64_t group;
    uint64_t from; /* task of the publisher, 0 = none */
    const struct grove_shape *shape;
    const ProtobufCMessage *request; /* NULL: it lies in body */
    const void *body;                /* of a flat one, as shape->copy writes it */
    size_t bytes;
    uint16_t index; /* of its method */
};

/* What travels to another loop; the request follows. */
struct cargo {
    uint64_t group;
    uint64_t from;
    uint64_t bytes;
    uint16_t index;
    _Alignas(16) unsigned char body[];
};

static struct gv_message *copy_for(struct gv_loop *loop, const struct edition *edition, uint64_t id)
{
    struct gv_message *message = gv_message_take(&loop->blocks, edition->bytes);

    if (message == NULL)
        return NULL;
    message->to = id;
    message->from = edition->from;
    message->method = edition->index;
    if (edition->request != NULL)
        edition->shape->copy(message->body, edition->request);
    else
        memcpy(message->body, edition->body, edition->bytes);
    return message;
}

/* A member does not get it: that is noted without making a message. */
static void note_refused(struct gv_loop *loop, const struct edition *edition, uint64_t id)
{
    struct gv_message unmade = {
        .to = id,
        .from = edition->from,
        .method = edition->index,
        .block =
            edition->bytes > UNMADE_MAX ? GV_BLOCK_1024 : (uint8_t)gv_block_class(edition->bytes),
    };

    gv_dead_note(loop, &unmade, GROVE_DEAD_FULL);
}

/* True if the member has it. */
static bool deliver(struct gv_loop *loop, const struct edition *edition, struct gv_task *task,
                    uint64_t id)
{
    struct gv_message *message = copy_for(loop, edition, id);
    int rc;

    if (message == NULL) {
        note_refused(loop, edition, id);
        return false;
    }
    rc = gv_mail_post(loop, task, message);
    if (rc == 0)
        return true;
    gv_mail_orphaned(loop, message, rc,
                     rc == GROVE_ESTOPPING ? GROVE_DEAD_STOPPED : GROVE_DEAD_FULL);
    return false;
}

/* To all members on this loop. */
static void deliver_here(struct gv_loop *loop, struct gv_group *group,
                         const struct edition *edition, struct grove_published *published)
{
    bool met_dead = false;
    uint64_t ids[GV_GROUP_SOME], after = 0;
    uint32_t n;

    while ((n = gv_group_some(group, edition->group, loop->index, after, ids)) > 0) {
        for (uint32_t i = 0; i < n; i++) {
            struct gv_task *task = gv_slot_find(ids[i]);

            if (task == NULL)
                met_dead = true;
            else if (deliver(loop, edition, task, ids[i]))
                published->n_here++;
            else
                published->n_refused++;
        }
        after = ids[n - 1];
    }
    if (met_dead)
        gv_group_bury(group, loop->index);
}

/* --- to other loops --------------------------------------------------------------------------- */

/* None of a far loop's members gets it. */
static void refuse_there(struct gv_loop *loop, struct gv_group *group, unsigned to,
                         const struct edition *edition, struct grove_published *published)
{
    uint64_t ids[GV_GROUP_SOME], after = 0;
    uint32_t n;

    while ((n = gv_group_some(group, edition->group, to, after, ids)) > 0) {
        for (uint32_t i = 0; i < n; i++)
            if (gv_slot_find(ids[i]) != NULL) {
                note_refused(loop, edition, ids[i]);
                published->n_refused++;
            }
        after = ids[n - 1];
    }
}

static void send_there(struct gv_loop *loop, struct gv_group *group, unsigned to,
                       const struct edition *edition, struct grove_published *published)
{
    struct gv_out *out = &loop->out[to];
    struct gv_message *message =
        gv_message_take(&loop->blocks, sizeof(struct cargo) + edition->bytes);
    struct cargo *cargo;

    /* It is charged to the window of plain sends, so that nobody floods the other loop. */
    if (message == NULL || !gv_window_take_plain(out)) {
        if (message != NULL)
            gv_message_give(&loop->blocks, message);
        refuse_there(loop, group, to, edition, published);
        return;
    }
    cargo = (struct cargo *)(void *)message->body;
    cargo->group = edition->group;
    cargo->from = edition->from;
    cargo->bytes = edition->bytes;
    cargo->index = edition->index;
    edition->shape->copy(cargo->body, edition->request);
    message->method = GV_SIGNAL_PUBLISH;
    message->call = loop->index; /* whose window */
    published->n_away += gv_group_count(group, to);
    gv_loop_post(loop, to, message);
}

/* The request, opened into memory that *scratch holds; NULL for a flat one, or without memory. */
static ProtobufCMessage *open_request(struct gv_loop *loop, const struct edition *edition,
                                      void *body, struct gv_message **scratch)
{
    const ProtobufCMessageDescriptor *descriptor = edition->shape->descriptor;
    ProtobufCMessage *request;

    *scratch =
        edition->shape->flat ? NULL : gv_message_take(&loop->blocks, descriptor->sizeof_message);
    if (*scratch == NULL)
        return NULL;
    request = (ProtobufCMessage *)(void *)(*scratch)->body;
    protobuf_c_message_init(descriptor, request);
    edition->shape->open(request, body);
    return request;
}

void gv_edition_came(struct gv_loop *loop, struct gv_message *message)
{
    struct cargo *cargo = (struct cargo *)(void *)message->body;
    struct edition edition = {
        .group = cargo->group,
        .from = cargo->from,
        .shape = gv_methods[cargo->index].method->request,
        .body = cargo->body,
        .bytes = cargo->bytes,
        .index = cargo->index,
    };
    struct grove_published published = {0};
    struct gv_group *group = gv_group_find_id(cargo->group);
    struct gv_message *scratch = NULL;

    gv_loop_count_taken(loop, &gv_runtime.loops[message->call]->out[loop->index]);
    if (group != NULL) {
        edition.request = open_request(loop, &edition, cargo->body, &scratch);
        if (edition.request != NULL || edition.shape->flat)
            deliver_here(loop, group, &edition, &published);
        else
            refuse_there(loop, group, loop->index, &edition, &published);
    }
    if (scratch != NULL)
        gv_message_give(&loop->blocks, scratch);
    gv_message_give(&loop->blocks, message);
}

/* --- publishing ------------------------------------------------------------------------------- */

static int failed(struct gv_loop *loop, int code)
{
    return gv_turn_failed(loop->turn, NULL, code, GROVE_STARTED_NO, gv_mail_reason(code));
}

int grove_group_publish(grove_ref ref, const struct grove_service *service, uint32_t method,
                        const ProtobufCMessage *request, struct grove_published *result)
{
    struct gv_loop *loop = gv_loop_here;
    struct grove_published published = {0};
    struct edition edition = {.group = gv_ref_id(ref), .request = request};
    struct gv_group *group;

    if (loop == NULL)
        return gv_usage_thread("publish");
    if (request == NULL)
        return gv_usage_null("a publish", "the request");
    if (method >= service->n_methods)
        return gv_service_lacks(service, method);
    edition.index = gv_method_index(service, method);
    if (edition.index == 0)
        return GROVE_EUSAGE; /* The reason is noted. */
    group = gv_group_find(ref);
    if (group == NULL)
        return failed(loop, GROVE_ENOACTOR);
    edition.shape = service->methods[method].request;
    edition.bytes = grove_shape_bytes(edition.shape, request);
    if (edition.bytes > GV_BLOCK_BYTES_MAX - sizeof(struct gv_message) - sizeof(struct cargo))
        return failed(loop, GROVE_ETOOBIG);
    if (loop->turn != NULL && loop->turn->task != NULL)
        edition.from = gv_task_id(loop->turn->task);
    for (unsigned to = 0; to < gv_runtime.n_loops; to++)
        if (to != loop->index && gv_group_count(group, to) > 0)
            send_there(loop, group, to, &edition, &published);
    if (gv_group_count(group, loop->index) > 0)
        deliver_here(loop, group, &edition, &published);
    if (result != NULL)
        *result = published;
    return 0;
}
