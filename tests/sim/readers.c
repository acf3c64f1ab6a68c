/*
 * Readers: books that are read, written and asked at random, while those who
 * read, write and are asked do the same to others, and wait in between.
 *
 * Beside a reader there are only readers; beside a writer nobody; beside who
 * has granted its chain the way back only that chain, and nobody when the
 * grant has ended. What a reader has read is still true after its awaits.
 *
 * Who waits for whom is known turn by turn, from outside. Some edges are
 * certain: to the turn that handles a call, and to those that do not let it
 * in. Others are possible: readers may wait behind a writer that waits. So
 * GROVE_EDEADLK without even a possible circle is a false alarm, and
 * GROVE_ETIMEDOUT in a certain one that stood for long is a miss.
 */
#include <string.h>

#include <grove.h>

#include "readers.grove.h"
#include "tests/sim/simulation.h"

#define BOOKS_MAX   4u
#define CLIENTS_MAX 5u
#define CALLS_MAX   400u
#define DEPTH_MAX   3u
#define CIRCLE_NS   UINT64_C(100000000) /* a circle is found within this */

enum kind { READ, WRITE, ASK };
enum state { NONE, WAITING, RUNNING, OVER };

struct call {
    enum kind kind;
    enum state state;
    unsigned book;
    unsigned parent;   /* the call in whose turn it was made, 0: a client's */
    unsigned waits;    /* the call that its turn waits for, 0: none */
    uint64_t began_ns; /* that wait */
    bool granted;
    bool left;    /* nobody waits for it any more */
    bool circled; /* a possible circle stood at some moment of its wait */
};

static struct {
    grove_ref books[BOOKS_MAX];
    uint64_t values[BOOKS_MAX];
    struct call calls[CALLS_MAX + 1];
    unsigned n_books, n_calls, n_ended;
} play;

struct book {
    unsigned self;
};

static void act_await(unsigned self, unsigned depth);

/* --- who waits for whom --------------------------------------------------------------------------- */

/* True if `call` was made on behalf of the turn of `turn`. strictly: and each on the way still waits for the next. */
static bool is_behind(unsigned turn, unsigned call, bool strictly)
{
    for (; call != 0; call = play.calls[call].parent) {
        if (play.calls[call].parent == turn)
            return !strictly || !play.calls[call].left;
        if (strictly && play.calls[call].left)
            return false;
    }
    return false;
}

/* True if the open turn of `turn` keeps `call` out: for certain, or possibly. */
static bool keeps_out(unsigned turn, unsigned call, bool certainly)
{
    const struct call *inside = &play.calls[turn];

    if (inside->granted && is_behind(turn, call, !certainly))
        return false;
    return !certainly || inside->kind != READ || play.calls[call].kind != READ;
}

struct search {
    bool met[CALLS_MAX + 1];
    bool certainly;
    uint64_t before_ns; /* waits that began later do not count */
};

/* Marks all turns that the turn of `from` waits for, directly or not. */
static void mark(struct search *search, unsigned from)
{
    unsigned wanted = play.calls[from].waits;

    if (wanted == 0 || play.calls[from].began_ns > search->before_ns)
        return;
    for (unsigned turn = 1; turn <= play.n_calls; turn++) {
        if (play.calls[turn].state != RUNNING || search->met[turn])
            continue;
        if (play.calls[wanted].state == RUNNING
                ? turn != wanted
                : play.calls[turn].book != play.calls[wanted].book
                      || !keeps_out(turn, wanted, search->certainly))
            continue;
        search->met[turn] = true;
        mark(search, turn); /* As deep as there are turns. */
    }
}

static bool in_circle(unsigned turn, bool certainly, uint64_t before_ns)
{
    struct search search = {.certainly = certainly, .before_ns = before_ns};

    mark(&search, turn);
    return search.met[turn];
}

static void begin_wait(unsigned self, unsigned call)
{
    play.calls[self].waits = call;
    play.calls[self].began_ns = sim.now_ns;
    play.calls[self].circled = false;
    for (unsigned i = 1; i <= play.n_calls; i++)
        if (play.calls[i].waits != 0 && !play.calls[i].circled)
            play.calls[i].circled = in_circle(i, false, SIM_NEVER);
}

