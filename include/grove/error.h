/*
 * Errors: what a call can return, and the words that go with it.
 *
 *       0   done
 *     > 0   refused: a number of the service's refusal enum, an answer
 *     < 0   the call failed: one of the codes below, or -errno
 *
 * Pass a negative code up unchanged. A refusal that an await gave you is
 * a number of *that* service's enum: turn it into one of your own with
 * grove_refuse, or your caller gets GROVE_EFOREIGN.
 */
#ifndef GROVE_ERROR_H
#define GROVE_ERROR_H

#include <stdbool.h>

#include <grove/export.h>

enum grove_started {
    GROVE_STARTED_UNKNOWN = 0, /* nobody can say: ask again with the same key */
    GROVE_STARTED_NO = 1,      /* certain: nothing of the request was done */
    GROVE_STARTED_YES = 2,     /* the handler had begun */
};

enum grove_class {
    GROVE_DONE = 0,
    GROVE_REFUSED = 1,
    GROVE_FAILED = 2,
    GROVE_UNKNOWN = 3,
};

/*
 * The one table of codes: name, number (also on the wire: never reuse one),
 * Connect code, what is known of the handler, advice for people.
 */
#define GROVE_ERROR_TABLE(X)                                                                     \
    X(EFULL, -4096, "resource_exhausted", NO,                                                    \
      "the mailbox or queue is full: send slower, use _send_await, or raise its bound")          \
    X(ESTOPPING, -4097, "unavailable", NO,                                                       \
      "the receiver is stopping: find its successor and ask that")                               \
    X(ENOACTOR, -4098, "not_found", NO, "nobody lives at this ref: it stopped, or never was")    \
    X(ENOTOWNER, -4099, "unavailable", NO, "this shard lives elsewhere now: ask the owner")      \
    X(EDEADLK, -4100, "aborted", NO,                                                             \
      "this call would close a cycle of actors waiting for each other: send instead of await")   \
    X(EACCES, -4101, "permission_denied", NO, "the caller may not use this method")              \
    X(EAUTH, -4102, "unauthenticated", NO, "the caller did not prove who it is")                 \
    X(EPROTO, -4103, "invalid_argument", NO, "the bytes are not a valid message of this method") \
    X(ETOOBIG, -4104, "resource_exhausted", NO,                                                  \
      "the message is larger than the limit: send less, or in parts")                            \
    X(ENOTSUP, -4105, "unimplemented", NO, "the receiver has no function for this method")       \
    X(ETIMEDOUT, -4106, "deadline_exceeded", UNKNOWN,                                            \
      "the deadline passed before the answer came")                                              \
    X(ECANCELED, -4107, "canceled", UNKNOWN, "the caller gave up, or is being stopped")          \
    X(EDOWN, -4108, "internal", YES, "the receiver ended while it handled this request")         \
    X(ECRASHED, -4109, "internal", YES, "the worker process died while it ran this job")         \
    X(EBROKEN, -4110, "internal", YES, "the other side broke the protocol")                      \
    X(EFENCED, -4111, "aborted", UNKNOWN, "another owner has taken over")                        \
    X(EUNKNOWN, -4112, "unavailable", UNKNOWN,                                                   \
      "the outcome is not known: ask again with the same key")                                   \
    X(ENOMEM, -4113, "resource_exhausted", NO,                                                   \
      "no memory for it: lower the load or raise the limit")                                     \
    X(ECORRUPT, -4114, "data_loss", UNKNOWN, "stored data does not match its checksum")          \
    X(EFOREIGN, -4115, "internal", YES,                                                          \
      "the handler returned a refusal of another service: wrap it with grove_refuse")            \
    X(ENOSTACK, -4116, "resource_exhausted", NO,                                                 \
      "every stack is taken by a waiting handler: raise stacks_max or wait less at once")        \
    X(ENOSIM, -4117, "unimplemented", NO, "this cannot be simulated")                            \
    X(EUSAGE, -4118, "invalid_argument", NO,                                                     \
      "the call is not allowed here or with these arguments")                                    \
    X(EUNAVAILABLE, -4119, "unavailable", NO,                                                    \
      "no worker could be started: see the log for the reason")                                  \
    X(EYIELD, -4120, "internal", NO,                                                             \
      "an await inside a no-yield region: end the region first, or await before it")             \
    X(EEND, -4121, "out_of_range", YES,                                                          \
      "the stream has ended and all its items were taken: this is no failure")                   \
    X(EQUARANTINED, -4122, "unavailable", NO,                                                    \
      "jobs like this one have killed their workers: mend its function, or wait for the next trial")

enum grove_error {
#define GROVE_ERROR_ENUM(name, number, connect, started, advice) GROVE_##name = number,
    GROVE_ERROR_TABLE(GROVE_ERROR_ENUM)
#undef GROVE_ERROR_ENUM
};

/*
 * The name of a code: "GROVE_EFULL", for -errno its name, else "?". Lent forever. Never suspends.
 */
GROVE_API const char *grove_error_name(int code);

/* One sentence on what a negative code means and what to do next. Lent forever. Never suspends. */
GROVE_API const char *grove_error_text(int code);

/* The Connect code of a negative code, such as "not_found". Lent forever. */
GROVE_API const char *grove_error_connect(int code);

/*
 * In a handler: `return grove_refuse(CODE, "short by %d", n);` answers with
 * a refusal and its reason (at most 255 bytes, longer ones are cut). Returns
 * code, which must be > 0 and a value of the service's refusal enum; of 0 or
 * less, which is no refusal, it makes GROVE_EUSAGE. Change nothing before you
 * refuse. Never suspends. Works without a runtime, in a unit test too.
 */
GROVE_API int grove_refuse(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * In a handler: `return grove_fail("ledger is inconsistent");` ends the
 * actor, whose state can no longer be trusted: its running call fails with
 * GROVE_EDOWN, and a log line says why. One that has a supervisor
 * (supervise.h) may begin anew, and keeps what is queued; else that fails
 * with GROVE_ENOACTOR. The first reason of a handler counts. In main and in
 * greenlets nothing ends. Returns the code to return. Never suspends.
 */
GROVE_API int grove_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What is known about the last call of this turn that did not return 0. */
struct grove_failure {
    enum grove_class class;
    int code; /* what the await returned */
    enum grove_started started;
    const char *refusals; /* full name of the enum that code belongs to, NULL if not refused */
    const char *text;     /* the reason given, "" if none */
};

/*
 * The failure record of the last function of grove in this turn that returned
 * a failure or a refusal, or of the last grove_refuse. Lent until the next
 * await or the end of the turn. Never NULL, never suspends.
 */
GROVE_API const struct grove_failure *grove_failure(void);

/* Short for grove_failure()->text, or the text of its code when no reason was given. */
GROVE_API const char *grove_why(void);

#endif
