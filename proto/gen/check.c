/*
 * Checks: see check.h.
 */
#include "proto/gen/check.h"

static void check_rpc(struct gen *gen, const struct gen_method *method)
{
    if (method->rpc->client_streaming || method->rpc->server_streaming)
        gen_complain(gen, &method->place,
                     "streaming rpcs are not part of this version of grove; send parts through "
                     "unary calls");
}

void gen_check(const struct gen_unit *unit)
{
    for (size_t i = 0; i < unit->n_services; i++) {
        for (size_t k = 0; k < unit->services[i].n_methods; k++)
            check_rpc(unit->gen, &unit->services[i].methods[k]);
    }
}
