#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_MS 50u
#define MOST_MS  30000u
#define KEPT_MAX 1024u /* restarts remembered; beyond that a limit holds for less than the window */

/* What is passed on; the first three ask for the end. */
static const int passed_on[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};

struct state {
    const struct options *options;
    sigset_t awaited; /* blocked, and waited for */
    sigset_t before;  /* what the program gets */
    pid_t pid;        /* 0: it does not run */
    int status;       /* of wait, once it has ended */
    bool asked;       /* for the end */
    long long started_ms, asked_ms;
    unsigned n_restarts;              /* since it was last healthy */
    unsigned long long n_all;         /* ever */
    long long restarted_ms[KEPT_MAX]; /* a ring */
};

static long long now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* It exists everywhere. */
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static bool asks_for_end(int signal)
{
    return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
}

/* --- the program ------------------------------------------------------------------------------ */

/* In the child. Tells through the pipe why it could not become the program. */
static void become(const struct state *state, int report_fd, pid_t parent)
{
    int error;

    (void)sigprocmask(SIG_SETMASK, &state->before, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
        (void)execvp(state->options->program[0], state->options->program);
    error = errno;
    (void)!write(report_fd, &error, sizeof error); /* The parent sees our end, too. */
    _exit(STATUS_NO_EXEC);
}

/* Returns 0, or the status to end with. */
static int start(struct state *state)
{
    pid_t parent = getpid();
    int ends[2], error = 0;

    if (pipe2(ends, O_CLOEXEC) != 0 || (state->pid = fork()) < 0) {
        (void)fprintf(stderr, "grove: cannot start %s: %s\n", state->options->program[0],
                      strerror(errno));
        return STATUS_NO_EXEC;
    }
    if (state->pid == 0)
        become(state, ends[1], parent);
    (void)close(ends[1]);
    while (read(ends[0], &error, sizeof error) < 0 && errno == EINTR)
        continue;
    (void)close(ends[0]);
    state->started_ms = now_ms();
    if (error == 0)
        return 0;
    (void)waitpid(state->pid, NULL, 0);
    (void)fprintf(stderr, "grove: cannot execute %s: %s\n", state->options->program[0],
                  strerror(error));
    return error == ENOENT ? STATUS_NO_FILE : STATUS_NO_EXEC;
}

/* Reaps who has ended. True if the program is among them. */
static bool reap(struct state *state)
{
    bool ended = false;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == state->pid) {
            state->status = status;
            ended = true;
        }
    return ended;
}

/* What the program has left behind is our child now: it goes, and what that leaves. */
static void clear_up(void)
{
    char path[64];
    int pid;

    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid()); /* It fits. */
    for (int round = 0; round < 100; round++) {
        FILE *children = fopen(path, "re");
        unsigned n = 0;

        if (children == NULL)
            return; /* A kernel without this list. */
        while (fscanf(children, "%d", &pid) == 1) {
            n++;
            (void)kill(pid, SIGKILL); /* It may have ended meanwhile. */
        }
        (void)fclose(children);
        if (n == 0)
            return;
        while (waitpid(-1, NULL, 0) > 0)
            continue;
    }
}

/* --- signals ---------------------------------------------------------------------------------- */

static void prepare(struct state *state)
{
    (void)sigemptyset(&state->awaited);
    (void)sigaddset(&state->awaited, SIGCHLD);
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++)
        (void)sigaddset(&state->awaited, passed_on[i]);
    (void)signal(SIGCHLD, SIG_DFL); /* Were it ignored, nobody could be waited for. */
    (void)sigprocmask(SIG_BLOCK, &state->awaited, &state->before);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* Without it orphans go to init, as ever. */
}

static void pass_on(struct state *state, const siginfo_t *info)
{
    if (asks_for_end(info->si_signo) && !state->asked) {
        state->asked = true;
        state->asked_ms = now_ms();
    }
    /* A key of the terminal reaches the whole group, the program too. */
    if (state->pid > 0 && info->si_code != SI_KERNEL)
        (void)kill(state->pid, info->si_signo);
}

/* Waits for a signal, at most timeout_ms (< 0: for ever). Passes it on. */
static void wait_for_signal(struct state *state, long long timeout_ms)
{
    struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000};
    siginfo_t info;
    int signal = timeout_ms < 0 ? sigwaitinfo(&state->awaited, &info)
                                : sigtimedwait(&state->awaited, &info, &timeout);

    if (signal > 0 && signal != SIGCHLD)
        pass_on(state, &info);
}

