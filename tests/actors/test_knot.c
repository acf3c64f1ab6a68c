/*
 * Knot: what can be said of waits that have been met, and of those that have not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/knot.h"

static struct gv_knot knot;

static void begin(void)
{
    knot.head = (struct gv_knot_head){.order = 100};
}

/* A wait for n things, one of which is enough if choice. Returns its node. */
static unsigned add_wait(bool choice, uint64_t order, unsigned n)
{
    unsigned place = knot.head.n_nodes++;

    knot.nodes[place] = (struct gv_knot_node){.number = place + 1,
                                              .order = order,
                                              .first_arm = knot.head.n_arms,
                                              .n_arms = (uint16_t)n,
                                              .choice = choice};
    for (unsigned i = 0; i < n; i++)
        knot.arms[knot.head.n_arms++] = (struct gv_knot_arm){.owner = (uint16_t)place};
    return place;
}

/* The i-th thing needs the end of another wait. Links of one arm follow each other. */
static void hold(unsigned node, unsigned i, unsigned by)
{
    struct gv_knot_arm *arm = &knot.arms[knot.nodes[node].first_arm + i];

    if (arm->n_links++ == 0)
        arm->first_link = knot.head.n_links;
    arm->state = GV_ARM_HELD;
    knot.links[knot.head.n_links++] = (uint16_t)by;
    knot.head.returns |= by == 0;
}

static void release(unsigned node, unsigned i)
{
    struct gv_knot_arm *arm = &knot.arms[knot.nodes[node].first_arm + i];

    arm->state = GV_ARM_FREE;
    arm->n_links = 0;
    knot.head.freed = 1;
}

static void test_who_waits_for_itself_is_in_a_circle(void **state)
{
    unsigned a, b;

    (void)state;
    begin();
    a = add_wait(false, 100, 1);
    hold(a, 0, a);
    assert_int_equal(gv_knot_judge(&knot), GV_KNOT_CLOSED);

    begin();
    a = add_wait(false, 100, 1);
    b = add_wait(false, 7, 1);
    hold(a, 0, b);
    assert_int_equal(gv_knot_judge(&knot), GV_KNOT_OPEN);
    hold(b, 0, a);
    assert_int_equal(gv_knot_judge(&knot), GV_KNOT_CLOSED);
}

static void test_one_arm_of_all_is_enough_and_of_any_it_takes_each(void **state)
{
    (void)state;
    for (unsigned choice = 0; choice < 2; choice++) {
        unsigned a, b;

        begin();
        a = add_wait(choice, 100, 2);
        b = add_wait(false, 7, 1);
        hold(a, 0, b);
        hold(b, 0, a);
        assert_int_equal(gv_knot_judge(&knot), choice ? GV_KNOT_OPEN : GV_KNOT_CLOSED);
        release(a, 1);
        assert_int_equal(gv_knot_judge(&knot), choice ? GV_KNOT_FREE : GV_KNOT_CLOSED);

        begin();
        a = add_wait(choice, 100, 2);
        b = add_wait(false, 7, 1);
        hold(a, 0, b);
        hold(a, 1, a);
        hold(b, 0, a);
        assert_int_equal(gv_knot_judge(&knot), GV_KNOT_CLOSED);
    }
}

static void test_what_can_go_on_frees_all_that_waits_for_it_alone(void **state)
{
    unsigned a, b, c;

    (void)state;
    begin();
    a = add_wait(false, 100, 1);
    b = add_wait(true, 7, 2);
    c = add_wait(false, 8, 1);
    hold(a, 0, b);
    hold(b, 0, a);
    hold(b, 1, c);
    assert_int_equal(gv_knot_judge(&knot), GV_KNOT_OPEN);
    release(c, 0);
    assert_int_equal(gv_knot_judge(&knot), GV_KNOT_FREE);
}

static void test_the_newest_wait_of_the_circle_is_told_and_others_leave_it_to_it(void **state)
{
    unsigned a, b, c;

    (void)state;
    begin();
    a = add_wait(false, 100, 1);
    b = add_wait(false, 101, 1);
    hold(a, 0, b);
    hold(b, 0, a);
    assert_int_equal(gv_knot_judge(&knot), GV_KNOT_FREE);

    /* A newer one that is held up, too, but by itself alone, is none of the circle. */
    begin();
    a = add_wait(true, 100, 2);
    b = add_wait(false, 7, 1);
    c = add_wait(false, 101, 1);
    hold(a, 0, b);
    hold(b, 0, a);
    hold(a, 1, c);
    hold(c, 0, c);
    assert_int_equal(gv_knot_judge(&knot), GV_KNOT_CLOSED);
}

static void test_who_waits_for_a_circle_without_being_part_of_it_is_not_told(void **state)
{
    unsigned a, b, c;

    (void)state;
    begin();
    a = add_wait(false, 100, 1);
    b = add_wait(false, 7, 1);
    c = add_wait(false, 8, 1);
    hold(a, 0, b);
    hold(b, 0, c);
    hold(c, 0, b);
    assert_int_equal(gv_knot_judge(&knot), GV_KNOT_FREE);
}

static void test_a_digest_is_of_the_proof_alone(void **state)
{
    uint64_t digest = 0;

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        unsigned a, b;

        begin();
        a = add_wait(false, 100, 2);
        b = add_wait(false, 7, 1);
        hold(a, 0, b);
        hold(b, 0, a);
        if (round == 1) /* It leads nowhere. */
            hold(a, 1, add_wait(false, 9, 1));
        if (round == 2) /* Another wait stands there. */
            knot.nodes[b].number = 77;
        assert_int_equal(gv_knot_judge(&knot), GV_KNOT_CLOSED);
        if (round == 0)
            digest = knot.digest;
        assert_true((knot.digest == digest) == (round < 2));
    }
}

