#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervise.h"

#define SECONDS_MAX 1000000u
#define LIMIT_MAX   1000000u

static const char help[] =
    "usage: grove supervise [--limit N] [--window SECONDS] [--stop SECONDS] [--any] -- PROGRAM ARGS\n"
    "\n"
    "Runs PROGRAM and starts it again when it crashes or exits with status 70:\n"
    "at once, then after 50 ms, 100 ms, ... up to 30 s.\n"
    "\n"
    "  --limit N         give up after N restarts within the window, with status 69;\n"
    "                    0: never give up (default 10)\n"
    "  --window SECONDS  the window; a program that ran so long is taken for healthy\n"
    "                    and counting begins anew (default 60)\n"
    "  --stop SECONDS    kill the program when it has not ended so long after it was\n"
    "                    asked to; 0: never (default 30)\n"
    "  --any             start it again whatever status it exits with, but 0\n"
    "\n"
    "TERM, INT and QUIT are passed on and ask for the end: its status is ours, 128 + n\n"
    "for signal n. HUP, USR1 and USR2 are passed on. Status 0 ends it, and any other\n"
    "but 70. 126 and 127: PROGRAM cannot be executed, or is not there. 2: wrong usage.\n"
    "When grove is killed, PROGRAM dies with it.\n";

void print_help(void)
{
    (void)fputs(help, stdout); /* Nobody reads it if it cannot be written. */
}

static int complain(const char *what, const char *about)
{
    (void)fprintf(stderr, "grove supervise: %s%s; see grove supervise --help\n", what, about);
    return STATUS_USAGE;
}

struct number {
    const char *name;
    unsigned *value;
    unsigned most;
};

static int read_number(const struct number *number, const char *text)
{
    char *end, message[160];
    unsigned long value;

    errno = 0;
    value = text != NULL ? strtoul(text, &end, 10) : 0;
    if (text == NULL || text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0
        || value > number->most) {
        (void)snprintf(message, sizeof message, "%s takes a number from 0 to %u, not ",
                       number->name, number->most); /* It fits. */
        return complain(message, text != NULL ? text : "nothing");
    }
    *number->value = (unsigned)value;
    return 0;
}

/* --name=VALUE or --name VALUE. Returns 0, a status, or -1 if the flag is another one. */
static int read_flag(int argc, char **argv, int *i, const struct number *number)
{
    size_t n = strlen(number->name);

    if (strncmp(argv[*i], number->name, n) != 0)
        return -1;
    if (argv[*i][n] == '=')
        return read_number(number, argv[*i] + n + 1);
    if (argv[*i][n] != '\0')
        return -1;
    if (*i + 1 < argc && strcmp(argv[*i + 1], "--") != 0)
        return read_number(number, argv[++*i]);
    return read_number(number, NULL);
}

int read_options(int argc, char **argv, struct options *options)
{
    const struct number numbers[] = {{"--limit", &options->limit, LIMIT_MAX},
                                     {"--window", &options->window_s, SECONDS_MAX},
                                     {"--stop", &options->stop_s, SECONDS_MAX}};
    int i;

    *options = (struct options){.limit = 10, .window_s = 60, .stop_s = 30};
    for (i = 0; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++) {
        int rc = -1;

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return -1;
        if (strcmp(argv[i], "--any") == 0) {
            options->any = true;
            continue;
        }
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0] && rc == -1; k++)
            rc = read_flag(argc, argv, &i, &numbers[k]);
        if (rc == -1)
            return complain("there is no flag ", argv[i]);
        if (rc != 0)
            return rc;
    }
    if (i == argc || strcmp(argv[i], "--") != 0)
        return i < argc ? complain("write -- before the program ", argv[i])
                        : complain("write -- and the program behind it", "");
    if (i + 1 == argc)
        return complain("no program is named behind --", "");
    options->program = argv + i + 1;
    return 0;
}
