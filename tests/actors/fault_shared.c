/*
 * A program of a user, linked with the shared library, whose greenlet writes
 * where nothing is.
 */
#include <grove.h>

static int *volatile nobody;

__attribute__((no_sanitize("undefined"))) static void write_wildly(void *unused)
{
    (void)unused;
    *nobody = 1;
}

int main(int argc, char **argv)
{
    const struct grove_spawn_options options = {.label = "clumsy"};

    if (grove_init(&argc, &argv) != 0 || grove_go(write_wildly, NULL, &options, NULL) != 0)
        return 2;
    (void)grove_sleep_await(1000); /* It does not return. */
    return 3;
}
