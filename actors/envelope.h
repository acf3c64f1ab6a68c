/*
 * Envelope: a handler's response on its way to who waits for it.
 *
 * A flat response that fits goes over the request's own body, and its block
 * carries it back; any other gets a block of its own. What is no 0 goes with
 * its reason. Inlined into a turn; lies in its frame.
 */
#ifndef GV_ENVELOPE_H
#define GV_ENVELOPE_H

#include <grove/method.h>

#include "actors/call.h"
#include "runtime/hint.h"
#include "runtime/loop.h"

/* Made only if somebody waits. */
struct gv_envelope {
    struct grove_answer answer; /* offers the request's own body */
    struct gv_loop *loop;
    struct gv_message *request;
    struct gv_message *reply; /* NULL: the request's own block */
};

/* A response that does not fit over the request, or may have pointers into it. */
int gv_envelope_put(struct grove_answer *answer, const struct grove_shape *shape,
                    const ProtobufCMessage *response);

static inline struct grove_answer *
gv_envelope_open(struct gv_envelope *envelope, struct gv_loop *loop, struct gv_message *request)
{
    envelope->answer.put = gv_envelope_put;
    envelope->answer.body = request->body;
    envelope->answer.room = gv_message_room(request);
    envelope->loop = loop;
    envelope->request = request;
    envelope->reply = NULL;
    return &envelope->answer;
}

/* The handler has returned 0: sends the response to who waits, if anybody does. */
static inline void gv_envelope_send(struct gv_loop *loop, struct gv_envelope *envelope,
                                    struct gv_message *request)
{
    struct gv_message *reply = request;

    if (request->call == 0) {
        gv_message_give(&loop->blocks, request);
        return;
    }
    if (envelope->reply != NULL) {
        reply = envelope->reply;
        gv_message_give(&loop->blocks, request);
    }
    reply->code = 0;
    reply->form_flags = GV_FORM_STRUCT;
    gv_call_answer(loop, reply);
}

/* It has not: sends the code and its reason. */
void gv_envelope_fail(struct gv_loop *loop, struct gv_turn *turn, struct gv_envelope *envelope,
                      int code);

#endif
