/*
 * Children: other programs, with pipes to them as streams.
 *
 *     struct grove_stream *output;
 *     struct grove_process_options options = {.output = &output};
 *     rc = grove_process_spawn((const char *const[]){"ls", "-l", NULL}, &options, &process);
 *     ...grove_read_line_await(output, …)…
 *     rc = grove_process_wait_await(process, &end);
 *     grove_process_close(process);
 *
 * A child that is still running when its owner ends, or closes it, is
 * killed; so it is when this process dies in whatever way. Owners and loops are as
 * for streams (stream.h).
 */
#ifndef GROVE_PROCESS_H
#define GROVE_PROCESS_H

#include <stdbool.h>

#include <grove/export.h>
#include <grove/stream.h>

struct grove_process;

/* Zero means the default. */
struct grove_process_options {
    /*
     * Where the other ends go: streams of the caller's own. NULL:
     * input is empty, the others are ours.
     */
    struct grove_stream **input;  /* what is written there the child reads */
    struct grove_stream **output; /* what the child writes */
    struct grove_stream **errors;
    bool errors_to_output;          /* errors go where output goes */
    const char *const *environment; /* "NAME=value", NULL at the end; default: ours */
    const char *directory;          /* where it begins; default: ours */
};

struct grove_process_end {
    int status; /* what it returned; -1 if a signal ended it, or nobody knows */
    int signal; /* that ended it, 0 if none */
};

/*
 * Starts arguments[0] with these arguments, NULL at the end; without a slash
 * in it, it is looked for in PATH. Takes about a millisecond, and never suspends. Errors:
 * -ENOENT, -EACCES, -ENOEXEC, -EMFILE, -EAGAIN, GROVE_EUSAGE, GROVE_ENOSIM.
 */
GROVE_API int grove_process_spawn(const char *const *arguments,
                                  const struct grove_process_options *options,
                                  struct grove_process **process);

/* Suspends until it has ended; one turn at a time. No deadline of its own. end may be NULL. */
GROVE_API int grove_process_wait_await(struct grove_process *process,
                                       struct grove_process_end *end);

/* Sends a signal. Returns 0, -ESRCH when it has ended, -EINVAL, GROVE_EUSAGE. Never suspends. */
GROVE_API int grove_process_kill(struct grove_process *process, int signal);

/* Its process id, 0 once it has ended. Never suspends. */
GROVE_API int grove_process_id(const struct grove_process *process);

/* Kills it if it still runs, and lets it go. NULL is ignored. Never suspends. */
GROVE_API void grove_process_close(struct grove_process *process);

#endif
