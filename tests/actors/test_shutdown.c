/*
 * The end of a process that is asked to stop: who is told what, and when.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "stage.h"

#include "actors/shutdown.h"
#include "runtime/runtime.h"

#define NEVER_MS 1000000u

/* --- asked ------------------------------------------------------------------------------------ */

struct asker {
    uint32_t after_ms, again_ms; /* 0: not */
    bool was_terminating;
};

static void go_ask(void *argument)
{
    struct asker *asker = argument;

    (void)grove_sleep_await(asker->after_ms);
    grove_terminate();
    asker->was_terminating = grove_terminating();
    if (asker->again_ms == 0)
        return;
    (void)grove_sleep_await(asker->again_ms);
    grove_terminate();
}

static struct asker asker;

static void ask_in(uint32_t after_ms, uint32_t again_ms)
{
    asker = (struct asker){.after_ms = after_ms, .again_ms = again_ms};
    assert_int_equal(grove_go(go_ask, &asker, NULL, NULL), 0);
}

static void test_main_waits_until_the_process_is_asked_to_stop(void **state)
{
    unsigned long long begin_ms;

    (void)state;
    stage_open();
    ask_in(30, 0);
    begin_ms = stage_now_ms();
    assert_false(grove_terminating());
    assert_int_equal(grove_terminated_await(), 0);
    assert_in_range(stage_now_ms() - begin_ms, 30, 33);
    assert_true(asker.was_terminating);
    assert_int_equal(grove_terminated_await(), 0); /* It stays so. */
    stage_close();
    assert_false(grove_terminating());
}

static void go_kill(void *argument)
{
    (void)grove_sleep_await(1);
    (void)kill(getpid(), *(const int *)argument);
}

static void test_sigterm_and_sigint_ask_on_every_run(void **state)
{
    static int signals[] = {SIGTERM, SIGINT};

    (void)state;
    for (int i = 0; i < 2; i++) {
        stage_open_loops(2);
        assert_int_equal(grove_go(go_kill, &signals[i], NULL, NULL), 0);
        assert_int_equal(grove_terminated_await(), signals[i]);
        stage_close();
    }
}

static int wait_for_end(struct play *me, struct script *script)
{
    (void)me;
    script->rc = grove_terminated_await();
    return grove_run_await() == GROVE_EUSAGE && grove_drain_await(1) == GROVE_EUSAGE ? 0 : -EIO;
}

static void test_only_main_waits_for_it(void **state)
{
    struct script script = {.act = wait_for_end};

    (void)state;
    stage_open();
    assert_int_equal(stage_perform(stage_spawn(NULL), &script), 0);
    assert_int_equal(script.rc, GROVE_EUSAGE);
    stage_close();
}

/* --- drain ------------------------------------------------------------------------------------ */

static struct script naps[20], calls[20];

static void test_what_is_under_way_ends_before_anything_is_stopped(void **state)
{
    unsigned long long begin_ms;

    (void)state;
    stage_open();
    for (int i = 0; i < 20; i++) {
        naps[i] = (struct script){.act = act_nap, .ms = 100 + (uint32_t)i};
        calls[i] = (struct script){.act = act_relay, .to = stage_spawn(NULL), .next = &naps[i]};
        assert_int_equal(stage_send(stage_spawn(NULL), &calls[i]), 0);
        /* Mail behind a handler that waits is work, too. */
        assert_int_equal(stage_send(calls[i].to, &naps[i]), 0);
    }
    ask_in(10, 0);
    begin_ms = stage_now_ms();
    assert_int_equal(grove_run_await(), 0);
    assert_in_range(stage_now_ms() - begin_ms, 200, 350);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(calls[i].n_ends, 1);
        assert_int_equal(calls[i].rc, 0);
        assert_int_equal(naps[i].n_ends, 2);
    }
    stage_close();
}

static int act_compute(struct play *me, struct script *script)
{
    (void)me;
    for (volatile unsigned i = 0; i < 50000; i++)
        script->number++;
    return 0;
}

