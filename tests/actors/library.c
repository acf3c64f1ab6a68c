#include "library.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct library {
    int n_readers, n_writers;
};

unsigned library_events, library_inside;

static int act(struct library *me, struct visit *visit, int *count)
{
    int rc;

    visit->begun = ++library_events;
    library_inside++;
    ++*count;
    visit->most_readers = me->n_readers;
    visit->most_writers = me->n_writers;
    rc = visit->act(visit);
    --*count;
    library_inside--;
    visit->ended = ++library_events;
    return rc;
}

/* It only reads; what it counts is the test's. */
static int read_(const struct library *me, const Play__V1__ReadRequest *request,
                 Play__V1__ReadResponse *response)
{
    struct library *counts = (struct library *)(uintptr_t)me;

    (void)response;
    return act(counts, (struct visit *)(uintptr_t)request->script, &counts->n_readers);
}

static int write_(struct library *me, const Play__V1__WriteRequest *request,
                  Play__V1__WriteResponse *response)
{
    (void)response;
    return act(me, (struct visit *)(uintptr_t)request->script, &me->n_writers);
}

static int consult(struct library *me, const Play__V1__ConsultRequest *request,
                   Play__V1__ConsultResponse *response)
{
    (void)response;
    return act(me, (struct visit *)(uintptr_t)request->script, &me->n_writers);
}

const struct library_service library_functions = {
    .state_bytes = sizeof(struct library),
    .read = read_,
    .write = write_,
    .consult = consult,
};

grove_ref library_new(const char *label, int place)
{
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(library_spawn(&library_functions, NULL,
                                   &(struct grove_spawn_options){.label = label, .place = place},
                                   &ref),
                     0);
    return ref;
}

static union {
    Play__V1__ReadResponse read;
    Play__V1__WriteResponse write;
    Play__V1__ConsultResponse consult;
} ignored;

int library_call(grove_ref ref, struct visit *visit)
{
    Play__V1__ReadRequest read_request = PLAY__V1__READ_REQUEST__INIT;
    Play__V1__WriteRequest write_request = PLAY__V1__WRITE_REQUEST__INIT;
    Play__V1__ConsultRequest consult_request = PLAY__V1__CONSULT_REQUEST__INIT;

    read_request.script = write_request.script = consult_request.script = (uintptr_t)visit;
    switch (visit->kind) {
    case READ:
        return library_read_await(ref, &read_request, &ignored.read);
    case WRITE:
        return library_write_await(ref, &write_request, &ignored.write);
    default:
        return library_consult_await(ref, &consult_request, &ignored.consult);
    }
}

int library_post(grove_ref ref, struct visit *visit)
{
    Play__V1__ReadRequest read_request = PLAY__V1__READ_REQUEST__INIT;
    Play__V1__WriteRequest write_request = PLAY__V1__WRITE_REQUEST__INIT;
    Play__V1__ConsultRequest consult_request = PLAY__V1__CONSULT_REQUEST__INIT;

    read_request.script = write_request.script = consult_request.script = (uintptr_t)visit;
    switch (visit->kind) {
    case READ:
        return library_read_send(ref, &read_request);
    case WRITE:
        return library_write_send(ref, &write_request);
    default:
        return library_consult_send(ref, &consult_request);
    }
}

int library_nap(struct visit *visit)
{
    return visit->rc = grove_sleep_await(visit->ms);
}

int library_nothing(struct visit *visit)
{
    (void)visit;
    return 0;
}

int library_ask(struct visit *visit)
{
    visit->rc = library_call(visit->to, visit->next);
    strcpy(visit->text, grove_why());
    return visit->rc;
}

int library_ask_with_grant(struct visit *visit)
{
    int rc = grove_grant_begin();

    if (rc == 0)
        (void)library_ask(visit);
    visit->end_rc = grove_grant_end_await();
    return rc != 0 ? rc : visit->rc;
}

void library_settle(void)
{
    do
        assert_int_equal(grove_sleep_await(5), 0);
    while (library_inside > 0);
    assert_int_equal(grove_sleep_await(5), 0);
}

int library_start_over(void **state)
{
    (void)state;
    library_events = 0;
    return 0;
}
