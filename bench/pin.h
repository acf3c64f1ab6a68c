/*
 * Pin: binds the threads of the loops to CPUs, loop k to the k-th one that
 * this process may use (again from the first when there are more loops).
 * Grove has no option for it: an actor on each loop asks the system for its
 * own thread.
 */
#ifndef BENCH_PIN_H
#define BENCH_PIN_H

/* Binds all loops. Returns 0 or the first failure. Suspends. */
int bench_pin_await(void);

#endif
