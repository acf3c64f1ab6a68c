/*
 * Passivation: an actor that nobody needs for a while gives its memory back,
 * and comes back with its next message. So a program may have an actor for
 * each of a million accounts while only those in use have a state.
 *
 *     struct grove_spawn_options options = {.passivate_after_ms = 60000};
 *     account_spawn(&functions, &(struct opening){.number = 7}, &options, &ref);
 *
 *     init ─▶ handlers ─▶ quiet for a minute ─▶ deinit ─▶ passive ─▶ a message ─▶ init ─▶ handler
 *
 * While it is passive it has no state: deinit has run, which saves what
 * shall be kept. Everybody else knows nothing of it. Its ref, name, groups,
 * label and place with its supervisor stay; who monitors it is told nothing,
 * since it has not ended; it is no restart and counts as none.
 *
 * The next message, whatever it is, has init run again as the first turn,
 * with the same argument, on a state of zeros, and is handled then. What
 * came meanwhile waits in order, calls within their deadlines. If that init
 * fails, the actor fails as one whose init fails at a restart does: a
 * supervisor begins it anew; without one it ends, and queued calls fail with
 * GROVE_ENOACTOR. An argument that is not copied (argument_bytes) must live
 * as long as the actor.
 *
 * It is passivated when it has handled nothing for passivate_after_ms to a
 * quarter more. Not while one of these keeps it awake:
 *
 *     a handler runs or waits, or a message is queued or waits for room
 *     it is lent to another loop, or told to stop
 *     an actor that it has spawned lives, unless that is detached
 *     it has put messages aside (stash.h)
 *     a caller waits for a reply that it has deferred (reply.h)
 *     it has a timer (timer.h), monitors somebody (monitor.h), or holds
 *     something open: a stream, a file, a child (stream.h, file.h, process.h)
 *
 * The last line does not keep one awake that asks itself, by grove_passivate: its
 * timers and monitors are cancelled then, and what it holds is closed, as at
 * a restart.
 *
 * grove_stop of a passive actor ends it without waking it: neither init nor
 * deinit runs again. If a supervisor begins it anew, it is awake.
 */
#ifndef GROVE_PASSIVATE_H
#define GROVE_PASSIVATE_H

#include <grove/export.h>

/*
 * In a handler: passivates the running actor as soon as it is idle: this
 * turn has ended, and what is queued has been handled. It may take a moment
 * longer; messages that come before go first. Asked in init, it is passive again once
 * the messages that woke it have been handled. Returns 0, GROVE_ENOMEM, or
 * GROVE_EUSAGE outside of an actor that was spawned with passivate_after_ms;
 * GROVE_INFINITE there: only when it asks. Never suspends.
 */
GROVE_API int grove_passivate(void);

#endif
