/*
 * Report: the results of a demo, as a table for people or as one JSON object.
 */
#ifndef BANK_REPORT_H
#define BANK_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "apps/bank/results.h"

/* Print to a stream. broken names the promise that was not kept; "" if all were. Return 0 or -EIO. */
int bank_report_table(const struct bank_results *results, const char *broken, FILE *out);
int bank_report_json(const struct bank_results *results, const char *broken, FILE *out);

#endif
