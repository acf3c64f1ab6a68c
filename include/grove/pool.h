/*
 * Worker pools: processes that run the WORKER rpcs of this program.
 *
 *     static const struct screening_service screening = {.screen = screen};
 *     GROVE_WORKER(screening, &screening);
 *     ...
 *     grove_ref pool;
 *     int rc = grove_pool_open(NULL, &pool);
 *     rc = screening_screen_await(pool, &request, &response);
 *
 * The rpcs of a service that has actors may be marked WORKER one by one. Sent
 * to an actor, such a request passes its mailbox by: it goes to the pool that
 * the rpc names (option (grove.pool), else "workers"), and its function has no state.
 * GROVE_EUNAVAILABLE if there is no such pool. Pools stand in the registry:
 *
 *     rc = grove_whereis("pool/workers", &pool);
 *
 * A worker that breaks a rule of its link (garbage, an answer to a job it
 * does not have, a frame that no worker sends) is counted, killed and replaced.
 *
 * A job that was running when its worker died fails with GROVE_ECRASHED
 * (started YES), or is tried on another worker if its rpc declares an
 * idempotency_level; jobs that had not begun are always tried again. A job
 * dies with at most two workers.
 *
 * A request to a worker and its answer have at most 16 MiB each, packed:
 * GROVE_ETOOBIG beyond. Hand on more as the name of a file, or in parts.
 */
#ifndef GROVE_POOL_H
#define GROVE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grove/deadletter.h>
#include <grove/export.h>
#include <grove/init.h>
#include <grove/ref.h>

/* For options whose default is not to be: never. */
#define GROVE_POOL_NEVER UINT32_MAX

/* Zero means the default. */
struct grove_pool_options {
    const char *name;    /* 1 to 31 bytes; default "workers"; of several pools with one name
                            the oldest is found by it */
    const char *program; /* default: this program again */
    unsigned n_workers;  /* default: cores - 1, at least 1; at most 256 */
    unsigned credits;    /* jobs a worker may hold, the running one included; default: 1 to 64,
                            the more the shorter jobs are */
    unsigned queue_max;  /* jobs waiting for a worker; default 10 000; full: GROVE_EFULL at once */
    uint64_t bytes_max;  /* bytes of waiting jobs; default 64 MiB */
    unsigned grace_ms;   /* from CANCEL to SIGKILL of an overdue job; default 100 */
    unsigned birth_ms;   /* a worker that takes longer to start is killed; default 10 000 */
    int nice;            /* 1 to 19, added to the niceness of workers; -1: nothing is;
                            default: the option worker_nice, 5 */

    /* A pool that grows has n_workers at least. */
    unsigned n_workers_max; /* at most 256; default: n_workers, it does not grow */
    unsigned grow_ms;       /* when a job has waited so long one worker more is started, and the
                               next one no sooner than so much later; default 50 */
    unsigned idle_ms;       /* a worker more than n_workers leaves after so long without a job;
                               default 30 000 */

    /*
     * When a worker is replaced. Its successor is started first and takes over when it is
     * ready; jobs it holds are finished. One at a time, and at most one a second.
     */
    uint64_t recycle_jobs;  /* after so many jobs; default: never */
    unsigned recycle_ms;    /* when it is so old; default: never */
    uint64_t recycle_bytes; /* when its resident memory is so much larger than it was after the
                               warm-up and its first 16 jobs; default: never; at least 1 MiB */

    /* Limits by the kernel. */
    uint64_t memory_max; /* bytes of address space a worker may add to those it starts with: then
                            malloc gives NULL; default: no limit; at least 1 MiB */
    unsigned cpu_s;      /* seconds of CPU that one job may use: then its worker is killed by
                            SIGXCPU; default: no limit */

    /*
     * Workers of other machines: see grove_pool_url. They come over TLS 1.3,
     * and each shows a certificate.
     */
    const char *listen; /* "tls+tcp://HOST:PORT", 0.0.0.0 for all addresses, port 0 for any;
                              default: nobody may come */
    const char *allow;  /* names of certificates that may come, with commas between them; "*" is
                              all that the authority has certified; no default */
    const char *cert;   /* files in PEM: ours, its key, the authority of theirs; default: the */
    const char *key;    /* options tls_cert, tls_key and tls_ca */
    const char *ca;
    unsigned heartbeat_ms; /* who is silent for three of them is gone; 50 to 60 000; default 1000 */
    unsigned remote_max;   /* machines at once; at most 256; default 64 */
    bool only_remote;      /* no worker is started here */

