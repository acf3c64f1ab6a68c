/*
 * What the other side says of kinds.proto: the same as we, until a test
 * changes it by hand.
 */
#ifndef TESTS_LINKS_THEIRS_H
#define TESTS_LINKS_THEIRS_H

#include "kinds.grove.h"
#include "links/agree.h"

/* Their description of Flat and Deep. */
extern Grove__Link__V1__Schema theirs;

/* For the setup and teardown of a test: theirs is made anew, and freed. */
int describe(void **state);
int forget(void **state);

/* Our method whose name contains this. */
const struct grove_method *method_named(const char *name);

/* Parts of theirs; the test fails if there is no such part. */
Grove__Link__V1__MessageSchema *message_named(const char *name);
Grove__Link__V1__FieldSchema *field_named(const char *message, const char *name);

#endif
