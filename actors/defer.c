#include "actors/defer.h"

#include <grove/error.h>

#include "runtime/loop.h"
#include "runtime/usage.h"

void gv_defers_run(struct gv_turn *turn, const struct gv_defer *until)
{
    while (turn->odd & GV_ODD_DEFERS && turn->defers != until) {
        struct gv_defer *defer = turn->defers;

        turn->defers = defer->next;
        if (turn->defers == NULL)
            turn->odd &= (uint8_t)~GV_ODD_DEFERS;
        defer->function(defer->argument);
    }
}

int grove_defer(grove_defer_fn function, void *argument)
{
    struct gv_loop *loop = gv_loop_here;
    struct gv_turn *turn = loop != NULL ? loop->turn : NULL;
    struct gv_defer *defer;

    if (function == NULL)
        return gv_usage("grove_defer: there is no function");
    if (turn == NULL)
        return 0;
    defer = gv_arena_take(&turn->arena, &loop->blocks, sizeof *defer);
    if (defer == NULL)
        return gv_failed(GROVE_ENOMEM, NULL);
    defer->next = gv_turn_defers(turn);
    defer->function = function;
    defer->argument = argument;
    turn->defers = defer;
    turn->odd |= GV_ODD_DEFERS;
    return 0;
}
