/*
 * Errand: a job of another pool that an agent has passed on to its own.
 *
 *     CALL ──▶ errand ──▶ call here ──▶ outcome ──▶ REPLY
 *     CANCEL, CREDIT ──▶ the job of that call;  its PROGRESS, ITEMs ──▶ as they came
 *
 * An errand knows both names of its job: the id on the link, and the call
 * here. Its call's record leads back to it, so that what a worker says
 * finds it at once.
 *
 * The pool there is believed no more than it must be: a CALL that nobody
 * here can do is answered so, and credit that was never taken ends the link.
 *
 * Always: an errand is in its agent's list exactly while its call is open;
 * it sends one REPLY, or is given up because the link has ended.
 */
#ifndef GV_ERRAND_H
#define GV_ERRAND_H

#include <stdint.h>

#include "links/frame.h"

struct gv_agent;

/* --- what the pool there says ----------------------------------------------------------------------- */

/* A CALL. Each returns why the link must end, or NULL. */
const char *gv_errand_begin(struct gv_agent *agent, const struct gv_frame *frame);
const char *gv_errand_credit(struct gv_agent *agent, const struct gv_frame *frame);
void gv_errand_cancel(struct gv_agent *agent, const struct gv_frame *frame);

/* The link has ended: nobody would hear of any. Their workers are told, and killed after the grace. */
void gv_errands_give_up(struct gv_agent *agent);

/* --- what workers here say -------------------------------------------------------------------------- */

/* What the pool there lets the stream of this call send at first. */
uint32_t gv_errand_first_credit(struct gv_agent *agent, uint64_t call);

/* An item of the stream of this call has come from a worker here. */
void gv_errand_item(struct gv_agent *agent, uint64_t call, const struct gv_frame *frame);

/* A worker here tells how far the job of this call is. */
void gv_errand_progressed(struct gv_agent *agent, uint64_t call, const struct gv_frame *frame);

#endif
