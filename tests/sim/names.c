/*
 * Names: holders of names, all members of one group, that fail and are begun
 * anew, and that end for good and are followed by others, on other loops.
 *
 *     steady  fails now and then, and is never removed
 *     heir    the same, and is removed: the next one of its name follows
 *     slow    stands still over each message, and its mailbox is small
 *
 * Over a restart the name leads to the same ref, and its holder stays in the
 * group: whatever is published reaches each steady member once, in order,
 * soon, however long the slow one takes. From the end of an heir on its name
 * is free, and leads to nobody before it leads to the next one. After the end
 * of all no name is taken and the group is empty.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <grove.h>

#include "names.grove.h"
#include "tests/sim/simulation.h"

#define STEADY      2u
#define NAMES_MAX   5u
#define SLOW        NAMES_MAX
#define CLIENTS_MAX 4u
#define ACTS_MAX    40u
#define HOLDERS_MAX (NAMES_MAX + 1 + CLIENTS_MAX * ACTS_MAX)
#define SOON_MS     1000u  /* in which a steady member gets its news, restarts included */
#define SLOW_MS     30000u /* that the slow one takes for one message */
#define MS_NS       UINT64_C(1000000)

struct holder {
    grove_ref ref;
    unsigned name;
    bool named; /* its name has been registered, and it is in the group */
    bool leaving;
    bool gone;
    bool alive; /* between init and deinit */
    uint32_t last[CLIENTS_MAX];
    uint32_t n_handled[CLIENTS_MAX];
};

static struct {
    grove_ref top, group;
    struct holder holders[HOLDERS_MAX];
    unsigned n_holders, n_names, n_clients, n_ended;
    uint32_t n_published[CLIENTS_MAX];
    uint64_t sent_ns[CLIENTS_MAX][ACTS_MAX + 1];
} play;

struct member {
    struct holder *holder;
};

static int draw_place(void)
{
    return GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()));
}

static void name_of(unsigned name, char text[24])
{
    (void)snprintf(text, 24, "holder/%u", name); /* It fits. */
}

/* --- members -------------------------------------------------------------------------------------- */

static bool is_member(grove_ref ref)
{
    grove_ref members[HOLDERS_MAX];
    int n = grove_group_members(play.group, members, HOLDERS_MAX);

    for (int i = 0; i < n; i++)
        if (grove_ref_equal(members[i], ref))
            return true;
    return false;
}

/* What has been named and not told to leave has its name, and its place in the group. */
static void check_kept(const struct holder *holder, const char *when)
{
    grove_ref found = GROVE_NOBODY;
    char name[24];
    int rc;

    if (!holder->named || holder->leaving)
        return;
    name_of(holder->name, name);
    rc = grove_whereis(name, &found);
    SIM_CHECK(rc == 0 && grove_ref_equal(found, holder->ref), "%s %s leads to %s", when, name,
              rc == 0 ? "another one" : grove_error_name(rc));
    SIM_CHECK(is_member(holder->ref), "%s %s is in the group no more", when, name);
}

static int init(struct member *me, const void *argument)
{
    me->holder = &play.holders[*(const unsigned *)argument];
    SIM_CHECK(!me->holder->alive, "two incarnations of one holder");
    me->holder->alive = true;
    check_kept(me->holder, "in its init");
    if (sim_draw(SIM_LOAD, 4) == 0)
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 10)); /* A stop makes no difference. */
    return 0;
}

static void deinit(struct member *me)
{
    check_kept(me->holder, "in its deinit");
    if (sim_draw(SIM_LOAD, 4) == 0)
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 10)); /* As above. */
    me->holder->alive = false;
}