    /*
     * Memory that each worker shares with this program, for messages of 64 KiB and more: half
     * for requests, half for answers. Only what is in use takes memory, and after a second
     * without use none does. What finds no room goes through the stream, which is slower.
     */
    int64_t slab_bytes; /* for each worker; default 64 MiB; 1 MiB to 4 GiB; -1: none */

    /* Dead letters. The oldest make room. */
    unsigned dead_max;       /* how many are kept; default 256, at most 65 536 */
    uint64_t dead_bytes_max; /* of their requests; a larger one is not kept; default 8 MiB */

    /* Quarantine. */
    uint32_t quarantine_deaths; /* workers that equal requests may kill in a row; default 3, at
                                   most 1000; GROVE_POOL_NEVER: no quarantine, of methods neither */
    unsigned quarantine_ms;     /* until one is tried again, twice as long after each trial that
                                   dies, up to 10 minutes; default 30 000 */
};

/*
 * Opens a pool on loop 0 and starts its workers. options may be NULL. On 0
 * *ref is the pool; jobs queue until the first worker is up. Call it from
 * main, or from an actor on loop 0 (else GROVE_EUSAGE). Never suspends.
 */
GROVE_API int grove_pool_open(const struct grove_pool_options *options, grove_ref *ref);

/*
 * Lets the workers finish what they hold, at most timeout_ms, then ends
 * them and frees the pool. Jobs still unfinished fail with GROVE_ESTOPPING
 * (not begun) or GROVE_ECRASHED. Suspends. Returns 0, GROVE_ENOACTOR.
 */
GROVE_API int grove_pool_close_await(grove_ref pool, uint32_t timeout_ms);

struct grove_pool_stats {
    unsigned n_workers;      /* wanted now */
    unsigned n_ready;        /* connected and agreed */
    unsigned n_busy;         /* with at least one job */
    uint64_t queued;         /* jobs waiting now */
    uint64_t running;        /* jobs handed to workers now */
    uint64_t done;           /* answers given: done or refused */
    uint64_t failed;         /* answers given: failed */
    uint64_t retried;        /* jobs given to another worker after a death */
    uint64_t restarts;       /* workers started again after a death */
    uint64_t recycled;       /* workers replaced by age, jobs done, or memory */
    uint64_t dropped_peers;  /* connections dropped for breaking the protocol */
    uint64_t dropped_frames; /* late, doubled or unknown answers, items beyond credit, progress
                                that cannot be, messages in shared memory with a wrong place
                                or sum */
    uint64_t dead;           /* jobs that became dead letters */
    uint64_t dead_dropped;   /* of them, those that are kept no more, for want of room */
    uint64_t quarantined;    /* jobs refused by a quarantine */
    uint64_t progressed;     /* words on progress that workers have sent */
    uint64_t items;          /* of streams, handed on to their readers */
    unsigned n_parked;       /* workers whose stream waits for its reader */

    /* Of other machines; each counts as one in n_ready and n_busy. */
    unsigned n_remote;         /* machines that are connected and agreed */
    unsigned n_remote_workers; /* workers that they have */
    uint64_t remote_lost;      /* links that ended while jobs were on them, or without a farewell */
    uint64_t remote_refused;   /* peers that had a good certificate and were not let in */

    /* Messages of 64 KiB and more, of workers of this machine. */
    uint64_t slab_requests; /* large requests that went through shared memory */
    uint64_t slab_answers;  /* and large answers */
    uint64_t slab_full;     /* large requests that found no room there */
    uint64_t slab_used;     /* bytes of it that the workers' memory takes now */
};

/* Fills *stats. On loop 0 only. Returns 0, GROVE_ENOACTOR or GROVE_EUSAGE. Never suspends. */
GROVE_API int grove_pool_stats(grove_ref pool, struct grove_pool_stats *stats);

/*
 * Writes the process ids of the live workers into pids (at most n) and
 * returns how many there are, or a negative code. On loop 0 only.
 */
GROVE_API int grove_pool_pids(grove_ref pool, int *pids, unsigned n);

/*
 * Writes what workers of other machines dial, "tls+tcp://HOST:PORT" with the
 * port that was chosen, into url. On loop 0 only. Returns 0, GROVE_ENOACTOR,
 * or GROVE_EUSAGE: it does not listen, or room is too short.
 */
GROVE_API int grove_pool_url(grove_ref pool, char *url, size_t room);
/* --- dead letters ------------------------------------------------------------------------------- */