static void test_it_travels_as_it_is(void **state)
{
    static struct gv_knot other;
    unsigned char *body;
    unsigned a, b;

    (void)state;
    begin();
    a = add_wait(true, 100, 2);
    b = add_wait(false, 7, 1);
    hold(a, 0, b);
    hold(a, 1, a);
    hold(b, 0, a);
    memcpy(knot.text, "hen\0egg", 8);
    knot.head.n_text = 8;
    knot.nodes[a].name = 1;
    knot.nodes[b].name = 5;
    body = malloc(gv_knot_bytes(&knot));
    gv_knot_pack(&knot, body);
    gv_knot_unpack(&other, body);
    free(body);
    assert_int_equal(gv_knot_judge(&other), GV_KNOT_CLOSED);
    gv_knot_name(&other);
    assert_string_equal(other.text,
                        "hen -> hen; hen waits for any of 2, and all of them lead back");
    assert_int_equal(other.head.n_text, strlen(other.text) + 1);
}

static void test_work_is_bounded_and_what_costs_more_is_not_told(void **state)
{
    (void)state;
    for (unsigned worst = 0; worst < 2; worst++) {
        begin();
        (void)add_wait(false, 100, 1);
        hold(0, 0, 0);
        /* A line that can go on, in the order in which each look at all of them frees one. */
        for (unsigned i = 1; i < GV_KNOT_NODES; i++)
            hold(add_wait(false, 0, 1), 0, i - 1);
        if (worst)
            release(1, 0);
        assert_int_equal(gv_knot_judge(&knot), worst ? GV_KNOT_FREE : GV_KNOT_CLOSED);
        assert_in_range(knot.head.n_work, 1, GV_KNOT_WORK + 3 * GV_KNOT_NODES);
    }
}

/* --- at random -------------------------------------------------------------------------------- */

#define N_MAX 7u

static uint32_t seed;

static unsigned draw(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 16) % n;
}

/* The plainest way: which of all sets of waits holds itself? The largest. */
static bool is_stuck_in(unsigned set, unsigned node)
{
    const struct gv_knot_node *wait = &knot.nodes[node];
    unsigned n_held = 0;

    for (unsigned i = 0; i < wait->n_arms; i++) {
        const struct gv_knot_arm *arm = &knot.arms[wait->first_arm + i];
        bool held = false;

        for (unsigned k = 0; k < arm->n_links; k++)
            held |= (set >> knot.links[arm->first_link + k] & 1) != 0;
        n_held += held;
    }
    return wait->choice ? n_held == wait->n_arms && n_held > 0 : n_held > 0;
}

static unsigned largest_stuck(void)
{
    unsigned best = 0;

    for (unsigned set = 0; set < 1u << knot.head.n_nodes; set++) {
        bool holds = true;

        for (unsigned i = 0; i < knot.head.n_nodes; i++)
            holds &= !(set >> i & 1) || is_stuck_in(set, i);
        if (holds)
            best |= set; /* What two sets hold, both together do. */
    }
    return best;
}

static bool leads_back(unsigned stuck, unsigned from, unsigned met)
{
    for (unsigned i = 0; i < knot.nodes[from].n_arms; i++) {
        const struct gv_knot_arm *arm = &knot.arms[knot.nodes[from].first_arm + i];

        for (unsigned k = 0; k < arm->n_links; k++) {
            unsigned next = knot.links[arm->first_link + k];

            if (!(stuck >> next & 1))
                continue;
            if (next == 0 || (!(met >> next & 1) && leads_back(stuck, next, met | 1u << next)))
                return true;
        }
    }
    return false;
}

static void test_random_graphs_are_judged_as_the_plainest_way_does(void **state)
{
    unsigned n_closed = 0;

    (void)state;
    for (unsigned round = 1; round <= 4000; round++) {
        unsigned n, stuck;
        bool closed;

        seed = round * 2654435761u;
        n = 1 + draw(N_MAX);
        begin();
        for (unsigned i = 0; i < n; i++) {
            unsigned n_arms = 1 + draw(3);

            (void)add_wait(draw(2), i == 0 ? 100 : i, n_arms);
        }
        for (unsigned i = 0; i < n; i++)
            for (unsigned k = 0; k < knot.nodes[i].n_arms; k++) {
                unsigned n_links = draw(6) == 0 ? 0 : 1 + draw(2);

                if (n_links == 0)
                    release(i, k);
                for (; n_links > 0; n_links--)
                    hold(i, k, draw(n));
            }
        stuck = largest_stuck();
        closed = stuck & 1 && leads_back(stuck, 0, 0);
        assert_int_equal(gv_knot_judge(&knot), closed ? GV_KNOT_CLOSED : GV_KNOT_FREE);
        n_closed += closed;
    }
    assert_in_range(n_closed, 500, 3500); /* Of 4000: both happen. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_waits_for_itself_is_in_a_circle),
        cmocka_unit_test(test_one_arm_of_all_is_enough_and_of_any_it_takes_each),
        cmocka_unit_test(test_what_can_go_on_frees_all_that_waits_for_it_alone),
        cmocka_unit_test(test_the_newest_wait_of_the_circle_is_told_and_others_leave_it_to_it),
        cmocka_unit_test(test_who_waits_for_a_circle_without_being_part_of_it_is_not_told),
        cmocka_unit_test(test_a_digest_is_of_the_proof_alone),
        cmocka_unit_test(test_it_travels_as_it_is),
        cmocka_unit_test(test_work_is_bounded_and_what_costs_more_is_not_told),
        cmocka_unit_test(test_random_graphs_are_judged_as_the_plainest_way_does),
    };

    return cmocka_run_group_tests_name("knot", tests, NULL, NULL);
}
