#include "world/host_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_MAX = 100000 };

static int result(int rc)
{
    return rc < 0 ? -errno : 0;
}

/* --- an open file ----------------------------------------------------------------------------- */

int gv_host_file_open(struct gv_file_work *work)
{
    work->fd = open(work->path, work->flags | O_CLOEXEC, (mode_t)work->mode);
    return result(work->fd);
}

int gv_host_file_close(struct gv_file_work *work)
{
    return result(close(work->fd));
}

int gv_host_file_read(struct gv_file_work *work)
{
    ssize_t n;

    do
        n = work->offset < 0 ? read(work->fd, work->data, work->n_data)
                             : pread(work->fd, work->data, work->n_data, work->offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    work->n_data = (size_t)n;
    return 0;
}

int gv_host_file_write(struct gv_file_work *work)
{
    for (size_t n_done = 0; n_done < work->n_data;) {
        const unsigned char *rest = work->data + n_done;
        size_t n_left = work->n_data - n_done;
        ssize_t n = work->offset < 0
                        ? write(work->fd, rest, n_left)
                        : pwrite(work->fd, rest, n_left, work->offset + (int64_t)n_done);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            n_done += (size_t)n;
    }
    return 0;
}

int gv_host_file_sync(struct gv_file_work *work)
{
    return result(fdatasync(work->fd));
}

int gv_host_file_truncate(struct gv_file_work *work)
{
    return result(ftruncate(work->fd, work->offset));
}

/* --- names ------------------------------------------------------------------------------------ */

int gv_host_file_status(struct gv_file_work *work)
{
    struct stat status;

    if (stat(work->path, &status) != 0)
        return -errno;
    work->status = (struct grove_file_status){
        .n_bytes = (uint64_t)status.st_size,
        .modified_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000,
        .mode = status.st_mode & 07777,
        .is_file = S_ISREG(status.st_mode),
        .is_folder = S_ISDIR(status.st_mode),
    };
    return 0;
}

int gv_host_file_rename(struct gv_file_work *work)
{
    return result(rename(work->path, work->to));
}

int gv_host_file_remove(struct gv_file_work *work)
{
    return result(remove(work->path));
}

int gv_host_folder_make(struct gv_file_work *work)
{
    return result(mkdir(work->path, (mode_t)work->mode));
}

/* --- whole files ------------------------------------------------------------------------------ */

/* Files of /proc say that they are empty; so it reads until there is no more. */
static int load(int fd, struct gv_file_work *work)
{
    size_t n_max = work->n_data, n = 0, room = 4096;
    struct stat status;

    if (fstat(fd, &status) != 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    if (status.st_size > 0 && (uint64_t)status.st_size > n_max)
        return -EFBIG;
    if ((size_t)status.st_size + 2 > room)
        room = (size_t)status.st_size + 2; /* one more, to see that there is no more */
    for (;;) {
        unsigned char *data = realloc(work->data, room);
        ssize_t n_read;

        if (data == NULL)
            return -ENOMEM;
        work->data = data;
        n_read = read(fd, data + n, room - 1 - n);
        if (n_read < 0 && errno != EINTR)
            return -errno;
        if (n_read == 0)
            break;
        if (n_read > 0)
            n += (size_t)n_read;
        if (n > n_max)
            return -EFBIG;
        if (room - 1 - n == 0)
            room *= 2;
    }
    work->data[n] = '\0';
    work->n_data = n;
    return 0;
}

int gv_host_file_load(struct gv_file_work *work)
{
    int rc, fd = open(work->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    rc = load(fd, work);
    (void)close(fd); /* Nothing was written. */
    return rc;
}

/* What the folder says is on the disk, too. Not every file system can tell. */
static int sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL   ? strdup(".")
                   : slash == path ? strdup("/")
                                   : strndup(path, (size_t)(slash - path));
    int rc = 0, fd = folder != NULL ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0 && fsync(fd) != 0 && errno != EINVAL)
        rc = -errno;
    if (fd >= 0)
        (void)close(fd); /* Nothing was written. */
    free(folder);
    return rc;
}

/* A device or a socket is not to be replaced by a file. */
static bool is_special(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode)
           && !S_ISDIR(status.st_mode);
}