/*
 * A dead letter of a pool is a job that its function will not answer any
 * more, and that is kept with its request. Of a call these are
 *
 *     KILLED   the workers that ran it died: one, or two if it may run again
 *     OVERDUE  it still ran at its deadline, and after the grace
 *     BROKEN   its worker's answer was no message
 *
 * Its caller has been told. Of a job that was sent, so that nobody waits for
 * it, also FAILED (its function returned a negative code), UNAVAILABLE,
 * QUARANTINED, STOPPED. A job that its caller gave up is none. Each is a
 * dead letter of the process as well: grove_dead_letters_subscribe tells of it.
 */
struct grove_pool_letter {
    uint64_t id; /* in its pool; never used twice */
    const struct grove_method *method;
    enum grove_dead_reason reason;
    int code;                 /* what its caller heard, if there was one */
    unsigned attempts;        /* runs that began, of all its retries */
    uint64_t bytes;           /* of its request, packed */
    uint64_t fingerprint;     /* equal requests of a method have equal ones, in this pool */
    bool is_called;           /* somebody waited for the answer, and has been told */
    bool is_kept;             /* its request is there, so it can be retried */
    unsigned long long at_ns; /* when it died the last time, as grove_now_ns tells */
    char text[96];            /* the reason that was given, "" if none */
};

/*
 * Copies the dead letters of a pool, newest first, at most n. Returns how
 * many there are, or a negative code. On loop 0 only. Never suspends.
 */
GROVE_API int grove_pool_dead_letters(grove_ref pool, struct grove_pool_letter *letters,
                                      unsigned n);

/*
 * Runs a dead letter's request as a new call, with a deadline of its own, as if by _await:
 * the answer, which must be of the rpc's response type, or NULL, is the
 * caller's of this function. When it has been answered the letter is gone; if the job
 * fails it stays, with more attempts. Returns what the call does, or GROVE_EUSAGE: there is no
 * such letter, it is being retried, or its request was not kept. On loop 0 only. Suspends.
 */
GROVE_API int grove_pool_retry_await(grove_ref pool, uint64_t letter, ProtobufCMessage *response);

/*
 * Forgets a dead letter, 0: all. Returns how many were forgotten, or a
 * negative code. On loop 0 only. Never suspends.
 */
GROVE_API int grove_pool_forget(grove_ref pool, uint64_t letter);

/* --- quarantine --------------------------------------------------------------------------------- */

/*
 * Jobs that kill their workers are refused for a while with
 * GROVE_EQUARANTINED, started NO: at once, so that other jobs have the
 * workers. That befalls equal requests of a method that have killed
 * quarantine_deaths workers without one being answered between; and
 * a method ten of whose jobs, and no fewer than were answered of late, have killed theirs.
 * After quarantine_ms one of them is tried: if it is answered, all are
 * let in again. Workers killed for a job's deadline, and by a caller that gave up, do not count.
 */
struct grove_pool_quarantine {
    uint64_t id;
    const struct grove_method *method;
    bool is_whole;        /* the whole method; else requests of this fingerprint */
    bool is_tried;        /* one of them is on trial now */
    uint64_t fingerprint; /* as of dead letters */
    unsigned deaths;      /* of workers */
    unsigned rest_ms;     /* until one is tried, 0: the next one is */
    uint64_t refused;     /* jobs */
};

/* Copies the quarantines of a pool, at most n. Returns how many there are, or a negative code. On loop 0 only. Never suspends. */
GROVE_API int grove_pool_quarantines(grove_ref pool, struct grove_pool_quarantine *quarantines,
                                     unsigned n);

/* Lifts a quarantine, 0: all, and forgets its deaths. Returns how many, or a negative code. On loop 0 only. Never suspends. */
GROVE_API int grove_pool_lift(grove_ref pool, uint64_t quarantine);

/* What grove_worker_main calls; use grove_worker_main. */
GROVE_API int grove_worker_main_with(int *argc, char ***argv,
                                     const struct grove_worker_entry *first,
                                     const struct grove_worker_entry *end);

/*
 * The whole main of a program that is only a worker: serves this program's
 * GROVE_WORKER functions to the pool that started it. With
 *
 *     PROGRAM --connect tls+tcp://HOST:PORT --cert FILE --key FILE --ca FILE
 *
 * it joins the pool that listens there, with as many workers as this machine
 * has cores, until SIGTERM; --help tells the rest. Returns the exit status;
 * prints one line and returns 2 when it was started otherwise.
 */
static inline int grove_worker_main(int argc, char **argv)
{
    return grove_worker_main_with(&argc, &argv, __start_grove_workers, __stop_grove_workers);
}

#endif
