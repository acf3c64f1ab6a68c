#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/system.h"
#include "runtime/env.h"
#include "runtime/loop.h"
#include "runtime/options.h"

/* --- virtual time ----------------------------------------------------------------------------- */

static struct gv_env virtual_env;
static uint64_t virtual_ns;

static uint64_t virtual_now_ns(void *world)
{
    (void)world;
    return virtual_ns;
}

/* Nothing can run: time goes to where something can. */
static void virtual_poll(struct gv_poller *poller, int64_t timeout_ns)
{
    gv_env_host()->poller_poll(poller, 0);
    if (timeout_ns < 0) {
        (void)fprintf(stderr, "stage: everybody waits and nothing will ever happen\n");
        abort();
    }
    virtual_ns += (uint64_t)timeout_ns;
}

static const struct gv_env *virtual_world(void)
{
    virtual_env = *gv_env_host();
    virtual_env.now_ns = virtual_now_ns;
    virtual_env.poller_poll = virtual_poll;
    virtual_env.aside_open = NULL; /* Time does not go by while a turn runs. */
    virtual_ns = 1000000000u;
    return &virtual_env;
}

unsigned long long stage_now_ms(void)
{
    return grove_now_ms();
}

void stage_pass_ms(unsigned ms)
{
    virtual_ns += ms * UINT64_C(1000000);
}

/* --- begin and end ---------------------------------------------------------------------------- */

static void set(const char *name, const char *value)
{
    char error[GV_OPTION_ERROR_BYTES] = "";

    if (gv_option_set(name, value, error) != 0)
        fail_msg("%s", error);
}

static void open_options(void)
{
    char error[GV_OPTION_ERROR_BYTES] = "";

    gv_options_reset();
    if (gv_options_read(NULL, NULL, error) != 0)
        fail_msg("%s", error);
    set("log_level", "0");
}

void stage_open_loops_unlent(unsigned n)
{
    stage_open_loops(n);
    assert_int_equal(grove_option_set("lend", "0"), 0);
}

void stage_open_with(const char *option, const char *value)
{
    open_options();
    set("loops", "1");
    if (option != NULL)
        set(option, value);
    gv_system_init(virtual_world());
}

void stage_open(void)
{
    stage_open_with(NULL, NULL);
}

void stage_open_loops(unsigned n)
{
    char text[16];

    open_options();
    (void)snprintf(text, sizeof text, "%u", n); /* It fits. */
    set("loops", text);
    gv_system_init(gv_env_host());
}

void stage_close(void)
{
    assert_int_equal(grove_deinit(), 0);
    gv_system_deinit();
}

int stage_set_up(void **state)
{
    (void)state;
    stage_open();
    return 0;
}

int stage_set_up_two_loops(void **state)
{
    (void)state;
    stage_open_loops(2);
    return 0;
}

int stage_tear_down(void **state)
{
    (void)state;
    stage_close();
    return 0;
}

/* --- probes ----------------------------------------------------------------------------------- */

uint64_t stage_counts[GV_PROBE_COUNT];

void stage_listen(void)
{
    memset(stage_counts, 0, sizeof stage_counts);
    gv_loop_here->probes =
        (struct gv_probes){.on = UINT32_MAX, .sink = gv_probe_count, .listener = stage_counts};
}

bool stage_was_inline(void)
{
    return stage_counts[GV_PROBE_START] > 0 && stage_counts[GV_PROBE_SEND] == 0
           && stage_counts[GV_PROBE_PARK] == 0;
}

/* --- the player ------------------------------------------------------------------------------- */

static int add(struct play *me, const Play__V1__AddRequest *request,
               Play__V1__AddResponse *response)
{
    if (request->n < 0)
        return grove_refuse(PLAY__V1__REFUSAL__REFUSAL_SMALL, "%lld is below zero",
                            (long long)request->n);
    me->total += request->n;
    response->total = me->total;
    return 0;
}

static int echo(struct play *me, const Play__V1__EchoRequest *request,
                Play__V1__EchoResponse *response)
{
    (void)me;
    response->text = request->text;
    response->n_words = request->n_words;
    response->words = request->words;
    response->blob = request->blob;
    response->leaf = request->leaf;
    response->n_numbers = request->n_numbers;
    response->numbers = request->numbers;
    return 0;
}

static _Atomic(unsigned) n_running;

void stage_settle(void)
{
    while (n_running > 0)
        assert_int_equal(grove_sleep_await(1), 0);
}

