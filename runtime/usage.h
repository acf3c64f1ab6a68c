/*
 * Usage: the word for whoever did what is not allowed, or could not be done.
 * A public function that returns a negative code notes here why, and what to
 * do instead, or grove_why() would tell of an older failure. The reason is kept in the running turn,
 * as that of a refusal is (error.c).
 */
#ifndef GV_USAGE_H
#define GV_USAGE_H

/* Notes that the user did what is not allowed, and why, as the last failure. Returns GROVE_EUSAGE. */
int gv_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Notes that something else than a message failed, and why, as the last
 * failure; text NULL: the table's words say it. Nothing has been done.
 * Returns code; GROVE_EUSAGE, which gv_usage has noted, is left as it is.
 */
int gv_failed(int code, const char *text);

/* gv_usage where a function that suspends was called and nothing may wait. */
static inline int gv_usage_wait(const char *function)
{
    return gv_usage("%s: nothing may wait here; call it in a handler, in a greenlet, or in main "
                    "after grove_init",
                    function);
}

/* The same on a thread, or at a time, that has no loop. */
static inline int gv_usage_thread(const char *function)
{
    return gv_usage("%s: this is no thread of grove's; call it in a handler, in a greenlet, or in "
                    "main after grove_init",
                    function);
}

/* What a function needs, or writes its result to, is NULL. */
static inline int gv_usage_null(const char *function, const char *what)
{
    return gv_usage("%s: %s is NULL; pass the address of one", function, what);
}

#endif
