#include "actors/knot.h"

#include <stdio.h>
#include <string.h>

#include "actors/deadlock.h"
#include "actors/edge.h"
#include "runtime/assert.h"

#define FAR UINT16_MAX
#define TAIL_ROOM \
    72u /* of the text: for the end of a circle that is too long to be named in full */

/* --- what is met ------------------------------------------------------------------------------ */

void gv_knot_clear(struct gv_knot *knot)
{
    struct gv_knot_head *head = &knot->head;

    head->n_work = 0;
    head->n_nodes = head->n_arms = head->n_links = head->n_text = 0;
    head->branches = head->returns = head->freed = head->is_over = 0;
}

static void note_name(struct gv_knot *knot, struct gv_knot_node *node, const struct gv_task *task)
{
    char name[64];
    size_t bytes;

    task->class->describe(task, name, sizeof name);
    bytes = strlen(name) + 1;
    if (knot->head.n_text + bytes > sizeof knot->text)
        return;
    memcpy(knot->text + knot->head.n_text, name, bytes);
    node->name = (uint16_t)(knot->head.n_text + 1);
    knot->head.n_text = (uint16_t)(knot->head.n_text + bytes);
}

static void add_arm(struct gv_knot *knot, unsigned owner, const struct gv_loop *loop,
                    const struct gv_wait *wait, unsigned i)
{
    struct gv_knot_arm *arm = &knot->arms[knot->head.n_arms++];
    const struct gv_edge edge = gv_wait_edge(wait, i);
    const uint64_t target = gv_wait_target(wait, i);
    const struct gv_task *task = gv_wait_is_inline(wait) ? wait->above->task
                                 : target != 0           ? gv_slot_find(target)
                                                         : NULL;

    *arm = (struct gv_knot_arm){
        .target = target,
        .call = edge.call,
        .method = edge.method,
        .owner = (uint16_t)owner,
        .kind = edge.kind,
        .state = task != NULL ? GV_ARM_OPEN : GV_ARM_FREE,
    };
    arm->loop = task == NULL || gv_wait_is_inline(wait) ? loop->index : task->loop;
    knot->head.freed |= task == NULL;
}

/* A wait that has too many arms is taken for free. */
static void add_arms(struct gv_knot *knot, unsigned place, const struct gv_loop *loop,
                     const struct gv_wait *wait)
{
    struct gv_knot_node *node = &knot->nodes[place];
    unsigned n = gv_wait_targets(wait);

    node->first_arm = knot->head.n_arms;
    for (unsigned i = 0; i < n && n <= GV_KNOT_ARMS - node->first_arm; i++)
        if (node->choice || gv_wait_target(wait, i) != 0)
            add_arm(knot, place, loop, wait, i);
    node->n_arms = (uint16_t)(knot->head.n_arms - node->first_arm);
    knot->head.freed |= node->n_arms == 0;
    knot->head.branches |= node->n_arms != 1;
}

unsigned gv_knot_node(struct gv_knot *knot, const struct gv_loop *loop, const struct gv_wait *wait)
{
    struct gv_knot_head *head = &knot->head;
    struct gv_knot_node *node;
    unsigned place = 0;

    while (place < head->n_nodes
           && (knot->nodes[place].number != wait->number || knot->nodes[place].loop != loop->index))
        place++;
    if (place < head->n_nodes)
        return place;
    if (place == GV_KNOT_NODES)
        return GV_KNOT_NONE;
    node = &knot->nodes[head->n_nodes++];
    *node = (struct gv_knot_node){
        .task = gv_task_id(wait->turn->task),
        .number = wait->number,
        .order = wait->cycle != NULL ? wait->cycle->order : 0,
        .loop = loop->index,
        .choice = gv_wait_is_choice(wait),
    };
    knot->waits[place] = wait;
    /* Most searches end in their first lap, and need no names. */
    if (head->lap > 0)
        note_name(knot, node, wait->turn->task);
    add_arms(knot, place, loop, wait);
    /*
     * As long as there was only one way, every circle of the origin leads
     * through here; then the newer wait is the one that will be told.
     */
    if (!head->branches && node->order > head->order)
        head->is_over = 1;
    return place;
}

void gv_knot_link(struct gv_knot *knot, const struct gv_loop *loop, unsigned arm,
                  const struct gv_wait *wait)
{
    unsigned node = gv_knot_node(knot, loop, wait);

    if (node == GV_KNOT_NONE || knot->head.n_links == GV_KNOT_LINKS)
        return;
    if (knot->arms[arm].n_links == 0)
        knot->arms[arm].first_link = knot->head.n_links;
    knot->links[knot->head.n_links++] = (uint16_t)node;
    knot->arms[arm].n_links++;
    knot->head.branches |= knot->arms[arm].n_links > 1;
    knot->head.returns |= node == 0;
}

void gv_knot_close_arm(struct gv_knot *knot, unsigned arm)
{
    bool is_free = knot->arms[arm].n_links == 0;

    knot->arms[arm].state = is_free ? GV_ARM_FREE : GV_ARM_HELD;
    knot->head.freed |= is_free;
}