static void end_wait(unsigned self, unsigned call, int rc)
{
    struct call *me = &play.calls[self];

    play.calls[call].left = true;
    sim_note("waited", self, (uint64_t)(int64_t)rc);
    SIM_CHECK(rc == 0 || rc == GROVE_EDEADLK || rc == GROVE_ETIMEDOUT || rc == GROVE_ECANCELED,
              "call %u ended with %s", call, grove_error_name(rc));
    SIM_CHECK(rc == GROVE_EDEADLK || rc != 0 || play.calls[call].state == OVER,
              "call %u was answered and never ended", call);
    if (self == 0) {
        SIM_CHECK(rc != GROVE_EDEADLK || grove_failure()->started == GROVE_STARTED_YES,
                  "a client, whom nobody calls, closes a circle");
        return;
    }
    /* An inner call's failure that was passed on is none of ours: here none is. */
    if (rc == GROVE_EDEADLK)
        SIM_CHECK(me->circled, "call %u was told of a deadlock that never was", self);
    if (rc == GROVE_ETIMEDOUT)
        SIM_CHECK(sim.now_ns < CIRCLE_NS || !in_circle(self, true, sim.now_ns - CIRCLE_NS),
                  "call %u timed out in a circle that stood for long", self);
    me->waits = 0;
}

/* --- books ---------------------------------------------------------------------------------------- */

static unsigned count_inside(unsigned book)
{
    unsigned n = 0;

    for (unsigned i = 1; i <= play.n_calls; i++)
        n += play.calls[i].state == RUNNING && play.calls[i].book == book;
    return n;
}

static void enter(unsigned book, unsigned call)
{
    struct call *me = &play.calls[call];

    SIM_CHECK(me->book == book && me->state == WAITING, "call %u comes twice", call);
    for (unsigned i = 1; i <= play.n_calls; i++) {
        const struct call *other = &play.calls[i];

        if (other->state != RUNNING || other->book != book)
            continue;
        SIM_CHECK((other->kind == READ && me->kind == READ)
                      || (other->granted && is_behind(i, call, false)),
                  "call %u (kind %d) begins beside call %u (kind %d)", call, (int)me->kind, i,
                  (int)other->kind);
    }
    sim_note("begins", book, call);
    me->state = RUNNING;
}

static void leave(unsigned call)
{
    sim_note("ends", play.calls[call].book, call);
    play.calls[call].granted = false;
    play.calls[call].state = OVER;
}

/* Its grant is over: nobody is inside but those on whose behalf it is asked. */
static void check_alone(unsigned call)
{
    play.calls[call].granted = false;
    for (unsigned i = 1; i <= play.n_calls; i++)
        if (i != call && play.calls[i].state == RUNNING
            && play.calls[i].book == play.calls[call].book)
            SIM_CHECK(is_behind(i, call, false), "call %u is inside after the grant of call %u", i,
                      call);
}

static int init(struct book *me, const void *argument)
{
    me->self = *(const unsigned *)argument;
    return 0;
}

static int book_read(const struct book *me, const Sim__Readers__V1__ReadRequest *request,
                     Sim__Readers__V1__ReadResponse *response)
{
    uint64_t value = play.values[me->self];

    enter(me->self, request->call);
    for (unsigned n = sim_draw(SIM_LOAD, 3); n > 0; n--) {
        act_await(request->call, request->depth);
        SIM_CHECK(play.values[me->self] == value, "book %u was written beside a reader", me->self);
    }
    response->call = request->call;
    leave(request->call);
    return 0;
}

static int book_write(struct book *me, const Sim__Readers__V1__WriteRequest *request,
                      Sim__Readers__V1__WriteResponse *response)
{
    uint64_t value = ++play.values[me->self];

    enter(me->self, request->call);
    for (unsigned n = sim_draw(SIM_LOAD, 3); n > 0; n--) {
        act_await(request->call, request->depth);
        SIM_CHECK(play.values[me->self] == value, "book %u was written beside a writer", me->self);
    }
    response->call = request->call;
    leave(request->call);
    return 0;
}

static int ask(struct book *me, const Sim__Readers__V1__AskRequest *request,
               Sim__Readers__V1__AskResponse *response)
{
    struct call *call = &play.calls[request->call];
    uint64_t value;

    enter(me->self, request->call);
    if (sim_draw(SIM_LOAD, 4) != 0) {
        SIM_CHECK(grove_grant_begin() == 0, "no grant: %s", grove_why());
        call->granted = true;
        for (unsigned n = 1 + sim_draw(SIM_LOAD, 2); n > 0; n--)
            act_await(request->call, request->depth);
        SIM_CHECK(grove_grant_end_await() == 0, "the grant does not end: %s", grove_why());
        check_alone(request->call);
    }
    value = play.values[me->self];
    act_await(request->call, request->depth);
    SIM_CHECK(play.values[me->self] == value, "book %u was written without a grant", me->self);
    response->call = request->call;
    leave(request->call);
    return 0;
}

