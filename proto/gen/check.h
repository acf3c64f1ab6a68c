/*
 * Checks: what grove-gen refuses, each with its place and its cure.
 */
#ifndef GEN_CHECK_H
#define GEN_CHECK_H

#include "proto/gen/emit.h"

/* Complains about everything that is not built, not safe, or not named as buf lint STANDARD wants. */
void gen_check(const struct gen_unit *unit);

/* The parts, in this order; later ones expect that earlier ones had no complaint. */
void gen_check_messages(const struct gen_unit *unit);
void gen_check_services(const struct gen_unit *unit);
void gen_check_names(const struct gen_unit *unit);

#endif