/* --- who goes on ------------------------------------------------------------------------------ */

static bool arm_holds(const struct gv_knot *knot, const struct gv_knot_arm *arm, bool open_holds)
{
    if (arm->state == GV_ARM_OPEN)
        return open_holds;
    for (unsigned i = 0; i < arm->n_links; i++)
        if (knot->held[knot->links[arm->first_link + i]])
            return true;
    return false;
}

static bool is_held(const struct gv_knot *knot, const struct gv_knot_node *node, bool open_holds)
{
    for (unsigned i = 0; i < node->n_arms; i++)
        if (arm_holds(knot, &knot->arms[node->first_arm + i], open_holds) != node->choice)
            return !node->choice;
    return node->choice && node->n_arms > 0;
}

/* False: it has cost too much. */
static bool may_work(struct gv_knot *knot)
{
    knot->head.n_work += knot->head.n_nodes + knot->head.n_arms + knot->head.n_links;
    return knot->head.n_work <= GV_KNOT_WORK;
}

/* Takes out what can go on, until nothing changes. True if the origin is left. */
static bool reduce(struct gv_knot *knot, bool open_holds)
{
    bool any = true;

    memset(knot->held, 1, knot->head.n_nodes);
    while (any) {
        if (!may_work(knot) || !knot->held[0])
            return false;
        any = false;
        /* What was met last is mostly what the others wait for. */
        for (unsigned i = knot->head.n_nodes; i-- > 0;)
            if (knot->held[i] && !is_held(knot, &knot->nodes[i], open_holds)) {
                knot->held[i] = 0;
                any = true;
            }
    }
    return knot->held[0];
}

/* What only those need that can go on need not be looked at. */
static void prune(struct gv_knot *knot)
{
    for (unsigned i = 0; i < knot->head.n_arms; i++)
        if (knot->arms[i].state == GV_ARM_OPEN && !knot->held[knot->arms[i].owner])
            knot->arms[i].state = GV_ARM_FREE;
}

/* --- the proof -------------------------------------------------------------------------------- */

/* How far the origin is behind a link that is held. */
static unsigned distance_of(const struct gv_knot *knot, unsigned link)
{
    unsigned node = knot->links[link];

    if (!knot->held[node])
        return FAR;
    return node == 0 ? 0 : knot->distance[node];
}

/* Of an arm the link to be followed, GV_KNOT_NONE if none is held: that which is nearest to the origin. */
static unsigned best_link(const struct gv_knot *knot, const struct gv_knot_arm *arm)
{
    unsigned best = GV_KNOT_NONE;

    for (unsigned i = arm->first_link; i < arm->first_link + arm->n_links; i++)
        if (knot->held[knot->links[i]]
            && (best == GV_KNOT_NONE || distance_of(knot, i) < distance_of(knot, best)))
            best = i;
    return best;
}

/* Of a wait that is held. */
static unsigned best_of(const struct gv_knot *knot, const struct gv_knot_node *node)
{
    unsigned best = GV_KNOT_NONE;

    for (unsigned i = node->first_arm; i < node->first_arm + node->n_arms; i++) {
        unsigned link = best_link(knot, &knot->arms[i]);

        if (link != GV_KNOT_NONE
            && (best == GV_KNOT_NONE || distance_of(knot, link) < distance_of(knot, best)))
            best = link;
    }
    return best;
}

/* How far each one that is held is from the origin. True if the origin itself is in a circle. */
static bool measure(struct gv_knot *knot)
{
    bool any = true;

    memset(knot->distance, 0xff, knot->head.n_nodes * sizeof *knot->distance);
    while (any) {
        if (!may_work(knot))
            return false;
        any = false;
        for (unsigned i = knot->head.n_nodes; i-- > 0;) {
            unsigned best = knot->held[i] ? best_of(knot, &knot->nodes[i]) : GV_KNOT_NONE;
            unsigned distance = best != GV_KNOT_NONE ? distance_of(knot, best) : FAR;

            if (distance == FAR || knot->distance[i] <= distance + 1)
                continue;
            knot->distance[i] = (uint16_t)(distance + 1);
            any = true;
        }
    }
    return knot->distance[0] != FAR;
}

