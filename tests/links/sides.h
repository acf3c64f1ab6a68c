/*
 * The two sides of a link in the tests: what they do, and what they have
 * seen. Each test program that includes sides.c has its own.
 */
#ifndef TESTS_LINKS_SIDES_H
#define TESTS_LINKS_SIDES_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/links/fake.h"

/* One side and what it has seen. */
struct side {
    struct gv_link link;
    bool welcomed, closed, asked;
    unsigned n_frames;
    struct gv_frame frame; /* the last one */
    uint8_t body[64];      /* its begin */
    uint64_t sum;          /* of all bytes of all bodies */
};

extern struct side dialler, listener;

/* A listener alone, to which bytes are fed by hand; the same, greeted. */
void begin_listener(void);
void greet_listener(void);

/* Both, connected; the same, greeted; and their end. */
void begin_both(void);
void greet_both(void);
void end_both(void);

/* What a good dialler would send up to READY; returns the length. */
size_t good_greeting(uint8_t *bytes, const char *name);

/* The listener has dropped its peer, with one line that says why. */
void assert_dropped(const char *why);

/* Writes the next frame after the greeting, with this text as its body; returns its length. */
size_t put_frame(uint8_t *bytes, const struct gv_frame *frame, const char *body);

#endif
