/*
 * Host: what the files host_*.c share, and nobody else sees.
 *
 * A poller is one libuv loop. Whatever happens on other threads (nng's
 * completions, ends of blocking runs) reaches it as a post: a record that
 * lives in the object it speaks of, put on the poller's list under its
 * mutex, and run by the loop's thread inside poller_poll. So all state of
 * streams, processes and runs is touched by one thread alone.
 *
 * An object holds its poller open from its making until its memory is
 * freed, which may be some polls after the owner has had its last upcall;
 * poller_close polls until nobody holds it any more.
 */
#ifndef GV_HOST_H
#define GV_HOST_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <uv.h>

#include "runtime/env.h"

/* News for a loop from any thread. Not to be posted again before it has run. */
struct gv_post {
    struct gv_post *next;
    void (*run)(void *owner);
    void *owner;
};

struct gv_poller {
    uv_loop_t loop;
    int wake_fd;               /* an eventfd that ends a wait */
    uv_poll_t wake;            /* watches it */
    int alarm_fd;              /* a timerfd that ends a wait at alarm_ns; -1 if there is none */
    uv_poll_t alarm;           /* watches it */
    uint64_t alarm_ns;         /* UINT64_MAX while it is not set */
    uv_timer_t timer;          /* without alarm: the timeout of one poll */
    unsigned number;           /* for the thread's name */
    unsigned n_held;           /* objects whose memory still points here */
    atomic_bool woken;         /* a wake is under way and not yet seen */
    pthread_mutex_t mutex;     /* guards the list of posts */
    struct gv_post *posts;     /* oldest first */
    struct gv_post **post_end; /* where the next one goes */
    struct gv_post *own;       /* posts of the poller's own thread, oldest first */
    struct gv_post **own_end;
    uint8_t
        *room; /* what comes in over a unix socket lies here during the upcall; NULL: none came */
    bool has_thread;
    pthread_t thread;
    void (*run)(void *); /* what the thread runs */
    void *argument;
};

/* host_poller.c */

int gv_host_poller_open(void *world, unsigned loop, struct gv_poller **poller);
void gv_host_poller_poll(struct gv_poller *poller, int64_t timeout_ns);
void gv_host_poller_wake(struct gv_poller *poller);
void gv_host_poller_close(struct gv_poller *poller);
int gv_host_thread_start(void *world, struct gv_poller *poller, void (*run)(void *),
                         void *argument);
void gv_host_thread_join(struct gv_poller *poller);

/* Hands a post to the loop and wakes it. Any thread; the poller must be held. */
void gv_host_post(struct gv_poller *poller, struct gv_post *post);

/* The same on the poller's own thread: costs no wake, and runs at the end of the next poll. */
void gv_host_post_here(struct gv_poller *poller, struct gv_post *post);

/* An object that points to the poller comes and goes. On the poller's thread. */
void gv_host_hold(struct gv_poller *poller);
void gv_host_release(struct gv_poller *poller);

/*
 * Blocks all signals of the calling thread but those of faults, which the
 * kernel would otherwise answer with instant death and no report. What was
 * blocked before goes to *old unless it is NULL.
 */
void gv_host_signals_block(sigset_t *old);

/* host_log.c */

void gv_host_log_write(void *world, const char *line, size_t n_bytes);
void gv_host_crash(void *world, const char *report) __attribute__((noreturn));
void gv_host_quit(void *world, int status) __attribute__((noreturn));

/* How many log lines could not be written. */
uint64_t gv_host_log_dropped(void);

/* host_stream.c */

/* How one kind of stream does what the env offers. */
struct gv_stream_kind {
    void (*adopt)(struct gv_stream *stream, const struct gv_stream_events *events, void *owner);
    void (*identity)(const struct gv_stream *stream, struct gv_identity *identity);
    void (*pause)(struct gv_stream *stream);
    void (*resume)(struct gv_stream *stream);
    int (*write)(struct gv_stream *stream, const void *bytes, size_t n_bytes);
    ssize_t (*try_write)(struct gv_stream *stream, const void *bytes, size_t n_bytes);
    int (*shutdown)(struct gv_stream *stream);
    void (*close)(struct gv_stream *stream);
};

/* What streams of all kinds begin with. */
struct gv_stream {
    const struct gv_stream_kind *kind;
};

/* What listeners of all kinds begin with. */
struct gv_listener {
    void (*pause)(struct gv_listener *listener, bool pause);
    void (*url)(const struct gv_listener *listener, char *url, size_t room);
    void (*close)(struct gv_listener *listener);
};

int gv_host_listen(struct gv_poller *poller, const char *url, const struct gv_listen_events *events,
                   void *owner, struct gv_listener **listener);
void gv_host_listener_pause(struct gv_listener *listener, bool pause);
void gv_host_listener_url(const struct gv_listener *listener, char *url, size_t room);
void gv_host_listener_close(struct gv_listener *listener);
int gv_host_dial(struct gv_poller *poller, const char *url, const struct gv_stream_events *events,
                 void *owner, struct gv_stream **stream);
void gv_host_stream_adopt(struct gv_stream *stream, const struct gv_stream_events *events,
                          void *owner);
void gv_host_stream_identity(const struct gv_stream *stream, struct gv_identity *identity);
void gv_host_stream_pause(struct gv_stream *stream);
void gv_host_stream_resume(struct gv_stream *stream);
int gv_host_stream_write(struct gv_stream *stream, const void *bytes, size_t n_bytes);
ssize_t gv_host_stream_try_write(struct gv_stream *stream, const void *bytes, size_t n_bytes);
int gv_host_stream_shutdown(struct gv_stream *stream);
void gv_host_stream_close(struct gv_stream *stream);

