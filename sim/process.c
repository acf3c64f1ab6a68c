#include "sim/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "sim/fault.h"
#include "sim/page.h"
#include "sim/poller.h"
#include "sim/stream.h"
#include "sim/thread.h"
#include "sim/world.h"
#include "workers/page.h"

#define FIRST_PID 1000

static struct gv_process under_test;
static struct gv_process *children;
static int last_pid;
static int (*child_run)(struct gv_process *self);

void gv_sim_on_spawn(int (*run)(struct gv_process *self))
{
    child_run = run;
}

/* --- lists of words ----------------------------------------------------------------------------- */

static char **copy_words(char *const *words)
{
    size_t n = 0;
    char **copies;

    while (words != NULL && words[n] != NULL)
        n++;
    copies = calloc(n + 1, sizeof *copies);
    if (copies == NULL)
        gv_sim_crash("no memory for a child's arguments");
    for (size_t i = 0; i < n; i++) {
        copies[i] = strdup(words[i]);
        if (copies[i] == NULL)
            gv_sim_crash("no memory for a child's arguments");
    }
    return copies;
}

static void free_words(char **words)
{
    for (size_t i = 0; words[i] != NULL; i++)
        free(words[i]);
    free(words);
}

const char *gv_sim_process_variable(const struct gv_process *process, const char *name)
{
    size_t n = strlen(name);

    for (char **entry = process->environment; *entry != NULL; entry++)
        if (strncmp(*entry, name, n) == 0 && (*entry)[n] == '=')
            return *entry + n + 1;
    return NULL;
}

struct gv_listener *
gv_sim_process_first(struct gv_listener *(*find)(const struct gv_process *process, const char *url),
                     const char *url)
{
    struct gv_listener *found = find(&under_test, url);

    for (struct gv_process *child = children; found == NULL && child != NULL; child = child->next)
        found = find(child, url);
    return found;
}

/* --- ends ----------------------------------------------------------------------------------------- */

static void free_child(struct gv_process *process)
{
    struct gv_process **place = &children;

    while (*place != process)
        place = &(*place)->next;
    *place = process->next;
    free_words(process->arguments);
    free_words(process->environment);
    free(process);
}

static void tell_parent(void *object)
{
    struct gv_process *process = object;

    gv_sim_note("exited", (uint64_t)process->pid, (uint64_t)process->signal);
    process->parent->n_objects--;
    process->exited(process->owner, process->status, process->signal);
    free_child(process);
}

/* The kernel's part in a death. */
static void end_child(struct gv_process *process, int status, int signal)
{
    gv_sim_note("dies", (uint64_t)process->pid, (uint64_t)signal);
    process->ended = true;
    process->status = status;
    process->signal = signal;
    if (process->thread->alive)
        gv_sim_thread_kill(process->thread);
    gv_sim_streams_die(process);
    while (process->pollers != NULL)
        gv_sim_poller_free(process->pollers);
    gv_sim_pages_die(process);
    gv_sim_post(process->parent, gv_sim_travel_ns(), tell_parent, process);
}

void gv_sim_process_exit(int status)
{
    end_child(gv_sim_thread_running()->process, status, 0);
    gv_sim_thread_wait(GV_SIM_NEVER);
    gv_sim_crash("a process that has ended went on");
}

void gv_sim_process_work(uint64_t ns)
{
    gv_sim_thread_wait(gv_sim.now_ns + ns);
}

uint64_t gv_sim_process_wake_ns(const struct gv_process *process, uint64_t wake_ns)
{
    if (process->stopped)
        return process->kill_ns;
    return wake_ns < process->kill_ns ? wake_ns : process->kill_ns;
}

/* --- fate ---------------------------------------------------------------------------------------- */

static void note_fate(const struct gv_process *process, enum grove_sim_fault kind)
{
    bool busy = process->phase == GV_SIM_BUSY;

    if (kind == GROVE_SIM_HANG) {
        gv_sim_note("hangs", (uint64_t)process->pid, process->phase);
        gv_sim_detail(busy ? GV_SIM_HANGS_BUSY : GV_SIM_HANGS_IDLE);
        return;
    }
    gv_sim_note("dies by fate", (uint64_t)process->pid, process->phase);
    gv_sim_detail(busy                              ? GV_SIM_DIES_BUSY
                  : process->phase == GV_SIM_UNBORN ? GV_SIM_DIES_UNBORN
                                                    : GV_SIM_DIES_IDLE);
}

struct gv_process *gv_sim_process_numbered(unsigned number)
{
    struct gv_process *chosen = NULL;
    uint32_t n = 0;

    for (struct gv_process *child = children; child != NULL; child = child->next) {
        if (child->ended || child->stopped)
            continue;
        if (number != 0 ? child->pid == FIRST_PID + (int)number
                        : gv_sim_draw(GV_SIM_WORLD, ++n) == 0)
            chosen = child;
    }
    return chosen;
}

