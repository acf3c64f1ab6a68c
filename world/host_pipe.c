#include "world/host_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int gv_host_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC) == 0 ? 0 : -errno;
}

int gv_host_null(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    return fd >= 0 ? fd : -errno;
}

void gv_host_pipe_close(int fd)
{
    if (fd >= 0)
        (void)close(fd); /* It was written to by others. */
}

int gv_host_find_program(const char *name, char *path, size_t room)
{
    const char *folders = getenv("PATH");
    int rc = -ENOENT;

    if (strchr(name, '/') != NULL)
        return snprintf(path, room, "%s", name) < (int)room ? 0 : -ENAMETOOLONG;
    if (folders == NULL)
        folders = "/usr/local/bin:/usr/bin:/bin";
    while (*folders != '\0') {
        int n_bytes = (int)strcspn(folders, ":");

        if (n_bytes > 0 && snprintf(path, room, "%.*s/%s", n_bytes, folders, name) < (int)room) {
            if (access(path, X_OK) == 0)
                return 0;
            if (errno == EACCES)
                rc = -EACCES;
        }
        folders += n_bytes;
        folders += *folders == ':';
    }
    return rc;
}
