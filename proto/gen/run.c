/*
 * Run: see run.h.
 */
#include "proto/gen/run.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/gen/text.h"

#define FILE_BYTES_MAX (64u << 20)

extern char **environ;

bool gen_run(const char *const arguments[])
{
    pid_t child;
    int status;

    /* posix_spawnp changes no string; its type is older than const. */
    int rc = posix_spawnp(&child, arguments[0], NULL, NULL, (char *const *)arguments, environ);
    if (rc != 0) {
        (void)fprintf(
            stderr, "grove-gen: cannot run %s: %s; install it or name it with --%s=PATH\n",
            arguments[0], strerror(rc), gen_ends_with(arguments[0], "c-c") ? "protoc-c" : "protoc");
        return false;
    }
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            (void)fprintf(stderr, "grove-gen: lost %s: %s\n", arguments[0], strerror(errno));
            return false;
        }
    }
    /* It has said itself what is wrong, unless it was killed. */
    if (WIFSIGNALED(status))
        (void)fprintf(stderr, "grove-gen: %s died of signal %d\n", arguments[0], WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool gen_read(const char *path, uint8_t **bytes, size_t *n_bytes)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    bool done = false;

    if (file == NULL || fstat(fileno(file), &info) != 0 || info.st_size > (off_t)FILE_BYTES_MAX) {
        (void)fprintf(stderr, "grove-gen: cannot read %s: %s\n", path, strerror(errno));
        goto out;
    }
    *n_bytes = (size_t)info.st_size;
    *bytes = gen_alloc(*n_bytes + 1);
    done = fread(*bytes, 1, *n_bytes, file) == *n_bytes;
    if (!done)
        (void)fprintf(stderr, "grove-gen: cannot read %s\n", path);
out:
    if (file != NULL)
        (void)fclose(file); /* only read */
    return done;
}

/* Makes all folders on the way to path. */
static bool make_folders(const char *path)
{
    char *copy = gen_printf("%s", path);

    for (char *at = copy + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST) {
            (void)fprintf(stderr, "grove-gen: cannot make folder %s: %s\n", copy, strerror(errno));
            return false;
        }
        *at = '/';
    }
    return true;
}

bool gen_write(const char *path, const void *bytes, size_t n_bytes)
{
    if (!make_folders(path))
        return false;

    FILE *file = fopen(path, "wb");
    bool done = file != NULL && (n_bytes == 0 || fwrite(bytes, 1, n_bytes, file) == n_bytes);
    if (file != NULL && fclose(file) != 0)
        done = false;
    if (!done) {
        (void)fprintf(stderr, "grove-gen: cannot write %s: %s\n", path, strerror(errno));
        (void)unlink(path); /* half a file is worse than none */
    }
    return done;
}

char *gen_temporary(const char *folder)
{
    char *path = gen_printf("%s/grove-gen.XXXXXX", folder);

    if (!make_folders(path))
        return NULL;
    int fd = mkstemp(path);
    if (fd < 0) {
        (void)fprintf(stderr,
                      "grove-gen: cannot write into %s: %s; name another folder with --out\n",
                      folder, strerror(errno));
        return NULL;
    }
    (void)close(fd); /* nothing was written to it */
    return path;
}
