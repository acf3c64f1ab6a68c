/*
 * Books: what a journal comes to.
 *
 * Journals stand in the tests as text. What they come to is compared as the
 * report that hledger would print; books_against_hledger.sh asks hledger itself.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/apps/expect_books.h"

static void test_an_empty_journal_has_no_balances(void **state)
{
    (void)state;
    expect_report("", "");
    expect_report("\n ; x\n# y\n* z\n\t\n", "");
}

static void test_an_elided_amount_is_what_is_missing(void **state)
{
    (void)state;
    expect_report("2020-01-01 x\n  a  $1.50\n  b\n", "               $1.50  a\n"
                                                     "              $-1.50  b\n");
}

static void test_an_elided_amount_may_be_of_several_commodities(void **state)
{
    (void)state;
    expect_report("2020-01-01\n  a  1 A\n  a  2 B\n  b\n", "                 1 A\n"
                                                           "                 2 B  a\n"
                                                           "                -1 A\n"
                                                           "                -2 B  b\n");
}

static void test_an_elided_amount_keeps_full_precision(void **state)
{
    (void)state;
    expect_csv("commodity 1. B\n2020-01-01\n  a  3 A @ 0.333 B\n  b\n2020-01-01\n  b  1001 B @@ "
               "1001 B\n  c  -1000.001 B\n  d\n",
               "account,commodity,amount\na,A,3\nb,B,1000\nc,B,-1000\nd,B,-1\n");
}

static void test_dates_come_in_all_their_forms(void **state)
{
    struct bank_books_source source = {.name = "t", .year = 1999};
    struct bank_books *books;
    struct bank_error error;

    (void)state;
    source.text = "2008-01-31 a\n2008/1/31 b\n2008.1.31=2.3 c\n1/31 d\nY2009\n1-31\n";
    source.length = strlen(source.text);
    assert_int_equal(bank_books_read_text(&source, &books, &error), 0);
    assert_int_equal(books->n_transactions, 5);
    assert_int_equal(books->transactions[0].date, 19990131);
    assert_string_equal(books->transactions[0].description, "d");
    for (size_t i = 1; i <= 3; i++)
        assert_int_equal(books->transactions[i].date, 20080131);
    assert_int_equal(books->transactions[4].date, 20090131);
    bank_books_free(books);
}

static void test_status_code_and_description_are_kept(void **state)
{
    struct bank_books_source source = {.name = "t", .year = 1999};
    struct bank_books *books;
    struct bank_error error;

    (void)state;
    source.text = "2008-01-31 ! (12 a)  Shop  | food ; c\n  * a  1\n  ! b\n  c  0\n";
    source.length = strlen(source.text);
    assert_int_equal(bank_books_read_text(&source, &books, &error), 0);
    assert_int_equal(books->transactions[0].status, '!');
    assert_string_equal(books->transactions[0].code, "12 a");
    assert_string_equal(books->transactions[0].description, "Shop  | food");
    assert_int_equal(books->transactions[0].line, 1);
    assert_int_equal(books->postings[0].status, '*');
    assert_int_equal(books->postings[1].status, '!');
    assert_int_equal(books->postings[2].status, ' ');
    bank_books_free(books);
}

static void test_transactions_are_replayed_by_date_then_as_written(void **state)
{
    struct bank_books_source source = {.name = "t"};
    struct bank_books *books;
    struct bank_error error;

    (void)state;
    source.text = "2020-02-01 b\n2020-01-01 a\n2020-02-01 c\n";
    source.length = strlen(source.text);
    assert_int_equal(bank_books_read_text(&source, &books, &error), 0);
    assert_string_equal(books->transactions[0].description, "a");
    assert_string_equal(books->transactions[1].description, "b");
    assert_string_equal(books->transactions[2].description, "c");
    assert_int_equal(books->transactions[2].number, 2);
    bank_books_free(books);
}

static void test_comments_are_skipped(void **state)
{
    (void)state;
    expect_report("; a\n# b\n* c\n  ; d\ncomment\n2020-01-01 not read\n  a  1\nend comment\n"
                  "2020-01-01 x ; e\n  ; f\n  a  1  ; g\n  ; h\n  b\ncomment\nto the end\n",
                  "                   1  a\n"
                  "                  -1  b\n");
}

static void test_symbols_stand_left_or_right_and_may_be_quoted(void **state)
{
    (void)state;
    expect_report("2020-01-01\n  a  $ -1\n  a  -€2\n  a  3.0 \"b 2\"\n  a  4h\n  b\n",
                  "                $ -1\n"
                  "           3.0 \"b 2\"\n"
                  "                  4h\n"
                  "                 €-2  a\n"
                  "                 $ 1\n"
                  "          -3.0 \"b 2\"\n"
                  "                 -4h\n"
                  "                  €2  b\n");
}

static void test_digit_groups_are_read_and_shown(void **state)
{
    (void)state;
    expect_report("2020-01-01\n  a  $1,000,000.00\n  b  $-1000000\n", "       $1,000,000.00  a\n"
                                                                      "      $-1,000,000.00  b\n");
    expect_report("2020-01-01\n  a  1.000.000,00 A\n  b\n", "      1.000.000,00 A  a\n"
                                                            "     -1.000.000,00 A  b\n");
    expect_report("2020-01-01\n  a  1 000.00 A\n  b\n", "          1 000.00 A  a\n"
                                                        "         -1 000.00 A  b\n");
    expect_report("commodity 1,00,000.0 A\n2020-01-01\n  a  123456789 A\n  b\n",
                  "    12,34,56,789.0 A  a\n"
                  "   -12,34,56,789.0 A  b\n");
}

static void test_a_single_separator_is_decimal_unless_a_directive_says_no(void **state)
{
    (void)state;
    expect_csv("2020-01-01\n  a  $1,000\n  b\n",
               "account,commodity,amount\na,$,1.000\nb,$,-1.000\n");
    expect_csv("commodity $1,000.00\n2020-01-01\n  a  $1,000\n  b\n",
               "account,commodity,amount\na,$,1000.00\nb,$,-1000.00\n");
    expect_csv("decimal-mark .\n2020-01-01\n  a  $1,000\n  b\n",
               "account,commodity,amount\na,$,1000\nb,$,-1000\n");
    expect_csv("D $1,000.00\n2020-01-01\n  a  1,000\n  b\n",
               "account,commodity,amount\na,$,1000.00\nb,$,-1000.00\n");
}

static void test_exponents_are_read(void **state)
{
    (void)state;
    expect_csv("2020-01-01\n  a  1.5e3 A\n  a  2E-3 B\n  b\n",
               "account,commodity,amount\na,A,1500\na,B,0.002\nb,A,-1500\nb,B,-0.002\n");
}

static void test_prices_balance_at_cost(void **state)
{
    (void)state;
    expect_report("2020-01-01\n  a  2 A @ $1.25\n  b  $-2.50\n", "                 2 A  a\n"
                                                                 "              $-2.50  b\n");
    expect_report("2020-01-01\n  a  -2 A @@ $2.50\n  b  $2.50\n", "                -2 A  a\n"
                                                                  "               $2.50  b\n");
    expect_report("2020-01-01\n  a  2 A {$1} [2019-01-01] (@) $1.25\n  b\n",
                  "                 2 A  a\n"
                  "              $-2.50  b\n");
}

static void test_two_commodities_are_taken_as_exchanged(void **state)
{
    (void)state;
    expect_report("2020-01-01\n  a  3 A\n  b  $-10\n", "                 3 A  a\n"
                                                       "                $-10  b\n");
}

static void test_a_transaction_balances_at_the_precision_shown(void **state)
{
    (void)state;
    expect_report("2020-01-01\n  a  3 A @ $0.335\n  b  $-1.00\n", "                 3 A  a\n"
                                                                  "              $-1.00  b\n");
    expect_refusal("2020-01-01\n  a  3 A @ $0.336\n  b  $-1.00\n", "1:1", "does not balance");
    expect_report("commodity $1.\n2020-01-01\n  a  $1.50\n  b  $-1.00\n",
                  "                  $2  a\n"
                  "                 $-1  b\n");
}

static void test_a_commodity_only_in_prices_keeps_its_own_precision(void **state)
{
    (void)state;
    expect_report("2020-01-01\n  a  1 A @ $0.333\n  b\n2020-01-01\n  c  2 A @@ $1\n  d\n",
                  "                 1 A  a\n"
                  "             $-0.333  b\n"
                  "                 2 A  c\n"
                  "                 $-1  d\n");
}

static void test_directives_shape_what_follows(void **state)
{
    (void)state;
    expect_report("account z\naccount b\naccount a:z\nalias x=a:c\napply account top\n"
                  "2020-01-01\n  a  1\n  b\nend apply account\nend aliases\n"
                  "alias x=a\n2020-01-01\n  x:q  1\n  z\n",
                  "                  -1  z\n"
                  "                   1  a:q\n"
                  "                   1  top:a\n"
                  "                  -1  top:b\n");
}

static void test_harmless_directives_are_read(void **state)
{
    (void)state;
    expect_report("payee x ; y\ntag t\nend tag\npop\nN $\nC 1 A = 2 B\n!Y 2020\n"
                  "account a  ; type:A\n  note below\ncommodity h\n  format 1.0 h ; c\n"
                  "P 2020-01-01 10:30:00 $ 1.2 €\n",
                  "");
}

static void test_prices_are_kept(void **state)
{
    struct bank_books_source source = {.name = "t", .text = "P 2020-01-02 EUR $1.25\n"};
    struct bank_books *books;
    struct bank_error error;

    (void)state;
    source.length = strlen(source.text);
    assert_int_equal(bank_books_read_text(&source, &books, &error), 0);
    assert_int_equal(books->n_prices, 1);
    assert_int_equal(books->prices[0].date, 20200102);
    assert_string_equal(books->commodities[books->prices[0].commodity].symbol, "EUR");
    assert_string_equal(books->commodities[books->prices[0].price_commodity].symbol, "$");
    assert_int_equal(books->prices[0].price.mantissa, 125);
    bank_books_free(books);
}

static void test_accounts_know_whether_they_were_declared_and_used(void **state)
{
    struct bank_books_source source = {.name = "t"};
    struct bank_books *books;
    struct bank_error error;

    (void)state;
    source.text = "account b\n2020-01-01\n  a:x  1\n  a\n";
    source.length = strlen(source.text);
    assert_int_equal(bank_books_read_text(&source, &books, &error), 0);
    assert_int_equal(books->n_accounts, 3);
    for (size_t i = 0; i < books->n_accounts; i++) {
        bool is_b = strcmp(books->accounts[i].name, "b") == 0;

        assert_int_equal(books->accounts[i].declared, is_b);
        assert_int_equal(books->accounts[i].used, !is_b);
        if (is_b)
            assert_int_equal(books->accounts[i].sort_order, 0);
    }
    bank_books_free(books);
}

static void test_assertions_hold_in_the_order_of_dates(void **state)
{
    (void)state;
    expect_report("2020-02-01\n  a  1 = 3\n  b\n2020-01-01\n  a  2 = 2\n  b  = -2\n",
                  "                   3  a\n"
                  "                  -3  b\n");
    expect_refusal("2020-01-01\n  a  1 = 2\n  b\n", "2:8", "assertion fails, a has 1");
}

static void test_an_assertion_sees_the_posting_date(void **state)
{
    (void)state;
    expect_report("2020-01-01\n  a  1 ; date:2020-03-01\n  b\n2020-02-01\n  a  1 = 1\n  b\n",
                  "                   2  a\n"
                  "                  -2  b\n");
}

static void test_total_assertions_look_at_all_commodities(void **state)
{
    (void)state;
    expect_report("2020-01-01\n  a  1 A = 1 A\n  a  1 B = 1 B\n  b\n", "                 1 A\n"
                                                                       "                 1 B  a\n"
                                                                       "                -1 A\n"
                                                                       "                -1 B  b\n");
    expect_refusal("2020-01-01\n  a  1 A\n  a  1 B == 1 B\n  b\n", "3:10", "a has 1 A and not 0");
}

static void test_inclusive_assertions_look_at_subaccounts(void **state)
{
    (void)state;
    expect_report("2020-01-01\n  a:x  1\n  ax   5\n  a  1 =* 2\n  b\n",
                  "                   1  a\n"
                  "                   1  a:x\n"
                  "                   5  ax\n"
                  "                  -7  b\n");
    expect_refusal("2020-01-01\n  a:x  1\n  a  1 ==* 1\n  b\n", "3:8", "a has 2");
}

static void test_assignments_set_the_balance(void **state)
{
    (void)state;
    expect_report("2020-01-01\n  a  5\n  b\n2020-01-02\n  a  = 3\n  c\n",
                  "                   3  a\n"
                  "                  -5  b\n"
                  "                   2  c\n");
    expect_report("2020-01-01\n  a  5 A\n  a  1 B\n  b\n2020-01-02\n  a  == 3 A\n  c\n",
                  "                 3 A  a\n"
                  "                -5 A\n"
                  "                -1 B  b\n"
                  "                 2 A\n"
                  "                 1 B  c\n");
    expect_report("2020-01-01\n  a:x  5\n  b\n2020-01-02\n  a  =* 3\n  c\n",
                  "                  -2  a\n"
                  "                   5  a:x\n"
                  "                  -5  b\n"
                  "                   2  c\n");
}

static void test_an_assigned_amount_shows_its_own_decimals(void **state)
{
    (void)state;
    expect_report("commodity $1.00\n2020-01-01\n  a   = $5.123\n  b\n",
                  "              $5.123  a\n"
                  "              $-5.12  b\n");
    expect_report("2020-01-01\n  a  = $7\n  b\n2020-01-02\n  c  $1.00\n  d\n",
                  "                  $7  a\n"
                  "              $-7.00  b\n"
                  "               $1.00  c\n"
                  "              $-1.00  d\n");
}

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)strcpy(folder, "/tmp/test_books.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -r '%s'", folder);
    return system(command);
}

static const char *path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *out = fopen(path_of(name), "w");

    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void expect_file_refusal(const char *name, const char *wanted)
{
    struct bank_books *books;
    struct bank_error error;
    char message[BANK_PATH_MAX + BANK_ERROR_TEXT_MAX];

    assert_true(bank_books_read(path_of(name), &books, &error) < 0);
    (void)bank_error_format(&error, message, sizeof(message));
    if (!strstr(message, wanted))
        fail_msg("wanted %s, got %s", wanted, message);
}

static void test_includes_are_relative_and_sorted(void **state)
{
    struct bank_books *books;
    struct bank_error error;

    (void)state;
    write_file("main.journal", "Y2001\ninclude part-*.journal\n1/1 after\n");
    write_file("part-b.journal", "1/1 b\n");
    write_file("part-a.journal", "1/1 a\nY2002\n1/1 later\n");
    assert_int_equal(bank_books_read(path_of("main.journal"), &books, &error), 0);
    assert_int_equal(books->n_transactions, 4);
    assert_string_equal(books->transactions[0].description, "a");
    assert_string_equal(books->transactions[1].description, "b");
    assert_string_equal(books->transactions[2].description, "after");
    assert_string_equal(books->transactions[3].description, "later");
    assert_int_equal(books->n_files, 3);
    bank_books_free(books);
}

static void test_an_error_in_an_included_file_names_that_file(void **state)
{
    (void)state;
    write_file("outer.journal", "\ninclude inner.journal\n");
    write_file("inner.journal", "\n\nfoo\n");
    expect_file_refusal("outer.journal", "inner.journal:3:1: neither");
}

static void test_includes_that_go_round_are_refused(void **state)
{
    (void)state;
    write_file("round.journal", "include ./round2.journal\n");
    write_file("round2.journal", "include round.journal\n");
    expect_file_refusal("round.journal", "round2.journal:1:9: ");
}

static void test_includes_that_cannot_be_read_are_refused(void **state)
{
    (void)state;
    write_file("missing.journal", "include not-there\n");
    expect_file_refusal("missing.journal", "missing.journal:1:9: cannot read");
    write_file("nomatch.journal", "include not*there\n");
    expect_file_refusal("nomatch.journal", "nomatch.journal:1:9: no file matches");
    write_file("folder.journal", "include .\n");
    expect_file_refusal("folder.journal", "folder.journal:1:9: cannot read");
    write_file("csv.journal", "include x.csv\n");
    expect_file_refusal("csv.journal", "csv.journal:1:9: only journals");
    write_file("deep.journal", "include **/x\n");
    expect_file_refusal("deep.journal", "deep.journal:1:9: ** and <>");
    write_file("user.journal", "include ~somebody/x\n");
    expect_file_refusal("user.journal", "user.journal:1:9: this home folder");
}

