/*
 * Fakes of the library's calls; see fake_calls.c.
 */
#ifndef FAKE_CALLS_H
#define FAKE_CALLS_H

#include <grove/call.h>
#include <grove/group.h>
#include <grove/reply.h>
#include <grove/timer.h>

/* The last verb, and what it was given. Every fake returns 7. */
struct fake_call {
    const char *verb;
    grove_ref ref;
    const struct grove_service *service;
    uint32_t method;
    const ProtobufCMessage *request;
    ProtobufCMessage *response;
    struct grove_future *future;
    struct grove_timer timer;
    const grove_token *token;
    int code;
    struct grove_published *published;
};

extern struct fake_call fake_last;

/* For grove_answer.put: copies the response to answer->body, which is the test's to free. */
int fake_put(struct grove_answer *answer, const struct grove_shape *shape,
             const ProtobufCMessage *response);

#endif
