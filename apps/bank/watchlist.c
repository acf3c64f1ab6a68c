/* Watch list: closeness of names. See watchlist.h. */
#include "apps/bank/watchlist.h"

#include <stdlib.h>
#include <string.h>

static const char *const SYLLABLES[] = {
    "bal", "dor",  "vik", "ran", "mosh", "tze", "kul", "ari", "bek", "zan", "olm",
    "rud", "esk",  "yar", "fen", "gor",  "hax", "ilo", "jev", "lum", "nir", "pos",
    "qua", "shar", "tov", "urd", "vex",  "wim", "xan", "yth", "zor", "dra",
};

enum { N_SYLLABLES = sizeof SYLLABLES / sizeof SYLLABLES[0] };

/* A generator of its own, so that all processes make the same list. */
static unsigned draw(uint64_t *state, unsigned n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((*state >> 33) % n);
}

static char *append_word(char *at, uint64_t *state, unsigned n_syllables)
{
    while (n_syllables-- > 0)
        at = stpcpy(at, SYLLABLES[draw(state, N_SYLLABLES)]);
    return at;
}

struct bank_watchlist *bank_watchlist_new(void)
{
    struct bank_watchlist *list = calloc(1, sizeof *list);
    uint64_t state = 1;

    if (list == NULL)
        return NULL;
    for (unsigned i = 0; i < BANK_WATCHLIST_NAMES; i++) {
        /* At most 4 + 1 + 5 syllables of four letters, which fits. */
        char *at = append_word(list->names[i], &state, 2 + draw(&state, 3));

        *at++ = ' ';
        at = append_word(at, &state, 3 + draw(&state, 3));
        *at = '\0';
    }
    return list;
}

void bank_watchlist_free(struct bank_watchlist *list)
{
    free(list);
}

size_t bank_watchlist_fold(const char *name, char folded[BANK_WATCHLIST_LENGTH_MAX + 1])
{
    size_t n = 0;

    for (; *name != '\0' && n < BANK_WATCHLIST_LENGTH_MAX; name++) {
        char c = *name;

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        /* Bytes above ASCII are letters of other scripts; they count as they are. */
        if ((c >= 'a' && c <= 'z') || (unsigned char)c >= 128)
            folded[n++] = c;
        else if (n > 0 && folded[n - 1] != ' ')
            folded[n++] = ' ';
    }
    while (n > 0 && folded[n - 1] == ' ')
        n--;
    folded[n] = '\0';
    return n;
}

/* A name, prepared to be compared with many: for each letter, the places where it stands. */
struct pattern {
    uint64_t places[256];
    unsigned length;
};

static void prepare(struct pattern *pattern, const char *name)
{
    memset(pattern, 0, sizeof *pattern);
    for (; *name != '\0'; name++)
        pattern->places[(uint8_t)*name] |= (uint64_t)1 << pattern->length++;
}

/*
 * One column of the matrix per letter of the other name: up and down hold
 * where a cell is one more or one less than the cell above it.
 */
static unsigned distance_to(const struct pattern *pattern, const char *name)
{
    uint64_t up = ~(uint64_t)0, down = 0, last = (uint64_t)1 << (pattern->length - 1);
    unsigned distance = pattern->length;

    for (; *name != '\0'; name++) {
        uint64_t equal = pattern->places[(uint8_t)*name];
        uint64_t diagonal = (((equal & up) + up) ^ up) | equal | down;
        uint64_t right_up = down | ~(diagonal | up);
        uint64_t right_down = up & diagonal;

        if (right_up & last)
            distance++;
        if (right_down & last)
            distance--;
        right_up = right_up << 1 | 1; /* the top row counts up */
        right_down <<= 1;
        up = right_down | ~(diagonal | right_up);
        down = right_up & diagonal;
    }
    return distance;
}

unsigned bank_watchlist_distance(const char *a, const char *b)
{
    struct pattern pattern;

    if (*a == '\0')
        return (unsigned)strlen(b);
    prepare(&pattern, a);
    return distance_to(&pattern, b);
}

const char *bank_watchlist_closest(const struct bank_watchlist *list, const char *name,
                                   unsigned *distance)
{
    char folded[BANK_WATCHLIST_LENGTH_MAX + 1];
    struct pattern pattern;
    const char *closest = list->names[0];
    unsigned least = UINT32_MAX;

    *distance = UINT32_MAX;
    if (bank_watchlist_fold(name, folded) == 0)
        return closest;
    prepare(&pattern, folded);
    for (unsigned i = 0; i < BANK_WATCHLIST_NAMES; i++) {
        unsigned found = distance_to(&pattern, list->names[i]);

        if (found < least) {
            least = found;
            closest = list->names[i];
        }
    }
    *distance = least;
    return closest;
}