static void test_a_main_file_that_cannot_be_read_is_refused(void **state)
{
    (void)state;
    expect_file_refusal("nowhere", "nowhere: cannot read it: No such file");
    expect_file_refusal(".", "/.: cannot read it: Is a directory");
}

static void test_dates_of_options_are_parsed(void **state)
{
    bank_date date;

    (void)state;
    assert_int_equal(bank_date_parse("2020-02-29", &date), 0);
    assert_int_equal(date, 20200229);
    assert_int_equal(bank_date_parse("2020/3/1", &date), 0);
    assert_int_equal(bank_date_parse("2020-02-30", &date), -EINVAL);
    assert_int_equal(bank_date_parse("2020-02", &date), -EINVAL);
    assert_int_equal(bank_date_parse("2020-02-02x", &date), -EINVAL);
    assert_int_equal(bank_date_parse("20-02-02", &date), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_journal_has_no_balances),
        cmocka_unit_test(test_an_elided_amount_is_what_is_missing),
        cmocka_unit_test(test_an_elided_amount_may_be_of_several_commodities),
        cmocka_unit_test(test_an_elided_amount_keeps_full_precision),
        cmocka_unit_test(test_dates_come_in_all_their_forms),
        cmocka_unit_test(test_status_code_and_description_are_kept),
        cmocka_unit_test(test_transactions_are_replayed_by_date_then_as_written),
        cmocka_unit_test(test_comments_are_skipped),
        cmocka_unit_test(test_symbols_stand_left_or_right_and_may_be_quoted),
        cmocka_unit_test(test_digit_groups_are_read_and_shown),
        cmocka_unit_test(test_a_single_separator_is_decimal_unless_a_directive_says_no),
        cmocka_unit_test(test_exponents_are_read),
        cmocka_unit_test(test_prices_balance_at_cost),
        cmocka_unit_test(test_two_commodities_are_taken_as_exchanged),
        cmocka_unit_test(test_a_transaction_balances_at_the_precision_shown),
        cmocka_unit_test(test_a_commodity_only_in_prices_keeps_its_own_precision),
        cmocka_unit_test(test_directives_shape_what_follows),
        cmocka_unit_test(test_harmless_directives_are_read),
        cmocka_unit_test(test_prices_are_kept),
        cmocka_unit_test(test_accounts_know_whether_they_were_declared_and_used),
        cmocka_unit_test(test_assertions_hold_in_the_order_of_dates),
        cmocka_unit_test(test_an_assertion_sees_the_posting_date),
        cmocka_unit_test(test_total_assertions_look_at_all_commodities),
        cmocka_unit_test(test_inclusive_assertions_look_at_subaccounts),
        cmocka_unit_test(test_assignments_set_the_balance),
        cmocka_unit_test(test_an_assigned_amount_shows_its_own_decimals),
        cmocka_unit_test(test_includes_are_relative_and_sorted),
        cmocka_unit_test(test_an_error_in_an_included_file_names_that_file),
        cmocka_unit_test(test_includes_that_go_round_are_refused),
        cmocka_unit_test(test_includes_that_cannot_be_read_are_refused),
        cmocka_unit_test(test_a_main_file_that_cannot_be_read_is_refused),
        cmocka_unit_test(test_dates_of_options_are_parsed),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
