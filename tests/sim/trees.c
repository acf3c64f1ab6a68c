/*
 * Trees: supervisors over supervisors over actors that fail, at birth and
 * later, are stopped, removed and added, on all loops, while clients write to
 * them and a watcher is told of their ends.
 *
 *     root ── branch ── marker, leaf, leaf
 *       └──── branch ── marker, leaf
 *                └───── branch ── marker, leaf, …
 *
 * Incarnations of a leaf never overlap, and none begins after its DOWN. Who
 * is told to rest does so after all who came after it, and begins anew after
 * they rest. Nobody is begun anew more often than its rule says, or sooner.
 * Every message is handled once, or is a dead letter; nothing overtakes, over
 * restarts too; each call has one outcome. DOWN comes once, after all that
 * the dead one has said. After the root's end nobody lives.
 *
 * The marker of a branch never fails: it ends only when the branch rests.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <grove.h>

#include "tests/sim/orchard.h"
#include "tests/sim/simulation.h"
#include "trees.grove.h"

#define FIRST_MAX 3u /* leaves of a branch at first, beside its marker */
#define QUIET_MS  60000u

struct leaf {
    struct record *record; /* of this incarnation; zeros before */
};

static int draw_place(void)
{
    return GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()));
}

/* --- leaves --------------------------------------------------------------------------------------- */

static int init(struct leaf *me, const void *argument)
{
    struct record *leaf = &orchard.leaves[*(const unsigned *)argument];
    const struct branch *branch = &orchard.branches[leaf->branch];
    bool fails = !leaf->marker && sim_draw(SIM_LOAD, 8) == 0;

    SIM_CHECK(!leaf->alive, "two incarnations of leaf %u", *(const unsigned *)argument);
    SIM_CHECK(!leaf->gone, "leaf %u lives after its DOWN", *(const unsigned *)argument);
    SIM_CHECK(me->record == NULL, "leaf %u begins with an old state", *(const unsigned *)argument);
    if (branch->strategy != GROVE_ONE_FOR_ONE)
        orchard_check_behind(leaf, "begins");
    orchard_check_restart(leaf);
    sim_note("begins", *(const unsigned *)argument, fails);
    leaf->alive = true;
    leaf->failing = fails;
    me->record = leaf;
    if (sim_draw(SIM_LOAD, 4) == 0)
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 30)); /* A stop makes no difference. */
    if (!fails)
        return 0;
    leaf->alive = false; /* There is no deinit. */
    orchard_note_fail(leaf);
    return -EIO;
}

static void deinit(struct leaf *me)
{
    struct record *leaf = me->record;

    if (sim_draw(SIM_LOAD, 4) == 0)
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 30)); /* It may be told to hurry. */
    if (leaf->quiet && !leaf->failing)
        orchard_check_behind(leaf, "rests");
    sim_note("ends", (unsigned)(leaf - orchard.leaves), leaf->failing);
    if (leaf->failing)
        orchard_note_fail(leaf);
    if (leaf->marker)
        orchard.branches[leaf->branch].n_rests++;
    leaf->alive = false;
}

static void say(struct record *leaf)
{
    Sim__Trees__V1__SayRequest request = SIM__TREES__V1__SAY_REQUEST__INIT;

    request.leaf = (uint32_t)(leaf - orchard.leaves);
    request.number = leaf->n_said + 1;
    leaf->n_said += watch_say_send(orchard.watcher, &request) == 0;
}

/* Something has come. Returns how its handler ends. */
static int handle(struct leaf *me, unsigned sender, uint32_t number)
{
    struct record *leaf = me->record;

    SIM_CHECK(leaf != NULL && leaf->alive, "a dead leaf handles a message");
    SIM_CHECK(number > leaf->last[sender], "leaf %u got %u of client %u after %u",
              (unsigned)(leaf - orchard.leaves), number, sender, leaf->last[sender]);
    leaf->last[sender] = number;
    if (sim_draw(SIM_LOAD, 2) == 0)
        say(leaf);
    if (sim_draw(SIM_LOAD, 4) == 0)
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 100)); /* Who must rest ends soon. */
    if (sim_draw(SIM_LOAD, 4) == 0)
        say(leaf);
    switch (leaf->marker ? 8 : sim_draw(SIM_LOAD, 9)) {
    case 0:
    case 1:
        leaf->failing = true;
        return grove_fail("on purpose");
    case 2:
        leaf->failing = leaf->rule.on_error;
        return -EIO;
    case 3:
        return grove_refuse(7, "not today");
    default:
        return 0;
    }
}

