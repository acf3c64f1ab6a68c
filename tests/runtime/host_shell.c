/* See host_shell.h. */
#include <fcntl.h>
#include <unistd.h>

#include "tests/runtime/host_shell.h"

void on_exited(void *owner, int status, int signal)
{
    struct end *end = owner;

    end->n++;
    end->status = status;
    end->signal = signal;
    end->at_ns = env->now_ns(env->world);
}

struct gv_process *spawn_shell(const char *script, const int *fds, unsigned n_fds, struct end *end)
{
    char *arguments[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};
    char *environment[] = {"GROVE_TEST=a value", "PATH=/usr/bin:/bin", NULL};
    struct gv_process_options options = {
        .program = "/bin/sh",
        .arguments = arguments,
        .environment = environment,
        .descriptors = fds,
        .n_descriptors = n_fds,
        .nice = 3,
    };
    struct gv_process *process;

    *end = (struct end){.n = 0};
    assert_int_equal(env->process_spawn(poller, &options, on_exited, end, &process), 0);
    return process;
}

void run_shell(const char *script, char *text, size_t room)
{
    struct end end;
    size_t n_bytes = 0;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)spawn_shell(script, &ends[1], 1, &end);
    assert_int_equal(close(ends[1]), 0);
    for (ssize_t n; (n = read(ends[0], text + n_bytes, room - 1 - n_bytes)) > 0;)
        n_bytes += (size_t)n;
    text[n_bytes] = '\0';
    assert_int_equal(close(ends[0]), 0);
    POLL_UNTIL(end.n == 1);
    assert_int_equal(end.status, 0);
}
