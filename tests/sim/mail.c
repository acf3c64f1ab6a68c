/*
 * Mail: every message is handled once, or is one dead letter, or was refused
 * to its sender; nothing overtakes; a publish reaches each member once.
 *
 * Senders send, call and publish to boxes that are slow, small, drop the
 * oldest, fail, and are stopped. A subscriber counts the dead letters. When
 * all is quiet the accounts must agree for each sender, box and rpc:
 *
 *     accepted = handled + dead letters (but those of callers, who were told)
 *
 * Some boxes stay: for them that holds of what was published, too.
 */
#include <stdio.h>
#include <string.h>

#include <grove.h>

#include "mail.grove.h"
#include "tests/sim/simulation.h"

#define BOXES_MAX   6u
#define STAYING     2u /* of them: nobody stops them, and they never fail */
#define SENDERS_MAX 4u
#define ACTS_MAX    60u
#define NUMBERS_MAX (ACTS_MAX + 2)
#define QUIET_MS    20000u

enum kind { NOTE, TICK, NEWS, KINDS };

static struct {
    grove_ref boxes[BOXES_MAX];
    grove_ref senders[SENDERS_MAX];
    grove_ref group;
    unsigned n_boxes, n_senders;
    uint32_t n_accepted[SENDERS_MAX][BOXES_MAX][KINDS];
    uint32_t n_handled[SENDERS_MAX][BOXES_MAX][KINDS];
    uint32_t n_dead[SENDERS_MAX][BOXES_MAX][KINDS];
    uint32_t last[SENDERS_MAX][BOXES_MAX];   /* number that came last */
    uint8_t asked[SENDERS_MAX][NUMBERS_MAX]; /* how often its handler began */
    bool stopped[BOXES_MAX];                 /* somebody has seen its end */
    unsigned n_ended;                        /* senders */
    uint64_t n_missed;
} play;

struct box {
    unsigned self;
};

/* --- boxes ---------------------------------------------------------------------------------------- */

static void name_of(unsigned box, char name[16])
{
    (void)snprintf(name, 16, "box/%u", box); /* It fits. */
}

static int init(struct box *me, const void *argument)
{
    char name[16];

    me->self = *(const unsigned *)argument;
    name_of(me->self, name);
    return grove_register(name, grove_self());
}

/* Something has come: in order? Then it takes its time, or fails. */
static int handle(struct box *me, unsigned sender, uint32_t number)
{
    SIM_CHECK(number > play.last[sender][me->self], "box %u got %u of sender %u after %u", me->self,
              number, sender, play.last[sender][me->self]);
    play.last[sender][me->self] = number;
    switch (sim_draw(SIM_LOAD, 16)) {
    case 0:
    case 1:
        (void)grove_sleep_await(1 + sim_draw(SIM_LOAD, 3)); /* Who is stopped ends soon. */
        break;
    case 2:
        (void)grove_yield_await(); /* As above. */
        break;
    case 3:
        if (me->self >= STAYING && sim_draw(SIM_LOAD, 4) == 0)
            return grove_fail("on purpose");
        break;
    default:
        break;
    }
    return 0;
}

static int note(struct box *me, const Sim__Mail__V1__NoteRequest *request,
                Sim__Mail__V1__NoteResponse *response)
{
    (void)response;
    play.n_handled[request->sender][me->self][NOTE]++;
    return handle(me, request->sender, request->number);
}

static int tick(struct box *me, const Sim__Mail__V1__TickRequest *request,
                Sim__Mail__V1__TickResponse *response)
{
    (void)response;
    play.n_handled[request->sender][me->self][TICK]++;
    return handle(me, request->sender, request->number);
}

static int news(struct box *me, const Sim__Mail__V1__NewsRequest *request,
                Sim__Mail__V1__NewsResponse *response)
{
    (void)response;
    SIM_CHECK(strcmp(request->text, "it rains") == 0, "the news are \"%s\"", request->text);
    play.n_handled[request->sender][me->self][NEWS]++;
    return handle(me, request->sender, request->number);
}

static int ask(struct box *me, const Sim__Mail__V1__AskRequest *request,
               Sim__Mail__V1__AskResponse *response)
{
    SIM_CHECK(play.asked[request->sender][request->number]++ == 0, "a call was handled twice");
    response->number = request->number;
    return handle(me, request->sender, request->number);
}

static const struct box_service functions = {
    .state_bytes = sizeof(struct box),
    .init = init,
    .note = note,
    .tick = tick,
    .news = news,
    .ask = ask,
};

/* --- dead letters ----------------------------------------------------------------------------------- */

static unsigned number_of(grove_ref ref, const grove_ref *refs, unsigned n)
{
    unsigned i = 0;

    while (i < n && !grove_ref_equal(refs[i], ref))
        i++;
    return i;
}

static enum kind kind_of(const struct grove_method *method)
{
    static const enum box_method methods[KINDS] = {BOX_METHOD_NOTE, BOX_METHOD_TICK,
                                                   BOX_METHOD_NEWS};
    unsigned kind = 0;

