#include "runtime/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grove/error.h>

#include "runtime/build_options.h" /* made by meson */

#define FLAG_PREFIX "--grove-"
#define TEXT_BYTES  256u
#define NAME_BYTES  64u

struct row {
    const char *name, *unit, *help;
    bool is_text;
    int64_t number, least, most;
    const char *text;
};

static const struct row rows[GV_OPTION_COUNT] = {
#define GV_OPTION_ROW(id, name, value, least, most, unit, help) \
    {name, unit, help, false, value, least, most, NULL},
    GV_OPTION_NUMBERS(GV_OPTION_ROW)
#undef GV_OPTION_ROW
#define GV_OPTION_ROW(id, name, value, help) {name, "", help, true, 0, 0, 0, value},
        GV_OPTION_TEXTS(GV_OPTION_ROW)
#undef GV_OPTION_ROW
};

/* What was set; read by all threads, written before they start. */
static struct {
    bool set;
    int64_t number;
    char text[TEXT_BYTES];
} values[GV_OPTION_COUNT];

int64_t gv_option_number(enum gv_option option)
{
    return values[option].set ? values[option].number : rows[option].number;
}

const char *gv_option_text(enum gv_option option)
{
    return values[option].set ? values[option].text : rows[option].text;
}

unsigned gv_option_cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

static int set_number(enum gv_option option, const char *value, char *error)
{
    const struct row *row = &rows[option];
    char *end;
    long long number;

    errno = 0;
    number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < row->least || number > row->most) {
        (void)snprintf(error, GV_OPTION_ERROR_BYTES,
                       "option %s: \"%.40s\" is no number from %" PRId64 " to %" PRId64 "%s%s",
                       row->name, value, row->least, row->most, row->unit[0] != '\0' ? " " : "",
                       row->unit); /* A cut text is still a text. */
        return GROVE_EUSAGE;
    }
    values[option].set = true;
    values[option].number = number;
    return 0;
}

/* A text that must be one of few. */
static int check_choice(enum gv_option option, const char *value, char *error)
{
    static const char *const stall[] = {"", "warn", "fail", "off"};

    for (size_t i = 0; option == GV_OPTION_STALL && i < sizeof stall / sizeof stall[0]; i++)
        if (strcmp(value, stall[i]) == 0)
            return 0;
    if (option != GV_OPTION_STALL)
        return 0;
    (void)snprintf(error, GV_OPTION_ERROR_BYTES, "option %s: \"%.40s\" is none of warn, fail, off",
                   rows[option].name, value); /* It fits. */
    return GROVE_EUSAGE;
}

static int set_text(enum gv_option option, const char *value, char *error)
{
    if (check_choice(option, value, error) != 0)
        return GROVE_EUSAGE;
    if (strlen(value) >= TEXT_BYTES) {
        (void)snprintf(error, GV_OPTION_ERROR_BYTES, "option %s: longer than %u bytes",
                       rows[option].name, TEXT_BYTES - 1); /* It fits. */
        return GROVE_EUSAGE;
    }
    values[option].set = true;
    memcpy(values[option].text, value, strlen(value) + 1);
    return 0;
}

int gv_option_set(const char *name, const char *value, char error[GV_OPTION_ERROR_BYTES])
{
    for (unsigned i = 0; i < GV_OPTION_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].is_text ? set_text(i, value, error) : set_number(i, value, error);
    (void)snprintf(error, GV_OPTION_ERROR_BYTES,
                   "there is no option \"%.40s\"; grove_option_print() shows them all",
                   name); /* It fits. */
    return GROVE_EUSAGE;
}

/* "mailbox_depth" in capitals behind GROVE_. */
static void environment_name(const char *name, char text[NAME_BYTES])
{
    size_t used = (size_t)snprintf(text, NAME_BYTES, "GROVE_%s", name);

    for (size_t i = 0; i < used && i < NAME_BYTES; i++)
        text[i] = (char)toupper((unsigned char)text[i]);
}

bool gv_option_is_variable(const char *variable, size_t n_bytes)
{
    for (unsigned i = 0; i < GV_OPTION_COUNT; i++) {
        char name[NAME_BYTES];

        environment_name(rows[i].name, name);
        if (strlen(name) == n_bytes && memcmp(name, variable, n_bytes) == 0)
            return true;
    }
    return false;
}

static int read_environment(char *error)
{
    for (unsigned i = 0; i < GV_OPTION_COUNT; i++) {
        char name[NAME_BYTES];
        const char *value;
        int rc;

        environment_name(rows[i].name, name);
        value = getenv(name);
        if (value == NULL)
            continue;
        rc = gv_option_set(rows[i].name, value, error);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* "--grove-mailbox-depth=8": dashes in the name stand for underscores. */
static int read_flag(const char *flag, char *error)
{
    const char *equals = strchr(flag, '=');
    char name[NAME_BYTES];
    size_t n = equals != NULL ? (size_t)(equals - flag) : 0;

    if (equals == NULL || n >= sizeof name) {
        (void)snprintf(error, GV_OPTION_ERROR_BYTES, "%s%.40s: write it as %sNAME=VALUE",
                       FLAG_PREFIX, flag, FLAG_PREFIX); /* It fits. */
        return GROVE_EUSAGE;
    }
    for (size_t i = 0; i < n; i++)
        name[i] = flag[i] == '-' ? '_' : flag[i];
    name[n] = '\0';
    return gv_option_set(name, equals + 1, error);
}

int gv_options_read(int *argc, char **argv, char error[GV_OPTION_ERROR_BYTES])
{
    int rc = read_environment(error), kept = 1;

    if (rc != 0 || argc == NULL || argv == NULL)
        return rc;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            while (i < *argc)
                argv[kept++] = argv[i++];
            break;
        }
        if (strncmp(argv[i], FLAG_PREFIX, strlen(FLAG_PREFIX)) != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        rc = read_flag(argv[i] + strlen(FLAG_PREFIX), error);
        if (rc != 0)
            return rc;
    }
    if (kept < *argc)
        argv[kept] = NULL;
    *argc = kept < *argc ? kept : *argc;
    return 0;
}

void gv_options_reset(void)
{
    memset(values, 0, sizeof values);
}

void gv_option_describe(enum gv_option option, char text[GV_OPTION_LINE_BYTES])
{
    const struct row *row = &rows[option];
    char name[NAME_BYTES], kind[80], preset[80];

    environment_name(row->name, name);
    if (row->is_text) {
        (void)snprintf(kind, sizeof kind, "text"); /* It fits, as do the others. */
        (void)snprintf(preset, sizeof preset, "\"%.60s\"", row->text);
    } else {
        (void)snprintf(kind, sizeof kind, "%" PRId64 " to %" PRId64 "%s%s", row->least, row->most,
                       row->unit[0] != '\0' ? " " : "", row->unit);
        (void)snprintf(preset, sizeof preset, "%" PRId64, row->number);
    }
    /* A long line is cut. */
    (void)snprintf(text, GV_OPTION_LINE_BYTES, "%-16s %-22s %-26s default %-8s %s%s", row->name,
                   name, kind, preset, row->help, values[option].set ? " (set)" : "");
}
