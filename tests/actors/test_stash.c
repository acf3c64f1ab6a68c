/*
 * Stash: messages put aside and handled later.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/loop.h"
#include "stage.h"

#define SEEN_MAX 16

/* What the actor of a test does, and saw. */
static struct {
    bool opened;
    unsigned n;
    int64_t seen[SEEN_MAX];
    char text[64];
    uint32_t n_stashed;
    int rc, twice;
} shop;

/* Puts aside what comes before it is opened. */
static int act_buy(struct play *me, struct script *script)
{
    (void)me;
    if (!shop.opened) {
        shop.rc = stage_note(script, grove_stash());
        shop.n_stashed = grove_stashed();
        shop.twice = shop.rc == 0 ? grove_stash() : 0;
        return shop.rc == 0 ? 1 : shop.rc; /* 1 would be a refusal, and goes to nobody. */
    }
    if (shop.n < SEEN_MAX)
        shop.seen[shop.n++] = script->number;
    return 0;
}

static int act_open(struct play *me, struct script *script)
{
    (void)me;
    shop.opened = true;
    script->rc = grove_unstash_all();
    return grove_sleep_await(script->ms); /* What comes meanwhile is later. */
}

static int set_up(void **state)
{
    memset(&shop, 0, sizeof shop);
    return stage_set_up(state);
}

static int set_up_two(void **state)
{
    memset(&shop, 0, sizeof shop);
    return stage_set_up_two_loops(state);
}

static void let_pass(uint32_t ms)
{
    assert_int_equal(grove_sleep_await(ms), 0);
}

/* --- in order --------------------------------------------------------------------------------- */

static void test_what_was_put_aside_is_handled_first_and_in_order(void **state)
{
    (void)state;
    struct script buys[6], open = {.act = act_open, .ms = 5};
    grove_ref ref = stage_spawn("shop");

    for (int i = 0; i < 6; i++)
        buys[i] = (struct script){.act = act_buy, .number = i};
    for (int i = 0; i < 4; i++)
        assert_int_equal(stage_send(ref, &buys[i]), 0);
    let_pass(1);
    assert_int_equal(shop.n_stashed, 4);
    assert_int_equal(shop.twice, GROVE_EUSAGE);
    assert_int_equal(stage_send(ref, &open), 0);
    assert_int_equal(stage_send(ref, &buys[4]), 0);
    let_pass(1);
    assert_int_equal(stage_send(ref, &buys[5]), 0);
    let_pass(10);
    assert_int_equal(shop.n, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(shop.seen[i], i);
    assert_int_equal(buys[0].n_runs, 2);
}

static void test_a_call_in_the_stash_is_answered_when_it_is_handled(void **state)
{
    (void)state;
    struct script buy = {.act = act_buy, .number = 9}, open = {.act = act_open};
    grove_ref ref = stage_spawn("shop"), caller = stage_spawn("caller");
    struct script relay = {.act = act_relay, .to = ref, .next = &buy};
    Play__V1__PerformResponse responses[2];
    struct grove_future futures[2];

    /* One comes from an actor, perhaps inline, the other through the mailbox. */
    assert_int_equal(stage_start(caller, &relay, &responses[0], &futures[0]), 0);
    assert_int_equal(stage_start(ref, &buy, &responses[1], &futures[1]), 0);
    let_pass(10);
    assert_false(futures[0].done || futures[1].done);
    assert_int_equal(stage_perform(ref, &open), 0);
    assert_int_equal(grove_future_await(&futures[0]), 0);
    assert_int_equal(grove_future_await(&futures[1]), 0);
    assert_int_equal(responses[1].number, 9);
    assert_int_equal(relay.rc, 0);
}

static int echo_or_stash(struct play *me, const Play__V1__EchoRequest *request,
                         Play__V1__EchoResponse *response)
{
    (void)me;
    if (!shop.opened)
        return grove_stash();
    (void)snprintf(shop.text, sizeof shop.text, "%s/%s", request->text, request->words[0]);
    response->text = request->text;
    return 0;
}

static void test_a_request_with_pointers_is_put_aside_whole(void **state)
{
    (void)state;
    struct play_service functions = stage_player;
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;
    char text[] = "hello", word[] = "world", *words[] = {word};
    struct script open = {.act = act_open};
    struct grove_future future;
    grove_ref ref;

    functions.echo = echo_or_stash;
    request.text = text;
    request.n_words = 1;
    request.words = words;
    assert_int_equal(play_spawn(&functions, NULL, NULL, &ref), 0);
    assert_int_equal(play_echo_start(ref, &request, &response, &future), 0);
    let_pass(1);
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(stage_perform(ref, &open), 0);
    assert_int_equal(grove_future_await(&future), 0);
    assert_string_equal(shop.text, "hello/world");
    assert_string_equal(response.text, "hello");
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0); /* The functions lie here. */
}