static int news(struct member *me, const Sim__Names__V1__NewsRequest *request,
                Sim__Names__V1__NewsResponse *response)
{
    struct holder *holder = me->holder;
    uint64_t took_ns = sim.now_ns - play.sent_ns[request->sender][request->number];

    (void)response;
    SIM_CHECK(request->number > holder->last[request->sender], "news %u of client %u after %u",
              request->number, request->sender, holder->last[request->sender]);
    holder->last[request->sender] = request->number;
    holder->n_handled[request->sender]++;
    if (holder->name == SLOW) {
        (void)grove_sleep_await(SLOW_MS); /* Stopped at the end of all. */
        return 0;
    }
    SIM_CHECK(took_ns <= SOON_MS * MS_NS, "news %u of client %u have taken %" PRIu64 " us",
              request->number, request->sender, took_ns / 1000);
    if (sim_draw(SIM_LOAD, 8) == 0)
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 3)); /* As above. */
    return 0;
}

static int fall(struct member *me, const Sim__Names__V1__FallRequest *request,
                Sim__Names__V1__FallResponse *response)
{
    (void)me;
    (void)request;
    (void)response;
    return grove_fail("on purpose");
}

static const struct member_service functions = {
    .state_bytes = sizeof(struct member),
    .init = init,
    .deinit = deinit,
    .news = news,
    .fall = fall,
};

/* A new holder takes a name that must be free. */
static void follow(unsigned name)
{
    unsigned number = play.n_holders++;
    struct holder *holder = &play.holders[number];
    struct grove_child child = {
        .service = &member_service_table,
        .functions = &functions,
        .argument = &number,
        .options = {.place = draw_place(), .argument_bytes = sizeof number},
        /* Fast enough for SOON_MS, and never too often. */
        .rule = {.restarts_max = 64, .period_ms = 1, .backoff_ms = 1, .shutdown_ms = 60000},
    };
    char text[24];
    int rc;

    holder->name = name;
    child.options.depth_max = name == SLOW ? 2 : 0;
    grove_within(60000);
    rc = grove_supervisor_add_await(play.top, &child, &holder->ref);
    SIM_CHECK(rc == 0, "no holder: %s", grove_why());
    name_of(name, text);
    rc = grove_register(text, holder->ref);
    SIM_CHECK(rc == 0, "%s is free, and cannot be taken: %s", text, grove_why());
    rc = grove_group_join(play.group, holder->ref);
    SIM_CHECK(rc == 0, "%s cannot join: %s", text, grove_why());
    holder->named = true;
}

/* --- clients -------------------------------------------------------------------------------------- */

/* Who holds the name, or held it last. */
static struct holder *holder_of(unsigned name)
{
    for (unsigned i = play.n_holders; i-- > 0;)
        if (play.holders[i].name == name)
            return &play.holders[i];
    return NULL;
}

static void look_up(unsigned name)
{
    const struct holder *holder = holder_of(name);
    grove_ref found = GROVE_NOBODY;
    char text[24];
    int rc;

    check_kept(holder, "from outside");
    name_of(name, text);
    rc = grove_whereis(text, &found);
    for (unsigned i = 0; rc == 0 && i < play.n_holders; i++)
        SIM_CHECK(!play.holders[i].gone || !grove_ref_equal(found, play.holders[i].ref),
                  "%s leads to one that has ended", text);
}

static void publish(unsigned self)
{
    Sim__Names__V1__NewsRequest request = SIM__NAMES__V1__NEWS_REQUEST__INIT;
    struct grove_published published;
    uint64_t began_ns = sim.now_ns;
    int rc;

    request.sender = self;
    request.number = play.n_published[self] + 1;
    play.sent_ns[self][request.number] = began_ns;
    rc = member_news_publish(play.group, &request, &published);
    SIM_CHECK(rc == 0, "publishing failed: %s", grove_error_name(rc));
    SIM_CHECK(published.n_here + published.n_away + published.n_refused >= STEADY + 1,
              "published to %u here and %u away, %u refused", published.n_here, published.n_away,
              published.n_refused);
    play.n_published[self]++;
}

static void fell(unsigned name)
{
    Sim__Names__V1__FallRequest request = SIM__NAMES__V1__FALL_REQUEST__INIT;

    (void)member_fall_send(holder_of(name)->ref, &request); /* It may be gone. */
}

