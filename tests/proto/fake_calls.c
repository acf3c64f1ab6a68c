/*
 * What generated code calls, so that its tests need no actors: each verb
 * notes what it was given; answers are copied by their shape.
 */
#include "tests/proto/fake_calls.h"

#include <stdlib.h>

#include <grove/actor.h>

struct fake_call fake_last;

static int note(grove_ref ref, const struct grove_service *service, uint32_t method,
                const ProtobufCMessage *request, const char *verb)
{
    fake_last = (struct fake_call){
        .verb = verb, .ref = ref, .service = service, .method = method, .request = request};
    return 7;
}

int grove_call_await(grove_ref ref, const struct grove_service *service, uint32_t method,
                     const ProtobufCMessage *request, ProtobufCMessage *response)
{
    int rc = note(ref, service, method, request, "await");

    fake_last.response = response;
    return rc;
}

int grove_send(grove_ref ref, const struct grove_service *service, uint32_t method,
               const ProtobufCMessage *request)
{
    return note(ref, service, method, request, "send");
}

int grove_send_await(grove_ref ref, const struct grove_service *service, uint32_t method,
                     const ProtobufCMessage *request)
{
    return note(ref, service, method, request, "send_await");
}

int grove_call_start(grove_ref ref, const struct grove_service *service, uint32_t method,
                     const ProtobufCMessage *request, struct grove_future *future)
{
    int rc = note(ref, service, method, request, "start");

    fake_last.response = future->response;
    fake_last.future = future;
    return rc;
}

int grove_reply(const grove_token *token, const struct grove_service *service, uint32_t method,
                int code, const ProtobufCMessage *response)
{
    int rc = note(GROVE_NOBODY, service, method, NULL, "reply");

    fake_last.token = token;
    fake_last.code = code;
    fake_last.response = (ProtobufCMessage *)response;
    return rc;
}

int grove_delegate(const grove_token *token, grove_ref ref, const struct grove_service *service,
                   uint32_t method, const ProtobufCMessage *request)
{
    int rc = note(ref, service, method, request, "delegate");

    fake_last.token = token;
    return rc;
}

int grove_group_publish(grove_ref group, const struct grove_service *service, uint32_t method,
                        const ProtobufCMessage *request, struct grove_published *published)
{
    int rc = note(group, service, method, request, "publish");

    fake_last.published = published;
    return rc;
}

int grove_timer_arm(const struct grove_timer *timer, const struct grove_service *service,
                    uint32_t method, const ProtobufCMessage *request)
{
    int rc = note(GROVE_NOBODY, service, method, request, "arm");

    fake_last.timer = *timer;
    return rc;
}

int grove_spawn(const struct grove_service *service, const void *functions, const void *argument,
                const struct grove_spawn_options *options, grove_ref *ref)
{
    (void)functions;
    (void)argument;
    (void)options;
    (void)ref;
    return note(GROVE_NOBODY, service, 0, NULL, "spawn");
}

int grove_spawn_await(const struct grove_service *service, const void *functions,
                      const void *argument, const struct grove_spawn_options *options,
                      grove_ref *ref)
{
    (void)functions;
    (void)argument;
    (void)options;
    (void)ref;
    return note(GROVE_NOBODY, service, 0, NULL, "spawn_await");
}

int fake_put(struct grove_answer *answer, const struct grove_shape *shape,
             const ProtobufCMessage *response)
{
    answer->body = malloc(grove_shape_bytes(shape, response) + 1);
    if (answer->body == NULL)
        return -1;
    shape->copy(answer->body, response);
    return 0;
}
