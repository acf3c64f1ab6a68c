/*
 * Supervised: a supervisor with two children, one of which fails.
 *
 * It begins anew at once, under its old ref and with a fresh state; its
 * sibling notices nothing. Who fails more often than its rule allows is too
 * much for its supervisor, which fails itself: its own supervisor begins
 * all of them anew. With --exit there is nobody above: the last failure ends
 * the process with status 70, and `grove supervise -- supervised --exit` would start it again.
 */
#include <grove.h>
#include <stdio.h>
#include <string.h>

#include "supervised.grove.h"

struct clerk {
    const char *name;
    int served;
};

static int begin(struct clerk *me, const void *name)
{
    me->name = name;
    printf("  %s begins\n", me->name);
    return 0;
}

static void end(struct clerk *me)
{
    printf("  %s ends, having served %d\n", me->name, me->served);
}

static int serve(struct clerk *me, const Supervised__V1__ServeRequest *request,
                 Supervised__V1__ServeResponse *response)
{
    if (request->jam)
        return grove_fail("a paper jam in the %s", me->name);
    response->served = ++me->served;
    return 0;
}

static void ask(const char *name, grove_ref clerk, bool jam)
{
    Supervised__V1__ServeRequest request = SUPERVISED__V1__SERVE_REQUEST__INIT;
    Supervised__V1__ServeResponse response = SUPERVISED__V1__SERVE_RESPONSE__INIT;
    char why[64];
    int rc;

    request.jam = jam;
    rc = clerk_serve_await(clerk, &request, &response);
    if (rc == 0) {
        printf("%s: served %d\n", name, response.served);
        return;
    }
    (void)snprintf(why, sizeof why, "%s", grove_why());
    (void)grove_sleep_await(100); /* Meanwhile whoever is begun anew says so. */
    printf("%s: %s: %s\n", name, grove_error_name(rc), why);
}

int main(int argc, char **argv)
{
    static const struct clerk_service functions = {sizeof(struct clerk), begin, end,
                                                   .serve = serve};
    struct grove_supervisor_options options = {.strategy = GROVE_ONE_FOR_ONE, .label = "desk"};
    struct grove_child child = {&clerk_service_table, &functions, .rule.restarts_max = 1};
    grove_ref till, printer, desk;
    bool alone = argc > 1 && strcmp(argv[1], "--exit") == 0;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    grove_init(&argc, &argv);
    if (!alone
        && grove_supervise(&(struct grove_supervisor_options){.label = "shop"}, &options.parent)
               != 0)
        return 1;
    if (grove_supervise(&options, &desk) != 0)
        return 1;
    child.argument = child.options.label = "till";
    if (grove_supervisor_add_await(desk, &child, &till) != 0)
        return fprintf(stderr, "supervised: %s\n", grove_why()), 1;
    child.argument = child.options.label = "printer";
    if (grove_supervisor_add_await(desk, &child, &printer) != 0)
        return fprintf(stderr, "supervised: %s\n", grove_why()), 1;

    ask("till", till, false);
    ask("printer", printer, false);
    ask("printer", printer, true);  /* fails: its caller is told, */
    ask("printer", printer, false); /* and the next one finds it fresh */
    ask("till", till, false);       /* nothing has happened here */
    ask("printer", printer, true);  /* once too often: the desk fails, and all at it */
    (void)grove_sleep_await(100);   /* Meanwhile they are begun anew; or the process ends here. */
    ask("till", till, false);
    return grove_deinit();
}
