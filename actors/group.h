/*
 * Group: who belongs to it, by loop.
 *
 * A group is a record of its own kind of ref (GROVE_REF_GROUP, whose numbers
 * lie beyond those of all tasks, so that no verb finds a task behind it). It
 * has a part for each loop: the ids of the members that live there, sorted,
 * under a lock. Any loop may put a member in or take one out; only the loop
 * itself delivers to them. It goes through them by number, some at a time,
 * without the lock while it delivers: so each is met at most once, and one that
 * stays is met, whoever comes and goes.
 *
 * Nobody tells a group that a member has ended: the loop finds that its id
 * is dead, and drops those when it has met one, and before a part grows.
 *
 * Records are kept for the next group, never freed before the end: a stale
 * ref can be looked up at any time.
 *
 * Always: nobody holds the locks of two parts, nor delivers with one.
 */
#ifndef GV_GROUP_H
#define GV_GROUP_H

#include <grove/group.h>

#include "runtime/loop.h"

#define GV_GROUPS_MAX        65536u
#define GV_GROUP_MEMBERS_MAX (1u << 20) /* on one loop */

#define GV_GROUP_SOME 64u /* members that are looked up together */

struct gv_group;

/* The open group with this ref, or this id of one; NULL if there is none. It stays readable, but may close at any time. */
struct gv_group *gv_group_find(grove_ref ref);
struct gv_group *gv_group_find_id(uint64_t id);

/*
 * Copies the ids of up to GV_GROUP_SOME members on a loop that are greater
 * than `after`, ascending. Returns how many; 0 as well if the group, whose id this was,
 * has closed.
 */
uint32_t gv_group_some(struct gv_group *group, uint64_t id, unsigned loop, uint64_t after,
                       uint64_t ids[GV_GROUP_SOME]);

/* Members on a loop, with those that have ended and were not looked at since. Any thread. */
uint32_t gv_group_count(const struct gv_group *group, unsigned loop);

/* Drops the members on a loop that have ended. */
void gv_group_bury(struct gv_group *group, unsigned loop);

/* Members in a group, with those that have ended and were not looked at since. Any thread. */
uint32_t gv_group_entries(grove_ref group);

/* Forgets all groups; no loop may run. */
void gv_groups_close(void);

#endif