static int note(struct leaf *me, const Sim__Trees__V1__NoteRequest *request,
                Sim__Trees__V1__NoteResponse *response)
{
    (void)response;
    me->record->n_handled[request->sender]++;
    return handle(me, request->sender, request->number);
}

static int ask(struct leaf *me, const Sim__Trees__V1__AskRequest *request,
               Sim__Trees__V1__AskResponse *response)
{
    SIM_CHECK(orchard.handled[request->call]++ == 0, "call %u is handled twice", request->call);
    response->call = request->call;
    return handle(me, request->sender, request->number);
}

static const struct leaf_service functions = {
    .state_bytes = sizeof(struct leaf),
    .init = init,
    .deinit = deinit,
    .note = note,
    .ask = ask,
};

/* --- adding --------------------------------------------------------------------------------------- */

static void draw_rule(struct grove_restart_rule *rule, bool may_give_up)
{
    *rule = (struct grove_restart_rule){.restarts_max = 64, .period_ms = 1};
    rule->kind = (enum grove_child_kind)sim_draw(SIM_LOAD, 3);
    rule->backoff_ms = 1 + sim_draw(SIM_LOAD, 100);
    rule->on_error = sim_draw(SIM_LOAD, 2) == 0;
    rule->shutdown_ms = sim_draw(SIM_LOAD, 2) == 0 ? 0 : 1 + sim_draw(SIM_LOAD, 100);
    if (!may_give_up)
        return;
    rule->restarts_max = 1 + sim_draw(SIM_LOAD, FAILS);
    rule->period_ms = 1 + sim_draw(SIM_LOAD, 5000);
}

static void tell_watcher(bool branch, unsigned index)
{
    Sim__Trees__V1__WatchRequest request = SIM__TREES__V1__WATCH_REQUEST__INIT;

    request.branch = branch;
    request.index = index;
    SIM_CHECK(watch_watch_send(orchard.watcher, &request) == 0, "the watcher has no room");
    orchard.n_watched++;
}

static void add_leaf(unsigned branch, bool marker, bool later)
{
    struct record *leaf = &orchard.leaves[orchard.n_leaves];
    unsigned index = orchard.n_leaves;
    struct grove_child child = {.service = &leaf_service_table,
                                .functions = &functions,
                                .argument = &index,
                                .options = {.argument_bytes = sizeof index}};
    int rc;

    if (orchard.n_leaves == LEAVES_MAX)
        return;
    orchard.n_leaves++;
    leaf->branch = branch;
    leaf->marker = marker;
    draw_rule(&leaf->rule, branch != 0);
    leaf->quiet = marker || sim_draw(SIM_LOAD, 2) == 0;
    if (marker)
        leaf->rule.kind = GROVE_PERMANENT;
    if (!later)
        leaf->place = ++orchard.branches[branch].n_places;
    child.rule = leaf->rule;
    child.options.place = draw_place();
    child.options.depth_max = sim_draw(SIM_LOAD, 2) == 0 ? 0 : 1 + sim_draw(SIM_LOAD, 5);
    if (!later || sim_draw(SIM_LOAD, 2) == 0)
        rc = grove_supervisor_add(orchard.branches[branch].ref, &child, &leaf->ref);
    else
        rc = grove_supervisor_add_await(orchard.branches[branch].ref, &child, &leaf->ref);
    sim_note("added", index, (uint64_t)(int64_t)rc);
    SIM_CHECK(later || rc == 0, "leaf %u is not added: %s", index, grove_why());
    if (rc == 0)
        tell_watcher(false, index);
    else
        SIM_CHECK(!leaf->alive, "leaf %u lives, and was not added: %s", index,
                  grove_error_name(rc));
}