static const struct book_service functions = {
    .state_bytes = sizeof(struct book),
    .init = init,
    .read = book_read,
    .write = book_write,
    .ask = ask,
};

/* --- who asks ------------------------------------------------------------------------------------- */

static int ask_book(enum kind kind, grove_ref ref, unsigned call, unsigned depth)
{
    Sim__Readers__V1__ReadRequest read = SIM__READERS__V1__READ_REQUEST__INIT;
    Sim__Readers__V1__ReadResponse was_read = SIM__READERS__V1__READ_RESPONSE__INIT;
    Sim__Readers__V1__WriteRequest write = SIM__READERS__V1__WRITE_REQUEST__INIT;
    Sim__Readers__V1__WriteResponse was_written = SIM__READERS__V1__WRITE_RESPONSE__INIT;
    Sim__Readers__V1__AskRequest question = SIM__READERS__V1__ASK_REQUEST__INIT;
    Sim__Readers__V1__AskResponse answer = SIM__READERS__V1__ASK_RESPONSE__INIT;

    read.call = write.call = question.call = call;
    read.depth = write.depth = question.depth = depth;
    switch (kind) {
    case READ:
        return book_read_await(ref, &read, &was_read);
    case WRITE:
        return book_write_await(ref, &write, &was_written);
    case ASK:
        break;
    }
    return book_ask_await(ref, &question, &answer);
}

/* The turn of call `self`, 0: a client, asks some book. */
static void call_await(unsigned self, unsigned depth)
{
    unsigned number = play.n_calls + 1;
    struct call *call = &play.calls[number];
    enum kind kind = (enum kind)sim_draw(SIM_LOAD, 3);
    int rc;

    if (play.n_calls == CALLS_MAX)
        return;
    play.n_calls++;
    *call = (struct call){.kind = kind, .state = WAITING, .parent = self};
    call->book = sim_draw(SIM_LOAD, play.n_books);
    if (sim_draw(SIM_LOAD, 3) == 0)
        grove_within(1 + sim_draw(SIM_LOAD, 400));
    sim_note("asks", self, (uint64_t)call->book << 32 | number);
    if (self != 0)
        begin_wait(self, number);
    rc = ask_book(kind, play.books[call->book], number, depth);
    end_wait(self, number, rc);
}

static void act_await(unsigned self, unsigned depth)
{
    if (depth > 0 && sim_draw(SIM_LOAD, 3) != 0)
        call_await(self, depth - 1);
    else if (sim_draw(SIM_LOAD, 2) == 0)
        (void)grove_yield_await(); /* Who was given up ends soon. */
    else
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 20)); /* The same. */
}

static void client(void *argument)
{
    (void)argument;
    for (unsigned n = 1 + sim_draw(SIM_LOAD, 6); n > 0; n--) {
        if (sim_draw(SIM_LOAD, 3) == 0)
            (void)grove_sleep_await(sim_draw(SIM_LOAD, 30)); /* Nobody stops us. */
        call_await(0, DEPTH_MAX);
    }
    play.n_ended++;
}

static void run(void)
{
    unsigned n_clients = 1 + sim_draw(SIM_LOAD, CLIENTS_MAX);

    memset(&play, 0, sizeof play);
    play.n_books = 1 + sim_draw(SIM_LOAD, BOOKS_MAX);
    for (unsigned i = 0; i < play.n_books; i++) {
        struct grove_spawn_options options = {
            .place = GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops())), .argument_bytes = sizeof i};

        SIM_CHECK(book_spawn(&functions, &i, &options, &play.books[i]) == 0, "no book");
    }
    for (unsigned i = 0; i < n_clients; i++) {
        struct grove_spawn_options options = {.place =
                                                  GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()))};

        SIM_CHECK(grove_go(client, NULL, &options, NULL) == 0, "no client");
    }
    sim_wait_for(&play.n_ended, n_clients, 600000);
    (void)grove_sleep_await(1000); /* Those that were given up end. */
    for (unsigned i = 0; i < play.n_books; i++)
        SIM_CHECK(count_inside(i) == 0, "somebody is inside of book %u for ever", i);
}

static void prepare(void)
{
    SIM_CHECK(grove_service_register(&book_service_table) == 0, "no service");
}

const struct sim_simulation sim_readers = {
    .name = "readers",
    .what = "readers, writers and grants: nobody beside whom he must not, deadlocks told rightly",
    .run = run,
    .prepare = prepare,
};
