/*
 * Refs inside messages: between a grove_ref and the message grove.v1.Ref of
 * grove/ref.proto. The struct itself stands in "grove/ref.pb-c.h", which a
 * generated header includes when its .proto imports grove/ref.proto.
 */
#ifndef GROVE_REFMESSAGE_H
#define GROVE_REFMESSAGE_H

#include <grove/export.h>
#include <grove/ref.h>

struct Grove__V1__Ref;

/* Writes ref into *message, whatever stood there before. Never suspends. */
GROVE_API void grove_ref_to_message(struct Grove__V1__Ref *message, grove_ref ref);

/* The ref in message, GROVE_NOBODY for NULL (a field that was not sent). Never suspends. */
GROVE_API grove_ref grove_ref_from_message(const struct Grove__V1__Ref *message);

#endif
