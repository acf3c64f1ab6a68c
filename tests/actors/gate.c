#include "gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct gate gate;

int act_defer(struct play *me, struct script *script)
{
    (void)me;
    gate.rcs[gate.n] = stage_note(script, grove_reply_defer(&gate.tokens[gate.n]));
    gate.n++;
    return script->rc == 0 ? 1 : script->rc; /* 1 would be a refusal. */
}

int act_reply(struct play *me, struct script *script)
{
    Play__V1__PerformResponse response = PLAY__V1__PERFORM_RESPONSE__INIT;
    int code = (int)script->ms;

    (void)me;
    if (code > 0)
        code = grove_refuse(code, "not by this gate");
    response.number = script->n_ends;
    return stage_note(script, play_perform_reply(&gate.tokens[script->number], code, &response)), 0;
}

int act_defer_and_reply(struct play *me, struct script *script)
{
    struct script reply = {.number = gate.n, .n_ends = 42};
    int rc = act_defer(me, script);

    return rc == 1 ? act_reply(me, &reply) : rc;
}

int act_drop(struct play *me, struct script *script)
{
    (void)me;
    grove_reply_drop(&gate.tokens[script->number]);
    return 0;
}

int act_wanted(struct play *me, struct script *script)
{
    (void)me;
    return script->rc = grove_reply_wanted(&gate.tokens[script->number]) ? 1 : 0, 0;
}

int act_wanted_late(struct play *me, struct script *script)
{
    stage_pass_ms(script->ms);
    return act_wanted(me, script);
}

int act_fail(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return grove_fail("on purpose");
}

static void go_ask(void *argument)
{
    struct asker *me = argument;
    Play__V1__PerformRequest request = PLAY__V1__PERFORM_REQUEST__INIT;
    Play__V1__PerformResponse response = PLAY__V1__PERFORM_RESPONSE__INIT;

    request.script = (uintptr_t)&me->script;
    if (me->within_ms != 0)
        grove_within(me->within_ms);
    me->rc = play_perform_await(me->to, &request, &response);
    me->number = response.number;
    me->failure = *grove_failure();
    (void)snprintf(me->text, sizeof me->text, "%s", me->failure.text);
    me->at_ms = stage_now_ms();
    me->done = true;
}

void let_pass(uint32_t ms)
{
    assert_int_equal(grove_sleep_await(ms), 0);
}

void ask(struct asker *asker, grove_ref to, int (*act)(struct play *, struct script *))
{
    asker->to = to;
    asker->script.act = act;
    assert_int_equal(grove_go(go_ask, asker, NULL, NULL), 0);
    let_pass(1);
}

int tell(grove_ref to, struct script script)
{
    int rc = stage_perform(to, &script);

    return rc != 0 ? rc : script.rc;
}
