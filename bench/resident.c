/*
 * Resident: how much memory the process holds, as /proc tells it.
 */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int64_t status_of(const char *key)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    int64_t found = 0;

    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0
            && sscanf(line + strlen(key), ": %" SCNd64, &found) == 1)
            break;
    (void)fclose(file); /* It was only read. */
    return found;
}

int64_t bench_resident_kb(void)
{
    return status_of("VmRSS");
}

int64_t bench_resident_peak_kb(void)
{
    return status_of("VmHWM");
}