    while (kind < KINDS && method != &box_service_table.methods[methods[kind]])
        kind++;
    return (enum kind)kind;
}

static void hear(void *argument, const struct grove_dead_letter *letter, uint64_t n_missed)
{
    unsigned box = number_of(letter->to, play.boxes, play.n_boxes);
    unsigned sender = number_of(letter->from, play.senders, play.n_senders);
    enum kind kind = kind_of(letter->method);

    (void)argument;
    play.n_missed += n_missed;
    sim_note(grove_dead_name(letter->reason), box, sender);
    SIM_CHECK(box < play.n_boxes, "a letter for nobody");
    SIM_CHECK(letter->reason != GROVE_DEAD_DROPPED || kind == TICK, "dropped, and no tick");
    SIM_CHECK(letter->reason != GROVE_DEAD_EXPIRED || letter->called, "a send has expired");
    SIM_CHECK(letter->reason != GROVE_DEAD_UNSUPPORTED, "no function");
    SIM_CHECK(letter->reason == GROVE_DEAD_DROPPED || letter->reason == GROVE_DEAD_FULL
                  || box >= STAYING || letter->called,
              "%s at a box that stays", grove_dead_name(letter->reason));
    /* That of a failed handler was handled, and who called was told. */
    if (letter->reason != GROVE_DEAD_CRASHED && !letter->called && kind < KINDS)
        play.n_dead[sender][box][kind]++;
}

/* --- senders ---------------------------------------------------------------------------------------- */

struct sender {
    unsigned self;
    uint32_t number; /* of its last message */
};

static void send_note(struct sender *me, unsigned box, bool may_wait)
{
    Sim__Mail__V1__NoteRequest request = SIM__MAIL__V1__NOTE_REQUEST__INIT;
    int rc;

    request.sender = me->self;
    request.number = ++me->number;
    rc = may_wait ? box_note_send_await(play.boxes[box], &request)
                  : box_note_send(play.boxes[box], &request);
    sim_note("note", box, (uint64_t)(int64_t)rc);
    play.n_accepted[me->self][box][NOTE] += rc == 0;
}

static void send_tick(struct sender *me, unsigned box)
{
    Sim__Mail__V1__TickRequest request = SIM__MAIL__V1__TICK_REQUEST__INIT;
    int rc;

    request.sender = me->self;
    request.number = ++me->number;
    rc = box_tick_send(play.boxes[box], &request);
    play.n_accepted[me->self][box][TICK] += rc == 0;
}

static void publish_news(struct sender *me)
{
    Sim__Mail__V1__NewsRequest request = SIM__MAIL__V1__NEWS_REQUEST__INIT;
    struct grove_published published = {0};
    int rc;

    request.sender = me->self;
    request.number = ++me->number;
    request.text = (char *)"it rains";
    rc = sim_draw(SIM_LOAD, 2) == 0 ? box_news_send(play.group, &request)
                                    : box_news_publish(play.group, &request, &published);
    SIM_CHECK(rc == 0, "publishing failed: %s", grove_error_name(rc));
    SIM_CHECK(published.n_here + published.n_away + published.n_refused <= play.n_boxes,
              "more members than boxes");
    for (unsigned box = 0; box < STAYING; box++)
        play.n_accepted[me->self][box][NEWS]++;
}

static void ask_box(struct sender *me, unsigned box)
{
    Sim__Mail__V1__AskRequest request = SIM__MAIL__V1__ASK_REQUEST__INIT;
    Sim__Mail__V1__AskResponse response = SIM__MAIL__V1__ASK_RESPONSE__INIT;
    int rc;

    request.sender = me->self;
    request.number = ++me->number;
    if (sim_draw(SIM_LOAD, 2) == 0)
        grove_within(1 + sim_draw(SIM_LOAD, 20));
    rc = box_ask_await(play.boxes[box], &request, &response);
    SIM_CHECK(rc != 0 || response.number == request.number, "the answer of another call");
    SIM_CHECK(rc == 0 || grove_failure()->started != GROVE_STARTED_NO
                  || play.asked[me->self][request.number] == 0,
              "a call that never began was handled");
}

static void stop_box(unsigned box)
{
    enum grove_stop_mode mode = (enum grove_stop_mode)sim_draw(SIM_LOAD, 3);

    if (box < STAYING || sim_draw(SIM_LOAD, 4) != 0)
        return;
    if (sim_draw(SIM_LOAD, 2) == 0)
        (void)grove_stop(play.boxes[box], mode); /* It may be gone. */
    else if (grove_stop_await(play.boxes[box], mode) == 0)
        play.stopped[box] = true;
}

