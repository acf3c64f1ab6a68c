#include "family.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/supervisor.h"

struct family family;

/* In place of the player's state: its letter lies where nobody adds. */
struct member {
    struct play play;
    char letter;
};

static void note(char what)
{
    unsigned i = family.n_begun++;

    if (i < FAMILY_NOTES - 1) {
        family.began_ms[i] = stage_now_ms();
        family.notes[i] = what;
    }
    family.n_notes++;
}

static int member_init(struct play *play, const void *argument)
{
    struct member *me = (struct member *)play;

    me->letter = *(const char *)argument;
    note(me->letter);
    if (family.n_living[(int)me->letter]++ > 0 || me->play.total != 0)
        family.n_overlaps++;
    if (family.n_bad_inits[(int)me->letter] > 0) {
        family.n_bad_inits[(int)me->letter]--;
        family.n_living[(int)me->letter]--;
        return grove_fail("%c does not get up", me->letter);
    }
    return 0;
}

static void member_deinit(struct play *play)
{
    struct member *me = (struct member *)play;

    if (family.nap_ms[(int)me->letter] > 0)
        (void)grove_sleep_await(family.nap_ms[(int)me->letter]); /* It ends, however. */
    family.n_living[(int)me->letter]--;
    note((char)(me->letter - 'a' + 'A'));
}

static struct play_service member_functions;

int family_quit_with;

static void note_quit(struct gv_loop *loop, int status)
{
    (void)loop;
    family_quit_with = status;
}

void family_begin(void)
{
    gv_supervisor_quit = note_quit;
    family_quit_with = 0;
    memset(&family, 0, sizeof family);
    member_functions = stage_player;
    member_functions.state_bytes = sizeof(struct member);
    member_functions.init = member_init;
    member_functions.deinit = member_deinit;
}

struct grove_child family_child(char letter)
{
    static const char letters[26][2] = {"a", "b", "c", "d", "e", "f", "g", "h", "i",
                                        "j", "k", "l", "m", "n", "o", "p", "q", "r",
                                        "s", "t", "u", "v", "w", "x", "y", "z"};

    return (struct grove_child){
        .service = &play_service_table,
        .functions = &member_functions,
        .argument = letters[letter - 'a'],
        .options = {.argument_bytes = 1, .label = letters[letter - 'a']},
    };
}

grove_ref family_add(grove_ref supervisor, char letter)
{
    struct grove_child child = family_child(letter);
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(grove_supervisor_add(supervisor, &child, &ref), 0);
    return ref;
}

grove_ref family_supervisor(enum grove_strategy strategy)
{
    grove_ref ref = GROVE_NOBODY;

    assert_int_equal(
        grove_supervise(&(struct grove_supervisor_options){.strategy = strategy}, &ref), 0);
    return ref;
}

int act_fail(struct play *me, struct script *script)
{
    (void)me;
    (void)script;
    return grove_fail("on purpose");
}

int family_fail(grove_ref child)
{
    struct script script = {.act = act_fail};

    return stage_perform(child, &script);
}

void family_wait(unsigned n_notes)
{
    for (unsigned i = 0; family.n_notes < n_notes && i < 100000; i++)
        assert_int_equal(grove_sleep_await(1), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(grove_yield_await(), 0);
    assert_int_equal(family.n_notes, n_notes);
    assert_int_equal(family.n_overlaps, 0);
}

struct grove_child_info family_info(grove_ref supervisor, unsigned i)
{
    struct grove_child_info infos[8];
    unsigned n;

    assert_int_equal(grove_supervisor_children_await(supervisor, infos, 8, &n), 0);
    assert_true(i < n && n <= 8);
    return infos[i];
}
