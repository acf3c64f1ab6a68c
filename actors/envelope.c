#include "actors/envelope.h"

#include <stdio.h>

#include <grove/error.h>

#include "actors/mail.h"
#include "actors/verb.h"

int gv_envelope_put(struct grove_answer *answer, const struct grove_shape *shape,
                    const ProtobufCMessage *response)
{
    struct gv_envelope *envelope = (struct gv_envelope *)answer;
    size_t bytes = grove_shape_bytes(shape, response);
    int code = bytes == SIZE_MAX ? GROVE_EUSAGE : GROVE_ETOOBIG;

    if (envelope->request->call == 0)
        return 0; /* It is answered otherwise: deferred, or delegated. */
    if (bytes > GV_BLOCK_BYTES_MAX)
        return gv_turn_failed(envelope->loop->turn, NULL, code, GROVE_STARTED_YES,
                              gv_mail_reason(code));
    envelope->reply = gv_message_take(&envelope->loop->blocks, bytes);
    if (envelope->reply == NULL)
        return GROVE_ENOMEM;
    envelope->reply->call = envelope->request->call;
    shape->copy(envelope->reply->body, response);
    return 0;
}

void gv_envelope_fail(struct gv_loop *loop, struct gv_turn *turn, struct gv_envelope *envelope,
                      int code)
{
    if (turn->message->call != 0 && envelope->reply != NULL)
        gv_message_give(&loop->blocks, envelope->reply);
    if (code > 0)
        code = gv_turn_check_refusal(turn, turn->method, code);
    gv_call_fail(loop, turn->message, code, GROVE_STARTED_YES, gv_turn_reason(turn, code));
}

int gv_turn_check_refusal(struct gv_turn *turn, const struct grove_method *method, int code)
{
    const ProtobufCEnumDescriptor *refusals = method->refusals;
    bool passed_on = gv_turn_failure(turn)->code == code && turn->refused_by != refusals
                     && turn->refused_by != NULL;

    if (!passed_on
        && (refusals == NULL || protobuf_c_enum_descriptor_get_value(refusals, code) != NULL))
        return code;
    /* A cut reason is still a reason. */
    if (passed_on)
        (void)snprintf(turn->why, sizeof turn->why,
                       "%s returned %d, which is a refusal of %s; refuse with one of its own %s",
                       method->name, code, turn->refused_by->name,
                       refusals != NULL ? refusals->name : "enum");
    else
        (void)snprintf(turn->why, sizeof turn->why,
                       "%s returned %d, which is no value of %s; refuse with one that it has",
                       method->name, code, refusals->name);
    return GROVE_EFOREIGN;
}

const char *gv_turn_reason(const struct gv_turn *turn, int code)
{
    if (!turn->noted)
        return NULL;
    return turn->failure.code == code || code == GROVE_EFOREIGN || gv_turn_has_failed(turn)
               ? turn->why
               : NULL;
}
