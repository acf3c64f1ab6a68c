/*
 * Refs inside messages: see grove/refmessage.h.
 *
 * Generated code of programs refers to the descriptor of grove.v1.Ref, so
 * the shared library must show it: its source is compiled here, between
 * pragmas that protoc-c does not write.
 */
#pragma GCC visibility push(default)
#include "grove/ref.pb-c.c"
#pragma GCC visibility pop

#include <grove/refmessage.h>

void grove_ref_to_message(struct Grove__V1__Ref *message, grove_ref ref)
{
    grove__v1__ref__init(message);
    message->node_kind = ref.node_kind;
    message->slot_generation = ref.slot_generation;
}

grove_ref grove_ref_from_message(const struct Grove__V1__Ref *message)
{
    if (message == NULL)
        return GROVE_NOBODY;
    return (grove_ref){message->node_kind, message->slot_generation};
}
