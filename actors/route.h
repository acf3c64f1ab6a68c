/*
 * Route: the way of a WORKER rpc that was sent to an actor.
 *
 * An actor's service may have rpcs that run in worker processes. Their verbs
 * take the actor's ref as all others do; here it is exchanged for that of
 * the pool which the rpc names, so that the request passes the mailbox by.
 * A pool is found by its name in the registry, where it stands as
 * "pool/NAME"; of pools with one name that is the oldest.
 */
#ifndef GV_ROUTE_H
#define GV_ROUTE_H

#define GV_ROUTE_PREFIX  "pool/"
#define GV_ROUTE_DEFAULT "workers" /* the pool of who names none */

#endif