/* 0 if streams can be had at this URL, else -errno, and a log line that says why. */
int gv_host_url_check(const char *url);

/* host_address.c */

struct gv_host_address {
    struct sockaddr_storage storage;
    socklen_t n_bytes;
    bool any; /* of the new kind, and the old one too */
};

/* The address that a URL names, which has been checked for its beginning. Returns 0 or -EINVAL. */
int gv_host_address_read(const char *url, struct gv_host_address *address);

/* Every address of the old kind alone, for a machine that has no other. */
void gv_host_address_any(struct gv_host_address *address);

void gv_host_address_write(const struct gv_host_address *address, char *url, size_t room);

/* host_socket.c, host_socket_listener.c: at unix:///path and tcp://NUMBER:PORT */

int gv_host_socket_listen(struct gv_poller *poller, const char *url,
                          const struct gv_listen_events *events, void *owner,
                          struct gv_listener **listener);
int gv_host_socket_dial(struct gv_poller *poller, const char *url,
                        const struct gv_stream_events *events, void *owner,
                        struct gv_stream **stream);
int gv_host_stream_from(struct gv_poller *poller, int fd, enum gv_direction direction,
                        struct gv_stream **stream);

/* Shows an accepted socket to the listener's owner. Takes it, also if it fails. */
void gv_host_socket_accepted(struct gv_poller *poller, int fd,
                             const struct gv_listen_events *events, void *owner);

/* host_nng.c */

struct nng_stream;

/* Starts nng's threads, so that no signal is ever handled on one of them. */
void gv_host_nng_start(void);

/* nng's number for an error as -errno; 0 stays 0. */
int gv_host_nng_error(int rv);

/* host_nng_stream.c, host_nng_listener.c: at ipc:///path and tls+tcp://HOST:PORT */

struct connection;

/* Connections over TLS that have been accepted and whose peers are not known yet, oldest first. */
struct gv_host_hall {
    struct connection *first, **end;
    unsigned n;
    const struct gv_listen_events *events; /* of the listener */
    void *owner;
};

int gv_host_nng_listen(struct gv_poller *poller, const char *url,
                       const struct gv_listen_events *events, void *owner,
                       struct gv_listener **listener);
int gv_host_nng_dial(struct gv_poller *poller, const char *url,
                     const struct gv_stream_events *events, void *owner, struct gv_stream **stream);

/*
 * Shows an accepted connection to the listener's owner, over TLS once the
 * peer is known. Takes it, also if it fails.
 */
void gv_host_nng_accepted(struct gv_poller *poller, struct nng_stream *nng,
                          struct gv_host_hall *hall, bool tls);

/* The listener closes: who is in there goes. */
void gv_host_hall_close(struct gv_host_hall *hall);

/* host_process.c, host_child.c */

int gv_host_process_spawn(struct gv_poller *poller, const struct gv_process_options *options,
                          void (*exited)(void *owner, int status, int signal), void *owner,
                          struct gv_process **process);
int gv_host_process_pid(const struct gv_process *process);
int gv_host_process_kill(struct gv_process *process, int signal);

/* Starts a program. Returns its pid or -errno, also if it could not be executed. */
pid_t gv_host_child_start(const struct gv_process_options *options);

/* host_page.c */

int gv_host_page_open(void *world, size_t bytes, struct gv_page *page);
int gv_host_page_inherit(void *world, int fd, size_t bytes, struct gv_page *page);
void gv_host_page_close(void *world, struct gv_page *page);

/* A descriptor of memory without a name, which is empty; or -errno. Its size can be sealed if it is a memfd. */
int gv_host_memfd_open(void);

/* host_slab.c */

int gv_host_slab_open(void *world, size_t bytes, struct gv_slab *slab);
int gv_host_slab_inherit(void *world, int fd, size_t bytes, struct gv_slab *slab);
int gv_host_slab_write(struct gv_slab *slab, size_t offset, const void *bytes, size_t n_bytes);
int gv_host_slab_read(struct gv_slab *slab, size_t offset, void *bytes, size_t n_bytes);
int gv_host_slab_reserve(struct gv_slab *slab, size_t offset, size_t n_bytes);
void gv_host_slab_trim(struct gv_slab *slab, size_t offset, size_t n_bytes);
uint64_t gv_host_slab_used(const struct gv_slab *slab);
void gv_host_slab_close(void *world, struct gv_slab *slab);

/* host_signal.c */

int gv_host_signals_open(struct gv_poller *poller, uint64_t set,
                         void (*came)(void *owner, int signal), void *owner,
                         struct gv_signals **signals);
void gv_host_signals_close(struct gv_signals *signals);
int gv_host_aside_open(void *world, uint64_t (*look)(uint64_t signals));
void gv_host_aside_call(void *world);
void gv_host_aside_close(void *world);
void gv_host_signals_apart(void *world);
void gv_host_signals_restore(void *world);

/* host_watch.c */

int gv_host_watch_open(struct gv_poller *poller, const struct gv_watch_options *options,
                       struct gv_watch **watch);
void gv_host_watch_close(struct gv_watch *watch);

/* host_blocking.c */

int gv_host_blocking_run(struct gv_poller *poller, enum gv_blocking kind,
                         const struct gv_blocking_job *job);

/* Tests set it to have what an old kernel has: no pidfd, close_range or memfd. */
extern bool gv_host_old_kernel;

#endif
