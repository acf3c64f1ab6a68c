#include "sim/story.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <grove/error.h>

#include "actors/call.h"
#include "actors/service.h"
#include "runtime/loop.h"
#include "runtime/slot.h"
#include "runtime/turn.h"
#include "sim/world.h"

#define NAMES_MAX  2048u
#define NAME_BYTES 48u

/* Those that have been seen, in order of that: ids come again in other seeds, numbers do. */
static struct {
    uint64_t id;
    char name[NAME_BYTES];
} names[NAMES_MAX];
static unsigned n_names;

void gv_sim_story_open(void)
{
    n_names = 0;
}

/* --- names -------------------------------------------------------------------------------------- */

/* How many of one kind ("account") have been seen. */
static unsigned count_kind(const char *name, size_t n_bytes)
{
    unsigned n = 0;

    for (unsigned i = 0; i < n_names; i++)
        n += strncmp(names[i].name, name, n_bytes) == 0 && names[i].name[n_bytes] == '/';
    return n;
}

/* What is told of a task, from the first time on. */
static const char *name_of(uint64_t id)
{
    const struct gv_task *task;
    char text[NAME_BYTES], *slash;

    if (id == 0)
        return "main";
    for (unsigned i = 0; i < n_names; i++)
        if (names[i].id == id)
            return names[i].name;
    task = gv_slot_find(id);
    if (task == NULL || n_names == NAMES_MAX)
        return "somebody";
    task->class->describe(task, text, sizeof text);
    slash = strchr(text, '/');
    if (slash != NULL && (slash[1] == '#' || strcmp(slash, "/unnamed") == 0))
        (void)snprintf(slash, sizeof text - (size_t)(slash - text), "/%u",
                       count_kind(text, (size_t)(slash - text)) + 1); /* It fits, or is cut. */
    names[n_names].id = id;
    memcpy(names[n_names].name, text, sizeof text);
    return names[n_names++].name;
}

static const char *method_of(uint64_t index)
{
    const struct grove_method *method = index <= GV_METHODS_MAX ? gv_method((uint16_t)index) : NULL;

    return method != NULL ? method->local_name : "a message";
}

/* --- lines -------------------------------------------------------------------------------------- */