/* True if this open file is still the one of that name. */
static bool is_there(int fd, const char *path)
{
    struct stat opened, there;

    return fstat(fd, &opened) == 0 && lstat(path, &there) == 0 && opened.st_dev == there.st_dev
           && opened.st_ino == there.st_ino;
}

/*
 * The file to be renamed, new and empty; or -errno. Of several who save to
 * one path each has it alone: the next one waits at its lock until it has
 * been renamed. One that nobody holds was left by a process that died.
 */
static int open_alone(const char *path, mode_t mode)
{
    for (;;) {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        bool is_mine = fd >= 0;

        if (fd < 0 && errno != EEXIST)
            return -errno;
        if (fd < 0)
            fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
            continue; /* It has just been renamed. */
        if (fd < 0)
            return -errno;
        while (flock(fd, LOCK_EX) != 0 && errno == EINTR) /* Without locks nobody waits. */
            continue;
        if (is_mine && is_there(fd, path))
            return fd;
        if (is_there(fd, path))
            (void)unlink(path); /* Somebody may have been faster. */
        (void)close(fd);        /* Nothing was written. */
    }
}

int gv_host_file_save(struct gv_file_work *work)
{
    int rc, rc_close;

    if (is_special(work->path))
        return -EEXIST;
    work->fd = open_alone(work->to, (mode_t)work->mode);
    if (work->fd < 0)
        return work->fd;
    work->offset = -1;
    rc = gv_host_file_write(work);
    if (rc == 0)
        rc = gv_host_file_sync(work);
    if (rc == 0)
        rc = result(rename(work->to, work->path));
    if (rc != 0)
        (void)unlink(work->to);          /* It is of no use to anybody. */
    rc_close = gv_host_file_close(work); /* All is on the disk; with it the lock goes. */
    if (rc == 0)
        rc = rc_close;
    return rc != 0 ? rc : sync_folder(work->path);
}

/* --- folders ---------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One behind the other, sorted. */
static int pack(struct gv_file_work *work, char **names, size_t n_bytes)
{
    unsigned char *to = malloc(n_bytes > 0 ? n_bytes : 1);

    if (to == NULL)
        return -ENOMEM;
    work->data = to;
    work->n_data = n_bytes;
    if (work->n_names > 0)
        qsort(names, work->n_names, sizeof *names, compare);
    for (size_t i = 0; i < work->n_names; i++) {
        size_t n = strlen(names[i]) + 1;

        memcpy(to, names[i], n);
        to += n;
    }
    return 0;
}

static int list(DIR *folder, struct gv_file_work *work, char ***names)
{
    const struct dirent *entry;
    size_t n_bytes = 0, room = 0;

    while (errno = 0, (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (work->n_names == NAMES_MAX)
            return -EFBIG;
        if (work->n_names == room) {
            char **more = reallocarray(*names, room = room > 0 ? 2 * room : 64, sizeof *more);

            if (more == NULL)
                return -ENOMEM;
            *names = more;
        }
        (*names)[work->n_names] = strdup(entry->d_name);
        if ((*names)[work->n_names] == NULL)
            return -ENOMEM;
        work->n_names++;
        n_bytes += strlen(entry->d_name) + 1;
    }
    return errno != 0 ? -errno : pack(work, *names, n_bytes);
}

int gv_host_folder_list(struct gv_file_work *work)
{
    DIR *folder = opendir(work->path);
    char **names = NULL;
    int rc;

    if (folder == NULL)
        return -errno;
    rc = list(folder, work, &names);
    for (size_t i = 0; i < work->n_names; i++)
        free(names[i]);
    free(names);
    (void)closedir(folder); /* Nothing was written. */
    return rc;
}
