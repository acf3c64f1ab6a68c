/*
 * Env: the one door to the world.
 *
 * Time, choice, threads of loops, byte streams, processes, descriptors,
 * blocking runs, the log and the end of the process are reached through
 * this struct and nowhere else. `gv_env_host()` is the real one (host_*.c
 * here: libuv, nng, the kernel); the simulator in sim/ brings another,
 * so that the same seed gives the same run.
 *
 * Always: upcalls of a stream, listener, process, watch, signal or blocking run come
 * on the loop whose poller opened it, from inside poller_poll, on the
 * thread's main stack, one at a time. They may call back into the env. After
 * `closed`, `exited` or `done` no other upcall follows for that object.
 * Handles are freed by the env: streams and processes right after their last
 * upcall has returned, the others when their close function returns. Tables
 * of events are not copied: they live as long as the object.
 */
#ifndef GV_ENV_H
#define GV_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct gv_poller;   /* what one loop waits with */
struct gv_listener; /* a name that peers dial */
struct gv_stream;   /* a connection: bytes in order, both ways */
struct gv_process;  /* a child */
struct gv_watch;    /* readiness of a descriptor */
struct gv_monitor;  /* looks at threads from outside; monitor.h */
struct gv_signals;  /* signals that somebody waits for */

/* Which way a descriptor's bytes go. */
enum gv_direction { GV_BOTH_WAYS, GV_INWARDS, GV_OUTWARDS };

/* What to run where it may block, and then on the loop. */
struct gv_blocking_job {
    void (*run)(void *argument);
    void (*done)(void *argument);
    void *argument;
};

/* Whose blocking run it is: each kind has threads of its own, so that none waits for another's. */
enum gv_blocking {
    GV_BLOCKING_FILES,
    GV_BLOCKING_NAMES,
    GV_BLOCKING_USERS, /* what programs run: nobody knows how long it takes */
    GV_BLOCKING_COUNT
};

/* Who is at the other end of a stream, as the kernel says. */
struct gv_identity {
    int64_t pid;   /* -1 if unknown */
    int64_t uid;   /* -1 if unknown */
    char name[64]; /* certificate name, or the URL it dialled from; "" if none */
};

struct gv_stream_events {
    /* A dialled stream is up. Not called for accepted streams. */
    void (*connected)(void *owner);
    /* Bytes came; lent until return. */
    void (*received)(void *owner, const uint8_t *bytes, size_t n_bytes);
    /* The peer sends no more, but may still read. NULL: that closes the stream. */
    void (*ended)(void *owner);
    /* The one write in flight has left; its memory is the owner's again. */
    void (*written)(void *owner);
    /* Last upcall: end of stream (0), our own close (0), or -errno. A write in flight is over too. */
    void (*closed)(void *owner, int error);
};

/* What TLS shows and trusts. NULL: what the options tls_cert, tls_key, tls_ca name. */
struct gv_tls_files {
    const char *cert, *key, *ca;
};

struct gv_listen_events {
    /* A peer has come. Call stream_adopt or stream_close on it before returning. */
    void (*accepted)(void *owner, struct gv_stream *stream);
    /* How to listen; zero means the usual. */
    int backlog;                    /* peers that the kernel lets wait */
    unsigned mode;                  /* of a unix socket's name; usually 0600 */
    bool reuse_port;                /* several listeners of one port share its peers */
    const struct gv_tls_files *tls; /* lives until it is closed */
};

struct gv_process_options {
    const char *program;      /* path */
    const char *directory;    /* where it begins; NULL: ours */
    const int *standard;      /* become 0, 1, 2 in the child where not -1; NULL: ours */
    bool plain;               /* a program of the user's: keeps privileges, core files and its rank
                                 when memory runs out */
    char *const *arguments;   /* argv, NULL at the end */
    char *const *environment; /* envp, NULL at the end: nothing is inherited */
    const int *descriptors;   /* become 3, 4, … in the child; all others but 0-2 are closed */
    unsigned n_descriptors;
    int nice; /* added to ours */
};

/* What a watch waits for; ready is called each time until it is closed. */
struct gv_watch_options {
    int fd;
    bool readable;
    bool writable;
    void (*ready)(void *owner, bool readable, bool writable);
    void *owner;
};

/* Memory that a child can map by descriptor; zeroed. */
struct gv_page {
    void *memory;
    size_t bytes;
    int fd; /* to be inherited by the child; in simulation a number that only it understands */
};

