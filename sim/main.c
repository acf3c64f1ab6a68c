/*
 * The main of a program of simulations: runs seeds, and tells of the first
 * one that fails.
 *
 * A child process runs them and writes into shared memory where it is, so
 * that a seed which kills it is told with its log and the line that replays
 * it. --trace runs in this process, for a debugger.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <grove/sim.h>

#include "sim/harness.h"
#include "sim/world.h"

#define SEEDS_DEFAULT 1000u
#define SEEDS_APART   1000u /* in one process: what killed children had adds up in it */
#define NAMES_MAX     64u

struct wanted {
    const char *program; /* argv[0] */
    const struct grove_simulation *const *all;
    const struct grove_simulation *some[NAMES_MAX]; /* named on the command line */
    unsigned n_some;                                /* 0: all are wanted */
    uint64_t from;
    uint64_t n_seeds;
    const char *faults; /* as given, NULL: not given */
    bool counts;
    const struct grove_worker_entry *first, *end;
};

/* What of the command line a seed needs to be the same again. */
static void print_replay(FILE *where, const struct wanted *wanted, const char *name, uint64_t seed)
{
    (void)fprintf(where, "replay: %s %s --from %" PRIu64 " --seeds 1%s%s%s --trace\n",
                  wanted->program, name, seed, gv_sim.pct ? " --pct" : "",
                  wanted->faults != NULL ? " --faults " : "",
                  wanted->faults != NULL ? wanted->faults
                                         : ""); /* Nothing can be done about a closed terminal. */
}

/* --- the command line ----------------------------------------------------------------------------- */

static void usage(FILE *where, const struct wanted *wanted)
{
    const char *slash = strrchr(wanted->program, '/');

    /* As above, here and below. */
    (void)fprintf(
        where,
        "usage: %s [NAME...] [--seeds N] [--from S] [--pct] [--faults all|none|KIND,...]\n"
        "       [--counts] [--trace | --raw] | --list | --help\n\nsimulations:\n",
        slash != NULL ? slash + 1 : wanted->program);
    for (size_t i = 0; wanted->all[i] != NULL; i++)
        (void)fprintf(where, "  %-16s %s\n", wanted->all[i]->name, wanted->all[i]->what);
    (void)fprintf(where, "\nfaults:\n");
#define PRINT_FAULT(id, name, what) (void)fprintf(where, "  %-16s %s\n", name, what);
    GROVE_SIM_FAULT_TABLE(PRINT_FAULT)
#undef PRINT_FAULT
}

static int read_number(const char *text, uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return text[0] != '-' && errno == 0 && end != text && *end == '\0' ? 0 : -1;
}

static int read_faults(const char *text, uint32_t *mask)
{
    *mask = 0;
    if (strcmp(text, "none") == 0)
        return 0;
    if (strcmp(text, "all") == 0) {
        *mask = GROVE_SIM_ALL;
        return 0;
    }
    while (*text != '\0') {
        size_t n = strcspn(text, ",");
        unsigned kind = 0;

        while (kind < GROVE_SIM_FAULTS
               && (strlen(gv_sim_fault_name(kind)) != n
                   || strncmp(gv_sim_fault_name(kind), text, n) != 0))
            kind++;
        if (kind == GROVE_SIM_FAULTS)
            return -1;
        *mask |= GROVE_SIM_BIT(kind);
        text += n + (text[n] == ',');
    }
    return *mask != 0 ? 0 : -1;
}

static int read_name(const char *name, struct wanted *wanted)
{
    for (size_t i = 0; wanted->all[i] != NULL; i++)
        if (strcmp(wanted->all[i]->name, name) == 0 && wanted->n_some < NAMES_MAX) {
            wanted->some[wanted->n_some++] = wanted->all[i];
            return 0;
        }
    return -1;
}

/* An argument with a value; 1 if this is none. */
static int read_pair(const char *name, const char *value, struct wanted *wanted)
{
    if (strcmp(name, "--seeds") == 0)
        return value != NULL && read_number(value, &wanted->n_seeds) == 0 && wanted->n_seeds > 0
                   ? 0
                   : -1; /* No seeds would find nothing wrong. */
    if (strcmp(name, "--from") == 0)
        return value != NULL ? read_number(value, &wanted->from) : -1;
    if (strcmp(name, "--faults") != 0)
        return 1;
    wanted->faults = value;
    return value != NULL ? read_faults(value, &gv_sim_faults_wanted) : -1;
}

