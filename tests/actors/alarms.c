#include "alarms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct ticks seen;

static int act_tick(struct play *me, struct script *script)
{
    (void)me;
    if (seen.n < TICKS_MAX)
        seen.at_ms[seen.n] = stage_now_ms() - seen.began_ms;
    seen.n++;
    seen.found = grove_timer_look((uint64_t)script->number, &seen.state);
    if (seen.parks)
        return grove_sleep_await(seen.takes_ms);
    stage_pass_ms(seen.takes_ms);
    return 0;
}

struct script tick = {.act = act_tick, .number = 1};

Play__V1__PerformRequest request_for(struct script *script)
{
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;

    request.script = (uintptr_t)script;
    return request;
}

int act_arm(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = request_for(&tick);
    enum grove_timer_mode mode = (enum grove_timer_mode)script->n_ends;

    (void)me;
    if (mode == GROVE_ONCE)
        return stage_note(script,
                          play_perform_after((uint64_t)script->number, script->ms, &request));
    return stage_note(script,
                      play_perform_every((uint64_t)script->number, script->ms, mode, &request));
}

static int act_cancel(struct play *me, struct script *script)
{
    (void)me;
    return script->rc = grove_timer_cancel((uint64_t)script->number) ? 1 : 0, 0;
}

void arm(grove_ref ref, uint32_t ms, enum grove_timer_mode mode)
{
    struct script script = {.act = act_arm, .number = 1, .ms = ms, .n_ends = mode};

    seen.began_ms = stage_now_ms();
    assert_int_equal(stage_perform(ref, &script), 0);
}

bool cancel(grove_ref ref)
{
    struct script script = {.act = act_cancel, .number = 1};

    assert_int_equal(stage_perform(ref, &script), 0);
    return script.rc != 0;
}

void let_pass(uint32_t ms)
{
    assert_int_equal(grove_sleep_await(ms), 0);
}

int act_outwait(struct play *me, struct script *script)
{
    Play__V1__PerformRequest request = request_for(&tick);
    int rc = play_perform_after(1, 5, &request);

    (void)me;
    if (rc == 0)
        rc = grove_sleep_await(20);
    if (rc == 0 && script->n_ends == 0)
        script->rc = grove_timer_cancel(1) ? 1 : 0;
    else if (rc == 0)
        rc = play_perform_after(1, 30, &request);
    return rc;
}

int alarms_set_up(void **state)
{
    memset(&seen, 0, sizeof seen);
    tick = (struct script){.act = act_tick, .number = 1};
    return stage_set_up(state);
}