/* Memory shared with one child, for what is large; zeroed. */
struct gv_slab {
    uint8_t *memory; /* NULL in a parent that had better not touch it: see host_slab.c */
    size_t bytes;
    int fd;         /* to be inherited by the child */
    bool is_scarce; /* a page of it may be refused */
};

/* A set of signals: those with their bit. Numbers 1 to 64. */
static inline uint64_t gv_signal_bit(int signal)
{
    return (uint64_t)1 << (signal - 1);
}

/* What kind of choice is asked for; the simulator weighs and traces them. */
enum gv_choice { GV_CHOICE_READY, GV_CHOICE_LOOP, GV_CHOICE_FAULT, GV_CHOICE_APP };

struct gv_env {
    void *world; /* first argument of the functions below that take no handle */

    /* Time. Monotonic since an arbitrary moment, the same in all loops; wall in ms since 1970. */
    uint64_t (*now_ns)(void *world);
    int64_t (*wall_ms)(void *world);

    /* Choice: 64 random bits; a number below n. Any thread. */
    uint64_t (*random)(void *world);
    uint32_t (*choose)(void *world, uint32_t n, enum gv_choice kind);

    /*
     * Loops. poller_open may be called from any thread, but poll and
     * everything opened on the poller belong to the one thread that polls.
     * poll runs upcalls: timeout_ns 0 looks, < 0 waits until something
     * happens, else at most that long. wake ends a poll soon, from any
     * thread, also one that begins later; wakes may merge. A timeout is kept
     * to some microseconds where the kernel can, else it is rounded up to a
     * millisecond; and a poll may end early for no reason.
     * poller_close comes after all that was opened on it was closed, and
     * polls until the last upcalls of streams and runs have come.
     */
    int (*poller_open)(void *world, unsigned loop, struct gv_poller **poller);
    void (*poller_poll)(struct gv_poller *poller, int64_t timeout_ns);
    void (*poller_wake)(struct gv_poller *poller);
    void (*poller_close)(struct gv_poller *poller);

    /* A thread that runs run(argument), with all signals but faults blocked. join waits for its end. */
    int (*thread_start)(void *world, struct gv_poller *poller, void (*run)(void *), void *argument);
    void (*thread_join)(struct gv_poller *poller);

    /*
     * Streams. URLs are unix:///path, for this machine, tcp://NUMBER:PORT,
     * and, over nng, ipc:///path and tls+tcp://HOST:PORT, where each end shows
     * a certificate (options tls_cert, tls_key, tls_ca): accepted and
     * connected come once the peer is known, with its name in the identity.
     * listen makes the socket 0600. dial returns at once; connected or
     * closed follows. Reading begins with adopt or connected; pause stops
     * it, resume goes on. write takes one buffer at a time (-EBUSY while one
     * is in flight) and lends it until written or closed. close ends with
     * the closed upcall, soon, never from inside close itself. A stream
     * that was accepted and closed without adopting it has no upcall.
     * Of sockets only (NULL in a world that has none of it): try_write hands
     * over what leaves at once, and returns how much, or -errno; shutdown
     * tells the peer that no more will come; stream_from makes a stream of a
     * descriptor, which it takes also if it fails, to be adopted at once;
     * listener_pause leaves peers waiting; the urls are those that a peer
     * would dial, or has.
     */
    int (*listen)(struct gv_poller *poller, const char *url, const struct gv_listen_events *events,
                  void *owner, struct gv_listener **listener);
    void (*listener_pause)(struct gv_listener *listener, bool pause);
    void (*listener_url)(const struct gv_listener *listener, char *url, size_t room);
    void (*listener_close)(struct gv_listener *listener);
    int (*dial)(struct gv_poller *poller, const char *url, const struct gv_stream_events *events,
                void *owner, struct gv_stream **stream);
    void (*stream_adopt)(struct gv_stream *stream, const struct gv_stream_events *events,
                         void *owner);
    void (*stream_identity)(const struct gv_stream *stream, struct gv_identity *identity);
    void (*stream_pause)(struct gv_stream *stream);
    void (*stream_resume)(struct gv_stream *stream);
    int (*stream_write)(struct gv_stream *stream, const void *bytes, size_t n_bytes);
    ssize_t (*stream_try_write)(struct gv_stream *stream, const void *bytes, size_t n_bytes);
    int (*stream_shutdown)(struct gv_stream *stream);
    int (*stream_from)(struct gv_poller *poller, int fd, enum gv_direction direction,
                       struct gv_stream **stream);
    void (*stream_close)(struct gv_stream *stream);

