#include "runtime/noyield.h"

#include <stdio.h>

#include <grove/error.h>
#include <grove/noyield.h>

#include "runtime/assert.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/options.h"
#include "runtime/runtime.h"
#include "runtime/usage.h"

const char *gv_await_name(unsigned kind)
{
    static const char *const names[] = {
        [GV_WAIT_SLEEP] = "grove_sleep_await",
        [GV_WAIT_YIELD] = "grove_yield_await",
        [GV_WAIT_MAIL] = "grove_receive_await",
        [GV_WAIT_CALL] = "the _await of a call",
        [GV_WAIT_ROOM] = "a _send_await",
        [GV_WAIT_ALL] = "grove_all_await or grove_future_await",
        [GV_WAIT_ANY] = "grove_any_await",
        [GV_WAIT_STOP] = "grove_stop_await",
        [GV_WAIT_SPAWN] = "a _spawn_await",
        [GV_WAIT_IO] = "an _await of the outside",
        [GV_WAIT_ITEM] = "the _next_await of a stream",
    };

    return kind < sizeof names / sizeof names[0] && names[kind] != NULL ? names[kind] : "an await";
}

/* Tells of a mistake, and ends the process if the option says so. what: "await in", "left open". */
static void report(const struct gv_turn *turn, const char *what, const char *await)
{
    char name[64] = "main", text[256];

    if (turn->task != NULL)
        turn->task->class->describe(turn->task, name, sizeof name);
    (void)snprintf(text, sizeof text, "%s: %s%s%s a no-yield region%s%s", name, await,
                   await[0] != '\0' ? " " : "", what, turn->method != NULL ? " of " : "",
                   turn->method != NULL ? turn->method->name
                                        : ""); /* A cut text is still a text. */
    gv_log(GV_LOG_ERROR, "noyield", "what=\"%s\"", text);
    if (gv_option_number(GV_OPTION_NOYIELD) != 0)
        gv_crash(text);
}

int gv_turn_barred(struct gv_loop *loop, const char *await)
{
    struct gv_turn *turn = loop->turn;

    if (turn->odd & GV_ODD_NOYIELD) {
        report(turn, "inside", await);
        (void)gv_usage("%s inside a no-yield region", await); /* Its code is another one. */
        gv_turn_failure(turn)->code = GROVE_EYIELD;
        return GROVE_EYIELD;
    }
    return turn->cancelled ? GROVE_ECANCELED : 0;
}

/* The outermost region ends. */
static void leave(struct gv_loop *loop, struct gv_turn *turn)
{
    turn->odd &= (uint8_t)~GV_ODD_NOYIELD;
    loop->n_noyield = 0;
    loop->inline_left = loop->inline_kept;
}

void gv_noyield_forgotten(struct gv_loop *loop, struct gv_turn *turn)
{
    leave(loop, turn);
    report(turn, "its turn ended inside", "");
}

int grove_noyield_begin(void)
{
    struct gv_loop *loop = gv_loop_now();

    if (loop == NULL || loop->turn == NULL)
        return gv_usage("grove_noyield_begin: nothing can wait here anyway; call it in a handler, "
                        "in a greenlet, or in main after grove_init");
    if (loop->n_noyield++ > 0)
        return 0;
    loop->turn->odd |= GV_ODD_NOYIELD;
    loop->inline_kept = loop->inline_left;
    loop->inline_left = 0;
    return 0;
}

int grove_noyield_end(void)
{
    struct gv_loop *loop = gv_loop_here;

    if (loop == NULL || loop->turn == NULL || loop->n_noyield == 0)
        return gv_usage("grove_noyield_end: no region is open in this turn");
    if (--loop->n_noyield == 0)
        leave(loop, loop->turn);
    return 0;
}
