/*
 * Yard: a pool with one place for a worker, without processes, sockets or a
 * clock of its own. What the pool asks of the world is noted here; its
 * worker is a real one at the other end of two streams in memory. Nothing
 * moves by itself: the test lets each side go on.
 */
#ifndef TESTS_WORKERS_YARD_H
#define TESTS_WORKERS_YARD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grove/error.h>

#include "jobs.grove.h"
#include "tests/links/fake.h"
#include "workers/pool.h"
#include "workers/worker.h"

struct yard {
    struct gv_loop *loop;
    struct gv_pool *pool;
    struct gv_child *child; /* its only one */
    struct gv_worker *worker;
    /* What the pool did. */
    unsigned n_spawned, n_killed;
    unsigned n_pages; /* open */
    int nice;
    char program[64], argument[64];
    /* What the world is like. */
    int spawn_rc;
    bool wrong_token;
    /* What the last caller heard. */
    unsigned n_outcomes;
    int code;
    enum grove_started started;
    char text[128];
};

extern struct yard yard;

/* The whole main: tests that each begin with a fresh yard. */
#define yard_test(function) cmocka_unit_test_setup_teardown(function, yard_open, yard_close)
int yard_open(void **state);
int yard_close(void **state);
int yard_begin(void);
int yard_end(int n_failed);

/* Spawns the child; then lets its worker dial and agree with the pool. */
void yard_spawn(void);
void yard_connect(void);

/* Lets the pool do what it does before each look at the world, and bytes arrive. */
void yard_flush(void);

/* The worker runs all it has, and its answers arrive. */
void yard_work(void);

/* So much time passes; timers fire. */
void yard_pass(uint32_t ms);

/* The exit of the process is seen. */
void yard_exit(int signal);

/* The lines of the log since the test began. Lent. */
const char *yard_log(void);

/* A job that somebody waits for, in the queue. method: a place in job_service_table. */
struct gv_job *yard_job(unsigned method);

/* What its worker last began, as its page says. */
void yard_begun(uint64_t seq);

/* The last caller has heard this, and nobody else anything. */
void assert_heard(int code, enum grove_started started);

#endif