/* Until it has ended. */
static void run(struct state *state)
{
    long long stop_ms = state->options->stop_s * 1000LL;

    while (!reap(state)) {
        long long left_ms = -1;

        if (state->asked && stop_ms > 0) {
            left_ms = state->asked_ms + stop_ms - now_ms();
            if (left_ms <= 0) {
                (void)fprintf(stderr, "grove: %s did not end in %u s: killed\n",
                              state->options->program[0], state->options->stop_s);
                (void)kill(state->pid, SIGKILL);
                left_ms = stop_ms;
                state->asked_ms = now_ms();
            }
        }
        wait_for_signal(state, left_ms);
    }
    state->pid = 0;
}

/* --- what next -------------------------------------------------------------------------------- */

/* "died of SIGSEGV", "exited with status 70". */
static void describe(int status, char *text, size_t room)
{
    if (WIFSIGNALED(status))
        (void)snprintf(text, room, "died of SIG%s%s", sigabbrev_np(WTERMSIG(status)),
                       WCOREDUMP(status) ? " (core dumped)" : ""); /* A cut text is a text. */
    else
        (void)snprintf(text, room, "exited with status %d", WEXITSTATUS(status));
}

static int status_of(int status)
{
    return WIFSIGNALED(status) ? SIGNAL_OFFSET + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool must_restart(const struct state *state)
{
    if (state->asked)
        return false;
    if (WIFSIGNALED(state->status))
        return true;
    return WEXITSTATUS(state->status) == STATUS_CRASHED
           || (state->options->any && WEXITSTATUS(state->status) != 0);
}

/* True if one restart more would be over the limit. */
static bool is_over_limit(const struct state *state)
{
    unsigned limit = state->options->limit < KEPT_MAX ? state->options->limit : KEPT_MAX;

    if (limit == 0 || state->n_all < limit)
        return false;
    return now_ms() - state->restarted_ms[(state->n_all - limit) % KEPT_MAX]
           <= state->options->window_s * 1000LL;
}

static long long back_off_ms(unsigned n_restarts)
{
    unsigned ms = FIRST_MS, chance = 0;

    if (n_restarts == 0)
        return 0;
    for (unsigned i = 1; i < n_restarts && ms < MOST_MS; i++)
        ms *= 2;
    ms = ms < MOST_MS ? ms : MOST_MS;
    (void)!getrandom(&chance, sizeof chance, GRND_NONBLOCK); /* Without chance there is none. */
    return ms + chance % (ms / 4 + 1);
}

/* Says what happened and waits for the next start. False: there is none. */
static bool go_on(struct state *state)
{
    const char *name = state->options->program[0];
    long long ran_ms = now_ms() - state->started_ms, wait_ms, until_ms;
    char what[64];

    describe(state->status, what, sizeof what);
    if (ran_ms >= state->options->window_s * 1000LL)
        state->n_restarts = 0;
    if (is_over_limit(state)) {
        (void)fprintf(stderr, "grove: %s %s after %lld.%03lld s; %u restarts in %u s: giving up\n",
                      name, what, ran_ms / 1000, ran_ms % 1000, state->options->limit,
                      state->options->window_s);
        return false;
    }
    wait_ms = back_off_ms(state->n_restarts);
    (void)fprintf(stderr, "grove: %s %s after %lld.%03lld s; restart %llu in %lld ms\n", name, what,
                  ran_ms / 1000, ran_ms % 1000, state->n_all + 1, wait_ms);
    state->restarted_ms[state->n_all++ % KEPT_MAX] = now_ms();
    state->n_restarts++;
    until_ms = now_ms() + wait_ms;
    while (!state->asked && now_ms() < until_ms)
        wait_for_signal(state, until_ms - now_ms());
    return true;
}

int supervise(const struct options *options)
{
    static struct state state;
    char what[64];

    state.options = options;
    prepare(&state);
    for (;;) {
        int rc = start(&state);

        if (rc != 0)
            return rc;
        run(&state);
        clear_up();
        if (!must_restart(&state))
            break;
        if (!go_on(&state))
            return STATUS_GAVE_UP;
        if (state.asked)
            return 0; /* It did not run any more. */
    }
    if (status_of(state.status) != 0) {
        describe(state.status, what, sizeof what);
        (void)fprintf(stderr, "grove: %s %s%s\n", options->program[0], what,
                      state.asked ? ", as it was asked to end" : "; not restarted");
    }
    return status_of(state.status);
}