static void add_branch(void)
{
    unsigned index = orchard.n_branches++;
    struct branch *branch = &orchard.branches[index];
    struct grove_supervisor_options options = {.strategy =
                                                   (enum grove_strategy)sim_draw(SIM_LOAD, 3)};
    int rc;

    options.place = draw_place();
    branch->strategy = options.strategy;
    if (index > 0) {
        branch->above = sim_draw(SIM_LOAD, index);
        branch->place = ++orchard.branches[branch->above].n_places;
        draw_rule(&options.rule, branch->above != 0);
        options.parent = orchard.branches[branch->above].ref;
    }
    rc = grove_supervise(&options, &branch->ref);
    SIM_CHECK(rc == 0, "no supervisor: %s", grove_why());
    branch->marker = orchard.n_leaves;
    add_leaf(index, true, false);
    for (unsigned n = sim_draw(SIM_LOAD, FIRST_MAX + 1); n > 0; n--)
        add_leaf(index, false, false);
    tell_watcher(true, index);
}

/* --- the watcher ---------------------------------------------------------------------------------- */

static grove_ref ref_of(const Sim__Trees__V1__WatchRequest *request)
{
    return request->branch ? orchard.branches[request->index].ref
                           : orchard.leaves[request->index].ref;
}

static void hear_down(const struct grove_down *down)
{
    bool found = false;

    orchard.n_down++;
    for (unsigned i = 0; i < orchard.n_branches; i++)
        if (grove_ref_equal(orchard.branches[i].ref, down->ref)) {
            SIM_CHECK(!orchard.branches[i].gone, "branch %u is down twice", i);
            SIM_CHECK(orchard_living_behind(i, 0) == LEAVES_MAX,
                      "branch %u is down, and leaf %u lives", i, orchard_living_behind(i, 0));
            orchard.branches[i].gone = found = true;
        }
    for (unsigned i = 0; i < orchard.n_leaves; i++) {
        struct record *leaf = &orchard.leaves[i];

        if (!grove_ref_equal(leaf->ref, down->ref))
            continue;
        SIM_CHECK(!leaf->gone && !leaf->alive, "leaf %u is down, and %s", i,
                  leaf->gone ? "was so before" : "lives");
        /* Who was watched too late is not behind what it had said. */
        SIM_CHECK(down->reason == GROVE_DOWN_NOACTOR || leaf->n_heard == leaf->n_said,
                  "leaf %u is down, and of its %u messages %u have come", i, leaf->n_said,
                  leaf->n_heard);
        leaf->gone = found = true;
    }
    SIM_CHECK(found, "DOWN of nobody");
}

static void watch(void *argument)
{
    struct grove_letter letter;

    (void)argument;
    while (grove_receive_await(GROVE_INFINITE, &letter) == 0) {
        if (letter.down != NULL) {
            hear_down(letter.down);
        } else if (letter.method == &watch_service_table.methods[WATCH_METHOD_SAY]) {
            const Sim__Trees__V1__SayRequest *request = (const void *)letter.request;
            struct record *leaf = &orchard.leaves[request->leaf];

            SIM_CHECK(request->number == ++leaf->n_heard, "leaf %u says %u, after %u",
                      request->leaf, request->number, leaf->n_heard - 1);
        } else {
            SIM_CHECK(grove_monitor(ref_of((const void *)letter.request), NULL) == 0,
                      "no monitor: %s", grove_why());
        }
    }
}

/* --- clients -------------------------------------------------------------------------------------- */

struct client {
    unsigned self;
    uint32_t number;
};

