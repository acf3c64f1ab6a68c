/*
 * Victim: a child process that breaks, for tests of what is said of it and
 * how it ends.
 */
#ifndef GV_TEST_VICTIM_H
#define GV_TEST_VICTIM_H

/* What the last one wrote to its standard error. */
extern char report[16384];

/* Runs break_it in a child, which leaves no core. Returns the signal that ended it, 0 if it ended by itself. */
int signal_of(void (*break_it)(void));

/* Fails with the whole report if it does not contain text. */
void assert_reported(const char *text);

#endif
