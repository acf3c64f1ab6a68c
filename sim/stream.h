/*
 * Stream: connections between simulated processes, by URL.
 *
 *     write ──▶ bytes of the other end's `in` ──(delay, any split)──▶ received
 *           └─(delay, and room at the reader)──▶ written
 *
 * Bytes are certain to arrive once `written` has been called. If the writer
 * dies or closes before, any part of that write arrives. What has left a
 * dead process is still delivered, then comes the end. A cut connection
 * loses what is under way, on both sides.
 *
 * By the seed bytes are lost, doubled, reordered and flipped, and what a child
 * writes may be a lie (liar.h). In a partition nothing arrives, one way or
 * both; afterwards everything does.
 *
 * A buffer that is lent to a write must not change before `written`: that is
 * checked.
 */
#ifndef GV_SIM_STREAM_H
#define GV_SIM_STREAM_H

#include <grove/sim.h>

#include "runtime/env.h"

int gv_sim_listen(struct gv_poller *poller, const char *url, const struct gv_listen_events *events,
                  void *owner, struct gv_listener **listener);
void gv_sim_listener_pause(struct gv_listener *listener, bool pause);
void gv_sim_listener_url(const struct gv_listener *listener, char *url, size_t room);
void gv_sim_listener_close(struct gv_listener *listener);
int gv_sim_dial(struct gv_poller *poller, const char *url, const struct gv_stream_events *events,
                void *owner, struct gv_stream **stream);
void gv_sim_stream_adopt(struct gv_stream *stream, const struct gv_stream_events *events,
                         void *owner);
void gv_sim_stream_identity(const struct gv_stream *stream, struct gv_identity *identity);
void gv_sim_stream_pause(struct gv_stream *stream);
void gv_sim_stream_resume(struct gv_stream *stream);
int gv_sim_stream_write(struct gv_stream *stream, const void *bytes, size_t n_bytes);
int gv_sim_stream_shutdown(struct gv_stream *stream);
void gv_sim_stream_close(struct gv_stream *stream);

/* The connection is lost, with what is under way; false if there is none any more. */
bool gv_sim_stream_cut(struct gv_stream *stream);

/* Nothing gets through for a time by chance, one way or both. */
void gv_sim_stream_part(struct gv_stream *stream);

/* LOSE, DOUBLE, REORDER or FLIP befalls its next write. */
void gv_sim_stream_spoil(struct gv_stream *stream, enum grove_sim_fault kind);

/* All partitions are over, and no fault is due any more. */
void gv_sim_streams_calm(void);

/* Ends and frees all streams and listeners of a process that is dead, without upcalls to it. */
void gv_sim_streams_die(struct gv_process *process);

#endif