static void ask_leaf(struct client *me, unsigned i)
{
    Sim__Trees__V1__AskRequest request = SIM__TREES__V1__ASK_REQUEST__INIT;
    Sim__Trees__V1__AskResponse response = SIM__TREES__V1__ASK_RESPONSE__INIT;
    uint32_t timeout_ms = 1 + sim_draw(SIM_LOAD, 500);
    uint64_t begin_ns = sim.now_ns;
    int rc;

    request.sender = me->self;
    request.number = ++me->number;
    request.call = ++orchard.n_calls;
    grove_within(timeout_ms);
    rc = leaf_ask_await(orchard.leaves[i].ref, &request, &response);
    sim_note("outcome", request.call, (uint64_t)(int64_t)rc);
    SIM_CHECK(sim.now_ns - begin_ns <= (timeout_ms + 200) * MS_NS,
              "call %u had %u ms and took %" PRIu64 " us", request.call, timeout_ms,
              (sim.now_ns - begin_ns) / 1000);
    SIM_CHECK(rc != 0 || (response.call == request.call && orchard.handled[request.call] == 1),
              "call %u got the answer of call %u", request.call, response.call);
    SIM_CHECK(rc == 0 || grove_failure()->started != GROVE_STARTED_NO
                  || orchard.handled[request.call] == 0,
              "call %u (%s) is said never to have begun", request.call, grove_error_name(rc));
    SIM_CHECK(rc == 0 || grove_failure()->started != GROVE_STARTED_YES
                  || orchard.handled[request.call] == 1,
              "call %u (%s) is said to have begun", request.call, grove_error_name(rc));
}

static void write_leaf(struct client *me, unsigned i)
{
    Sim__Trees__V1__NoteRequest request = SIM__TREES__V1__NOTE_REQUEST__INIT;

    request.sender = me->self;
    request.number = ++me->number;
    orchard.leaves[i].n_accepted[me->self] += leaf_note_send(orchard.leaves[i].ref, &request) == 0;
}

static void end_leaf(unsigned i)
{
    struct record *leaf = &orchard.leaves[i];

    if (leaf->quiet)
        return;
    if (sim_draw(SIM_LOAD, 2) == 0) {
        /* It may be gone. */
        (void)grove_stop(leaf->ref, (enum grove_stop_mode)sim_draw(SIM_LOAD, 3));
        return;
    }
    if (grove_supervisor_remove_await(orchard.branches[leaf->branch].ref, leaf->ref) == 0)
        SIM_CHECK(!leaf->alive, "leaf %u lives, and was removed", i);
}

static void end_branch(unsigned i)
{
    const struct branch *branch = &orchard.branches[i];

    if (i == 0)
        return; /* That is the end of the run. */
    if (sim_draw(SIM_LOAD, 2) == 0) {
        /* It may be gone. */
        (void)grove_stop(branch->ref, (enum grove_stop_mode)sim_draw(SIM_LOAD, 3));
        return;
    }
    if (grove_supervisor_remove_await(orchard.branches[branch->above].ref, branch->ref) == 0)
        SIM_CHECK(orchard_living_behind(i, 0) == LEAVES_MAX, "branch %u was removed, and %u lives",
                  i, orchard_living_behind(i, 0));
}

/* No supervisor shows a child twice. */
static void list_branch(unsigned i)
{
    struct grove_child_info infos[8];
    unsigned n = 0;

    if (grove_supervisor_children_await(orchard.branches[i].ref, infos, 8, &n) != 0)
        return; /* It is gone, or busy. */
    for (unsigned k = 1; k < n && k < 8; k++)
        SIM_CHECK(!grove_ref_equal(infos[0].ref, infos[k].ref), "branch %u shows one twice", i);
}

static void act(struct client *me)
{
    unsigned leaf = sim_draw(SIM_LOAD, orchard.n_leaves);

    switch (sim_draw(SIM_LOAD, 14)) {
    case 0:
    case 1:
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 100)); /* Nobody stops us. */
        break;
    case 2:
    case 3:
    case 4:
        ask_leaf(me, leaf);
        break;
    case 5:
        end_leaf(leaf);
        break;
    case 6:
        add_leaf(sim_draw(SIM_LOAD, orchard.n_branches), false, true);
        break;
    case 7:
        list_branch(sim_draw(SIM_LOAD, orchard.n_branches));
        break;
    case 8:
        if (sim_draw(SIM_LOAD, 4) == 0)
            end_branch(sim_draw(SIM_LOAD, orchard.n_branches));
        break;
    default:
        write_leaf(me, leaf);
    }
}