static void test_a_stash_holds_as_many_bytes_as_the_mailbox_may(void **state)
{
    (void)state;
    struct play_service functions = stage_player;
    struct grove_spawn_options options = {.bytes_max = 65536};
    Play__V1__EchoRequest request = PLAY__V1__ECHO_REQUEST__INIT;
    Play__V1__EchoResponse response = PLAY__V1__ECHO_RESPONSE__INIT;
    static char text[40000];
    struct grove_future first;
    grove_ref ref;

    functions.echo = echo_or_stash;
    memset(text, 'x', sizeof text - 1);
    request.text = text;
    assert_int_equal(play_spawn(&functions, NULL, &options, &ref), 0);
    assert_int_equal(play_echo_start(ref, &request, &response, &first), 0);
    let_pass(1);
    assert_int_equal(play_echo_await(ref, &request, &response), GROVE_EFULL);
    assert_non_null(strstr(grove_why(), "bytes_max"));
    assert_false(first.done);
    grove_future_cancel(&first);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0); /* The functions lie here. */
}

static int act_tick_later(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

    (void)me;
    request.script = (uintptr_t)script->next;
    return play_perform_after(1, 5, &request);
}

static void test_a_tick_may_be_put_aside_and_outlives_its_timer(void **state)
{
    (void)state;
    struct script buy = {.act = act_buy, .number = 3}, open = {.act = act_open},
                  arm = {.act = act_tick_later, .next = &buy};
    grove_ref ref = stage_spawn("shop");

    assert_int_equal(stage_perform(ref, &arm), 0);
    let_pass(10);
    assert_int_equal(shop.n_stashed, 1);
    assert_int_equal(stage_perform(ref, &open), 0);
    let_pass(1);
    assert_int_equal(shop.n, 1);
    assert_int_equal(shop.seen[0], 3);
}

/* --- bounds and ends -------------------------------------------------------------------------- */

static void test_a_stash_holds_as_much_as_the_mailbox_may(void **state)
{
    (void)state;
    struct script buy = {.act = act_buy}, open = {.act = act_open};
    grove_ref ref = stage_spawn_bounded(3, 0);

    for (int i = 0; i < 3; i++) {
        assert_int_equal(stage_send(ref, &buy), 0);
        let_pass(1);
    }
    assert_int_equal(stage_perform(ref, &buy), GROVE_EFULL);
    assert_non_null(strstr(grove_why(), "depth_max"));
    assert_int_equal(stage_perform(ref, &open), 0);
    let_pass(1);
    assert_int_equal(shop.n, 3);
}

static void test_a_caller_that_leaves_is_taken_out_of_the_stash(void **state)
{
    (void)state;
    struct script buy = {.act = act_buy, .number = 1}, open = {.act = act_open};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn("shop");

    grove_within(20);
    assert_int_equal(stage_start(ref, &buy, &response, &future), 0);
    let_pass(1);
    assert_int_equal(shop.n_stashed, 1);
    assert_int_equal(grove_future_await(&future), GROVE_ETIMEDOUT);
    assert_int_not_equal(grove_failure()->started, GROVE_STARTED_NO); /* A handler has seen it. */
    /* The next one leaves before its deadline. */
    assert_int_equal(stage_start(ref, &buy, &response, &future), 0);
    let_pass(1);
    assert_int_equal(shop.n_stashed, 1);
    grove_future_cancel(&future);
    assert_int_equal(stage_perform(ref, &open), 0);
    let_pass(1);
    assert_int_equal(shop.n, 0);
    assert_int_equal(buy.n_runs, 2);
}

static int act_open_late(struct play *me, struct script *script)
{
    stage_pass_ms(script->ms);
    script->ms = 0;
    return act_open(me, script);
}

static void test_what_has_expired_in_the_stash_is_not_handled(void **state)
{
    (void)state;
    struct script buy = {.act = act_buy, .number = 1}, open = {.act = act_open_late, .ms = 30};
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn("shop");

    grove_within(20);
    assert_int_equal(stage_start(ref, &buy, &response, &future), 0);
    let_pass(1);
    assert_int_equal(shop.n_stashed, 1);
    /* Its time is over when it is put back, and its caller could not leave before. */
    assert_int_equal(stage_send(ref, &open), 0);
    assert_int_equal(grove_future_await(&future), GROVE_ETIMEDOUT);
    let_pass(1);
    assert_int_equal(shop.n, 0);
    assert_int_equal(buy.n_runs, 1);
}

