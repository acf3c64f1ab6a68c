/*
 * Text: memory and strings of grove-gen.
 *
 * grove-gen runs for a moment and ends. All memory it takes hangs on one
 * list and is freed at once by gen_free_all; whoever runs out of memory
 * ends the program with one line. So nothing here returns an error.
 */
#ifndef GEN_TEXT_H
#define GEN_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

/* bytes of zeroed memory, for the life of the program. */
void *gen_alloc(size_t bytes);

/* printf into new memory. */
char *gen_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The first n bytes of text as a new string. */
char *gen_prefix(const char *text, size_t n);

/* Frees everything; call it once, last. */
void gen_free_all(void);

/* The same memory for protobuf-c. */
extern ProtobufCAllocator gen_allocator;

bool gen_starts_with(const char *text, const char *start);
bool gen_ends_with(const char *text, const char *end);

/* A text that grows; starts as zeros. */
struct gen_text {
    char *bytes; /* with a final NUL, NULL while empty */
    size_t used;
    size_t room;
};

/* Appends, printf-like. */
void gen_put(struct gen_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends a comment taken from a .proto, each line indented by n_spaces; nothing when comment is NULL. */
void gen_put_comment(struct gen_text *text, const char *comment, int n_spaces);

#endif
