/*
 * Checks: what grove-gen refuses, with place and cure.
 */
#ifndef GEN_CHECK_H
#define GEN_CHECK_H

#include "proto/gen/emit.h"

/* Complains about everything that is not built, not safe, or not named as `buf lint` STANDARD wants. */
void gen_check(const struct gen_unit *unit);

/* The parts: what cannot be compiled or is not safe; how things are named. */
void gen_check_files(const struct gen_unit *unit);
void gen_check_messages(const struct gen_unit *unit);
void gen_check_services(const struct gen_unit *unit);
void gen_check_names(const struct gen_unit *unit);

#endif