static uint64_t mix(uint64_t digest, uint64_t value)
{
    digest = (digest ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return digest ^ digest >> 29;
}

static uint64_t digest_of(const struct gv_knot_node *node)
{
    return mix(mix(1, node->loop), node->number);
}

/* The proof goes on behind this link. */
static void prove_link(struct gv_knot *knot, const struct gv_knot_node *node, unsigned link,
                       unsigned *n_stacked)
{
    unsigned next = knot->links[link];

    knot->digest += mix(digest_of(node), digest_of(&knot->nodes[next]));
    if (knot->proving[next])
        return;
    knot->proving[next] = 1;
    knot->stack[(*n_stacked)++] = (uint16_t)next;
}

/* Collects the proof and its digest. Returns the newest order in the circles of the origin. */
static uint64_t prove(struct gv_knot *knot)
{
    unsigned n_stacked = 1;
    uint64_t newest = 0;

    memset(knot->proving, 0, knot->head.n_nodes);
    knot->proving[0] = 1;
    knot->stack[0] = 0;
    knot->digest = 0;
    while (n_stacked > 0) {
        unsigned place = knot->stack[--n_stacked];
        const struct gv_knot_node *node = &knot->nodes[place];

        if (knot->distance[place] != FAR && node->order > newest)
            newest = node->order;
        if (!node->choice)
            prove_link(knot, node, best_of(knot, node), &n_stacked);
        for (unsigned i = 0; node->choice && i < node->n_arms; i++)
            prove_link(knot, node, best_link(knot, &knot->arms[node->first_arm + i]), &n_stacked);
    }
    return newest;
}

enum gv_knot_verdict gv_knot_judge(struct gv_knot *knot)
{
    struct gv_knot_head *head = &knot->head;

    if (head->is_over)
        return GV_KNOT_FREE;
    if (head->freed) {
        head->freed = 0;
        if (!reduce(knot, true))
            return GV_KNOT_FREE;
        prune(knot);
    }
    if (head->returns && reduce(knot, false) && measure(knot))
        return prove(knot) == head->order ? GV_KNOT_CLOSED : GV_KNOT_FREE;
    for (unsigned i = 0; i < head->n_arms; i++)
        if (knot->arms[i].state == GV_ARM_OPEN)
            return head->n_work <= GV_KNOT_WORK ? GV_KNOT_OPEN : GV_KNOT_FREE;
    return GV_KNOT_FREE;
}

/* --- its words -------------------------------------------------------------------------------- */

static const char *name_of(const struct gv_knot *knot, unsigned node)
{
    return knot->nodes[node].name != 0 ? knot->text + knot->nodes[node].name - 1 : "...";
}

void gv_knot_name(struct gv_knot *knot)
{
    char text[GV_WHY_BYTES];
    size_t used = 0;
    unsigned node = 0;

    do {
        bool is_last = sizeof text - used < TAIL_ROOM + sizeof "play/ -> ";

        used += (size_t)snprintf(text + used, sizeof text - used, "%s -> ",
                                 is_last ? "..." : name_of(knot, node));
        gv_assert(used < sizeof text); /* A name has at most 63 bytes. */
        node = is_last ? 0 : knot->links[best_of(knot, &knot->nodes[node])];
    } while (node != 0);
    used += (size_t)snprintf(text + used, sizeof text - used, "%s", name_of(knot, 0));
    for (node = 0; node < knot->head.n_nodes && !(knot->proving[node] && knot->nodes[node].choice);)
        node++;
    if (node < knot->head.n_nodes && used < sizeof text)
        (void)snprintf(text + used, sizeof text - used, GV_KNOT_ANY_WORDS, name_of(knot, node),
                       knot->nodes[node].n_arms); /* Where it is cut it can still be read. */
    knot->head.n_text = (uint16_t)(strlen(text) + 1);
    memcpy(knot->text, text, knot->head.n_text);
}

/* --- travelling ------------------------------------------------------------------------------- */

size_t gv_knot_bytes(const struct gv_knot *knot)
{
    const struct gv_knot_head *head = &knot->head;

    return sizeof *head + head->n_nodes * sizeof *knot->nodes + head->n_arms * sizeof *knot->arms
           + head->n_links * sizeof *knot->links + head->n_text;
}

static unsigned char *put(unsigned char *to, const void *from, size_t n_bytes)
{
    memcpy(to, from, n_bytes);
    return to + n_bytes;
}

static const unsigned char *get(const unsigned char *from, void *to, size_t n_bytes)
{
    memcpy(to, from, n_bytes);
    return from + n_bytes;
}

void gv_knot_pack(const struct gv_knot *knot, unsigned char *body)
{
    const struct gv_knot_head *head = &knot->head;

    body = put(body, head, sizeof *head);
    body = put(body, knot->nodes, head->n_nodes * sizeof *knot->nodes);
    body = put(body, knot->arms, head->n_arms * sizeof *knot->arms);
    body = put(body, knot->links, head->n_links * sizeof *knot->links);
    (void)put(body, knot->text, head->n_text);
}

void gv_knot_unpack(struct gv_knot *knot, const unsigned char *body)
{
    const struct gv_knot_head *head = &knot->head;

    body = get(body, &knot->head, sizeof knot->head);
    body = get(body, knot->nodes, head->n_nodes * sizeof *knot->nodes);
    body = get(body, knot->arms, head->n_arms * sizeof *knot->arms);
    body = get(body, knot->links, head->n_links * sizeof *knot->links);
    (void)get(body, knot->text, head->n_text);
    memset(knot->waits, 0, head->n_nodes * sizeof(struct gv_wait *));
}
