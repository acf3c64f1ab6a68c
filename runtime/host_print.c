/*
 * What the library prints for people on standard output.
 */
#include <stdio.h>

#include <grove/init.h>

#include "runtime/options.h"

void grove_option_print(void)
{
    for (unsigned i = 0; i < GV_OPTION_COUNT; i++) {
        char line[GV_OPTION_LINE_BYTES];

        gv_option_describe(i, line);
        (void)puts(line); /* Nobody can be told that nobody can be told. */
    }
}