static int act_send(struct play *me, struct script *script)
{
    (void)me;
    return stage_send(script->to, script->next);
}

static void test_a_letter_from_the_stash_says_who_sent_it(void **state)
{
    (void)state;
    grove_ref ref = stage_spawn("shop"), sender = stage_spawn("sender");
    struct script buy = {.act = act_buy}, send = {.act = act_send, .to = ref, .next = &buy};
    struct grove_dead_letter letter = {0};

    assert_int_equal(stage_perform(sender, &send), 0);
    let_pass(1);
    assert_int_equal(shop.n_stashed, 1);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_NOW), 0);
    assert_int_equal(grove_dead_letters_last(&letter, 1), 1);
    assert_true(grove_ref_equal(letter.to, ref));
    assert_true(grove_ref_equal(letter.from, sender));
}

static void test_the_end_of_an_actor_fails_the_calls_in_its_stash(void **state)
{
    (void)state;
    struct script buy = {.act = act_buy};
    struct grove_loop_stats before, after;
    Play__V1__PerformResponse response;
    struct grove_future future;
    grove_ref ref = stage_spawn("shop");

    assert_int_equal(grove_loop_stats(0, &before), 0);
    assert_int_equal(stage_start(ref, &buy, &response, &future), 0);
    assert_int_equal(stage_send(ref, &buy), 0);
    let_pass(1);
    assert_int_equal(grove_stop_await(ref, GROVE_STOP_DRAIN), 0);
    assert_int_equal(grove_future_await(&future), GROVE_EDOWN);
    assert_int_equal(grove_failure()->started, GROVE_STARTED_YES);
    assert_int_equal(grove_loop_stats(0, &after), 0);
    assert_true(after.dead_letters > before.dead_letters);
}

static void test_only_handlers_have_a_stash(void **state)
{
    (void)state;
    assert_int_equal(grove_stash(), GROVE_EUSAGE);
    assert_non_null(strstr(grove_why(), "only the handler of an actor"));
    assert_int_equal(grove_unstash_all(), GROVE_EUSAGE);
    assert_int_equal(grove_stashed(), 0);
}

/* --- lent ------------------------------------------------------------------------------------- */

static int act_count(struct play *me, struct script *script)
{
    if (script->number % 3 == 0 && script->n_runs == 1)
        return grove_stash();
    if (script->number % 7 == 0)
        (void)grove_unstash_all(); /* In a handler it cannot fail. */
    me->total++;
    return 0;
}

static void test_nothing_is_lost_or_doubled_however_the_actor_is_lent(void **state)
{
    (void)state;
    enum { ROUNDS = 2000 };
    static struct script scripts[ROUNDS + 1];
    grove_ref ref = stage_spawn("shop"), other = stage_spawn("other");
    int64_t total = 0;

    for (int64_t i = 1; i <= ROUNDS; i++) {
        scripts[i] = (struct script){.act = act_count, .number = i};
        while (stage_send(ref, &scripts[i]) != 0)
            let_pass(1);
        assert_int_equal(stage_add(other, 1, NULL), 0); /* so that there is something to lend */
    }
    scripts[0] = (struct script){.act = act_count, .number = 7};
    assert_int_equal(stage_perform(ref, &scripts[0]), 0);
    assert_int_equal(stage_add(ref, 0, &total), 0);
    assert_int_equal(total, ROUNDS + 1);
    for (int64_t i = 1; i <= ROUNDS; i++)
        assert_int_equal(scripts[i].n_runs, i % 3 == 0 ? 2 : 1);
}

#define one_loop(test)  cmocka_unit_test_setup_teardown(test, set_up, stage_tear_down)
#define two_loops(test) cmocka_unit_test_setup_teardown(test, set_up_two, stage_tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        one_loop(test_what_was_put_aside_is_handled_first_and_in_order),
        one_loop(test_a_call_in_the_stash_is_answered_when_it_is_handled),
        one_loop(test_a_request_with_pointers_is_put_aside_whole),
        one_loop(test_a_tick_may_be_put_aside_and_outlives_its_timer),
        one_loop(test_a_stash_holds_as_much_as_the_mailbox_may),
        one_loop(test_a_stash_holds_as_many_bytes_as_the_mailbox_may),
        one_loop(test_a_caller_that_leaves_is_taken_out_of_the_stash),
        one_loop(test_what_has_expired_in_the_stash_is_not_handled),
        one_loop(test_the_end_of_an_actor_fails_the_calls_in_its_stash),
        one_loop(test_a_letter_from_the_stash_says_who_sent_it),
        one_loop(test_only_handlers_have_a_stash),
        two_loops(test_nothing_is_lost_or_doubled_however_the_actor_is_lent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
