#include <grove/error.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/go.h"
#include "runtime/loop.h"
#include "runtime/usage.h"

/* --- the table -------------------------------------------------------------------------------- */

static const struct {
    int code;
    const char *name, *connect, *text;
} errors[] = {
#define GROVE_ERROR_ROW(name, number, connect, started, advice) \
    {number, "GROVE_" #name, connect, advice},
    GROVE_ERROR_TABLE(GROVE_ERROR_ROW)
#undef GROVE_ERROR_ROW
};

#define N_ERRORS (sizeof errors / sizeof errors[0])

const char *grove_error_name(int code)
{
    const char *name;

    if (code == 0)
        return "0";
    for (size_t i = 0; i < N_ERRORS; i++)
        if (errors[i].code == code)
            return errors[i].name;
    name = code < 0 && code > GROVE_EFULL ? strerrorname_np(-code) : NULL;
    return name != NULL ? name : "?";
}

const char *grove_error_text(int code)
{
    const char *text;

    if (code == 0)
        return "done";
    if (code > 0)
        return "refused: the number is one of the service's refusal enum";
    for (size_t i = 0; i < N_ERRORS; i++)
        if (errors[i].code == code)
            return errors[i].text;
    text = code > GROVE_EFULL ? strerrordesc_np(-code) : NULL;
    return text != NULL ? text : "not a code of grove";
}

const char *grove_error_connect(int code)
{
    for (size_t i = 0; i < N_ERRORS; i++)
        if (errors[i].code == code)
            return errors[i].connect;
    return code > 0 ? "failed_precondition" : "internal";
}

/* --- reasons ---------------------------------------------------------------------------------- */

/* Where a failure is noted outside of any turn: in unit tests of handlers, and before the start. */
static __thread struct {
    struct grove_failure failure;
    char why[GV_WHY_BYTES];
} outside;

static struct gv_turn *running_turn(void)
{
    return gv_loop_here != NULL ? gv_loop_here->turn : NULL;
}

static int note(enum grove_class class, int code, enum grove_started started, const char *format,
                va_list arguments)
{
    struct gv_turn *turn = running_turn();
    char *why = turn != NULL ? turn->why : outside.why;
    struct grove_failure *failure = turn != NULL ? gv_turn_failure(turn) : &outside.failure;
    char text[GV_WHY_BYTES]; /* An argument may be the last reason itself. */

    if (turn != NULL && gv_turn_has_failed(turn))
        return code;                                       /* The first reason is the one. */
    (void)vsnprintf(text, sizeof text, format, arguments); /* A cut reason is still a reason. */
    memcpy(why, text, sizeof text);
    *failure = (struct grove_failure){
        .class = class,
        .code = code,
        .started = started,
        .text = why,
    };
    if (turn != NULL)
        turn->refused_by = NULL;
    return code;
}

int gv_usage(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)note(GROVE_FAILED, GROVE_EUSAGE, GROVE_STARTED_NO, format,
               arguments); /* Returns its code. */
    va_end(arguments);
    return GROVE_EUSAGE;
}

static int note_failed(int code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)note(GROVE_FAILED, code, GROVE_STARTED_NO, format, arguments); /* Returns code. */
    va_end(arguments);
    return code;
}

int gv_failed(int code, const char *text)
{
    return code == GROVE_EUSAGE ? code : note_failed(code, "%s", text != NULL ? text : "");
}

int grove_refuse(int code, const char *format, ...)
{
    va_list arguments;

    if (code <= 0)
        return gv_usage("grove_refuse: %d is no refusal; give a value above 0 of the service's "
                        "enum, or return a failure as it is",
                        code);
    va_start(arguments, format);
    (void)note(GROVE_REFUSED, code, GROVE_STARTED_YES, format, arguments); /* Returns code. */
    va_end(arguments);
    return code;
}

int grove_fail(const char *format, ...)
{
    struct gv_turn *turn = running_turn();
    va_list arguments;

    va_start(arguments, format);
    (void)note(GROVE_FAILED, GROVE_EDOWN, GROVE_STARTED_YES, format,
               arguments); /* Returns its code. */
    va_end(arguments);
    /* main and greenlets are not restarted: there it is a word like others. */
    if (turn != NULL
        && (turn->method != NULL || (turn->task != NULL && !gv_task_is_greenlet(turn->task))))
        turn->odd |= GV_ODD_FAILED;
    return GROVE_EDOWN;
}

const struct grove_failure *grove_failure(void)
{
    struct gv_turn *turn = running_turn();

    if (turn != NULL)
        return gv_turn_failure(turn);
    if (outside.failure.text == NULL)
        outside.failure.text = outside.why;
    return &outside.failure;
}

const char *grove_why(void)
{
    const struct grove_failure *failure = grove_failure();

    return failure->text[0] != '\0' ? failure->text : grove_error_text(failure->code);
}
