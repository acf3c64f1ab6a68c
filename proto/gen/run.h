/*
 * Run: files and other programs, for grove-gen.
 *
 * Each function prints its own complaint and returns false when it fails.
 */
#ifndef GEN_RUN_H
#define GEN_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Runs a program found through PATH and waits for it; true if it exits with 0. */
bool gen_run(const char *const arguments[]);

/* Reads a whole file, at most 64 MiB. */
bool gen_read(const char *path, uint8_t **bytes, size_t *n_bytes);

/* Writes a whole file, making its folders; removes it again if that fails. */
bool gen_write(const char *path, const void *bytes, size_t n_bytes);

/* Makes an empty file under folder, made if need be, that the caller unlinks; NULL if it cannot. */
char *gen_temporary(const char *folder);

#endif
