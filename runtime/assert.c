/*
 * The end of a process that has caught itself in a mistake.
 */
#include <stdio.h>

#include "runtime/assert.h"
#include "runtime/host.h"
#include "runtime/host_fault.h"

void gv_crash(const char *text)
{
    char report[2048];
    int n = snprintf(report, 1024, "grove: %s\n", text);

    if (n < 0 || n > 1023)
        n = n < 0 ? 0 : 1023;
    if (gv_fault_describe != NULL) {
        size_t room = sizeof(report) - 1 - (size_t)n;
        size_t told = gv_fault_describe(NULL, __builtin_frame_address(0), report + n, room);

        n += (int)(told < room ? told : room);
    }
    report[n] = '\0';
    gv_host_crash(NULL, report);
}

void gv_assert_failed(const char *condition, const char *file, int line)
{
    char text[1000];

    (void)snprintf(text, sizeof text, "assertion failed: %s (%s:%d)", condition, file,
                   line); /* A cut report is still one. */
    gv_crash(text);
}
