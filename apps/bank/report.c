/* Report: the results of a demo. See report.h. */
#include "apps/bank/report.h"

#include <errno.h>
#include <inttypes.h>

#define BUSY_ENOUGH 0.8 /* of the time: then the CPU is the limit */

static int flush(FILE *out)
{
    errno = 0; /* The stream remembers a write that failed before, but not why. */
    if (fflush(out) == 0 && !ferror(out))
        return 0;
    return errno != 0 ? -errno : -EIO;
}

static double seconds_of(uint64_t ns)
{
    return (double)ns / 1e9;
}

static uint64_t declined_of(const struct bank_results *results)
{
    return results->summary.overdrawn + results->summary.screened_out
           + results->summary.refused_otherwise;
}

/* Writes a sum with the decimals it has, and at least those its commodity is shown with. */
static void format_sum(const struct bank_results *results, size_t commodity,
                       struct bank_decimal sum, char text[BANK_DECIMAL_TEXT_MAX])
{
    uint32_t style = results->books->commodities[commodity].style;
    uint8_t places = style != BANK_NONE ? results->books->styles[style].precision : 0;

    if (places < sum.scale)
        places = sum.scale;
    (void)bank_decimal_format(sum, places, text); /* The length is not needed. */
}

static uint64_t longest_turn_of(const struct bank_results *results)
{
    uint64_t longest_ns = 0;

    for (unsigned i = 0; i < results->n_loops; i++)
        if (results->loops[i].longest_turn_ns > longest_ns)
            longest_ns = results->loops[i].longest_turn_ns;
    return longest_ns;
}

/* The share of the time in which the busiest loop got something done. */
static double busiest_of(const struct bank_results *results)
{
    double most = 0;

    for (unsigned i = 0; i < results->n_loops; i++)
        if (results->loops[i].busy - results->loops[i].stalled > most)
            most = results->loops[i].busy - results->loops[i].stalled;
    return most;
}

static const char *kind_of(const struct grove_stall *stall)
{
    static const char *const kinds[GROVE_STALL_KINDS] = {
        [GROVE_STALL_ON_CPU] = "computed",
        [GROVE_STALL_BLOCKED] = "was blocked in",
        [GROVE_STALL_DISK] = "waited for a disk in",
        [GROVE_STALL_STARVED] = "got no CPU",
    };

    return kinds[stall->kind] != NULL ? kinds[stall->kind] : "";
}

/* --- the table -------------------------------------------------------------------------------- */

static void print_latency(FILE *out, const char *name, const Bank__V1__Latency *latency)
{
    fprintf(out, "%-18s %10.1f %10.1f %10.1f\n", name, (double)latency->p50 / 1e3,
            (double)latency->p99 / 1e3, (double)latency->max / 1e3);
}

static void print_sums(FILE *out, const char *name, const struct bank_results *results,
                       const struct bank_decimal *sums)
{
    const struct bank_books *books = results->books;

    for (size_t i = 0; i < books->n_commodities; i++) {
        char text[BANK_DECIMAL_TEXT_MAX];

        format_sum(results, i, sums[i], text);
        fprintf(out, "%-18s %s %s\n", i == 0 ? name : "", text, books->commodities[i].symbol);
    }
}

/* Turns that held a loop up. Where no loop was busy, they are why there was not more. */
static void print_stalls(FILE *out, const struct bank_results *results)
{
    bool busy = busiest_of(results) >= BUSY_ENOUGH;

    if (results->n_stalls == 0) {
        if (!busy)
            fputs(
                "\nNo loop was busy for 80 % of the time, and no turn held one up: the limit is the "
                "workers.\n",
                out);
        return;
    }
    fprintf(out, "\n%surns that held the others up:\n",
            busy ? "T" : "No loop was busy for 80 % of the time. T");
    for (unsigned i = 0; i < results->n_stalls; i++) {
        const struct grove_stall *stall = &results->stalls[i];

        fprintf(out, "%-18s %s: %.0f ms, %s %s", stall->actor, stall->method,
                (double)stall->took_ns / 1e6, kind_of(stall), stall->waits_for);
        if (stall->where[0] != '\0')
            fprintf(out, "%s%s", stall->waits_for[0] != '\0' ? ", " : "", stall->where);
        fprintf(out, "\n%-18s %s\n", "", stall->advice);
    }
}

