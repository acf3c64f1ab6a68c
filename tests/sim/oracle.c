#include "tests/sim/oracle.h"

#include <inttypes.h>
#include <string.h>

#include <grove/error.h>

#include "tests/sim/simulation.h"

struct wait {
    struct oracle_arm arms[ORACLE_ARMS_MAX];
    unsigned n_arms; /* 0: it does not wait */
    enum oracle_kind kind;
    bool came;           /* of an `any`: one has come, and it wakes soon */
    bool circled;        /* a circle stood at some moment of this wait */
    uint64_t circled_ns; /* when the last one was closed, 0 if none was */
};

static struct wait waits[ORACLE_TASKS_MAX];

void oracle_open(void)
{
    memset(waits, 0, sizeof waits);
}

/* What an arm needs has come, or has failed: nobody waits for it any more. */
static bool is_over(const struct oracle_arm *arm)
{
    return arm->done != NULL && *arm->done != 0;
}

/* True if something that the task waits for may still come, as far as stuck says. */
static bool may_wake(const struct wait *wait, const bool *stuck)
{
    bool choice = wait->kind == ORACLE_ANY;

    if (wait->n_arms == 0 || wait->came)
        return true;
    for (unsigned i = 0; i < wait->n_arms; i++)
        if ((is_over(&wait->arms[i]) || !stuck[wait->arms[i].target]) == choice)
            return choice;
    return !choice;
}

/* Whoever can still go on is taken out, until nothing changes; the rest is stuck. */
static void find_stuck(bool *stuck)
{
    bool any = true;

    memset(stuck, true, ORACLE_TASKS_MAX * sizeof *stuck);
    while (any) {
        any = false;
        for (unsigned task = 0; task < ORACLE_TASKS_MAX; task++)
            if (stuck[task] && may_wake(&waits[task], stuck)) {
                stuck[task] = false;
                any = true;
            }
    }
}

/* Marks all that `task` waits for among the stuck ones, with every arm of an `any`. */
static void mark(unsigned task, const bool *stuck, bool *marked)
{
    for (unsigned i = 0; i < waits[task].n_arms; i++) {
        unsigned target = waits[task].arms[i].target;

        if (stuck[target] && !marked[target] && !is_over(&waits[task].arms[i])) {
            marked[target] = true;
            mark(target, stuck, marked); /* As deep as there are tasks. */
        }
    }
}

/* True if task is stuck, and waits for itself in the end. */
static bool in_circle(unsigned task, const bool *stuck)
{
    bool marked[ORACLE_TASKS_MAX] = {false};

    if (stuck[task])
        mark(task, stuck, marked);
    return marked[task];
}

/* Notes the circles that there are; those that the newest wait has closed begin now. */
static void note_circles(unsigned newest)
{
    bool stuck[ORACLE_TASKS_MAX], below[ORACLE_TASKS_MAX] = {false};

    find_stuck(stuck);
    if (in_circle(newest, stuck))
        mark(newest, stuck, below);
    for (unsigned task = 0; task < ORACLE_TASKS_MAX; task++) {
        bool beyond[ORACLE_TASKS_MAX] = {false};

        if (!in_circle(task, stuck))
            continue;
        waits[task].circled = true;
        mark(task, stuck, beyond);
        if (below[task] && beyond[newest])
            waits[task].circled_ns = sim.now_ns;
    }
}

void oracle_wait(unsigned task, enum oracle_kind kind, const struct oracle_arm *arms,
                 unsigned n_arms)
{
    struct wait *wait = &waits[task];

    SIM_CHECK(wait->n_arms == 0, "task %u waits twice", task);
    memset(wait, 0, sizeof *wait);
    memcpy(wait->arms, arms, n_arms * sizeof *arms);
    wait->n_arms = n_arms;
    wait->kind = kind;
    for (unsigned i = 0; i < n_arms; i++)
        sim_note("waits", (uint64_t)task << 8 | kind,
                 (uint64_t)arms[i].target << 32 | arms[i].call);
    note_circles(task);
}

void oracle_call_over(unsigned call)
{
    for (unsigned task = 0; task < ORACLE_TASKS_MAX; task++) {
        struct wait *wait = &waits[task];

        for (unsigned i = 0; i < wait->n_arms; i++)
            if (wait->arms[i].call == call) {
                wait->arms[i] = wait->arms[--wait->n_arms];
                wait->came = wait->kind == ORACLE_ANY;
            }
    }
}

void oracle_judge(unsigned task, int rc)
{
    struct wait *wait = &waits[task];
    uint64_t stood_ns = sim.now_ns - wait->circled_ns;
    bool stuck[ORACLE_TASKS_MAX];

    sim_note("waited", task, (uint64_t)(int64_t)rc);

    if (rc == GROVE_EDEADLK)
        SIM_CHECK(wait->circled, "task %u was told of a deadlock that never was", task);
    find_stuck(stuck);
    if (rc == GROVE_ETIMEDOUT && wait->circled_ns != 0 && in_circle(task, stuck))
        SIM_CHECK(stood_ns <= ORACLE_CIRCLE_MS * UINT64_C(1000000),
                  "task %u timed out in a circle that stood for %" PRIu64 " us", task,
                  stood_ns / 1000);
    wait->n_arms = 0;
}
