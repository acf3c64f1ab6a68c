/*
 * Options: what the command line of `bank` asks for.
 *
 * Parsing is strict. A flag that is not known, a value that is missing or
 * out of range, an argument too many: each is refused with one sentence that
 * says what to do. Nothing is opened or started here.
 */
#ifndef BANK_OPTIONS_H
#define BANK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/bank/books.h"

enum {
    BANK_TRANSFERS_DEFAULT = 20000,
    BANK_OPTIONS_ERROR_MAX = 512,
};

enum bank_command { BANK_HELP, BANK_DEMO, BANK_BALANCES };

struct bank_options {
    enum bank_command command;
    const char *help;   /* HELP: the text to print */
    const char *books;  /* path; for a demo NULL means the sample */
    uint64_t transfers; /* UINT64_MAX: as many as the time allows */
    uint32_t seconds;   /* 0: as long as it takes */
    uint32_t workers;   /* 0: one core is left to the loops */
    uint32_t loops;     /* 0: one per core */
    bank_date at;
    bool json;
    bool csv;
};

/*
 * Reads the command line. Strings of it are lent for as long as the options
 * are used. Returns 0, or -EINVAL with the error filled.
 */
int bank_options_parse(int argc, char **argv, struct bank_options *options,
                       char error[BANK_OPTIONS_ERROR_MAX]);

#endif