/* An heir ends, and the next one follows. One client at a time. */
static void replace(unsigned name)
{
    struct holder *holder = holder_of(name);
    grove_ref found;
    char text[24];
    int rc;

    if (name < STEADY || holder->leaving || !holder->named)
        return;
    holder->leaving = true;
    grove_within(60000);
    rc = grove_supervisor_remove_await(play.top, holder->ref);
    SIM_CHECK(rc == 0, "an heir does not end: %s", grove_why());
    SIM_CHECK(!holder->alive, "an heir lives behind its end");
    holder->gone = true;
    name_of(name, text);
    rc = grove_whereis(text, &found);
    SIM_CHECK(rc == GROVE_ENOACTOR, "%s is not free after the end of its holder", text);
    SIM_CHECK(!is_member(holder->ref), "%s has ended, and is in the group", text);
    follow(name);
}

static void client(void *argument)
{
    unsigned self = *(const unsigned *)argument, n = 1 + sim_draw(SIM_LOAD, ACTS_MAX);

    while (n-- > 0) {
        unsigned name = sim_draw(SIM_LOAD, play.n_names);

        switch (sim_draw(SIM_LOAD, 8)) {
        case 0:
            replace(name);
            break;
        case 1:
            fell(name);
            break;
        case 2:
        case 3:
            (void)grove_sleep_await(sim_draw(SIM_LOAD, 20)); /* Nobody stops it. */
            break;
        case 4:
            look_up(name);
            break;
        default:
            publish(self);
        }
    }
    play.n_ended++;
}

/* --- the run -------------------------------------------------------------------------------------- */

static bool all_is_handled(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < STEADY; i++)
        for (unsigned sender = 0; sender < play.n_clients; sender++)
            if (holder_of(i)->n_handled[sender] != play.n_published[sender])
                return false;
    return true;
}

static void check_all_is_free(void)
{
    grove_ref found;
    char text[24];

    for (unsigned name = 0; name <= NAMES_MAX; name++) {
        name_of(name, text);
        SIM_CHECK(grove_whereis(text, &found) == GROVE_ENOACTOR, "%s is taken at the end", text);
    }
    SIM_CHECK(grove_group_members(play.group, &found, 1) == 0, "somebody is in the group");
}

static void run(void)
{
    memset(&play, 0, sizeof play);
    play.n_names = STEADY + sim_draw(SIM_LOAD, NAMES_MAX - STEADY + 1);
    play.n_clients = 1 + sim_draw(SIM_LOAD, CLIENTS_MAX);
    SIM_CHECK(grove_group_open("holders", &play.group) == 0, "no group");
    SIM_CHECK(grove_supervise(NULL, &play.top) == 0, "no supervisor");
    follow(SLOW); /* A publish meets it before most others. */
    for (unsigned name = 0; name < play.n_names; name++)
        follow(name);
    for (unsigned i = 0; i < play.n_clients; i++) {
        struct grove_spawn_options options = {.place = draw_place(), .argument_bytes = sizeof i};

        SIM_CHECK(grove_go(client, &i, &options, NULL) == 0, "no client");
    }
    sim_wait_for(&play.n_ended, play.n_clients, 600000);
    (void)grove_sim_until_await(all_is_handled, NULL, 10000); /* It fails the seed by itself. */
    for (unsigned name = 0; name < play.n_names; name++)
        look_up(name);
    for (unsigned i = 0; i < play.n_holders; i++)
        play.holders[i].leaving = true;
    grove_within(600000);
    SIM_CHECK(grove_stop_await(play.top, GROVE_STOP_NOW) == 0, "they do not end: %s", grove_why());
    check_all_is_free();
}

static void prepare(void)
{
    SIM_CHECK(grove_service_register(&member_service_table) == 0, "no service");
}

static void prepare_lent(void)
{
    prepare();
    sim_option("loops", 3);
    sim_option("lend", 2);
}

const struct sim_simulation sim_names = {
    .name = "names",
    .what = "names and a group over restarts and ends: kept, then free; nobody held up",
    .run = run,
    .prepare = prepare,
};

const struct sim_simulation sim_names_lent = {
    .name = "names_lent",
    .what = "the same on three loops that lend each other whatever they can",
    .run = run,
    .prepare = prepare_lent,
};