int bank_report_table(const struct bank_results *results, const char *broken, FILE *out)
{
    const Bank__V1__SummarizeResponse *got = &results->summary;
    double seconds = seconds_of(results->took_ns);

    fprintf(out, "%-18s %" PRIu64 "\n", "accepted", got->accepted);
    fprintf(out, "%-18s %" PRIu64 "  (%" PRIu64 " overdrawn, %" PRIu64 " payees refused)\n",
            "declined", declined_of(results), got->overdrawn, got->screened_out);
    if (got->failed != 0)
        fprintf(out, "%-18s %" PRIu64 "\n", "failed", got->failed);
    fprintf(out, "%-18s %.3f\n", "seconds", seconds);
    fprintf(out, "%-18s %.0f accepted, %.0f answered\n", "per second",
            seconds > 0 ? (double)got->accepted / seconds : 0,
            seconds > 0 ? (double)(got->accepted + declined_of(results)) / seconds : 0);
    fprintf(out, "\n%-18s %10s %10s %10s\n", "microseconds", "p50", "p99", "max");
    print_latency(out, "transfer", got->transfer);
    print_latency(out, "screening", got->screening);
    print_latency(out, "  comparing names", got->screening_work);
    fprintf(out, "\n%-18s %u\n", "workers", results->pool.n_workers);
    fprintf(out, "%-18s %" PRIu64 "  (%u killed on purpose)\n", "worker restarts",
            results->pool.restarts, results->n_killed);
    fprintf(out, "%-18s %" PRIu64 "  (started or only held by a dead worker)\n", "jobs retried",
            results->pool.retried);
    for (unsigned i = 0; i < results->n_loops; i++)
        fprintf(out, "loop %-13u %.1f %% busy, longest turn %.1f microseconds\n", i,
                results->loops[i].busy * 100, (double)results->loops[i].longest_turn_ns / 1e3);
    print_stalls(out, results);
    fputc('\n', out);
    print_sums(out, "sum before", results, results->sums_before);
    print_sums(out, "sum after", results, results->sums_after);
    if (broken[0] == '\0')
        fputs("\nNo money was made or lost, and every request got exactly one answer.\n", out);
    return flush(out);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 32)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void json_sums(FILE *out, const struct bank_results *results,
                      const struct bank_decimal *sums)
{
    for (size_t i = 0; i < results->books->n_commodities; i++) {
        char text[BANK_DECIMAL_TEXT_MAX];

        format_sum(results, i, sums[i], text);
        fputs(i == 0 ? "" : ", ", out);
        json_string(out, results->books->commodities[i].symbol);
        fprintf(out, ": \"%s\"", text);
    }
}

int bank_report_json(const struct bank_results *results, const char *broken, FILE *out)
{
    const Bank__V1__SummarizeResponse *got = &results->summary;

    fprintf(out, "{\"transfers\": %" PRIu64 ", \"declined\": %" PRIu64 ", \"seconds\": %.6f,\n",
            got->accepted, declined_of(results), seconds_of(results->took_ns));
    fprintf(out, " \"transfer_p50_us\": %.3f, \"transfer_p99_us\": %.3f,\n",
            (double)got->transfer->p50 / 1e3, (double)got->transfer->p99 / 1e3);
    fprintf(out, " \"screened\": %" PRIu64 ", \"screen_p50_us\": %.3f, \"screen_p99_us\": %.3f,\n",
            got->screenings, (double)got->screening->p50 / 1e3, (double)got->screening->p99 / 1e3);
    fprintf(out, " \"worker_restarts\": %" PRIu64 ", \"jobs_retried\": %" PRIu64 ",\n",
            results->pool.restarts, results->pool.retried);
    fprintf(out, " \"longest_turn_us\": %.3f, \"loop_busy\": [",
            (double)longest_turn_of(results) / 1e3);
    for (unsigned i = 0; i < results->n_loops; i++)
        fprintf(out, "%s%.4f", i == 0 ? "" : ", ", results->loops[i].busy);
    fputs("], \"loop_stalled\": [", out);
    for (unsigned i = 0; i < results->n_loops; i++)
        fprintf(out, "%s%.4f", i == 0 ? "" : ", ", results->loops[i].stalled);
    fprintf(out, "], \"stalls\": %u", results->n_stalls);
    fputs(",\n \"sum_before\": {", out);
    json_sums(out, results, results->sums_before);
    fputs("},\n \"sum_after\": {", out);
    json_sums(out, results, results->sums_after);
    fprintf(out, "},\n \"ok\": %s}\n", broken[0] == '\0' ? "true" : "false");
    return flush(out);
}
