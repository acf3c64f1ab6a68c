/*
 * Supervise: keeps one program running.
 *
 *     start ──▶ running ──exit 0, or another status──▶ over: its status is ours
 *       ▲          │ crash, or exit 70
 *       │          ▼
 *       └──── back-off: at once, 50 ms, 100 ms, … 30 s, each up to a quarter longer by chance
 *                  │ more than `limit` restarts in `window` seconds
 *                  ▼
 *               given up: status 69
 *
 * TERM, INT, QUIT, HUP, USR1 and USR2 are passed on; the first three ask
 * for the end, after which nothing is restarted. The program dies with us
 * (PDEATHSIG), and what it leaves behind when it dies becomes our child
 * (a subreaper's) and is killed before the next start. So at any time there
 * is one of it, and none when we are gone.
 *
 * Plain C and the kernel: nothing here can crash for the reason that the
 * program did.
 */
#ifndef GROVE_SUPERVISE_H
#define GROVE_SUPERVISE_H

#include <stdbool.h>

#define STATUS_USAGE   2
#define STATUS_GAVE_UP 69 /* EX_UNAVAILABLE */
#define STATUS_CRASHED \
    70 /* EX_SOFTWARE: what a grove program ends with when it must be restarted */
#define STATUS_NO_EXEC 126
#define STATUS_NO_FILE 127
#define SIGNAL_OFFSET  128 /* added to the signal that ended an asked-for stop */

struct options {
    unsigned limit;       /* restarts within window_s; 0: no limit */
    unsigned window_s;    /* one that ran so long is healthy: counting begins anew */
    unsigned stop_s;      /* from an asked-for stop to SIGKILL; 0: never */
    bool any;             /* restart on every status but 0 */
    char *const *program; /* argv, NULL at the end */
};

/* Fills options from argv behind the command's name. Returns 0, or prints what is wrong and returns STATUS_USAGE; -1: help was asked for. */
int read_options(int argc, char **argv, struct options *options);

void print_help(void);

/* Runs the program until its end. Returns our exit status. */
int supervise(const struct options *options);

#endif