/* Says which argument is wrong; the usage says the rest. */
static int complain(const char *argument, bool has_value, const char *value,
                    const struct wanted *wanted)
{
    /* If standard error is closed nobody can be told. */
    if (has_value)
        (void)fprintf(stderr, "%s: %s cannot be %s\n", wanted->program, argument, value);
    else
        (void)fprintf(stderr, "%s: there is no flag and no simulation %s\n", wanted->program,
                      argument);
    return -1;
}

static int read_arguments(int argc, char **argv, struct wanted *wanted)
{
    for (int i = 1; i < argc; i++) {
        int rc = read_pair(argv[i], i + 1 < argc ? argv[i + 1] : NULL, wanted);

        if (rc == 0)
            i++;
        else if (rc == 1 && strcmp(argv[i], "--pct") == 0)
            gv_sim.pct = true;
        else if (rc == 1 && strcmp(argv[i], "--trace") == 0)
            gv_sim.trace = GV_SIM_STORY;
        else if (rc == 1 && strcmp(argv[i], "--raw") == 0)
            gv_sim.trace = GV_SIM_RAW;
        else if (rc == 1 && strcmp(argv[i], "--counts") == 0)
            wanted->counts = true;
        else if (rc < 0 || read_name(argv[i], wanted) != 0)
            return complain(argv[i], rc < 0, i + 1 < argc ? argv[i + 1] : "nothing", wanted);
    }
    return 0;
}

/* --- running -------------------------------------------------------------------------------------- */

static void call_run(void *simulation)
{
    ((const struct grove_simulation *)simulation)->run();
}

static void add_counts(struct gv_sim_counts *sum)
{
    const struct gv_sim_counts *counts = gv_sim_counts();

    for (unsigned i = 0; i < GROVE_SIM_FAULTS; i++)
        sum->faults[i] += counts->faults[i];
    for (unsigned i = 0; i < GV_SIM_DETAILS; i++)
        sum->details[i] += counts->details[i];
}

static void run_seeds(const struct grove_simulation *simulation, const struct wanted *wanted)
{
    struct gv_sim_program program = {.run = call_run,
                                     .argument = (void *)simulation,
                                     .prepare = simulation->prepare,
                                     .first = wanted->first,
                                     .end = wanted->end};
    struct gv_sim_report *report = gv_sim.report;

    for (uint64_t seed = wanted->from; seed < wanted->from + wanted->n_seeds; seed++) {
        bool failed = gv_sim_seed_run(&program, seed);

        add_counts(&report->counts);
        report->hash = (report->hash ^ gv_sim.hash) * UINT64_C(0x9fb21c651e98df25);
        report->hash ^= report->hash >> 29;
        if (failed && report->n_failed++ == 0)
            report->first_failed = seed;
        report->n_done++;
        if (failed && !simulation->canary)
            return;
    }
}

/* Runs them in a child, unless traced. True if the child lived to the end. */
static bool run_apart(const struct grove_simulation *simulation, const struct wanted *wanted)
{
    struct gv_sim_report *report = gv_sim.report;
    int status;
    pid_t pid;

    if (gv_sim.trace != GV_SIM_SILENT) {
        run_seeds(simulation, wanted);
        return true;
    }
    (void)fflush(stdout); /* So that the child has nothing of ours to write. */
    pid = fork();
    if (pid == 0) {
        run_seeds(simulation, wanted);
        exit(0); /* Here leaks are looked for, where that is built in. */
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror(wanted->program);
        exit(1);
    }
    if (WIFSIGNALED(status) && report->why[0] == '\0')
        (void)snprintf(report->why, sizeof report->why, "killed by signal %d",
                       WTERMSIG(status)); /* It fits. */
    else if (status != 0 && report->why[0] == '\0')
        (void)snprintf(report->why, sizeof report->why, "exit status %d",
                       WEXITSTATUS(status)); /* It fits. */
    return status == 0;
}

