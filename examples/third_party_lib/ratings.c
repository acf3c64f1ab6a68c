#include "ratings.h"

#include <poll.h>

/* Asks its server, which takes 60 ms; for this example without the server. */
int rating_of(int payee)
{
    (void)poll(0, 0, 60);
    return payee * 7 % 100;
}