/* Looks come between bursts, when nobody runs and all that there is lies in a mailbox. */
static void test_the_drain_waits_for_mail_of_another_loop(void **state)
{
    static struct script many;
    grove_ref ref;

    (void)state;
    many = (struct script){.act = act_compute};
    stage_open_loops(2);
    ref = stage_spawn_on(1, NULL);
    for (int i = 0; i < 500; i++)
        assert_int_equal(stage_send(ref, &many), 0);
    assert_int_equal(grove_drain_await(60000), 0);
    assert_int_equal(many.n_ends, 500);
    stage_close();
}

static _Atomic bool is_computing;
static struct script message_of_the_last_moment;

/* On the CPU while the first look finds the other loop quiet; then gives that one work. */
static int compute_and_send(struct play *me, struct script *script)
{
    unsigned long long began_ms = stage_now_ms();

    (void)me;
    is_computing = true;
    while (stage_now_ms() - began_ms < script->ms)
        continue;
    return stage_send(script->to, script->next);
}

static void test_the_drain_looks_again_since_loops_are_not_seen_at_one_moment(void **state)
{
    static struct script sends;

    (void)state;
    stage_open_loops_unlent(2);
    message_of_the_last_moment = (struct script){.act = act_nap, .ms = 30};
    sends = (struct script){.act = compute_and_send,
                            .ms = 20,
                            .to = stage_spawn_on(0, NULL),
                            .next = &message_of_the_last_moment};
    is_computing = false;
    assert_int_equal(stage_send(stage_spawn_on(1, NULL), &sends), 0);
    while (!is_computing)
        assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(grove_drain_await(60000), 0);
    assert_int_equal(message_of_the_last_moment.n_ends, 1);
    stage_close();
}

static grove_token later;

static int act_answer(struct play *me, struct script *script)
{
    Play__V1__PerformResponse response = PLAY__V1__PERFORM_RESPONSE__INIT;

    (void)me;
    (void)script;
    return play_perform_reply(&later, 0, &response);
}

/* Answers by a tick. */
static int act_answer_later(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

    (void)me;
    request.script = (uintptr_t)script->next;
    return grove_reply_defer(&later) != 0 ? -EIO : play_perform_after(1, script->ms, &request);
}

