/* See victim.h. */
#include "tests/runtime/victim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

char report[16384];

int signal_of(void (*break_it)(void))
{
    size_t n_bytes = 0;
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &none); /* A core would only be in the way. */
        (void)dup2(ends[1], STDERR_FILENO);
        break_it();
        _exit(0);
    }
    assert_int_equal(close(ends[1]), 0);
    for (ssize_t n; (n = read(ends[0], report + n_bytes, sizeof report - 1 - n_bytes)) > 0;)
        n_bytes += (size_t)n;
    report[n_bytes] = '\0';
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void assert_reported(const char *text)
{
    if (strstr(report, text) == NULL)
        fail_msg("no \"%s\" in:\n%s", text, report);
}
