/*
 * Directories for sockets: fresh ones, of mode 0700, in the folder that the
 * option run_dir names, else $XDG_RUNTIME_DIR, else /tmp. Whoever may not
 * enter the directory cannot reach a socket in it, whatever its own mode.
 *
 * A name that exists already is left alone, whoever made it. What a process
 * that was killed has left behind is removed by the next one of the same
 * user: a directory whose lock nobody holds is nobody's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <grove/error.h>

#include "actors/verb.h"
#include "runtime/env.h"
#include "runtime/log.h"
#include "runtime/options.h"
#include "workers/pool.h"

#define PREFIX      "grove-"
#define SOCKET      "s"
#define TRIES       8
#define ENTRIES_MAX 4096 /* looked at for what others have left */

/* A folder that was chosen is never exchanged for another; a strange $XDG_RUNTIME_DIR is as good as none. */
static const char *folder(void)
{
    const char *chosen = gv_option_text(GV_OPTION_RUN_DIR);

    if (chosen[0] != '\0')
        return chosen;
    chosen = getenv("XDG_RUNTIME_DIR");
    return chosen != NULL && chosen[0] == '/' ? chosen : "/tmp";
}

/* A directory of ours in folder_fd, opened and locked; or -errno. */
static int open_locked(int folder_fd, const char *name)
{
    struct stat stat, named;
    int fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc;

    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &stat) != 0)
        rc = -errno;
    else if (stat.st_uid != geteuid() || (stat.st_mode & 07777) != 0700)
        rc = -EPERM;
    else if (fstatat(folder_fd, name, &named, AT_SYMLINK_NOFOLLOW) != 0
             || named.st_ino != stat.st_ino)
        rc = -ESTALE; /* Another one has removed it between our open and our lock. */
    else
        return fd;
    (void)close(fd);
    return rc;
}

/* A name that make_directory gives. Other folders that begin so are somebody else's, empty or not. */
static bool is_ours(const char *name)
{
    const char *number = name + strlen(PREFIX);

    return strncmp(name, PREFIX, strlen(PREFIX)) == 0 && strlen(number) == 16
           && strspn(number, "0123456789abcdef") == 16;
}

/* Removes what dead processes have left. What cannot be removed stays. */
static void sweep(int folder_fd)
{
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (directory == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    for (int n = 0; n < ENTRIES_MAX && (entry = readdir(directory)) != NULL; n++) {
        int left;

        if (!is_ours(entry->d_name))
            continue;
        left = open_locked(folder_fd, entry->d_name);
        if (left < 0)
            continue;
        (void)unlinkat(left, SOCKET, 0);
        (void)unlinkat(folder_fd, entry->d_name, AT_REMOVEDIR);
        (void)close(left);
    }
    (void)closedir(directory);
}

/* Makes it ours alone, whatever the umask took away. On failure nothing is left. */
static int claim(int folder_fd, const char *name)
{
    int rc = fchmodat(folder_fd, name, 0700, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;

    if (rc == 0)
        rc = open_locked(folder_fd, name);
    if (rc < 0)
        (void)unlinkat(folder_fd, name, AT_REMOVEDIR); /* A sweeper may have been faster. */
    return rc;
}

static int make_directory(int folder_fd, const char *where, char path[GV_POOL_PATH_BYTES])
{
    for (int i = 0; i < TRIES; i++) {
        uint64_t bits = gv_env_host()->random(NULL);
        const char *name;
        int n, rc;

        n = snprintf(path, GV_POOL_PATH_BYTES, "%s/" PREFIX "%016" PRIx64, where, bits);
        if (n < 0 || (size_t)n + sizeof("/" SOCKET) > GV_POOL_PATH_BYTES)
            return -ENAMETOOLONG;
        name = path + strlen(where) + 1;
        if (mkdirat(folder_fd, name, 0700) != 0) {
            if (errno == EEXIST)
                continue;
            return -errno;
        }
        rc = claim(folder_fd, name);
        if (rc != -EWOULDBLOCK && rc != -ENOENT && rc != -ESTALE)
            return rc;
        /* A sweeper took it for a dead one's. */
    }
    return -EEXIST;
}

/* Says in the log and to grove_why() what is wrong with the folder. Returns code. */
static int refused(const char *where, int code, const char *why)
{
    const char *advice = code == -EMFILE ? "raise ulimit -n, or close some"
                                         : "set GROVE_RUN_DIR to a folder of yours";
    struct gv_turn *turn = gv_loop_here != NULL ? gv_loop_here->turn : NULL;
    char text[GV_WHY_BYTES];

    gv_log(GV_LOG_ERROR, "pool.directory", "folder=%s error=\"%s\" advice=\"%s\"", where, why,
           advice);
    (void)snprintf(text, sizeof text, "no directory for sockets in %s: %s; %s", where, why,
                   advice); /* A cut reason is still a reason. */
    return gv_turn_failed(turn, NULL, code, GROVE_STARTED_NO, text);
}

int gv_host_directory_open(char path[GV_POOL_PATH_BYTES], int *fd)
{
    const char *where = folder();
    int folder_fd, rc;

    if (where[0] != '/')
        return refused(where, GROVE_EUSAGE, "the path does not begin with a slash");
    folder_fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = folder_fd >= 0 ? 0 : -errno;
    if (rc == 0) {
        sweep(folder_fd);
        rc = make_directory(folder_fd, where, path);
        (void)close(folder_fd);
    }
    if (rc < 0)
        return refused(where, rc, strerrordesc_np(-rc));
    *fd = rc;
    return 0;
}

void gv_host_directory_close(const char *path, int fd)
{
    (void)unlinkat(fd, SOCKET, 0); /* The listener has removed it, as a rule. */
    if (rmdir(path) != 0)
        gv_log(GV_LOG_WARN, "pool.directory", "path=%s error=\"%s\"", path, strerrordesc_np(errno));
    (void)close(fd);
}
