#include "actors/io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include <grove/call.h>

#include "actors/verb.h"

uint32_t gv_io_deadline(struct gv_loop *loop)
{
    struct gv_turn *turn = loop->turn;

    if (gv_likely(turn->within_ms == 0))
        return turn->deadline_ms;
    return gv_turn_deadline(loop, turn, GROVE_INFINITE);
}

void gv_io_leave(struct gv_wait **place)
{
    (void)place;
}

int gv_io_await(struct gv_loop *loop, struct gv_wait **place, uint32_t deadline_ms, bool *gone)
{
    return gv_io_await_or(loop, place, deadline_ms, gone, NULL);
}

int gv_io_await_or(struct gv_loop *loop, struct gv_wait **place, uint32_t deadline_ms, bool *gone,
                   void (*leave)(struct gv_wait **place))
{
    struct gv_wait wait;
    int rc;

    gv_assert(*place == NULL);
    gv_wait_init(loop, &wait, GV_WAIT_IO, deadline_ms);
    wait.slot = place;
    wait.leave = leave;
    *place = &wait;
    rc = gv_park(loop, &wait);
    *gone = wait.slot == NULL;
    if (!*gone)
        *place = NULL;
    return rc;
}

void gv_io_forsake(struct gv_loop *loop, struct gv_wait **place, int rc)
{
    struct gv_wait *wait = *place;

    if (wait == NULL)
        return;
    *place = NULL;
    wait->slot = NULL;
    if (!wait->woken)
        gv_wake(loop, wait, rc);
}

/* --- words ------------------------------------------------------------------------------------ */

/* What to do about it. */
static const struct {
    int code;
    const char *text;
} advice[] = {
    {-EADDRINUSE, "somebody listens there already: stop that program, or take another address"},
    {-EADDRNOTAVAIL, "this machine has no such address: take one of its own, or 0.0.0.0"},
    {-ECONNREFUSED, "nobody listens there: start that program, or mend the address"},
    {-ECONNRESET, "the peer broke the connection off: connect again"},
    {-EPIPE, "the connection is over: connect again"},
    {-EHOSTUNREACH, "no way leads there: look at the network"},
    {-ENETUNREACH, "no way leads there: look at the network"},
    {-EACCES, "this user may not: change who owns it, or its mode"},
    {-EPERM, "this user may not do that"},
    {-EMFILE, "this process has as many files and connections open as it may: raise ulimit -n, or "
              "close some"},
    {-ENFILE, "this machine has as many files open as it may: raise fs.file-max"},
    {-ENOENT, "there is no such name: create it, or mend the path"},
    {-EEXIST, "there is one already: remove it, or take another name"},
    {-ENOTDIR, "a part of the path is no folder: mend the path"},
    {-EISDIR, "this is a folder: name a file"},
    {-ENOTEMPTY, "the folder is not empty: remove what is in it first"},
    {-ENOSPC, "the disk is full: make room"},
    {-EDQUOT, "this user's share of the disk is used up: make room"},
    {-EROFS, "it can only be read: take a place that can be written"},
    {-EIO, "the disk or device failed: look at the kernel's log"},
    {-EXDEV, "the names are on different disks: copy it instead"},
    {-ENAMETOOLONG, "the name is too long: take a shorter one"},
    {-EINVAL, "an argument is out of range"},
    {-ENOEXEC, "this is no program: name one that can be executed"},
    {-ECHILD, "somebody else has waited for it"},
    {-ESRCH, "it has ended already"},
    {GROVE_EFULL, "too much of it is under way: do less at once"},
    {GROVE_ETIMEDOUT, "it was not done within the deadline"},
    {GROVE_ECANCELED, "the caller was stopped, or gave up, or another one closed it"},
    {GROVE_ENOSIM, "it cannot be simulated"},
};

static const char *find_advice(int code)
{
    for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++)
        if (advice[i].code == code)
            return advice[i].text;
    return NULL;
}

static enum grove_started started_of(int code)
{
    return code == GROVE_ETIMEDOUT || code == GROVE_ECANCELED || code == -EIO
               ? GROVE_STARTED_UNKNOWN
               : GROVE_STARTED_NO;
}

int gv_io_failed(struct gv_loop *loop, int code, const char *what, const char *name)
{
    const char *text, *words;

    if (code == -ENOMEM)
        code = GROVE_ENOMEM;
    text = find_advice(code);
    words = code > GROVE_EFULL ? grove_error_text(code) : NULL;
    if (text == NULL)
        text = words != NULL ? NULL : grove_error_text(code);
    /* "open /x: Permission denied: this user may not: …" */
    return gv_io_refused(loop, code, "%s%s%.120s%s%s%s%s", what, name[0] != '\0' ? " " : "", name,
                         words != NULL ? ": " : "", words != NULL ? words : "",
                         text != NULL ? ": " : "", text != NULL ? text : "");
}

int gv_io_refused(struct gv_loop *loop, int code, const char *format, ...)
{
    char text[GV_WHY_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* A cut reason is still a reason. */
    va_end(arguments);
    return gv_turn_failed(loop->turn, NULL, code, started_of(code), text);
}