static void tell(uint64_t id, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void tell(uint64_t id, const char *format, ...)
{
    va_list arguments;

    gv_sim_trace_head();
    (void)printf("%s  ", name_of(id)); /* A lost line of a trace is no reason to stop. */
    va_start(arguments, format);
    (void)vprintf(format, arguments); /* As above. */
    va_end(arguments);
    (void)putchar('\n'); /* As above. */
}

static const struct gv_turn *running(void)
{
    return gv_loop_here != NULL ? gv_loop_here->turn : NULL;
}

/* Whose turn it is; 0 for main, and where nobody's is: what comes from other loops. */
static uint64_t running_id(void)
{
    const struct gv_turn *turn = running();

    return turn != NULL && turn->task != NULL ? gv_task_id(turn->task) : 0;
}

/* "withdraw: " in front of what its handler does; a greenlet and main have but one function. */
static const char *within(const struct gv_turn *turn)
{
    static char text[NAME_BYTES];

    if (turn == NULL || turn->method == NULL)
        return "";
    (void)snprintf(text, sizeof text, "%s: ", turn->method->local_name); /* It fits, or is cut. */
    return text;
}

/* " withdraw", or nothing. */
static const char *what(const struct gv_turn *turn)
{
    static char text[NAME_BYTES];

    if (turn == NULL || turn->method == NULL)
        return "";
    (void)snprintf(text, sizeof text, " %s", turn->method->local_name); /* As above. */
    return text;
}

static void tell_park(uint64_t id, const struct gv_turn *turn)
{
    const struct gv_wait *wait = turn != NULL ? turn->wait : NULL;

    if (wait == NULL) {
        tell(id, "waits");
        return;
    }
    switch (wait->kind) {
    case GV_WAIT_SLEEP:
        tell(id, "%ssleeps", within(turn));
        break;
    case GV_WAIT_YIELD:
        tell(id, "%slets others run", within(turn));
        break;
    case GV_WAIT_MAIL:
        tell(id, "%sawaits a letter", within(turn));
        break;
    case GV_WAIT_CALL:
        tell(id, "%sawaits %s, %s", within(turn), name_of(wait->target), method_of(wait->method));
        break;
    case GV_WAIT_ROOM:
        tell(id, "%sawaits room at %s", within(turn), name_of(wait->target));
        break;
    case GV_WAIT_ALL:
    case GV_WAIT_ANY:
        tell(id, "%sawaits %s of %" PRIu32 " answers", within(turn),
             wait->kind == GV_WAIT_ALL ? "all" : "one", wait->n_futures);
        break;
    case GV_WAIT_ITEM:
        tell(id, "%sawaits an item of %s, %s", within(turn), name_of(wait->target),
             method_of(wait->method));
        break;
    case GV_WAIT_STOP:
    case GV_WAIT_SPAWN:
        tell(id, "%sawaits the %s of %s", within(turn),
             wait->kind == GV_WAIT_STOP ? "end" : "birth", name_of(wait->target));
        break;
    default:
        tell(id, "%swaits", within(turn));
    }
}

/* Who waits for the answer with this call id, as far as this loop knows. */
static void tell_reply(uint64_t call_id, int64_t code)
{
    const struct gv_call *call = gv_loop_here != NULL ? gv_call_find(gv_loop_here, call_id) : NULL;
    const struct gv_turn *waiter = NULL;

    if (call == NULL)
        return;
    if (call->kind == GV_SINK_WAIT)
        waiter = call->sink.wait->turn;
    if (waiter == NULL)
        tell(call->target, "%s has an answer for a future: %s", method_of(call->method),
             code == 0 ? "done" : grove_error_name((int)code));
    else if (code > 0)
        tell(call->target, "refuses %s of %s with %" PRId64, method_of(call->method),
             name_of(waiter->task != NULL ? gv_task_id(waiter->task) : 0), code);
    else
        tell(call->target, "answers %s of %s: %s", method_of(call->method),
             name_of(waiter->task != NULL ? gv_task_id(waiter->task) : 0),
             code == 0 ? "done" : grove_error_name((int)code));
}

void gv_sim_story_probe(enum gv_probe_point point, uint64_t a, uint64_t b)
{
    int64_t code = (int64_t)b;

    switch (point) {
    case GV_PROBE_SEND:
        tell(a, "is sent %s%s%s", method_of(b), running() != NULL ? " by " : "",
             running() != NULL ? name_of(running_id()) : "");
        break;
    case GV_PROBE_DROP:
        tell(a, "will not see a message: %s", grove_error_name((int)code));
        break;
    case GV_PROBE_START:
        tell(a, "begins%s", what(running()));
        break;
    case GV_PROBE_END:
        tell(a, "ends%s", what(running()));
        break;
    case GV_PROBE_PARK:
        tell_park(a, running());
        break;
    case GV_PROBE_RESUME:
        tell(a, "%sgoes on%s%s", within(running()), code < 0 ? " with " : "",
             code < 0 ? grove_error_name((int)code) : "");
        break;
    case GV_PROBE_REPLY:
        tell_reply(a, code);
        break;
    case GV_PROBE_SPAWN:
        tell(running_id(), "spawns %s on loop %" PRIu64, name_of(a), b);
        break;
    case GV_PROBE_STOP:
        tell(a, "is gone");
        break;
    case GV_PROBE_RESTART:
        tell(a, "restarts as number %" PRIu64, b);
        break;
    case GV_PROBE_JOB:
        gv_sim_trace_head();
        (void)printf("job %" PRIu64 " %s\n", a,
                     code == 0  ? "is done"
                     : code > 0 ? "is handed to a worker"
                                : grove_error_name((int)code)); /* As in tell. */
        break;
    case GV_PROBE_LEND:
        tell(a, "is lent to loop %" PRIu64, b);
        break;
    case GV_PROBE_HOME:
        tell(a, "goes home to loop %" PRIu64, b);
        break;
    case GV_PROBE_PASSIVE:
        tell(a, b != 0 ? "is passive" : "is woken");
        break;
    default:
        break;
    }
}

void gv_sim_story_text(const char *text)
{
    if (running() != NULL) {
        tell(running_id(), "says: %s", text);
        return;
    }
    gv_sim_trace_head();
    (void)printf("says: %s\n", text); /* As in tell. */
}

void gv_sim_story_world(const char *what, uint64_t a, uint64_t b)
{
    static const char *const told[] = {
        "cut",        "flip",   "lose",  "double",       "reorder", "partition",
        "lies",       "hangs",  "dies",  "dies by fate", "exited",  "kill",
        "wall clock", "signal", "allow", "works",        "outcome",
    };

    for (unsigned i = 0; i < sizeof told / sizeof told[0]; i++)
        if (strcmp(told[i], what) == 0) {
            gv_sim_trace_head();
            (void)printf("world: %s %" PRId64 " %" PRId64 "\n", what, (int64_t)a,
                         (int64_t)b); /* As in tell. */
            return;
        }
}