void gv_sim_process_doom(struct gv_process *process, enum grove_sim_fault kind)
{
    if (kind == GROVE_SIM_LIE) {
        process->lie_next = true; /* It is counted when it happens. */
        return;
    }
    gv_sim_struck(kind);
    note_fate(process, kind);
    if (kind == GROVE_SIM_HANG)
        process->stopped = true;
    else
        (void)gv_sim_process_kill(process, SIGSEGV); /* It lives. */
}

void gv_sim_process_each(void (*function)(struct gv_process *process))
{
    function(&under_test);
    for (struct gv_process *child = children; child != NULL; child = child->next)
        function(child);
}

bool gv_sim_process_fated(struct gv_process *process)
{
    if (process->parent == NULL)
        return false;
    if (process->kill_ns <= gv_sim.now_ns) {
        end_child(process, -1, process->kill_signal);
        return true;
    }
    if (process->immortal)
        return false;
    if (gv_sim_strikes(GROVE_SIM_DIE, GV_SIM_WORLD, gv_sim_mix.death_ppm)) {
        note_fate(process, GROVE_SIM_DIE);
        end_child(process, -1, SIGSEGV);
        return true;
    }
    if (gv_sim_strikes(GROVE_SIM_HANG, GV_SIM_WORLD, gv_sim_mix.hang_ppm)) {
        note_fate(process, GROVE_SIM_HANG);
        process->stopped = true;
        return true;
    }
    return false;
}

/* --- births --------------------------------------------------------------------------------------- */

static void run_child(void *argument)
{
    struct gv_process *process = argument;
    int status = child_run(process);

    end_child(process, status, 0);
}

/* Of other programs nobody knows here what they would do. */
static bool is_worker(const struct gv_process_options *options)
{
    size_t n = strlen(GV_WORKER_VARIABLE);

    for (char *const *entry = options->environment; entry != NULL && *entry != NULL; entry++)
        if (strncmp(*entry, GV_WORKER_VARIABLE, n) == 0 && (*entry)[n] == '=')
            return true;
    return false;
}

int gv_sim_process_spawn(struct gv_poller *poller, const struct gv_process_options *options,
                         void (*exited)(void *owner, int status, int signal), void *owner,
                         struct gv_process **result)
{
    struct gv_process *process;
    char name[16];

    if (child_run == NULL)
        gv_sim_crash("a child is spawned, but gv_sim_on_spawn has not said what it runs");
    if (!is_worker(options))
        return GROVE_ENOSIM;
    if (gv_sim_strikes(GROVE_SIM_NOBIRTH, GV_SIM_WORLD, gv_sim_mix.spawn_fail_ppm))
        return -EAGAIN;
    if (options->n_descriptors > GV_SIM_DESCRIPTORS_MAX)
        return -EINVAL;
    process = calloc(1, sizeof *process);
    if (process == NULL)
        return -ENOMEM;
    process->pid = ++last_pid;
    (void)snprintf(name, sizeof name, "pid %d", process->pid); /* It fits. */
    process->thread =
        gv_sim_thread_start(process, name, gv_sim.now_ns + gv_sim_travel_ns(), run_child, process);
    if (process->thread == NULL) {
        free(process);
        return -EAGAIN;
    }
    process->parent = poller;
    process->exited = exited;
    process->owner = owner;
    process->kill_ns = GV_SIM_NEVER;
    process->arguments = copy_words(options->arguments);
    process->environment = copy_words(options->environment);
    process->n_descriptors = options->n_descriptors;
    for (unsigned i = 0; i < options->n_descriptors; i++)
        process->descriptors[i] = options->descriptors[i];
    process->next = children;
    children = process;
    poller->n_objects++;
    *result = process;
    return 0;
}

int gv_sim_process_pid(const struct gv_process *process)
{
    return process->pid;
}

int gv_sim_process_kill(struct gv_process *process, int signal)
{
    gv_sim_note("kill", (uint64_t)process->pid, (uint64_t)signal);
    if (process->ended)
        return -ESRCH;
    if (signal == SIGSTOP) {
        process->stopped = true;
    } else if (signal == SIGCONT) {
        process->stopped = false;
    } else if (process->kill_ns == GV_SIM_NEVER || signal == SIGKILL) {
        process->kill_ns = gv_sim.now_ns + gv_sim_late_ns(gv_sim_mix.kill_late_us);
        process->kill_signal = signal;
    }
    return 0;
}

struct gv_process *gv_sim_processes_open(void)
{
    under_test = (struct gv_process){.pid = FIRST_PID, .kill_ns = GV_SIM_NEVER};
    last_pid = FIRST_PID;
    child_run = NULL;
    return &under_test;
}

void gv_sim_processes_close(void)
{
    while (children != NULL) {
        gv_sim_fail("child %d is left", children->pid);
        if (!children->ended)
            end_child(children, -1, SIGKILL);
        free_child(children);
    }
    GV_SIM_CHECK(under_test.streams == NULL, "a stream is left");
    GV_SIM_CHECK(under_test.listeners == NULL, "a listener is left");
    gv_sim_streams_die(&under_test);
    while (under_test.pollers != NULL)
        gv_sim_poller_free(under_test.pollers);
    GV_SIM_CHECK(!gv_sim_pages_die(&under_test), "a page is left");
}
