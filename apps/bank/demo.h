/*
 * Demo: the bank at work. Replays books, lets many clients transfer money
 * between their accounts, kills a worker midway, and reports whether the
 * bank kept its promises.
 */
#ifndef BANK_DEMO_H
#define BANK_DEMO_H

#include "apps/bank/books.h"
#include "apps/bank/options.h"

/*
 * Runs the demo and prints its report. Returns 0 if it ran to its end and
 * all promises were kept; 1 if not, and *error, if its text is not empty,
 * says why. Suspends; call it from main.
 */
int bank_demo_await(const struct bank_options *options, struct bank_error *error);

#endif
