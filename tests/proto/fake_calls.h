/*
 * Fakes of the library's calls; see fake_calls.c.
 */
#ifndef FAKE_CALLS_H
#define FAKE_CALLS_H

#include <grove/call.h>

/* The last verb, and what it was given. Every fake returns 7. */
struct fake_call {
    const char *verb;
    grove_ref ref;
    const struct grove_service *service;
    uint32_t method;
    const ProtobufCMessage *request;
    ProtobufCMessage *response;
    struct grove_future *future;
};

extern struct fake_call fake_last;

/* Where a thunk puts its response; body is the test's to free. */
struct grove_answer {
    void *body;
    size_t bytes;
};

#endif
