#include "watcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct noted noted;
grove_monitor_id monitor;

static void note_seen(char what)
{
    noted.seen[noted.n_seen] = what;
    noted.n_seen++;
}

static void note_down(struct play *me, const struct grove_down *down)
{
    (void)me;
    noted.last = *down;
    (void)snprintf(noted.why, sizeof noted.why, "%s", down->why); /* As long as any. */
    noted.told[noted.n_downs % N_MANY] = down->monitor;
    noted.n_downs++;
    if (noted.nap_ms > 0)
        (void)grove_sleep_await(noted.nap_ms); /* Nobody stops it. */
    note_seen('D');
}

static int note_add(struct play *me, const Play__V1__AddRequest *request,
                    Play__V1__AddResponse *response)
{
    (void)me;
    response->total = request->n;
    note_seen('a');
    return 0;
}

static struct play_service watcher_functions;

grove_ref spawn_watcher(const struct grove_spawn_options *options)
{
    grove_ref ref = GROVE_NOBODY;

    memset(&noted, 0, sizeof noted);
    watcher_functions = stage_player;
    watcher_functions.down = note_down;
    watcher_functions.add = note_add;
    assert_int_equal(play_spawn(&watcher_functions, NULL, options, &ref), 0);
    return ref;
}

void wait_for_notes(unsigned n)
{
    for (unsigned i = 0; noted.n_seen < n && i < 100000; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    assert_int_equal(noted.n_seen, n);
}

int act_watch(struct play *me, struct script *script)
{
    (void)me;
    return stage_note(script, grove_monitor(script->to, &monitor));
}

void watch(grove_ref who, grove_ref whom)
{
    struct script script = {.act = act_watch, .to = whom};

    assert_int_equal(stage_perform(who, &script), 0);
}

int act_send_and_fail(struct play *me, struct script *script)
{
    (void)me;
    for (int64_t i = 0; i < script->number; i++) {
        Play__V1__AddRequest request = PLAY__V1__ADD_REQUEST__INIT;

        request.n = i;
        script->rc = i % 2 == 0 ? play_add_send(script->to, &request)
                                : play_add_send_await(script->to, &request);
        if (script->rc != 0)
            return script->rc;
    }
    return grove_fail("done with it");
}