    /*
     * Processes. exited(owner, status, signal): status of exit, or -1 and
     * the signal. The child dies with the thread that spawned it, so spawn
     * from one that lasts. pid of a live child; kill returns 0 or -errno.
     */
    int (*process_spawn)(struct gv_poller *poller, const struct gv_process_options *options,
                         void (*exited)(void *owner, int status, int signal), void *owner,
                         struct gv_process **process);
    int (*process_pid)(const struct gv_process *process);
    int (*process_kill)(struct gv_process *process, int signal);

    /* Shared pages. inherit maps what a parent passed on as descriptor fd. */
    int (*page_open)(void *world, size_t bytes, struct gv_page *page);
    int (*page_inherit)(void *world, int fd, size_t bytes, struct gv_page *page);
    void (*page_close)(void *world, struct gv_page *page);

    /*
     * Slabs; NULL in a world that has none. inherit maps what a parent
     * passed on as descriptor fd. write and read copy, and fail where the
     * other side has taken the memory away. Whoever writes to memory
     * reserves before. trim gives memory back that nobody needs: it is zero
     * then. used is how much there is now.
     */
    int (*slab_open)(void *world, size_t bytes, struct gv_slab *slab);
    int (*slab_inherit)(void *world, int fd, size_t bytes, struct gv_slab *slab);
    int (*slab_write)(struct gv_slab *slab, size_t offset, const void *bytes, size_t n_bytes);
    int (*slab_read)(struct gv_slab *slab, size_t offset, void *bytes, size_t n_bytes);
    int (*slab_reserve)(struct gv_slab *slab, size_t offset, size_t n_bytes);
    void (*slab_trim)(struct gv_slab *slab, size_t offset, size_t n_bytes);
    uint64_t (*slab_used)(const struct gv_slab *slab);
    void (*slab_close)(void *world, struct gv_slab *slab);

    /*
     * Signals. signals_open: from now on each signal of `set` comes as
     * came(owner, signal) on the poller's loop, and has no other effect. All
     * who watch a signal hear it; two of one kind that come at once may be
     * heard as one. When nobody watches it any more it has the effect that
     * it had before. Returns 0, -EINVAL for signals that cannot be caught
     * (KILL, STOP, faults), -ENOMEM, -EAGAIN.
     *
     * Loops have all signals blocked but those of faults. signals_block does
     * it to the calling thread: whatever signal comes from then on is handled
     * on a thread that does nothing else, with the mask that the caller had,
     * until signals_restore. The two do not nest.
     */
    int (*signals_open)(struct gv_poller *poller, uint64_t set,
                        void (*came)(void *owner, int signal), void *owner,
                        struct gv_signals **signals);
    void (*signals_close)(struct gv_signals *signals);
    void (*signals_block)(void *world);
    void (*signals_restore)(void *world);

    /*
     * The thread of signals, which no loop can hold up; all NULL in a world
     * that has none, as in simulation. From aside_open on it calls look,
     * which must not block: with each set of watched signals that comes, at
     * once; after aside_call, soon; and when as many ns are over as it
     * returned last (0: not). After aside_close it does not, and no call is
     * under way. One at a time. Returns 0 or -errno.
     */
    int (*aside_open)(void *world, uint64_t (*look)(uint64_t signals));
    void (*aside_call)(void *world);
    void (*aside_close)(void *world);

    /* Readiness of a descriptor, one watch for each on a poller. */
    int (*watch_open)(struct gv_poller *poller, const struct gv_watch_options *options,
                      struct gv_watch **watch);
    void (*watch_close)(struct gv_watch *watch);

    /*
     * Runs run(argument) on a thread that may block, then done(argument) on
     * the poller's loop. -EAGAIN: too many wait already. GROVE_ENOSIM: this
     * world has no such threads.
     */
    int (*blocking_run)(struct gv_poller *poller, enum gv_blocking kind,
                        const struct gv_blocking_job *job);

    /* For the stall watch; NULL where there is none, as in simulation. */
    const struct gv_monitor *monitor;

    /* One log line without its newline; never blocks: what cannot be written is dropped. Any thread. */
    void (*log_write)(void *world, const char *line, size_t n_bytes);

    /* Ends the process at once with a status; what is in the log is written. Any thread. Does not return. */
    void (*quit)(void *world, int status) __attribute__((noreturn));

    /* Prints the report and ends the process by SIGABRT. Any thread. Does not return. */
    void (*crash)(void *world, const char *report) __attribute__((noreturn));
};

/* The real world; one per process. */
const struct gv_env *gv_env_host(void);

#endif
