/*
 * grove: the command-line program.
 */
#include <stdio.h>
#include <string.h>

#include "certs.h"
#include "supervise.h"

static int run_supervise(int argc, char **argv)
{
    struct options options;
    int rc = read_options(argc, argv, &options);

    if (rc == -1) {
        print_help();
        return 0;
    }
    return rc != 0 ? rc : supervise(&options);
}

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "supervise") == 0)
        return run_supervise(argc - 2, argv + 2);
    if (argc >= 2 && strcmp(argv[1], "certs") == 0)
        return run_certs(argc - 2, argv + 2);
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help();
        return 0;
    }
    if (argc >= 2)
        (void)fprintf(stderr, "grove: there is no command %s; see grove --help\n", argv[1]);
    else
        (void)fprintf(
            stderr, "grove: say what to do: grove supervise -- PROGRAM ARGS, or grove certs DIR\n");
    return STATUS_USAGE;
}
