/*
 * Answer: where a thunk's response goes. An actor's dispatcher copies it
 * into an envelope, a worker packs it into a frame.
 */
#ifndef GV_ANSWER_H
#define GV_ANSWER_H

#include <grove/method.h>

struct grove_answer {
    /* Takes the response. Returns 0, GROVE_ENOMEM or GROVE_ETOOBIG. */
    int (*put)(struct grove_answer *answer, const struct grove_shape *shape,
               const ProtobufCMessage *response);
};

#endif