/* Its name leads to it, until somebody has seen its end. */
static void look_up(unsigned box)
{
    bool stopped = play.stopped[box];
    grove_ref found;
    char name[16];
    int rc;

    name_of(box, name);
    rc = grove_whereis(name, &found);
    SIM_CHECK(rc == GROVE_ENOACTOR || grove_ref_equal(found, play.boxes[box]),
              "the name of box %u leads elsewhere", box);
    SIM_CHECK(rc == 0 || box >= STAYING, "box %u has lost its name", box);
    SIM_CHECK(rc != 0 || !stopped, "box %u is gone, and its name is not free", box);
}

static void join_or_leave(unsigned box)
{
    if (box < STAYING)
        return;
    /* It may be gone, or be one already, or none. */
    if (sim_draw(SIM_LOAD, 2) == 0)
        (void)grove_group_join(play.group, play.boxes[box]);
    else
        (void)grove_group_leave(play.group, play.boxes[box]);
}

static void act(struct sender *me)
{
    unsigned box = sim_draw(SIM_LOAD, play.n_boxes);

    switch (sim_draw(SIM_LOAD, 12)) {
    case 0:
        (void)grove_sleep_await(sim_draw(SIM_LOAD, 3)); /* Nobody stops a sender. */
        break;
    case 1:
        ask_box(me, box);
        break;
    case 2:
        stop_box(box);
        break;
    case 3:
    case 4:
        publish_news(me);
        break;
    case 5:
        send_note(me, box, true);
        break;
    case 6:
        look_up(box);
        join_or_leave(box);
        break;
    case 7:
    case 8:
    case 9:
        send_tick(me, box);
        break;
    default:
        send_note(me, box, false);
    }
}

static void act_as_sender(void *argument)
{
    struct sender me = {.self = *(const unsigned *)argument};
    unsigned n = 1 + sim_draw(SIM_LOAD, ACTS_MAX);

    play.senders[me.self] = grove_self();
    for (unsigned i = 0; i < n; i++)
        act(&me);
    play.n_ended++;
}

/* --- the run -------------------------------------------------------------------------------------- */

static void spawn_box(unsigned self)
{
    struct grove_spawn_options options = {.argument_bytes = sizeof self};
    int rc;

    options.place = GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops()));
    options.depth_max = sim_draw(SIM_LOAD, 3) == 0 ? 0 : 1 + sim_draw(SIM_LOAD, 4);
    rc = box_spawn_await(&functions, &self, &options, &play.boxes[self]);
    SIM_CHECK(rc == 0, "no box: %s", grove_error_name(rc));
    SIM_CHECK(grove_group_join(play.group, play.boxes[self]) == 0, "it cannot join");
}

/* The first account that does not agree; false if all do. */
static bool differs(unsigned *sender, unsigned *box, unsigned *kind)
{
    for (unsigned i = 0; i < play.n_senders * play.n_boxes * KINDS; i++) {
        *kind = i % KINDS;
        *box = i / KINDS % play.n_boxes;
        *sender = i / KINDS / play.n_boxes;
        if ((*kind != NEWS || *box < STAYING)
            && play.n_accepted[*sender][*box][*kind]
                   != play.n_handled[*sender][*box][*kind] + play.n_dead[*sender][*box][*kind])
            return true;
    }
    return false;
}

static void check_accounts(void)
{
    unsigned sender, box, kind;

    for (unsigned ms = 0; ms < QUIET_MS && differs(&sender, &box, &kind); ms += 50)
        (void)grove_sleep_await(50); /* Nobody stops main. */
    SIM_CHECK(play.n_missed == 0, "the subscriber was too slow");
    SIM_CHECK(!differs(&sender, &box, &kind),
              "of kind %u from sender %u to box %u: %u accepted, %u handled, %u dead", kind, sender,
              box, play.n_accepted[sender][box][kind], play.n_handled[sender][box][kind],
              play.n_dead[sender][box][kind]);
}

static void run(void)
{
    grove_ref subscription;

    memset(&play, 0, sizeof play);
    play.n_boxes = STAYING + sim_draw(SIM_LOAD, BOXES_MAX - STAYING + 1);
    play.n_senders = 1 + sim_draw(SIM_LOAD, SENDERS_MAX);
    SIM_CHECK(grove_dead_letters_subscribe(hear, NULL, &subscription) == 0, "no subscription");
    SIM_CHECK(grove_group_open("boxes", &play.group) == 0, "no group");
    for (unsigned i = 0; i < play.n_boxes; i++)
        spawn_box(i);
    for (unsigned i = 0; i < play.n_senders; i++) {
        struct grove_spawn_options options = {
            .place = GROVE_ON_LOOP(sim_draw(SIM_LOAD, grove_loops())), .argument_bytes = sizeof i};

        SIM_CHECK(grove_go(act_as_sender, &i, &options, NULL) == 0, "no sender");
    }
    sim_wait_for(&play.n_ended, play.n_senders, 600000);
    check_accounts();
}

static void prepare(void)
{
    SIM_CHECK(grove_service_register(&box_service_table) == 0, "no service");
}

const struct sim_simulation sim_mail = {
    .name = "mail",
    .what = "each message handled, dead or refused, in order; groups; names",
    .run = run,
    .prepare = prepare,
};
