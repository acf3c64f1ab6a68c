/* Options: what the command line of `bank` asks for. See options.h. */
#include "apps/bank/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char HELP[] =
    "bank: accounts and transfers on grove\n"
    "\n"
    "  bank demo [--books FILE] [--transfers N] [--seconds S] [--workers N] [--loops N] [--json]\n"
    "      replay books, then drive random transfers between their accounts\n"
    "  bank balances [--csv] [--at DATE] FILE\n"
    "      print the balances of a journal\n"
    "  bank help\n"
    "\n"
    "`bank demo --help` and `bank balances --help` say more.\n";

static const char HELP_DEMO[] =
    "bank demo: replay books, then drive random transfers between their accounts\n"
    "\n"
    "  --books FILE     a plain-text-accounting journal; default: a sample in the program\n"
    "  --transfers N    how many in all, 1 to 1000000000; default 20000, or no limit with --seconds\n"
    "  --seconds S      stop after this time, 1 to 86400\n"
    "  --workers N      processes that screen payees, 1 to 64; default: cores - 1, at least 1\n"
    "  --loops N        threads that run actors, 1 to 63; default: one per core\n"
    "  --json           print one JSON object instead of a table\n"
    "\n"
    "Midway one worker is killed on purpose. Ends with 0 if no money was made or lost and every\n"
    "request got exactly one answer, with 1 if a promise was broken or the books cannot be read,\n"
    "and with 2 if the command line is wrong.\n";

static const char HELP_BALANCES[] =
    "bank balances: print the balances of a journal after replaying it through the ledger\n"
    "\n"
    "  bank balances [--csv] [--at DATE] FILE\n"
    "\n"
    "  --csv            account,commodity,amount; one row per balance that is not zero\n"
    "  --at DATE        only postings up to and with this date, YYYY-MM-DD\n"
    "\n"
    "Prints what `hledger balance -N --flat` prints. Ends with 1 if the journal cannot be read or\n"
    "does not balance, and with 2 if the command line is wrong.\n";

enum flag_kind { FLAG_SWITCH, FLAG_NUMBER, FLAG_PATH, FLAG_DATE };

struct flag {
    const char *name; /* "--csv" */
    enum flag_kind kind;
    void *value; /* bool, uint64_t, const char * or bank_date, by kind */
    uint64_t max;
};

struct arguments {
    char **next; /* the next one; NULL at the end */
    char *error;
    const char *command; /* "bank demo" */
};

static int complain(const struct arguments *arguments, const char *what, const char *which,
                    const char *advice)
{
    /* A cut sentence still says what is wrong. */
    (void)snprintf(arguments->error, BANK_OPTIONS_ERROR_MAX, "%s: %s%s%s; `%s --help` shows how",
                   arguments->command, what, which, advice, arguments->command);
    return -EINVAL;
}

/* Reads a decimal number from 1 to max. */
static int read_number(const char *text, uint64_t max, uint64_t *number)
{
    uint64_t value = 0;

    if (*text == '\0')
        return -EINVAL;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -EINVAL;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > max)
            return -EINVAL;
    }
    if (value == 0)
        return -EINVAL;
    *number = value;
    return 0;
}

static int set_value(const struct arguments *arguments, const struct flag *flag, const char *text)
{
    char advice[96];

    switch (flag->kind) {
    case FLAG_SWITCH:
        break;
    case FLAG_NUMBER:
        (void)snprintf(advice, sizeof advice, " wants a whole number from 1 to %llu",
                       (unsigned long long)flag->max); /* It fits. */
        if (read_number(text, flag->max, flag->value) != 0)
            return complain(arguments, "", flag->name, advice);
        break;
    case FLAG_PATH:
        if (*text == '\0')
            return complain(arguments, "", flag->name, " wants the name of a file");
        *(const char **)flag->value = text;
        break;
    case FLAG_DATE:
        if (bank_date_parse(text, flag->value) != 0)
            return complain(arguments, "", flag->name, " wants a date such as 2024-12-31");
        break;
    }
    return 0;
}

/* Takes one flag, and its value if it has one: `--name VALUE` or `--name=VALUE`. */
static int take_flag(struct arguments *arguments, const struct flag *flags, size_t n_flags)
{
    const char *text = *arguments->next++;
    size_t length = strcspn(text, "=");
    const struct flag *flag = flags;

    while (flag < flags + n_flags
           && (strlen(flag->name) != length || memcmp(flag->name, text, length) != 0))
        flag++;
    if (flag == flags + n_flags)
        return complain(arguments, "there is no flag ", text, "");
    if (flag->kind == FLAG_SWITCH) {
        if (text[length] == '=')
            return complain(arguments, "", flag->name, " takes no value");
        *(bool *)flag->value = true;
        return 0;
    }
    if (text[length] == '=')
        return set_value(arguments, flag, text + length + 1);
    if (*arguments->next == NULL)
        return complain(arguments, "", flag->name, " wants a value");
    return set_value(arguments, flag, *arguments->next++);
}

