/* Screening: compares a payee with the watch list. See screening.h. */
#include "apps/bank/screening.h"

#include <grove.h>

#include "apps/bank/watchlist.h"

/* A worker runs one job at a time and keeps its list for the next. */
static const struct bank_watchlist *the_list(void)
{
    static const struct bank_watchlist *list;

    if (list == NULL)
        list = bank_watchlist_new();
    return list;
}

static int screen(const Bank__V1__ScreenRequest *request, Bank__V1__ScreenResponse *response)
{
    const struct bank_watchlist *list = the_list();
    unsigned long long start_ns = grove_now_ns();
    const char *closest;
    unsigned distance;

    if (list == NULL)
        return GROVE_ENOMEM;
    closest = bank_watchlist_closest(list, request->name, &distance);
    if (distance <= BANK_WATCHLIST_DISTANCE)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_SCREENED, "close to \"%s\" (distance %u)",
                            closest, distance);
    response->work_ns = grove_now_ns() - start_ns;
    return 0;
}

const struct screening_service bank_screening = {.screen = screen};

GROVE_WORKER(screening, &bank_screening);
