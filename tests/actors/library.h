/*
 * Library: an actor that lets others in while it waits, for the tests of
 * interleaving. Its handlers run a function of the test and note who was
 * inside with them.
 */
#ifndef LIBRARY_H
#define LIBRARY_H

#include "stage.h"

enum library_kind { READ, WRITE, CONSULT };

/* What one of its handlers does, and what it saw. */
struct visit {
    enum library_kind kind;
    int (*act)(struct visit *visit);
    uint32_t ms;
    grove_ref to;          /* whom it asks */
    struct visit *next;    /* and what for */
    unsigned begun, ended; /* places in the order of all begins and ends, from 1 */
    int most_readers;      /* inside with it when it began */
    int most_writers;
    int rc, end_rc;
    char text[256];
};

extern unsigned library_events, library_inside;
extern const struct library_service library_functions;

grove_ref library_new(const char *label, int place);
int library_call(grove_ref ref, struct visit *visit);
int library_post(grove_ref ref, struct visit *visit); /* sends */
void library_settle(void);                            /* until nobody is inside */
int library_start_over(void **state);

/* Acts. */
int library_nap(struct visit *visit); /* sleeps ms */
int library_nothing(struct visit *visit);
int library_ask(struct visit *visit); /* calls `to` for `next` */
int library_ask_with_grant(struct visit *visit);

#define library_test(function) cmocka_unit_test_setup(function, library_start_over)

#endif
