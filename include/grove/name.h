/*
 * Names: actors found by what they are called.
 *
 *     rc = grove_register("bank/teller", grove_self());
 *     ...
 *     grove_ref teller;
 *     rc = grove_whereis("bank/teller", &teller);
 *
 * A name belongs to one actor, greenlet or pool of this process, which may
 * have several. It is free again from the moment when its holder has ended
 * for good; over restarts, which leave the ref as it is, it stays. Names
 * are of this process; any handler, greenlet or main, on any loop, may use
 * them. A look-up costs a hash and a short lock: keep the ref, which stays
 * good as long as its actor, and look it up anew when a call says
 * GROVE_ENOACTOR.
 */
#ifndef GROVE_NAME_H
#define GROVE_NAME_H

#include <grove/export.h>
#include <grove/ref.h>

/* The longest name in bytes. */
#define GROVE_NAME_MAX 127

/*
 * Gives ref a name (1 to GROVE_NAME_MAX bytes, copied). From the return on
 * every loop finds it. Returns 0, also if it has that name already; -EEXIST if it is
 * taken (grove_why() says by whom); GROVE_ENOACTOR if nobody lives at ref;
 * GROVE_EUSAGE, GROVE_EFULL beyond about a million names, GROVE_ENOMEM. Never
 * suspends.
 */
GROVE_API int grove_register(const char *name, grove_ref ref);

/*
 * Writes to *ref whom the name belongs to. Returns 0 or
 * GROVE_ENOACTOR, *ref then untouched. Never suspends.
 */
GROVE_API int grove_whereis(const char *name, grove_ref *ref);

/*
 * Takes a name back, whoever has it. Returns 0 or GROVE_ENOACTOR if nobody had it. Never suspends.
 */
GROVE_API int grove_unregister(const char *name);

#endif
