/*
 * Screening: the rpc that compares a payee with the watch list. Its function
 * is registered with GROVE_WORKER and runs in worker processes; nothing else
 * needs it but its test.
 */
#ifndef BANK_SCREENING_H
#define BANK_SCREENING_H

#include "bank.grove.h"

extern const struct screening_service bank_screening;

#endif
