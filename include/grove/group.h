/*
 * Groups: one message to many actors.
 *
 *     grove_group_open("prices", &prices);
 *     grove_group_join(prices, grove_self());                 the listeners
 *     feed_price_publish(prices, &request, &published);       whoever knows the group
 *
 * Publishing sends the request to every member, each in its turn like any
 * send, and never suspends. A member whose mailbox is full does not get it, and
 * holds up nobody: for the others nothing changes, the publisher is told
 * how many those were, and each is a dead letter (GROVE_DEAD_FULL). If what counts is the newest
 * message, give the rpc `option (grove.overflow) = DROP_OLDEST`.
 *
 * A publish reaches each member at most once. Who joined before it, and stays, gets it, if
 * its mailbox has room; who joins or leaves meanwhile may. What one
 * publisher publishes and sends reaches a member in that order. To members on another loop it
 * travels as one message, and is copied for each there.
 *
 * A group belongs to its name, not to whoever opened it. A member that ends
 * for good is gone from its groups; over restarts it stays. The ref of a group can be sent to
 * others and kept, and `_send` to it publishes as well, without figures. It answers no calls.
 */
#ifndef GROVE_GROUP_H
#define GROVE_GROUP_H

#include <stdint.h>

#include <grove/export.h>
#include <grove/method.h>
#include <grove/ref.h>

/*
 * Opens the group with this name (1 to 127 bytes, see name.h), which is made if
 * there is none. Names of groups and of actors are apart. Returns 0 with *group, GROVE_EUSAGE,
 * GROVE_EFULL beyond 65 536 groups, GROVE_ENOMEM. Never suspends.
 */
GROVE_API int grove_group_open(const char *name, grove_ref *group);

/*
 * Ends a group for all: its members are let go, its refs are stale,
 * its name is free. Returns 0 or GROVE_ENOACTOR. Never suspends.
 */
GROVE_API int grove_group_close(grove_ref group);

/*
 * Makes an actor or greenlet of this process a member. From the return on
 * it gets what is published, on whatever loop. Returns 0, also if it is one already;
 * GROVE_ENOACTOR if there is no such group or nobody lives at member;
 * GROVE_EUSAGE for a pool or a group, GROVE_EFULL beyond a million on one loop, GROVE_ENOMEM. Never
 * suspends.
 */
GROVE_API int grove_group_join(grove_ref group, grove_ref member);

/*
 * Lets a member go; what is in its mailbox stays there. Returns 0, or
 * GROVE_ENOACTOR if it was none. Never suspends.
 */
GROVE_API int grove_group_leave(grove_ref group, grove_ref member);

/*
 * Writes the living members to members, at most n, and returns how
 * many there are; or GROVE_ENOACTOR. Never suspends.
 */
GROVE_API int grove_group_members(grove_ref group, grove_ref *members, unsigned n);

/* What became of a publish. */
struct grove_published {
    uint32_t n_here; /* members of this loop that have it in their mailboxes */
    /* Members of other loops, by its last count: what finds no room there is a dead letter. */
    uint32_t n_away;
    uint32_t n_refused; /* members that do not get it, full or stopping: each is a dead letter */
};

/*
 * Sends the request of methods[method] to all members; the generated form is
 * NAME_RPC_publish(group, &request, &published). published may be NULL.
 * Returns 0, whoever got it; GROVE_ENOACTOR if there is no such group, GROVE_ETOOBIG,
 * GROVE_ENOMEM (nobody got it), GROVE_EUSAGE. Never suspends.
 */
GROVE_API int grove_group_publish(grove_ref group, const struct grove_service *service,
                                  uint32_t method, const ProtobufCMessage *request,
                                  struct grove_published *published);

#endif
