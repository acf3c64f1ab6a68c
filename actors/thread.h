/*
 * Thread: rpcs with isolation = THREAD. The generated thunk of such an rpc
 * leads here instead of to the function.
 *
 *     turn on the loop ──job──▶ thunk on a thread: function, response copied there
 *           parks      ◀─done── code, reason, response ─▶ the envelope, as of any turn
 *
 * The actor is busy meanwhile, so the function may use its state: one message
 * at a time holds. The function cannot be ended; so the turn stays until it
 * has returned, while its caller leaves at the caller's own deadline.
 */
#ifndef GV_THREAD_H
#define GV_THREAD_H

/* Runs it; what it takes with grove_alloc on this thread, which has no loop, is freed behind it. */
void gv_memory_borrow(void (*run)(void *argument), void *argument);

#endif
