/*
 * Watch list: names of people who must not be paid, and how close another
 * name comes to one of them.
 *
 * The list is made of syllables, the same in every process; nobody real is
 * meant. Closeness is the edit distance of the folded names: letters in
 * lower case, everything else one space. Each comparison runs the whole
 * matrix in the bits of a word, a column per letter (Myers' algorithm), and
 * a screening compares with every name of the list: real work on purpose.
 */
#ifndef BANK_WATCHLIST_H
#define BANK_WATCHLIST_H

#include <stddef.h>
#include <stdint.h>

enum {
    BANK_WATCHLIST_NAMES = 3000,
    BANK_WATCHLIST_LENGTH_MAX = 63, /* bytes of a folded name; longer ones are cut */
    BANK_WATCHLIST_DISTANCE = 2,    /* as close as this is a hit */
};

struct bank_watchlist {
    char names[BANK_WATCHLIST_NAMES][BANK_WATCHLIST_LENGTH_MAX + 1]; /* folded */
};

/* Returns a list, or NULL without memory. Every list is the same. */
struct bank_watchlist *bank_watchlist_new(void);
void bank_watchlist_free(struct bank_watchlist *list);

/* Returns the name that comes closest and its distance. */
const char *bank_watchlist_closest(const struct bank_watchlist *list, const char *name,
                                   unsigned *distance);

/* Writes the folded form of a name and returns its length. */
size_t bank_watchlist_fold(const char *name, char folded[BANK_WATCHLIST_LENGTH_MAX + 1]);

/* The number of letters to insert, delete or replace to turn one folded name into the other. */
unsigned bank_watchlist_distance(const char *a, const char *b);

#endif
