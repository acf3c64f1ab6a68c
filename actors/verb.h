/*
 * Verb: what await, send and start have in common.
 */
#ifndef GV_VERB_H
#define GV_VERB_H

#include <grove/method.h>
#include <grove/ref.h>

#include "runtime/hint.h"
#include "runtime/loop.h"
#include "runtime/usage.h"

#define GV_TIMEOUT_MS 5000u /* of what has no other */

/* A request on its way, before it is posted. */
struct gv_verb {
    struct gv_loop *loop;
    struct gv_turn *turn; /* NULL outside of any turn */
    struct gv_task *task; /* the target; may live anywhere */
    struct gv_message *message;
    const struct grove_method *method;
    uint16_t index;
    uint32_t deadline_ms; /* 0 = none */
};

/*
 * The deadline of what the turn begins to wait for now: the least of what it
 * has left and what grove_within asked for, else timeout_ms. Consumes
 * grove_within. 0 = none.
 */
uint32_t gv_turn_deadline(struct gv_loop *loop, struct gv_turn *turn, uint32_t timeout_ms);

/*
 * Begins a call: finds the target, makes the message, sets the deadline of
 * its answer. Consumes grove_within. On failure the turn's failure record is
 * set, and nothing is left to free.
 */
int gv_verb_begin(struct gv_verb *verb, grove_ref ref, const struct grove_service *service,
                  uint32_t method, const ProtobufCMessage *request);

/* Calls with the verb's message, which is complete but for the call: suspends until the answer, as grove_call_await. Consumes grove_within. */
int gv_verb_call_await(struct gv_verb *verb, ProtobufCMessage *response) GV_RARE;

/*
 * The park in wait ended without an answer: the call is given up, if it is
 * still open. Notes and returns rc. On its caller's turn.
 */
int gv_verb_left(struct gv_loop *loop, struct gv_wait *wait, int rc, const char *text) GV_RARE;

/* Notes a failure or refusal in the turn and returns code. text may be NULL. */
int gv_turn_failed(struct gv_turn *turn, const struct grove_method *method, int code,
                   enum grove_started started, const char *text);

/* The reason that goes with a code the handler returned; NULL if the last one noted was for another code. */
const char *gv_turn_reason(const struct gv_turn *turn, int code);

/*
 * A refusal must be one of the service's own enum: returns code if it is,
 * GROVE_EFOREIGN with a reason if another service's was passed on.
 */
int gv_turn_check_refusal(struct gv_turn *turn, const struct grove_method *method, int code);

/*
 * Takes an answer for the turn: on 0 opens it into response and keeps its
 * block until the end of the turn; else notes the failure. Owns reply.
 * Returns its code.
 */
int gv_turn_take_answer(struct gv_loop *loop, struct gv_turn *turn,
                        const struct grove_method *method, struct gv_message *reply,
                        ProtobufCMessage *response);

#endif
