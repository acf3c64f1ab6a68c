/*
 * grove-sim: runs seeds of simulations.
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

#include "tests/sim/simulation.h"

#define SEEDS_DEFAULT 1000u
#define SEEDS_APART   1000u /* in one process: what killed children had adds up in it */

static const struct sim_simulation *const simulations[] = {
    &sim_withdraw_naive, &sim_withdraw_actor, &sim_cycles, &sim_calls,
    &sim_calls_lent,     &sim_pool,           &sim_sleeps,
};
#define N_SIMULATIONS (sizeof simulations / sizeof simulations[0])

struct wanted {
    const struct sim_simulation *simulation; /* NULL: all */
    uint64_t from;
    uint64_t n_seeds;
};

static void usage(FILE *where)
{
    (void)fprintf(where, "usage: grove-sim [SIMULATION] [--seeds N] [--from S] [--pct] [--trace]\n"
                         "       grove-sim --list\n"); /* As below. */
    for (size_t i = 0; i < N_SIMULATIONS; i++)
        (void)fprintf(where, "  %-16s %s\n", simulations[i]->name,
                      simulations[i]->what); /* Nothing can be done about a closed terminal. */
}

static int read_number(const char *text, uint64_t *number)
{
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' ? 0 : -1;
}

static int read_arguments(int argc, char **argv, struct wanted *wanted)
{
    for (int i = 1; i < argc; i++) {
        uint64_t *number = strcmp(argv[i], "--seeds") == 0  ? &wanted->n_seeds
                           : strcmp(argv[i], "--from") == 0 ? &wanted->from
                                                            : NULL;

        if (number != NULL) {
            if (++i == argc || read_number(argv[i], number) != 0)
                return -1;
        } else if (strcmp(argv[i], "--pct") == 0) {
            gv_sim.pct = true;
        } else if (strcmp(argv[i], "--trace") == 0) {
            gv_sim.trace = true;
        } else {
            size_t k = 0;

            while (k < N_SIMULATIONS && strcmp(simulations[k]->name, argv[i]) != 0)
                k++;
            if (k == N_SIMULATIONS)
                return -1;
            wanted->simulation = simulations[k];
        }
    }
    return 0;
}

/* --- running -------------------------------------------------------------------------------------- */

static void run_seeds(const struct sim_simulation *simulation, const struct wanted *wanted)
{
    struct gv_sim_report *report = gv_sim.report;

    for (uint64_t seed = wanted->from; seed < wanted->from + wanted->n_seeds; seed++) {
        bool failed = gv_sim_seed_run(simulation, seed);

        report->hash = (report->hash ^ gv_sim.hash) * UINT64_C(0x9fb21c651e98df25);
        report->hash ^= report->hash >> 29;
        if (failed && report->n_failed++ == 0)
            report->first_failed = seed;
        report->n_done++;
        if (failed && !simulation->canary)
            return;
    }
}

static void tell_failure(const struct gv_sim_report *report)
{
    (void)fflush(stdout);                                /* For the order of lines only. */
    (void)fwrite(report->log, 1, report->n_log, stderr); /* As in usage. */
    (void)fprintf(stderr,
                  "\n%s: seed %" PRIu64 " failed: %s\n"
                  "replay: grove-sim %s --from %" PRIu64 " --seeds 1%s --trace\n",
                  report->simulation, report->seed, report->why, report->simulation, report->seed,
                  gv_sim.pct ? " --pct" : ""); /* As in usage. */
}

/* Runs them in a child, unless traced. True if the child lived to the end. */
static bool run_apart(const struct sim_simulation *simulation, const struct wanted *wanted)
{
    struct gv_sim_report *report = gv_sim.report;
    int status;
    pid_t pid;

    if (gv_sim.trace) {
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
        perror("grove-sim");
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
static bool run_all(const struct sim_simulation *simulation, const struct wanted *wanted)
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

static int run_simulation(const struct sim_simulation *simulation, const struct wanted *wanted)
{
    struct gv_sim_report *report = gv_sim.report;
    bool lived;

    memset(report, 0, sizeof *report);
    (void)snprintf(report->simulation, sizeof report->simulation, "%s",
                   simulation->name); /* It fits. */
    lived = run_all(simulation, wanted);
    if (simulation->canary && lived) {
        (void)printf("%s: %" PRIu64 " seeds, %" PRIu64 " failed as they must, first seed %" PRIu64
                     ", hash %016" PRIx64 "\n",
                     simulation->name, report->n_done, report->n_failed, report->first_failed,
                     report->hash); /* As in usage. */
        return report->n_failed > 0 ? 0 : 1;
    }
    if (!lived || report->n_failed > 0)
        tell_failure(report);
    (void)printf("%s: %" PRIu64 " seeds, %d failed, hash %016" PRIx64 "\n", simulation->name,
                 report->n_done, !lived || report->n_failed > 0, report->hash); /* As in usage. */
    return lived && report->n_failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct wanted wanted = {.n_seeds = SEEDS_DEFAULT};
    int rc = 0;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < N_SIMULATIONS; i++)
            (void)puts(simulations[i]->name); /* As in usage. */
        return 0;
    }
    if (read_arguments(argc, argv, &wanted) != 0) {
        usage(stderr);
        return 2;
    }
    gv_sim.report = mmap(NULL, sizeof *gv_sim.report, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (gv_sim.report == MAP_FAILED) {
        perror("grove-sim");
        return 1;
    }
    if (wanted.simulation != NULL)
        return run_simulation(wanted.simulation, &wanted);
    /* N seeds in all. */
    wanted.n_seeds = (wanted.n_seeds + N_SIMULATIONS - 1) / N_SIMULATIONS;
    for (size_t i = 0; i < N_SIMULATIONS; i++)
        rc |= run_simulation(simulations[i], &wanted);
    return rc;
}