/* All seeds, some in each child. True if every child lived to its end. */
static bool run_all(const struct grove_simulation *simulation, const struct wanted *wanted)
{
    struct wanted part = *wanted;

    for (uint64_t n_left = wanted->n_seeds; n_left > 0; n_left -= part.n_seeds) {
        part.n_seeds = n_left < SEEDS_APART ? n_left : SEEDS_APART;
        if (!run_apart(simulation, &part))
            return false;
        if (gv_sim.report->n_failed > 0 && !simulation->canary)
            return true;
        part.from += part.n_seeds;
    }
    return true;
}

/* --- telling -------------------------------------------------------------------------------------- */

static void tell_counts(const struct gv_sim_counts *counts)
{
    for (unsigned i = 0; i < GROVE_SIM_FAULTS; i++)
        (void)printf("  %10" PRIu64 "  %s\n", counts->faults[i],
                     gv_sim_fault_name(i)); /* As in usage. */
    for (unsigned i = 0; i < GV_SIM_DETAILS; i++)
        (void)printf("  %10" PRIu64 "  %s\n", counts->details[i],
                     gv_sim_detail_name(i)); /* As in usage. */
}

static void tell_failure(const struct wanted *wanted)
{
    const struct gv_sim_report *report = gv_sim.report;

    (void)fflush(stdout);                                /* For the order of lines only. */
    (void)fwrite(report->log, 1, report->n_log, stderr); /* As in usage. */
    (void)fprintf(stderr, "\n%s: seed %" PRIu64 " failed: %s\n", report->simulation, report->seed,
                  report->why); /* As in usage. */
    print_replay(stderr, wanted, report->simulation, report->seed);
}

static int tell_canary(const struct wanted *wanted)
{
    const struct gv_sim_report *report = gv_sim.report;

    (void)printf("%s: %" PRIu64 " seeds, %" PRIu64 " failed as they must, first seed %" PRIu64
                 ", hash %016" PRIx64 "\n",
                 report->simulation, report->n_done, report->n_failed, report->first_failed,
                 report->hash); /* As in usage. */
    if (wanted->counts)
        tell_counts(&report->counts);
    return report->n_failed > 0 ? 0 : 1;
}

static int run_simulation(const struct grove_simulation *simulation, const struct wanted *wanted)
{
    struct gv_sim_report *report = gv_sim.report;
    bool passed;

    memset(report, 0, sizeof *report);
    (void)snprintf(report->simulation, sizeof report->simulation, "%s",
                   simulation->name); /* It fits, or is cut. */
    passed = run_all(simulation, wanted);
    if (simulation->canary && passed)
        return tell_canary(wanted);
    passed = passed && report->n_failed == 0;
    if (!passed)
        tell_failure(wanted);
    (void)printf("%s: %" PRIu64 " seeds, %d failed, hash %016" PRIx64 "\n", simulation->name,
                 report->n_done, !passed, report->hash); /* As in usage. */
    if (wanted->counts)
        tell_counts(&report->counts);
    return passed ? 0 : 1;
}

static int run_wanted(struct wanted *wanted)
{
    const struct grove_simulation *const *chosen = wanted->n_some > 0 ? wanted->some : wanted->all;
    unsigned n = 0;
    int rc = 0;

    while (n < NAMES_MAX && chosen[n] != NULL)
        n++;
    /* N seeds in all. */
    wanted->n_seeds = (wanted->n_seeds + n - 1) / n;
    for (unsigned i = 0; i < n; i++)
        rc |= run_simulation(chosen[i], wanted);
    return rc;
}

int grove_sim_main_with(int argc, char **argv, const struct grove_simulation *const *simulations,
                        const struct grove_worker_entry *first,
                        const struct grove_worker_entry *end)
{
    struct wanted wanted = {.program = argc > 0 ? argv[0] : "simulation",
                            .all = simulations,
                            .n_seeds = SEEDS_DEFAULT,
                            .first = first,
                            .end = end};

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        usage(stdout, &wanted);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; simulations[i] != NULL; i++)
            (void)puts(simulations[i]->name); /* As in usage. */
        return 0;
    }
    if (read_arguments(argc, argv, &wanted) != 0 || simulations[0] == NULL) {
        usage(stderr, &wanted);
        return 2;
    }
    gv_sim.report = mmap(NULL, sizeof *gv_sim.report, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (gv_sim.report == MAP_FAILED) {
        perror(wanted.program);
        return 1;
    }
    return run_wanted(&wanted);
}