static void test_the_drain_waits_for_greenlets_that_wait_for_an_answer(void **state)
{
    struct script answer = {.act = act_answer},
                  asked = {.act = act_answer_later, .ms = 50, .next = &answer},
                  asks = {.next = &asked};

    (void)state;
    stage_open();
    asks.to = stage_spawn(NULL);
    assert_int_equal(grove_go(go_relay, &asks, NULL, NULL), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(asked.n_ends, 1); /* No handler runs, and no mail waits. */
    assert_int_equal(grove_drain_await(1000), 0);
    assert_int_equal(asks.n_ends, 1);
    assert_int_equal(asks.rc, 0);
    stage_close();
}

static void go_sleep(void *unused)
{
    (void)unused;
    (void)grove_sleep_await(NEVER_MS);
}

static void go_receive(void *unused)
{
    struct grove_letter letter;

    (void)unused;
    (void)grove_receive_await(GROVE_INFINITE, &letter);
}

static void test_the_drain_does_not_wait_for_those_who_sleep_or_receive(void **state)
{
    unsigned long long begin_ms;

    (void)state;
    stage_open();
    assert_int_equal(grove_go(go_sleep, NULL, NULL, NULL), 0);
    assert_int_equal(grove_go(go_receive, NULL, NULL, NULL), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    begin_ms = stage_now_ms();
    assert_int_equal(grove_drain_await(1000), 0);
    assert_in_range(stage_now_ms() - begin_ms, 0, 50);
    stage_close();
}

static void test_the_drain_ends_at_half_of_the_time_and_all_at_its_end(void **state)
{
    unsigned long long begin_ms, drained_ms;

    (void)state;
    stage_open_with("stop_ms", "1000");
    naps[0] = (struct script){.act = act_nap, .ms = NEVER_MS};
    assert_int_equal(stage_send(stage_spawn(NULL), &naps[0]), 0);
    ask_in(10, 0);
    assert_int_equal(grove_terminated_await(), 0);
    begin_ms = stage_now_ms();
    assert_int_equal(grove_run_await(), GROVE_ETIMEDOUT);
    drained_ms = stage_now_ms();
    assert_in_range(drained_ms - begin_ms, 490, 540);
    assert_int_equal(grove_deinit(), 0);
    /* Its await failed when an eighth of the rest was over. */
    assert_int_equal(naps[0].rc, GROVE_ECANCELED);
    assert_in_range(stage_now_ms() - drained_ms, 40, 100);
    stage_close();
}

static void test_asking_again_ends_the_drain_at_once(void **state)
{
    unsigned long long begin_ms = 0;

    (void)state;
    stage_open();
    naps[0] = (struct script){.act = act_nap, .ms = NEVER_MS};
    assert_int_equal(stage_send(stage_spawn(NULL), &naps[0]), 0);
    ask_in(10, 20);
    assert_int_equal(grove_terminated_await(), 0);
    begin_ms = stage_now_ms();
    assert_int_equal(grove_run_await(), GROVE_ETIMEDOUT);
    assert_in_range(stage_now_ms() - begin_ms, 20, 25);
    begin_ms = stage_now_ms();
    assert_int_equal(grove_deinit(), 0);
    assert_int_equal(naps[0].rc, GROVE_ECANCELED);
    assert_in_range(stage_now_ms() - begin_ms, 0, 10);
    stage_close();
}

/* --- the end ---------------------------------------------------------------------------------- */

static unsigned n_cleaned;

static void clean_up(void *unused)
{
    (void)unused;
    n_cleaned++;
    stage_abandoned();
}

static int hold_out(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    if (grove_defer(clean_up, NULL) != 0)
        return -EIO;
    for (;;)
        if (grove_sleep_await(NEVER_MS) != 0)
            (void)grove_shield_begin(GROVE_SHIELD_MAX_MS);
}

static void test_who_holds_out_is_abandoned_before_the_time_is_over(void **state)
{
    unsigned long long begin_ms;

    (void)state;
    n_cleaned = 0;
    stage_open_with("stop_ms", "1000");
    for (int i = 0; i < 20; i++) {
        naps[i] = (struct script){.act = hold_out};
        assert_int_equal(stage_send(stage_spawn(NULL), &naps[i]), 0);
    }
    assert_int_equal(grove_sleep_await(1), 0);
    begin_ms = stage_now_ms();
    assert_int_equal(grove_deinit(), 0);
    assert_int_equal(n_cleaned, 20);
    assert_in_range(stage_now_ms() - begin_ms, 620, 640);
    stage_close();
}

static char ended[16];
static grove_ref letters_of[8];

static int keep_letter(struct play *me, const void *argument)
{
    me->total = *(const char *)argument;
    return 0;
}

static void note_letter(struct play *me)
{
    ended[strlen(ended)] = (char)me->total;
}

static void test_the_children_of_a_supervisor_end_in_reverse_order(void **state)
{
    static struct play_service noting;
    struct grove_child child = {.service = &play_service_table, .functions = &noting};
    grove_ref top, ref;

    (void)state;
    memset(ended, 0, sizeof ended);
    stage_open();
    noting = stage_player;
    noting.init = keep_letter;
    noting.deinit = note_letter;
    child.options.argument_bytes = 1;
    assert_int_equal(grove_supervise(NULL, &top), 0);
    for (const char *letter = "abcd"; *letter != '\0'; letter++) {
        child.argument = letter;
        assert_int_equal(grove_supervisor_add_await(top, &child, &ref), 0);
    }
    assert_int_equal(grove_deinit(), 0);
    assert_string_equal(ended, "dcba");
    stage_close();
}

/* Its deinit calls the one that was spawned before it. */
static void call_older(struct play *me)
{
    note_letter(me);
    if (me->total > 'a' && stage_add(letters_of[me->total - 'b'], 0, NULL) != 0)
        ended[strlen(ended)] = '!';
}

static void test_what_main_has_spawned_ends_the_newest_first_and_finds_the_older_ones(void **state)
{
    static struct play_service noting;

    (void)state;
    for (unsigned n_loops = 1; n_loops <= 2; n_loops++) {
        memset(ended, 0, sizeof ended);
        if (n_loops == 1)
            stage_open();
        else
            stage_open_loops(n_loops);
        noting = stage_player;
        noting.init = keep_letter;
        noting.deinit = call_older;
        for (const char *letter = "abcd"; *letter != '\0'; letter++) {
            struct grove_spawn_options options = {
                .argument_bytes = 1, .place = GROVE_ON_LOOP((unsigned)(*letter - 'a') % n_loops)};

            assert_int_equal(
                play_spawn_await(&noting, letter, &options, &letters_of[*letter - 'a']), 0);
            (void)stage_spawn(NULL); /* One without deinit between them. */
        }
        assert_int_equal(grove_deinit(), 0);
        assert_string_equal(ended, "dcba");
        stage_close();
    }
}

static void test_one_that_takes_long_leaves_the_older_ones_half_of_the_time(void **state)
{
    struct script nap = {.act = act_nap, .ms = 100000}, older = {.act = act_nap, .ms = 700};
    grove_ref ref;

    (void)state;
    stage_open();
    ref = stage_spawn(NULL);
    assert_int_equal(stage_send(ref, &older), 0);
    assert_int_equal(stage_send(ref, &older), 0);
    assert_int_equal(stage_send(stage_spawn(NULL), &nap), 0);
    assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(grove_deinit(), 0);
    assert_int_equal(nap.rc, GROVE_ECANCELED); /* It was killed, after a second. */
    /* Told after half a second, so its handler had its time, and was the last one. */
    assert_int_equal(older.n_ends, 1);
    assert_int_equal(older.rc, 0);
    stage_close();
}

struct door {
    struct gv_ingress ingress;
    unsigned n_closed;
};

static void close_door(struct gv_ingress *ingress)
{
    struct door *door = (struct door *)(void *)ingress;

    door->n_closed++;
    gv_ingress_remove(ingress);
}

static void test_what_lets_work_in_is_closed_first_and_once(void **state)
{
    struct door doors[3] = {0};

    (void)state;
    stage_open();
    (void)stage_spawn(NULL);
    for (int i = 0; i < 3; i++) {
        doors[i].ingress.close = close_door;
        if (i < 2)
            gv_ingress_add(gv_runtime.loops[0], &doors[i].ingress);
    }
    gv_ingress_remove(&doors[1].ingress);
    ask_in(1, 0);
    assert_int_equal(grove_terminated_await(), 0);
    assert_int_equal(doors[0].n_closed, 0);
    assert_int_equal(grove_drain_await(100), 0);
    gv_ingress_add(gv_runtime.loops[0], &doors[2].ingress); /* Too late. */
    assert_int_equal(doors[2].n_closed, 1);
    stage_close();
    assert_int_equal(doors[0].n_closed, 1);
    assert_int_equal(doors[1].n_closed, 0);
    assert_int_equal(doors[2].n_closed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_main_waits_until_the_process_is_asked_to_stop),
        stage_test(test_sigterm_and_sigint_ask_on_every_run),
        stage_test(test_only_main_waits_for_it),
        stage_test(test_what_is_under_way_ends_before_anything_is_stopped),
        stage_test(test_the_drain_waits_for_mail_of_another_loop),
        stage_test(test_the_drain_looks_again_since_loops_are_not_seen_at_one_moment),
        stage_test(test_the_drain_waits_for_greenlets_that_wait_for_an_answer),
        stage_test(test_the_drain_does_not_wait_for_those_who_sleep_or_receive),
        stage_test(test_the_drain_ends_at_half_of_the_time_and_all_at_its_end),
        stage_test(test_asking_again_ends_the_drain_at_once),
        stage_test(test_who_holds_out_is_abandoned_before_the_time_is_over),
        stage_test(test_the_children_of_a_supervisor_end_in_reverse_order),
        stage_test(test_what_main_has_spawned_ends_the_newest_first_and_finds_the_older_ones),
        stage_test(test_one_that_takes_long_leaves_the_older_ones_half_of_the_time),
        stage_test(test_what_lets_work_in_is_closed_first_and_once),
    };

    return cmocka_run_group_tests_name("shutdown", tests, NULL, NULL);
}
