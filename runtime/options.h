/*
 * Options: everything that can be set from outside, in one table.
 *
 * An option has one name. GROVE_NAME in the environment sets it, then
 * --grove-name=VALUE on the command line, then grove_option_set. They are
 * read and set before the loops open, by one thread; later they only are
 * read.
 */
#ifndef GV_OPTIONS_H
#define GV_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, default, least, most, unit, meaning. Numbers. */
#define GV_OPTION_NUMBERS(X)                                                                      \
    X(LOOPS, "loops", 0, 0, 63, "threads", "loops to run; 0: one per core")                       \
    X(STACKS_MAX, "stacks_max", 0, 0, 16777216, "stacks",                                         \
      "greenlet stacks of one loop; 0: as many as memory allows")                                 \
    X(SPIN_US, "spin_us", -1, -1, 1000000, "us",                                                  \
      "how long an idle loop spins; -1: only while cores are free")                               \
    X(TICK_US, "tick_us", 100, 1, 1000000, "us",                                                  \
      "aim for the time between two looks at the world")                                          \
    X(TURN_CLOCK, "turn_clock", 0, 0, 1, "", "1: time each turn (two clock reads)")               \
    X(HANDOVER, "handover", 1, 0, 1, "",                                                          \
      "0: woken handlers resume through a dispatcher (for tests)")                                \
    X(INLINE, "inline", 1, 0, 2, "",                                                              \
      "0: calls are queued; 1: not those to idle actors here; 2: nor if they park (for tests)")   \
    X(NOYIELD, "noyield", GV_NOYIELD_ABORTS, 0, 1, "",                                            \
      "an await in a no-yield region: 1: aborts; 0: fails with GROVE_EYIELD")                     \
    X(SHUFFLE, "shuffle", 0, 0, 1, "", "1: the run queue is drawn by chance (for tests)")         \
    X(LEND, "lend", 1, 0, 2, "",                                                                  \
      "1: idle loops borrow messages of waiting actors; 0: never; 2: always (for tests)")         \
    X(MAILBOX_DEPTH, "mailbox_depth", 1024, 1, 1048575, "messages", "default bound of a mailbox") \
    X(MAILBOX_BYTES, "mailbox_bytes", 1048576, 65536, 267386880, "bytes",                         \
      "default bound of a mailbox")                                                               \
    X(STOP_MS, "stop_ms", 8000, 100, 3600000, "ms",                                               \
      "how long the end of the process may take, from the signal on")                             \
    X(HUGE_PAGES, "huge_pages", 0, 0, 1, "",                                                      \
      "1: asks for huge pages where very many actors or messages live")                           \
    X(BLOCKING_THREADS, "blocking_threads", 16, 1, 1024, "",                                      \
      "threads for grove_blocking_await and isolation = THREAD")                                  \
    X(BLOCKING_QUEUE, "blocking_queue", 1024, 1, 1048575, "",                                     \
      "what may wait for one of them; beyond: GROVE_EFULL")                                       \
    X(STALL_MS, "stall_ms", 25, 1, 60000, "ms", "a turn that takes longer is a stall")            \
    X(STALL_REPORTS, "stall_reports", 5, 0, 1000000, "a minute",                                  \
      "stalls that are written out; others are kept and counted")                                 \
    X(LOG_LEVEL, "log_level", 2, 0, 4, "",                                                        \
      "0 nothing, 1 errors, 2 warnings, 3 information, 4 everything")                             \
    X(WORKER_NICE, "worker_nice", 5, 0, 19, "", "added to the niceness of worker processes")      \
    X(WORKER_NNG, "worker_nng", 0, 0, 1, "",                                                      \
      "1: workers are reached over nng, as remote ones will be")

/* name, default, meaning. Texts. */
#define GV_OPTION_TEXTS(X)                                                                        \
    X(RUN_DIR, "run_dir", "", "absolute folder for sockets; empty: $XDG_RUNTIME_DIR, else /tmp")  \
    X(STALL, "stall", "",                                                                         \
      "warn: report turns over stall_ms; fail: then exit 70; off; empty: warn, off if sanitized") \
    X(TLS_CERT, "tls_cert", "", "file: our certificate and its chain, PEM; shown over tls+tcp")   \
    X(TLS_KEY, "tls_key", "", "file: the key of tls_cert, PEM, without a password")               \
    X(TLS_CA, "tls_ca", "", "file: who certifies our peers over tls+tcp, PEM")                    \
    X(TLS_NAME, "tls_name", "", "whom to expect when dialling tls+tcp; empty: the host dialled")

enum gv_option {
#define GV_OPTION_ENUM(id, ...) GV_OPTION_##id,
    GV_OPTION_NUMBERS(GV_OPTION_ENUM) GV_OPTION_TEXTS(GV_OPTION_ENUM)
#undef GV_OPTION_ENUM
        GV_OPTION_COUNT
};

/* Room for an error text. */
#define GV_OPTION_ERROR_BYTES 256u

/* The value of a number option. Any thread. */
int64_t gv_option_number(enum gv_option option);

/* The value of a text option; lent until it is set again. */
const char *gv_option_text(enum gv_option option);

/* Cores this process may use. */
unsigned gv_option_cores(void);

/*
 * Sets an option by its name. Returns 0, or GROVE_EUSAGE with error saying
 * what is wrong and what is allowed.
 */
int gv_option_set(const char *name, const char *value, char error[GV_OPTION_ERROR_BYTES]);

/*
 * Reads GROVE_* from the environment, then takes --grove-NAME=VALUE out of
 * argv. Returns as gv_option_set. argc and argv may be NULL.
 */
int gv_options_read(int *argc, char **argv, char error[GV_OPTION_ERROR_BYTES]);

/* True if these n_bytes are the name of an option's environment variable. */
bool gv_option_is_variable(const char *variable, size_t n_bytes);

#define GV_OPTION_LINE_BYTES 256u

/* A line for people: name, environment name, what is allowed, default, meaning. */
void gv_option_describe(enum gv_option option, char text[GV_OPTION_LINE_BYTES]);

/* Forgets all that was set. For tests. */
void gv_options_reset(void);

#endif
