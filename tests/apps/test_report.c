/* What the report of the demo says of loops that had time left, and of turns that held them up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apps/bank/report.h"

static struct bank_results results;
static struct bank_books books;
static Bank__V1__Latency latency = BANK__V1__LATENCY__INIT;
static char *text;

static int set_up(void **state)
{
    (void)state;
    memset(&results, 0, sizeof results);
    bank__v1__summarize_response__init(&results.summary);
    results.summary.transfer = results.summary.screening = results.summary.screening_work =
        &latency;
    results.books = &books;
    results.n_loops = 1;
    results.loops[0].busy = 0.95;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(text);
    text = NULL;
    return 0;
}

static void report(void)
{
    size_t n_bytes;
    FILE *out = open_memstream(&text, &n_bytes);

    assert_non_null(out);
    assert_int_equal(bank_report_table(&results, "", out), 0);
    assert_int_equal(fclose(out), 0);
}

static void have_a_stall(void)
{
    results.n_stalls = 1;
    results.stalls[0] = (struct grove_stall){
        .number = 1,
        .kind = GROVE_STALL_DISK,
        .took_ns = 38000000,
        .actor = "ledger/3",
        .method = "bank.v1.LedgerService/Apply",
        .waits_for = "fsync of /var/bank",
        .where = "apply at ledger.c:88",
        .advice = "read and write files with the _await functions",
    };
}

static void test_busy_loops_without_stalls_need_no_words(void **state)
{
    (void)state;
    report();
    assert_null(strstr(text, "held the others"));
    assert_null(strstr(text, "held one up"));
}

static void test_idle_loops_without_stalls_point_to_the_workers(void **state)
{
    (void)state;
    results.loops[0].busy = 0.4;
    report();
    assert_non_null(strstr(text, "no turn held one up: the limit is the workers"));
}

static void test_stalls_are_named_where_no_loop_was_busy(void **state)
{
    (void)state;
    /* It counts as busy while it is held up. */
    results.loops[0].stalled = 0.6;
    have_a_stall();
    report();
    assert_non_null(
        strstr(text, "No loop was busy for 80 % of the time. Turns that held the others up:"));
    assert_non_null(strstr(text,
                           "ledger/3           bank.v1.LedgerService/Apply: 38 ms, waited for a "
                           "disk in fsync of /var/bank, apply at ledger.c:88\n"));
    assert_non_null(strstr(text, "read and write files with the _await functions"));
}

static void test_stalls_are_named_where_loops_were_busy_too(void **state)
{
    (void)state;
    have_a_stall();
    report();
    assert_non_null(strstr(text, "\nTurns that held the others up:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_busy_loops_without_stalls_need_no_words, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_idle_loops_without_stalls_point_to_the_workers, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_stalls_are_named_where_no_loop_was_busy, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_stalls_are_named_where_loops_were_busy_too, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
