#include "actors/route.h"

#include <stdio.h>

#include <grove/error.h>
#include <grove/method.h>
#include <grove/name.h>

#include "actors/mail.h"
#include "actors/verb.h"

int grove_worker_route(grove_ref *ref, const struct grove_method *method)
{
    struct gv_loop *loop = gv_loop_here;
    char name[GROVE_NAME_MAX + 1], why[256];
    const char *pool = method->pool != NULL ? method->pool : GV_ROUTE_DEFAULT;

    /* To a pool; or to nobody, which the verb will say. */
    if (loop == NULL || gv_ref_kind(*ref) == GROVE_REF_POOL || gv_mail_task(loop, *ref) == NULL)
        return 0;
    (void)snprintf(name, sizeof name, GV_ROUTE_PREFIX "%.100s", pool); /* No pool's is longer. */
    if (grove_whereis(name, ref) == 0)
        return 0;
    if (loop->turn != NULL)
        loop->turn->within_ms = 0;
    (void)snprintf(
        why, sizeof why,
        "%.100s runs in the pool \"%.40s\", and there is none; call grove_pool_open with "
        "that name first",
        method->name, pool); /* It may be cut. */
    return gv_turn_failed(loop->turn, NULL, GROVE_EUNAVAILABLE, GROVE_STARTED_NO, why);
}
