/*
 * Bank: the program. Reads the command line, then prints balances or runs
 * the demo. Ends with 0 if all is well, 2 if the command line is wrong and 1
 * otherwise, always with one line on standard error that says why.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <grove.h>

#include "apps/bank/books_balances.h"
#include "apps/bank/demo.h"
#include "apps/bank/options.h"
#include "apps/bank/replay.h"
#include "apps/bank/shards.h"

enum { EXIT_USAGE = 2 };

static void print_error(const struct bank_error *error)
{
    char text[BANK_PATH_MAX + BANK_ERROR_TEXT_MAX + 64];

    (void)bank_error_format(error, text, sizeof text); /* A cut message still helps. */
    /* A place comes first in its line, where editors look for it. */
    fprintf(stderr, "%s%s\n", error->line == 0 ? "bank: " : "", text);
}

/* --- the command balances --------------------------------------------------------------------- */

/* Replays the books through the ledger and takes the balances out of it. */
static int replay_await(const struct bank_books *books, bank_date at,
                        struct bank_balances *balances, struct bank_error *error)
{
    struct bank_shards shards;
    int rc = bank_shards_open_await(&shards, books, at);

    if (rc == 0) {
        rc = bank_replay_await(&shards, at, error);
        if (rc != 0) {
            bank_shards_close_await(&shards);
            return rc;
        }
        rc = bank_shards_balances_await(&shards, balances);
        bank_shards_close_await(&shards);
    }
    if (rc != 0) {
        /* The name fits; a cut reason still helps. */
        (void)snprintf(error->file, sizeof error->file, "%s", books->files[0]);
        (void)snprintf(error->text, sizeof error->text, "the ledger failed: %s",
                       grove_error_text(rc));
    }
    return rc;
}

static int print_balances(struct bank_balances *balances, const struct bank_books *books,
                          const struct bank_options *options)
{
    int rc = options->csv ? bank_balances_print_csv(balances, books, options->at, stdout)
                          : bank_balances_print(balances, books, options->at, stdout);

    if (rc != 0)
        fprintf(stderr, "bank: cannot write the balances: %s\n", strerror(-rc));
    return rc;
}

static int run_balances(const struct bank_options *options)
{
    struct bank_balances balances = {0};
    struct bank_error error = {0};
    struct bank_books *books = NULL;
    int rc = bank_books_read(options->books, &books, &error);

    if (rc == 0)
        rc = replay_await(books, options->at, &balances, &error);
    if (rc != 0)
        print_error(&error);
    else
        rc = print_balances(&balances, books, options);
    bank_balances_deinit(&balances);
    bank_books_free(books);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- the other commands ----------------------------------------------------------------------- */

static int run_help(const struct bank_options *options)
{
    if (fputs(options->help, stdout) != EOF && fflush(stdout) == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "bank: cannot write the help: %s\n", strerror(errno));
    return EXIT_FAILURE;
}

static int run_demo(const struct bank_options *options)
{
    struct bank_error error;
    int rc = bank_demo_await(options, &error);

    if (rc != 0 && error.text[0] != '\0')
        print_error(&error);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- the program ------------------------------------------------------------------------------ */

/*
 * Makes sure that descriptors 0 to 2 are taken, so that no file or socket of
 * ours gets the number of a stream that was closed. Writing to such a
 * stream still fails, as it should.
 */
static int hold_standard_streams(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && fd <= 2);
    return fd < 0 ? -errno : close(fd);
}

int main(int argc, char **argv)
{
    char error[BANK_OPTIONS_ERROR_MAX];
    struct bank_options options;
    int status = EXIT_FAILURE;

    grove_init(&argc, &argv);
    /* A reader that has gone is reported by the write that fails. */
    if (hold_standard_streams() != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return EXIT_FAILURE;
    if (bank_options_parse(argc, argv, &options, error) != 0) {
        fprintf(stderr, "%s\n", error);
        return EXIT_USAGE;
    }
    switch (options.command) {
    case BANK_HELP:
        status = run_help(&options);
        break;
    case BANK_BALANCES:
        status = run_balances(&options);
        break;
    case BANK_DEMO:
        status = run_demo(&options);
        break;
    }
    return grove_deinit() == 0 ? status : EXIT_FAILURE;
}
