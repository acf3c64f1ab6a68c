/*
 * Monitors: to be told when somebody ends.
 *
 * A monitor is one-way: the watched one does not know of it, and nothing
 * happens to the watcher but that it is told, once. Each grove_monitor is
 * one of its own, also if several watch the same ref.
 *
 * Who watches       is told by
 * an actor          the function `down` of its functions struct, as a turn
 *                   of its own, in its place among the messages
 * a greenlet, main  grove_receive_await, as a letter whose `down` is set
 *
 * DOWN comes after everything that the watched one had sent to the watcher,
 * also from another loop. It is never refused, however full the mailbox is.
 * A restart is no end: an actor that its supervisor restarts is down only
 * when it has ended for good.
 */
#ifndef GROVE_MONITOR_H
#define GROVE_MONITOR_H

#include <stdint.h>

#include <grove/export.h>
#include <grove/ref.h>

/* Why somebody is gone. Numbers are also on the wire: never reuse one. */
enum grove_down_reason {
    GROVE_DOWN_NONE = 0,    /* it lives */
    GROVE_DOWN_STOPPED = 1, /* it was asked to stop, or its function has returned */
    GROVE_DOWN_FAILED = 2, /* grove_fail, an init that failed, an error of who restarts on errors */
    GROVE_DOWN_KILLED = 3, /* it was asked with GROVE_STOP_KILL */
    GROVE_DOWN_NOACTOR = 4,      /* nobody lived at the ref when the monitor came there */
    GROVE_DOWN_ESCALATED = 5,    /* a supervisor whose children failed too often */
    GROVE_DOWN_NOCONNECTION = 6, /* it cannot be seen any more; it may live */
    GROVE_DOWN_FENCED = 7,       /* reserved: another owner has taken over */
    GROVE_DOWN_UPGRADED = 8,     /* reserved: another version has taken over */
};

/* "STOPPED" and so on, "?" for what is none. Lent forever. Never suspends. */
GROVE_API const char *grove_down_reason_name(enum grove_down_reason reason);

/*
 * A monitor, by its number; 0 is none. A copy is as good. It owns
 * nothing: when it has told, or its watcher ends, it is over.
 */
typedef uint64_t grove_monitor_id;

/* What a watcher is told. */
struct grove_down {
    grove_monitor_id monitor;
    grove_ref ref; /* who is gone */
    enum grove_down_reason reason;
    const char *why; /* the reason of its failure, "" if none; lent as the letter or the turn */
};

/*
 * Watches ref for the running actor, greenlet, or main. *monitor may be NULL.
 * If nobody lives there, the watcher is told NOACTOR at once. Returns 0;
 * GROVE_EUSAGE where nobody runs that could be told (an actor without a
 * function `down`), and for grove_self(); GROVE_EFULL beyond 1 048 576
 * monitors of one watcher; GROVE_ENOMEM. Never suspends.
 */
GROVE_API int grove_monitor(grove_ref ref, grove_monitor_id *monitor);

/*
 * Ends a monitor of the running actor, greenlet, or main: it will not tell
 * any more, also if the watched one has ended meanwhile and DOWN is on its
 * way. Returns 0, or GROVE_ENOACTOR if it was over already, or is somebody
 * else's. Never suspends.
 */
GROVE_API int grove_demonitor(grove_monitor_id monitor);

#endif
