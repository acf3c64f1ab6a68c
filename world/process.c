#include <grove/process.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/usage.h"
#include "world/host_pipe.h"
#include "world/stream.h"

struct grove_process {
    struct gv_holding holding;
    struct gv_loop *loop;
    struct gv_process *base; /* NULL once it has ended */
    struct gv_wait *waiter;
    struct grove_process_end end;
    bool closed;
};

/* --- its end ---------------------------------------------------------------------------------- */

static void on_exited(void *owner, int status, int signal)
{
    struct grove_process *process = owner;

    process->base = NULL;
    process->end = (struct grove_process_end){status, signal};
    if (process->closed)
        free(process);
    else
        gv_io_wake(process->loop, &process->waiter, 0);
}

static void close_holding(struct gv_holding *holding)
{
    grove_process_close((struct grove_process *)holding);
}

void grove_process_close(struct grove_process *process)
{
    if (process == NULL)
        return;
    if (process->loop != gv_loop_here) {
        (void)gv_usage("grove_process_close: the child belongs to loop %u; close it there",
                       process->loop->index); /* There is no way to return it. */
        return;
    }
    gv_holding_remove(&process->holding);
    gv_io_forsake(process->loop, &process->waiter, GROVE_ECANCELED);
    process->closed = true;
    if (process->base == NULL)
        free(process);
    else /* It is freed when it has ended. */
        (void)process->loop->env->process_kill(process->base, SIGKILL);
}

/* --- its birth -------------------------------------------------------------------------------- */

/* The ends of its pipes. -1: none. */
struct pipes {
    int ours[3], theirs[3];
};

static void close_pipes(const struct pipes *pipes)
{
    for (int i = 0; i < 3; i++) {
        gv_host_pipe_close(pipes->ours[i]);
        /* Errors may go where output goes, and that may be our own. */
        if (i < 2 || (pipes->theirs[i] != pipes->theirs[1] && pipes->theirs[i] != STDOUT_FILENO))
            gv_host_pipe_close(pipes->theirs[i]);
    }
}

static int open_pipes(const struct grove_process_options *options, struct pipes *pipes)
{
    struct grove_stream **const wanted[3] = {options->input, options->output, options->errors};
    int rc = 0;

    *pipes = (struct pipes){{-1, -1, -1}, {-1, -1, -1}};
    for (int i = 0; i < 3 && rc == 0; i++) {
        int ends[2];

        if (wanted[i] == NULL)
            continue;
        rc = gv_host_pipe(ends);
        if (rc == 0) {
            pipes->ours[i] = ends[i == 0 ? 1 : 0];
            pipes->theirs[i] = ends[i == 0 ? 0 : 1];
        }
    }
    if (rc == 0 && options->input == NULL) {
        pipes->theirs[0] = gv_host_null();
        rc = pipes->theirs[0] < 0 ? pipes->theirs[0] : 0;
    }
    if (options->errors_to_output)
        pipes->theirs[2] = pipes->theirs[1] >= 0 ? pipes->theirs[1] : STDOUT_FILENO;
    return rc;
}

/* Makes streams of our ends, which they take. On failure none is left. */
static int make_streams(struct gv_loop *loop, const struct grove_process_options *options,
                        struct pipes *pipes, struct gv_holding **head)
{
    struct grove_stream **const wanted[3] = {options->input, options->output, options->errors};
    struct grove_stream *made[3] = {NULL, NULL, NULL};
    int rc = 0;

    for (int i = 0; i < 3 && rc == 0; i++) {
        struct gv_stream *base;

        if (wanted[i] == NULL)
            continue;
        made[i] = gv_world_stream_new(loop, "a child");
        rc = made[i] == NULL ? GROVE_ENOMEM
                             : loop->env->stream_from(loop->poller, pipes->ours[i],
                                                      i == 0 ? GV_OUTWARDS : GV_INWARDS, &base);
        if (made[i] != NULL)
            pipes->ours[i] = -1; /* It was taken. */
        if (rc == 0)
            gv_world_stream_adopt(made[i], base);
    }
    for (int i = 0; i < 3; i++) {
        if (rc != 0) {
            grove_stream_close(made[i]);
        } else if (made[i] != NULL) {
            gv_holding_put(head, &made[i]->holding);
            *wanted[i] = made[i];
        }
    }
    return rc;
}

