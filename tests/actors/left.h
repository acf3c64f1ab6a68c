/*
 * Left: what a test has left behind on loop 0: stacks, parked turns, actors,
 * blocks, call records and timers, counted before it and after it.
 */
#ifndef LEFT_H
#define LEFT_H

/* For cmocka. */
int left_look_before(void **state);
int left_look_after(void **state);

#define left_test(function) \
    cmocka_unit_test_setup_teardown(function, left_look_before, left_look_after)

#endif
