/*
 * Streams: connections over TCP and unix sockets, in straight-line code.
 *
 *     tcp://host:port   host is a name, a number, or [::1]; to listen: a
 *                       number, "localhost", or "*" for all addresses;
 *                       port 0: the kernel chooses one (grove_listener_url)
 *     unix:///path      a socket in the file system, reached by its owner alone
 *                       unless `mode` says otherwise
 *
 * A server is one greenlet that accepts, and one for each connection:
 *
 *     grove_listen("tcp://127.0.0.1:7000", NULL, &listener);
 *     while (grove_accept_await(listener, &stream) == 0)
 *         if (grove_go(serve, stream, NULL, &who) != 0 || grove_stream_give(stream, who) != 0)
 *             grove_stream_close(stream);
 *
 * What waits ends at the deadline of its turn (a greenlet has none), or
 * after grove_within(ms): GROVE_ETIMEDOUT; and with GROVE_ECANCELED when the
 * caller is stopped, or somebody else closes the stream. At most one turn
 * reads a stream, and one writes, at a time: others get GROVE_EUSAGE.
 *
 * A stream or listener belongs to the loop it was opened on; on another one
 * every function answers GROVE_EUSAGE. Its owner is whoever opened,
 * accepted or was given it: what is still open when the owner ends is
 * closed then. main and greenlets may own streams; an actor must be spawned
 * `pinned`, or open its first one in init, which pins it: else messages of
 * it might run on a loop that cannot reach the stream.
 *
 * Errors are codes of grove or -errno, and grove_why() names the address and
 * what to do. In simulation TCP is an in-memory pipe; what that cannot do
 * answers GROVE_ENOSIM.
 */
#ifndef GROVE_STREAM_H
#define GROVE_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include <grove/export.h>
#include <grove/ref.h>

struct grove_stream;
struct grove_listener;

/* Room for the text of a URL that grove writes, the final NUL included. */
#define GROVE_URL_BYTES 128

/* Zero means the default. */
struct grove_listen_options {
    unsigned backlog; /* peers that the kernel lets wait; default: as many as it allows */
    unsigned mode;    /* of a unix socket's name; default 0600 */
    bool reuse_port;  /* TCP: several listeners, one for each loop say, share the peers of a port */
};

/*
 * Listens at url. options may be NULL. A socket in the file system that a
 * dead process left behind is taken over; anything else there is left alone:
 * -EEXIST. Other errors: -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EMFILE,
 * GROVE_EUSAGE (the URL, or who calls). Never suspends.
 */
GROVE_API int grove_listen(const char *url, const struct grove_listen_options *options,
                           struct grove_listener **listener);

/*
 * The URL that reaches it, with the port the kernel chose. Lent until it is closed. Never suspends.
 */
GROVE_API const char *grove_listener_url(const struct grove_listener *listener);

/*
 * Suspends until a peer has come; on 0 *stream is the caller's. One turn at a
 * time. While descriptors are short it waits on, and a log line says so;
 * peers that hang up at once are streams that have ended. Once the process
 * drains (shutdown.h), and all who had come are accepted: GROVE_ESTOPPING.
 */
GROVE_API int grove_accept_await(struct grove_listener *listener, struct grove_stream **stream);

/*
 * Stops listening; peers that nobody has accepted are hung up on. Who waits
 * in grove_accept_await gets GROVE_ECANCELED. NULL is ignored. Never suspends.
 */
GROVE_API void grove_listener_close(struct grove_listener *listener);

/*
 * Connects. A host name is looked up, and its addresses are tried one after
 * the other. Without a deadline of the caller's it takes at most 5 s in all.
 * Errors: those of grove_lookup_await, -ECONNREFUSED, -EHOSTUNREACH,
 * -EACCES, -EMFILE, GROVE_ETIMEDOUT, GROVE_ECANCELED, GROVE_EUSAGE.
 */
GROVE_API int grove_connect_await(const char *url, struct grove_stream **stream);

/*
 * Suspends until at least one byte has come, then writes up to room bytes to
 * bytes and their number to *n_bytes: 0 when the peer will send no more. A
 * read that fails has taken nothing. What comes between two reads is kept,
 * up to 128 KiB; then the peer must wait. Errors: -ECONNRESET, -EPIPE and others
 * that the kernel has.
 */
GROVE_API int grove_read_await(struct grove_stream *stream, void *bytes, size_t room,
                               size_t *n_bytes);

/*
 * The same until n_bytes have come. -ENODATA if the peer ends before: what
 * came till then is in bytes. When it fails otherwise, what had come is lost.
 */
GROVE_API int grove_read_all_await(struct grove_stream *stream, void *bytes, size_t n_bytes);

/*
 * Reads one line and writes it to text without its "\n" or "\r\n", NUL at
 * its end. room bounds it with the NUL, at most 65535. Returns 0; -ENODATA
 * when the peer has ended and no line is left (a last one without "\n"
 * counts); GROVE_ETOOBIG when the line is longer. A read that fails has taken
 * nothing. A NUL in the line is one like any other byte: *n_bytes tells the
 * length; it may be NULL.
 */
GROVE_API int grove_read_line_await(struct grove_stream *stream, char *text, size_t room,
                                    size_t *n_bytes);

/*
 * Suspends until the kernel has taken all n_bytes; often at once. They are
 * lent until it returns. If it fails (-EPIPE, -ECONNRESET, GROVE_ETIMEDOUT,
 * GROVE_ECANCELED) nobody knows how many have left: the connection is broken
 * off then, and all that is left to do is to close it.
 */
GROVE_API int grove_write_await(struct grove_stream *stream, const void *bytes, size_t n_bytes);

/*
 * Tells the peer that no more will come; reading goes on. Returns 0, or
 * -ENOTCONN, GROVE_EUSAGE while a write is under way. Never suspends.
 */
GROVE_API int grove_stream_shutdown(struct grove_stream *stream);

/*
 * Closes; what was written still arrives. The handle is gone at once. Who
 * waits for it gets GROVE_ECANCELED. NULL is ignored. Never suspends.
 */
GROVE_API void grove_stream_close(struct grove_stream *stream);

/*
 * Makes an actor or greenlet of the same loop the owner. An actor is pinned
 * by it. Returns 0, GROVE_ENOACTOR, GROVE_EUSAGE (another loop); on failure
 * the caller still owns it. Never suspends.
 */
GROVE_API int grove_stream_give(struct grove_stream *stream, grove_ref owner);

/*
 * The peer's URL, the path dialled, or "unix:" for who dialled us;
 * lent until it is closed. Never suspends.
 */
GROVE_API const char *grove_stream_peer(const struct grove_stream *stream);

/*
 * Who is at the other end of a unix socket, as the kernel says; -1
 * where it does not. Never suspends.
 */
GROVE_API void grove_stream_identity(const struct grove_stream *stream, long long *pid,
                                     long long *uid);

/*
 * Makes a stream of a descriptor that is a socket, a pipe or a terminal, and
 * takes it, also if it fails. Returns 0, -EBADF, -EPERM (a file: use
 * grove/file.h), -EMFILE, GROVE_EUSAGE, GROVE_ENOSIM. Never suspends.
 */
GROVE_API int grove_stream_from(int fd, struct grove_stream **stream);

#endif