static int start(struct grove_process *process, const char *const *arguments,
                 const struct grove_process_options *options, const struct pipes *pipes)
{
    struct gv_loop *loop = process->loop;
    char path[PATH_MAX];
    struct gv_process_options asked = {
        .program = path,
        .arguments = (char *const *)(uintptr_t)arguments,
        .environment =
            options->environment != NULL ? (char *const *)(uintptr_t)options->environment : environ,
        .directory = options->directory,
        .standard = pipes->theirs,
        .plain = true,
    };
    int rc = gv_host_find_program(arguments[0], path, sizeof path);

    return rc != 0
               ? rc
               : loop->env->process_spawn(loop->poller, &asked, on_exited, process, &process->base);
}

/* Notes it. The directory may be what is missing. */
static int not_started(struct gv_loop *loop, int rc, const char *program, const char *directory)
{
    char name[120];

    (void)snprintf(name, sizeof name, "%.50s%s%.60s", program, directory != NULL ? " in " : "",
                   directory != NULL ? directory : ""); /* It fits. */
    return gv_io_failed(loop, rc, "start", name);
}

int grove_process_spawn(const char *const *arguments, const struct grove_process_options *options,
                        struct grove_process **process)
{
    static const struct grove_process_options defaults;
    struct gv_loop *loop = gv_io_loop();
    struct grove_process *spawned;
    struct gv_holding **head;
    struct pipes pipes;
    int rc;

    if (loop == NULL)
        return gv_usage_thread("grove_process_spawn");
    if (process == NULL)
        return gv_usage_null("grove_process_spawn", "the place for the child");
    if (arguments == NULL || arguments[0] == NULL || arguments[0][0] == '\0')
        return gv_usage("grove_process_spawn: there is no program; name it in arguments[0]");
    rc = gv_holding_owner(loop, "grove_process_spawn", &head);
    if (rc != 0)
        return rc;
    if (loop->env->stream_from == NULL)
        return gv_io_failed(loop, GROVE_ENOSIM, "start", arguments[0]);
    options = options != NULL ? options : &defaults;
    spawned = calloc(1, sizeof *spawned);
    if (spawned == NULL)
        return gv_io_failed(loop, GROVE_ENOMEM, "start", arguments[0]);
    spawned->loop = loop;
    spawned->holding.close = close_holding;
    rc = open_pipes(options, &pipes);
    if (rc == 0)
        rc = start(spawned, arguments, options, &pipes);
    if (rc != 0) {
        free(spawned);
        close_pipes(&pipes);
        return not_started(loop, rc, arguments[0], options->directory);
    }
    gv_holding_put(head, &spawned->holding);
    rc = make_streams(loop, options, &pipes, head);
    close_pipes(&pipes);
    if (rc != 0) {
        grove_process_close(spawned);
        return gv_io_failed(loop, rc, "talk to", arguments[0]);
    }
    *process = spawned;
    return 0;
}

/* --- its life --------------------------------------------------------------------------------- */

int grove_process_wait_await(struct grove_process *process, struct grove_process_end *end)
{
    struct gv_loop *loop = gv_io_loop();
    bool gone = false;
    int rc = 0;

    if (loop == NULL)
        return gv_usage_wait("grove_process_wait_await");
    if (process == NULL)
        return gv_usage(
            "grove_process_wait_await: there is no child; grove_process_spawn makes one");
    if (process->loop != loop)
        return gv_usage("grove_process_wait_await: the child belongs to loop %u and this is loop "
                        "%u; wait there",
                        process->loop->index, loop->index);
    if (process->waiter != NULL)
        return gv_usage("grove_process_wait_await: another turn waits for this child already");
    if (process->base != NULL)
        rc = gv_io_await_or(loop, &process->waiter, gv_io_deadline(loop), &gone, gv_io_leave);
    if (rc == 0 && gone)
        rc = GROVE_ECANCELED;
    if (rc != 0)
        return gv_io_failed(loop, rc, "wait for", "a child");
    if (end != NULL)
        *end = process->end;
    return 0;
}

int grove_process_kill(struct grove_process *process, int signal)
{
    struct gv_loop *loop = gv_io_loop();
    int rc;

    if (process == NULL)
        return gv_usage("grove_process_kill: there is no child");
    if (loop == NULL || process->loop != loop)
        return gv_usage("grove_process_kill: the child belongs to loop %u; signal it there",
                        process->loop->index);
    rc = process->base != NULL ? loop->env->process_kill(process->base, signal) : -ESRCH;
    return rc == 0 ? 0 : gv_io_failed(loop, rc, "signal", "a child");
}

int grove_process_id(const struct grove_process *process)
{
    return process->base != NULL ? process->loop->env->process_pid(process->base) : 0;
}
