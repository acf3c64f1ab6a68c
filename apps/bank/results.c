/* Results: whether the bank kept its promises. See results.h. */
#include "apps/bank/results.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct sums {
    const struct bank_shards *shards;
    struct bank_wide *totals;
};

static int add_balance(void *context, const Bank__V1__Balance *balance)
{
    struct sums *sums = context;
    const struct bank_wide amount = {
        .mantissa = balance->amount,
        .scale = sums->shards->scales[balance->commodity],
    };
    struct bank_wide *total = &sums->totals[balance->commodity];

    return bank_wide_add(*total, amount, total);
}

int bank_results_sums_await(const struct bank_shards *shards, struct bank_decimal **result)
{
    size_t n = shards->books->n_commodities;
    struct sums sums = {shards, calloc(n + 1, sizeof *sums.totals)};
    struct bank_decimal *narrow = calloc(n + 1, sizeof *narrow);
    int rc = -ENOMEM;

    if (sums.totals != NULL && narrow != NULL)
        rc = bank_shards_each_await(shards, add_balance, &sums);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = bank_wide_narrow(sums.totals[i], &narrow[i]);
    free(sums.totals);
    if (rc == 0)
        *result = narrow;
    else
        free(narrow);
    return rc;
}

int bank_results_audit_await(const struct bank_shards *shards, struct bank_audit *audit)
{
    int rc = 0;

    *audit = (struct bank_audit){0};
    for (unsigned i = 0; i < BANK_SHARDS && rc == 0; i++) {
        Bank__V1__AuditRequest request = BANK__V1__AUDIT_REQUEST__INIT;
        Bank__V1__AuditResponse response = BANK__V1__AUDIT_RESPONSE__INIT;

        rc = ledger_audit_await(shards->refs[i], &request, &response);
        if (rc != 0)
            break;
        audit->credited += response.credited;
        audit->settled += response.settled;
        audit->released += response.released;
        audit->held += response.held;
        audit->partly_held += response.partly_held;
        audit->below_floor += response.below_floor;
        if (response.below_floor > 0)
            (void)snprintf(audit->lowest, sizeof audit->lowest, "%s",
                           response.lowest); /* A cut name still helps. */
    }
    return rc;
}

__attribute__((format(printf, 2, 3))) static bool broken_by(char *broken, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(broken, BANK_PROMISE_TEXT_MAX, format, arguments); /* It fits, or is cut. */
    va_end(arguments);
    return false;
}

/* Clients stop early only when the time is over, so the last of them then ends behind it. */
static bool time_was_up(const struct bank_results *results)
{
    return results->limit_ns != 0 && results->took_ns >= results->limit_ns;
}

static bool check_answers(const struct bank_results *results, char *broken)
{
    const Bank__V1__SummarizeResponse *got = &results->summary;
    uint64_t answers =
        got->accepted + got->overdrawn + got->screened_out + got->refused_otherwise + got->failed;

    if (!results->complete)
        return broken_by(broken, "a request got no answer: %u of %u clients ended", got->ended,
                         results->n_clients);
    if (answers != got->asked)
        return broken_by(broken, "%" PRIu64 " transfers were asked for, %" PRIu64 " answered",
                         got->asked, answers);
    if (got->asked > results->planned || (got->asked < results->planned && !time_was_up(results)))
        return broken_by(broken, "%" PRIu64 " transfers were planned, %" PRIu64 " asked for",
                         results->planned, got->asked);
    if (got->failed != 0)
        return broken_by(broken, "%" PRIu64 " transfers failed, the first with %s", got->failed,
                         grove_error_name(got->failure));
    if (got->refused_otherwise != 0)
        return broken_by(broken, "%" PRIu64 " transfers were refused for no good reason",
                         got->refused_otherwise);
    return true;
}

/* Each transfer that got as far as the screening was held; it was settled or released, once. */
static bool check_work(const struct bank_results *results, char *broken)
{
    const Bank__V1__SummarizeResponse *got = &results->summary;
    const struct bank_audit *audit = &results->audit;
    uint64_t jobs = results->pool.done + results->pool.failed;

    if (audit->settled != got->accepted || audit->credited != got->accepted)
        return broken_by(broken,
                         "%" PRIu64 " transfers were accepted, %" PRIu64 " credited, %" PRIu64
                         " settled",
                         got->accepted, audit->credited, audit->settled);
    if (audit->held != 0)
        return broken_by(broken, "%" PRIu64 " amounts are still held", audit->held);
    if (audit->partly_held != 0)
        return broken_by(broken, "%" PRIu64 " balances are partly held, for no transfer",
                         audit->partly_held);
    if (audit->released != got->screened_out)
        return broken_by(broken, "%" PRIu64 " payees were refused, %" PRIu64 " amounts released",
                         got->screened_out, audit->released);
    if (got->screenings != audit->settled + audit->released)
        return broken_by(broken, "%" PRIu64 " amounts were held, %" PRIu64 " screenings answered",
                         audit->settled + audit->released, got->screenings);
    if (jobs != got->screenings)
        return broken_by(broken, "the workers answered %" PRIu64 " jobs, %" PRIu64 " arrived", jobs,
                         got->screenings);
    return true;
}

bool bank_results_check(const struct bank_results *results, char broken[BANK_PROMISE_TEXT_MAX])
{
    broken[0] = '\0';
    for (size_t i = 0; i < results->books->n_commodities; i++) {
        if (bank_decimal_compare(results->sums_before[i], results->sums_after[i]) != 0)
            return broken_by(broken, "money was made or lost: the sum of all \"%s\" has changed",
                             results->books->commodities[i].symbol);
    }
    if (results->audit.below_floor != 0)
        return broken_by(broken, "%" PRIu64 " balances are below their floor, one of them of %s",
                         results->audit.below_floor, results->audit.lowest);
    if (!check_answers(results, broken) || !check_work(results, broken))
        return false;
    if (results->n_killed == 0)
        return broken_by(broken, "no worker could be killed midway");
    if (results->pool.restarts == 0)
        return broken_by(broken, "the killed worker was not replaced");
    return true;
}