static void act_as_client(void *argument)
{
    struct client me = {.self = *(const unsigned *)argument};

    for (unsigned n = 1 + sim_draw(SIM_LOAD, ACTS_MAX); n > 0; n--)
        act(&me);
    orchard.n_ended++;
}

/* --- the run -------------------------------------------------------------------------------------- */

static void hear_dead(void *argument, const struct grove_dead_letter *letter, uint64_t n_missed)
{
    unsigned client = 0, leaf = 0;

    (void)argument;
    SIM_CHECK(n_missed == 0, "the subscriber was too slow");
    while (client < orchard.n_clients && !grove_ref_equal(orchard.clients[client], letter->from))
        client++;
    while (leaf < orchard.n_leaves && !grove_ref_equal(orchard.leaves[leaf].ref, letter->to))
        leaf++;
    /* That of a failed handler was handled, and who called was told. */
    if (client < orchard.n_clients && leaf < orchard.n_leaves && !letter->called
        && letter->reason != GROVE_DEAD_CRASHED)
        orchard.leaves[leaf].n_dead[client]++;
}

/* The first account that does not agree; false if all do. */
static bool differs(unsigned *leaf, unsigned *client)
{
    for (*leaf = 0; *leaf < orchard.n_leaves; ++*leaf)
        for (*client = 0; *client < orchard.n_clients; ++*client) {
            const struct record *it = &orchard.leaves[*leaf];

            if (it->n_accepted[*client] != it->n_handled[*client] + it->n_dead[*client])
                return true;
        }
    return false;
}

static void check_end(void)
{
    unsigned leaf, client;

    for (unsigned ms = 0;
         ms < QUIET_MS && (differs(&leaf, &client) || orchard.n_down < orchard.n_watched); ms += 50)
        (void)grove_sleep_await(50); /* Nobody stops main. */
    SIM_CHECK(!differs(&leaf, &client), "leaf %u, client %u: %u accepted, %u handled, %u dead",
              leaf, client, orchard.leaves[leaf].n_accepted[client],
              orchard.leaves[leaf].n_handled[client], orchard.leaves[leaf].n_dead[client]);
    SIM_CHECK(orchard.n_down == orchard.n_watched, "%u are watched, and %u down", orchard.n_watched,
              orchard.n_down);
    SIM_CHECK(orchard_living_behind(0, 0) == LEAVES_MAX, "leaf %u lives on",
              orchard_living_behind(0, 0));
}

static void run(void)
{
    struct grove_spawn_options options = {.depth_max = 100000, .bytes_max = 16000000};
    unsigned n_branches = 1 + sim_draw(SIM_LOAD, BRANCHES_MAX);
    enum grove_stop_mode mode = (enum grove_stop_mode)sim_draw(SIM_LOAD, 3);

    memset(&orchard, 0, sizeof orchard);
    orchard.n_clients = 1 + sim_draw(SIM_LOAD, CLIENTS_MAX);
    options.place = draw_place();
    SIM_CHECK(grove_dead_letters_subscribe(hear_dead, NULL, NULL) == 0, "no subscription");
    SIM_CHECK(grove_go(watch, NULL, &options, &orchard.watcher) == 0, "no watcher");
    while (orchard.n_branches < n_branches)
        add_branch();
    for (unsigned i = 0; i < orchard.n_clients; i++) {
        options = (struct grove_spawn_options){.place = draw_place(), .argument_bytes = sizeof i};
        SIM_CHECK(grove_go(act_as_client, &i, &options, &orchard.clients[i]) == 0, "no client");
    }
    sim_wait_for(&orchard.n_ended, orchard.n_clients, 600000);
    grove_within(600000);
    SIM_CHECK(grove_stop_await(orchard.branches[0].ref, mode) == 0, "the root does not end: %s",
              grove_why());
    check_end();
}

static void prepare(void)
{
    SIM_CHECK(grove_service_register(&leaf_service_table) == 0, "no service");
    SIM_CHECK(grove_service_register(&watch_service_table) == 0, "no service");
}

const struct sim_simulation sim_trees = {
    .name = "trees",
    .what = "supervisors, restarts, monitors: no two incarnations, limits, order, DOWN last",
    .run = run,
    .prepare = prepare,
};