void stage_abandoned(void)
{
    n_running--;
}

int stage_check_settled(void **state)
{
    (void)state;
    assert_int_equal(n_running, 0);
    return 0;
}

static int run(struct play *me, uint64_t address)
{
    struct script *script = (struct script *)(uintptr_t)address;
    int rc;

    n_running++;
    me->in_handler++;
    script->n_runs++;
    rc = script->act(me, script);
    script->n_ends++;
    me->in_handler--;
    n_running--;
    return rc;
}

static int perform(struct play *me, const Play__V1__PerformRequest *request,
                   Play__V1__PerformResponse *response)
{
    struct script *script = (struct script *)(uintptr_t)request->script;
    int rc = run(me, request->script);

    response->number = script->number;
    return rc;
}

static int relay(struct play *me, const Play__V1__RelayRequest *request,
                 Play__V1__RelayResponse *response)
{
    (void)me;
    return stage_add(grove_ref_from_message(request->to), request->n, &response->total);
}

static int hurry(struct play *me, const Play__V1__HurryRequest *request,
                 Play__V1__HurryResponse *response)
{
    (void)response;
    return run(me, request->script);
}

const struct play_service stage_player = {
    .state_bytes = sizeof(struct play),
    .add = add,
    .echo = echo,
    .perform = perform,
    .relay = relay,
    .hurry = hurry,
};

static grove_ref spawn(const struct grove_spawn_options *options)
{
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(play_spawn(&stage_player, NULL, options, &ref), 0);
    return ref;
}

grove_ref stage_spawn(const char *label)
{
    return spawn(&(struct grove_spawn_options){.label = label});
}

grove_ref stage_spawn_on(unsigned loop, const char *label)
{
    return spawn(&(struct grove_spawn_options){.place = GROVE_ON_LOOP(loop), .label = label});
}

grove_ref stage_spawn_bounded(uint32_t depth_max, uint32_t bytes_max)
{
    return spawn(&(struct grove_spawn_options){.depth_max = depth_max, .bytes_max = bytes_max});
}

/* --- verbs ------------------------------------------------------------------------------------ */

static Play__V1__PerformRequest request_of(struct script *script)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

    request.script = (uintptr_t)script;
    return request;
}

int stage_perform(grove_ref who, struct script *script)
{
    Play__V1__PerformRequest request = request_of(script);
    Play__V1__PerformResponse response = PLAY__V1__PERFORM_RESPONSE__INIT;

    return play_perform_await(who, &request, &response);
}

int stage_send(grove_ref who, struct script *script)
{
    Play__V1__PerformRequest request = request_of(script);

    return play_perform_send(who, &request);
}

int stage_start(grove_ref who, struct script *script, Play__V1__PerformResponse *response,
                struct grove_future *future)
{
    Play__V1__PerformRequest request = request_of(script);

    *response = (Play__V1__PerformResponse)PLAY__V1__PERFORM_RESPONSE__INIT;
    return play_perform_start(who, &request, response, future);
}

int stage_add(grove_ref who, int64_t n, int64_t *total)
{
    Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;
    Play__V1__AddResponse response = PLAY__V1__ADD_RESPONSE__INIT;
    int rc;

    request.n = n;
    rc = play_add_await(who, &request, &response);
    if (rc == 0 && total != NULL)
        *total = response.total;
    return rc;
}

/* --- acts ------------------------------------------------------------------------------------- */

int stage_note(struct script *script, int rc)
{
    script->rc = rc;
    script->failure = *grove_failure();
    (void)snprintf(script->text, sizeof script->text, "%s",
                   script->failure.text); /* As long as any. */
    return rc;
}

int act_nothing(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return 0;
}

int act_nap(struct play *me, struct script *script)
{
    (void)me;
    return script->rc = grove_sleep_await(script->ms);
}

int act_relay(struct play *me, struct script *script)
{
    (void)me;
    return stage_note(script, stage_perform(script->to, script->next));
}

int act_add(struct play *me, struct script *script)
{
    (void)me;
    return stage_note(script, stage_add(script->to, script->number, NULL));
}

void go_relay(void *argument)
{
    struct script *script = argument;

    script->n_runs++;
    (void)stage_note(script, stage_perform(script->to, script->next)); /* Noted. */
    script->n_ends++;
}

uint64_t stage_n_lent(void)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < grove_loops(); i++) {
        struct grove_loop_stats stats;

        assert_int_equal(grove_loop_stats(i, &stats), 0);
        n += stats.lent;
    }
    return n;
}