static int parse_demo(struct arguments *arguments, struct bank_options *options)
{
    uint64_t transfers = 0, seconds = 0, workers = 0, loops = 0;
    bool help = false;
    const struct flag flags[] = {
        {.name = "--books", .kind = FLAG_PATH, .value = &options->books},
        {.name = "--transfers", .kind = FLAG_NUMBER, .value = &transfers, .max = 1000000000},
        {.name = "--seconds", .kind = FLAG_NUMBER, .value = &seconds, .max = 86400},
        {.name = "--workers", .kind = FLAG_NUMBER, .value = &workers, .max = 64},
        {.name = "--loops", .kind = FLAG_NUMBER, .value = &loops, .max = 63},
        {.name = "--json", .kind = FLAG_SWITCH, .value = &options->json},
        {.name = "--help", .kind = FLAG_SWITCH, .value = &help},
    };

    options->command = BANK_DEMO;
    while (*arguments->next != NULL) {
        int rc;

        if (**arguments->next != '-')
            return complain(arguments, "there is nothing to do with ", *arguments->next,
                            ", name a journal with --books");
        rc = take_flag(arguments, flags, sizeof flags / sizeof flags[0]);
        if (rc != 0)
            return rc;
    }
    if (transfers == 0)
        transfers = seconds != 0 ? UINT64_MAX : BANK_TRANSFERS_DEFAULT;
    options->transfers = transfers;
    options->seconds = (uint32_t)seconds;
    options->workers = (uint32_t)workers;
    options->loops = (uint32_t)loops;
    if (help)
        *options = (struct bank_options){.command = BANK_HELP, .help = HELP_DEMO};
    return 0;
}

static int parse_balances(struct arguments *arguments, struct bank_options *options)
{
    bool help = false, only_files = false;
    const struct flag flags[] = {
        {.name = "--csv", .kind = FLAG_SWITCH, .value = &options->csv},
        {.name = "--at", .kind = FLAG_DATE, .value = &options->at},
        {.name = "--help", .kind = FLAG_SWITCH, .value = &help},
    };

    options->command = BANK_BALANCES;
    options->at = BANK_DATE_MAX;
    while (*arguments->next != NULL) {
        int rc = 0;

        if (!only_files && strcmp(*arguments->next, "--") == 0) {
            only_files = true;
            arguments->next++;
        } else if (!only_files && strcmp(*arguments->next, "-") == 0) {
            rc = complain(arguments, "standard input is not read, save it and name the file", "",
                          "");
        } else if (!only_files && **arguments->next == '-') {
            rc = take_flag(arguments, flags, sizeof flags / sizeof flags[0]);
        } else if (options->books != NULL) {
            rc = complain(arguments, "one journal at a time, and ", *arguments->next,
                          " is the second");
        } else {
            options->books = *arguments->next++;
        }
        if (rc != 0)
            return rc;
    }
    if (help)
        *options = (struct bank_options){.command = BANK_HELP, .help = HELP_BALANCES};
    else if (options->books == NULL || *options->books == '\0')
        return complain(arguments, "name the journal to read", "", "");
    return 0;
}

int bank_options_parse(int argc, char **argv, struct bank_options *options,
                       char error[BANK_OPTIONS_ERROR_MAX])
{
    struct arguments arguments = {.error = error, .command = "bank"};
    const char *command;

    *options = (struct bank_options){.command = BANK_HELP, .help = HELP};
    if (argc < 2)
        return complain(&arguments, "say what to do: demo or balances", "", "");
    command = argv[1];
    arguments.next = argv + 2;
    if (strcmp(command, "demo") == 0) {
        arguments.command = "bank demo";
        return parse_demo(&arguments, options);
    }
    if (strcmp(command, "balances") == 0) {
        arguments.command = "bank balances";
        return parse_balances(&arguments, options);
    }
    if (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0
        || strcmp(command, "-h") == 0) {
        if (*arguments.next == NULL)
            return 0;
        return complain(&arguments, "there is no help on ", *arguments.next,
                        ", name a command and then --help");
    }
    return complain(&arguments, "there is no command ", command, ", but demo and balances");
}
