/*
 * File: open files, and work on names. Each piece of work is a job with its
 * own copy of all it needs; an open file is closed when its owner is done
 * with it and the last job on it has ended.
 */
#include <grove/file.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <grove/memory.h>

#include "actors/holding.h"
#include "actors/job.h"
#include "runtime/usage.h"
#include "world/host_file.h"

enum { LOAD_BYTES_MAX = 31 << 20 /* what grove_alloc gives */ };

struct grove_file {
    struct gv_holding holding;
    struct gv_loop *loop;
    int fd;
    unsigned n_jobs; /* that use fd */
    bool moving;     /* one of them where the kernel is */
    bool closed;
    char path[64]; /* for reports, cut */
};

struct file_job {
    struct gv_file_work work;
    struct grove_file *file;   /* NULL: none */
    struct grove_file *opened; /* to be opened: with fd the job's, until somebody takes it */
};

/* --- jobs ------------------------------------------------------------------------------------- */

static struct file_job *file_job_of(struct gv_job *job)
{
    return (struct file_job *)(void *)job->body;
}

static void run(struct gv_job *job)
{
    struct gv_file_work *work = &file_job_of(job)->work;

    job->rc = work->run(work);
}

/* Closes a descriptor on a thread, or here if that cannot be had. */
static void close_descriptor(struct gv_loop *loop, int fd);

static void end_use(struct grove_file *file)
{
    if (file->n_jobs > 0 || !file->closed)
        return;
    close_descriptor(file->loop, file->fd);
    free(file);
}

static void free_parts(struct gv_job *job)
{
    struct file_job *mine = file_job_of(job);

    free(mine->work.path);
    free(mine->work.to);
    free(mine->work.data);
    if (mine->opened != NULL && job->rc == 0 && mine->work.fd >= 0)
        close_descriptor(job->loop, mine->work.fd); /* Nobody waited for it any more. */
    free(mine->opened);
    if (mine->file == NULL)
        return;
    mine->file->n_jobs--;
    if (mine->work.offset < 0)
        mine->file->moving = false;
    end_use(mine->file);
}

static void on_closed(void *argument)
{
    gv_job_free(argument);
}

static void run_close(void *argument)
{
    run(argument);
}

static void close_descriptor(struct gv_loop *loop, int fd)
{
    struct gv_job *job = gv_job_new(loop, sizeof(struct file_job));
    struct gv_blocking_job asked = {run_close, on_closed, job};
    struct gv_file_work work = {.run = gv_host_file_close, .fd = fd};

    if (job != NULL)
        file_job_of(job)->work = work;
    if (job != NULL && loop->env->blocking_run(loop->poller, GV_BLOCKING_FILES, &asked) == 0)
        return;
    (void)work.run(&work); /* What was written has been told of, or was not asked for. */
    if (job != NULL)
        gv_job_free(job);
}

/* A job that does run; its path and the other one are copied. NULL: noted, with *rc. */
static struct gv_job *new_job(const char *function, int (*run_it)(struct gv_file_work *work),
                              const char *path, const char *to, int *rc)
{
    struct gv_loop *loop = gv_io_loop();
    struct gv_job *job = loop != NULL ? gv_job_new(loop, sizeof(struct file_job)) : NULL;
    struct gv_file_work *work;

    if (loop == NULL) {
        *rc = gv_usage_wait(function);
        return NULL;
    }
    if (job != NULL) {
        work = &file_job_of(job)->work;
        job->run = run;
        job->free = free_parts;
        work->run = run_it;
        work->fd = -1;
        work->path = path != NULL ? strdup(path) : NULL;
        work->to = to != NULL ? strdup(to) : NULL;
        if ((path == NULL || work->path != NULL) && (to == NULL || work->to != NULL))
            return job;
        job->rc = -ENOMEM;
        gv_job_free(job);
    }
    *rc = gv_io_failed(loop, GROVE_ENOMEM, function, path != NULL ? path : "");
    return NULL;
}

/* The same for what is done to a name. */
static struct gv_job *name_job(const char *function, int (*run_it)(struct gv_file_work *work),
                               const char *path, const char *to, int *rc)
{
    if (path != NULL)
        return new_job(function, run_it, path, to, rc);
    *rc = gv_usage("%s: there is no path", function);
    return NULL;
}

/* Has it run. On 0 it was done and the job is the caller's; else all is noted and it is gone. */
static int await(struct gv_job *job, const char *what, const char *name)
{
    struct gv_loop *loop = job->loop;
    int rc = gv_job_await(job, GV_BLOCKING_FILES, gv_io_deadline(loop), what, name);

    if (rc != 0 || job->rc == 0)
        return rc;
    rc = job->rc;
    gv_job_free(job);
    if (rc == -EFBIG)
        return gv_io_refused(loop, GROVE_ETOOBIG,
                             "%s %.100s: there is more than it may be: raise "
                             "the limit if there is one, or do it in parts",
                             what, name);
    return gv_io_failed(loop, rc, what, name);
}

/* --- open files ------------------------------------------------------------------------------- */

static void close_holding(struct gv_holding *holding)
{
    grove_file_close((struct grove_file *)holding);
}

void grove_file_close(struct grove_file *file)
{
    if (file == NULL)
        return;
    if (file->loop != gv_loop_here) {
        (void)gv_usage("grove_file_close: the file belongs to loop %u; close it there",
                       file->loop->index); /* There is no way to return it. */
        return;
    }
    gv_holding_remove(&file->holding);
    file->closed = true;
    end_use(file);
}

int grove_file_open_await(const char *path, int flags, unsigned mode, struct grove_file **file)
{
    struct gv_loop *loop = gv_io_loop();
    struct grove_file *opened;
    struct gv_holding **head;
    struct gv_job *job;
    int rc = loop != NULL ? gv_holding_owner(loop, "grove_file_open_await", &head)
                          : gv_usage_wait("grove_file_open_await");

    if (rc == 0 && file == NULL)
        rc = gv_usage_null("grove_file_open_await", "the place for the file");
    if (rc != 0)
        return rc;
    opened = calloc(1, sizeof *opened);
    job = opened != NULL ? name_job("open", gv_host_file_open, path, NULL, &rc) : NULL;
    if (job == NULL) {
        free(opened);
        return rc != 0 ? rc : gv_io_failed(loop, GROVE_ENOMEM, "open", path != NULL ? path : "");
    }
    file_job_of(job)->opened = opened;
    file_job_of(job)->work.flags = flags;
    file_job_of(job)->work.mode = mode;
    rc = await(job, "open", path);
    if (rc != 0)
        return rc;
    opened->loop = loop;
    opened->holding.close = close_holding;
    opened->fd = file_job_of(job)->work.fd;
    strncpy(opened->path, path, sizeof opened->path - 1);
    file_job_of(job)->opened = NULL;
    gv_job_free(job);
    gv_holding_put(head, &opened->holding);
    *file = opened;
    return 0;
}

/* A job on an open file, with room for data. */
static struct gv_job *file_job(const char *function, struct grove_file *file,
                               int (*run_it)(struct gv_file_work *work), size_t n_data, int *rc)
{
    struct gv_loop *loop = gv_io_loop();
    struct gv_job *job;
    void *data = NULL;

    if (file == NULL) {
        *rc = gv_usage("%s: there is no file; grove_file_open_await opens one", function);
        return NULL;
    }
    if (loop != NULL && file->loop != loop) {
        *rc = gv_usage("%s: the file belongs to loop %u and this is loop %u; use it there",
                       function, file->loop->index, loop->index);
        return NULL;
    }
    if (loop != NULL && n_data > GROVE_FILE_BYTES_MAX) {
        *rc = gv_io_refused(loop, GROVE_ETOOBIG, "%s: at most 64 MiB at once; do it in parts",
                            function);
        return NULL;
    }
    job = new_job(function, run_it, NULL, NULL, rc);
    if (job != NULL && n_data > 0 && (data = malloc(n_data)) == NULL) {
        gv_job_free(job);
        *rc = gv_io_failed(loop, GROVE_ENOMEM, function, file->path);
        return NULL;
    }
    if (job == NULL)
        return NULL;
    file_job_of(job)->work.fd = file->fd;
    file_job_of(job)->work.data = data;
    file_job_of(job)->work.n_data = n_data;
    file_job_of(job)->file = file;
    file->n_jobs++;
    return job;
}

/* Where it reads or writes. Where the kernel is only one can be. */
static int place(struct gv_job *job, const char *function, int64_t offset)
{
    struct file_job *mine = file_job_of(job);
    struct grove_file *file = mine->file;

    if (offset < -1 || (offset < 0 && file->moving)) {
        gv_job_free(job);
        return offset < -1
                   ? gv_usage("%s: offset %lld is before the file", function, (long long)offset)
                   : gv_usage("%s: another turn reads or writes %s where the last one "
                              "ended; say an offset instead of -1",
                              function, file->path);
    }
    mine->work.offset = offset;
    file->moving = file->moving || offset < 0;
    return 0;
}

int grove_file_read_await(struct grove_file *file, void *bytes, size_t room, int64_t offset,
                          size_t *n_bytes)
{
    char path[sizeof file->path];
    struct gv_job *job;
    int rc = 0;

    if (bytes == NULL || n_bytes == NULL)
        return gv_usage_null("grove_file_read_await", bytes == NULL ? "`bytes`" : "`n_bytes`");
    job = file_job("grove_file_read_await", file, gv_host_file_read, room, &rc);
    if (job == NULL)
        return rc;
    memcpy(path, file->path, sizeof path);
    rc = place(job, "grove_file_read_await", offset);
    if (rc == 0)
        rc = await(job, "read", path);
    if (rc != 0)
        return rc;
    *n_bytes = file_job_of(job)->work.n_data;
    memcpy(bytes, file_job_of(job)->work.data, *n_bytes);
    gv_job_free(job);
    return 0;
}

int grove_file_write_await(struct grove_file *file, const void *bytes, size_t n_bytes,
                           int64_t offset)
{
    char path[sizeof file->path];
    struct gv_job *job;
    int rc = 0;

    if (bytes == NULL && n_bytes > 0)
        return gv_usage("grove_file_write_await: the bytes are NULL");
    job = file_job("grove_file_write_await", file, gv_host_file_write, n_bytes, &rc);
    if (job == NULL)
        return rc;
    memcpy(path, file->path, sizeof path);
    if (n_bytes > 0)
        memcpy(file_job_of(job)->work.data, bytes, n_bytes);
    rc = place(job, "grove_file_write_await", offset);
    if (rc == 0)
        rc = await(job, "write", path);
    if (rc == 0)
        gv_job_free(job);
    return rc;
}

/* What has no data and no place. */
static int do_to_file(struct grove_file *file, int (*run_it)(struct gv_file_work *work),
                      int64_t offset, const char *what)
{
    char path[sizeof file->path];
    struct gv_job *job;
    int rc = 0;

    job = file_job(what, file, run_it, 0, &rc);
    if (job == NULL)
        return rc;
    memcpy(path, file->path, sizeof path);
    file_job_of(job)->work.offset = offset;
    rc = await(job, what, path);
    if (rc == 0)
        gv_job_free(job);
    return rc;
}

int grove_file_sync_await(struct grove_file *file)
{
    return do_to_file(file, gv_host_file_sync, 0, "sync");
}

int grove_file_truncate_await(struct grove_file *file, uint64_t n_bytes)
{
    if (n_bytes > INT64_MAX)
        return gv_usage("grove_file_truncate_await: no file is that long");
    return do_to_file(file, gv_host_file_truncate, (int64_t)n_bytes, "truncate");
}

/* --- names ------------------------------------------------------------------------------------ */

int grove_file_status_await(const char *path, struct grove_file_status *status)
{
    struct gv_job *job = NULL;
    int rc = status == NULL ? gv_usage_null("grove_file_status_await", "the place for it") : 0;

    if (rc == 0)
        job = name_job("look at", gv_host_file_status, path, NULL, &rc);
    rc = job != NULL ? await(job, "look at", path) : rc;
    if (rc != 0)
        return rc;
    *status = file_job_of(job)->work.status;
    gv_job_free(job);
    return 0;
}

/* What takes names and a mode and brings nothing back. */
static int do_to_name(int (*run_it)(struct gv_file_work *work), const char *path, const char *to,
                      unsigned mode, const char *what)
{
    int rc = 0;
    struct gv_job *job = name_job(what, run_it, path, to, &rc);

    if (job == NULL)
        return rc;
    file_job_of(job)->work.mode = mode;
    rc = await(job, what, path);
    if (rc == 0)
        gv_job_free(job);
    return rc;
}

int grove_file_rename_await(const char *from, const char *to)
{
    if (to == NULL)
        return gv_usage("grove_file_rename_await: there is no new name");
    return do_to_name(gv_host_file_rename, from, to, 0, "rename");
}

int grove_file_remove_await(const char *path)
{
    return do_to_name(gv_host_file_remove, path, NULL, 0, "remove");
}

int grove_folder_make_await(const char *path, unsigned mode)
{
    return do_to_name(gv_host_folder_make, path, NULL, mode, "make the folder");
}

/* --- whole files and folders ------------------------------------------------------------------ */

/* The names as an array, in memory of the turn. */
static char **spread(const struct gv_file_work *work)
{
    char **names = grove_alloc((work->n_names + 1) * sizeof *names + work->n_data);
    char *text;

    if (names == NULL)
        return NULL;
    text = memcpy(names + work->n_names + 1, work->data, work->n_data);
    for (size_t i = 0; i < work->n_names; i++) {
        names[i] = text;
        text += strlen(text) + 1;
    }
    return names;
}

int grove_folder_list_await(const char *path, char ***names, size_t *n_names)
{
    int rc = 0;
    struct gv_job *job;
    char **spread_names;

    if (names == NULL || n_names == NULL)
        return gv_usage_null("grove_folder_list_await", names == NULL ? "`names`" : "`n_names`");
    job = name_job("list", gv_host_folder_list, path, NULL, &rc);
    rc = job != NULL ? await(job, "list", path) : rc;
    if (rc != 0)
        return rc;
    spread_names = spread(&file_job_of(job)->work);
    if (spread_names != NULL) {
        *names = spread_names;
        *n_names = file_job_of(job)->work.n_names;
    }
    gv_job_free(job);
    return spread_names != NULL ? 0 : gv_io_failed(gv_loop_here, GROVE_ENOMEM, "list", path);
}

int grove_file_load_await(const char *path, size_t bytes_max, char **bytes, size_t *n_bytes)
{
    int rc = 0;
    struct gv_job *job;
    struct gv_file_work *work;
    char *copy;

    if (bytes == NULL || n_bytes == NULL)
        return gv_usage_null("grove_file_load_await", bytes == NULL ? "`bytes`" : "`n_bytes`");
    job = name_job("load", gv_host_file_load, path, NULL, &rc);
    if (job == NULL)
        return rc;
    work = &file_job_of(job)->work;
    work->n_data = bytes_max < LOAD_BYTES_MAX ? bytes_max : LOAD_BYTES_MAX;
    rc = await(job, "load", path);
    if (rc != 0)
        return rc;
    copy = grove_alloc(work->n_data + 1);
    if (copy != NULL) {
        *bytes = memcpy(copy, work->data, work->n_data + 1);
        *n_bytes = work->n_data;
    }
    gv_job_free(job);
    return copy != NULL ? 0 : gv_io_failed(gv_loop_here, GROVE_ENOMEM, "load", path);
}

int grove_file_save_await(const char *path, const void *bytes, size_t n_bytes, unsigned mode)
{
    struct gv_loop *loop = gv_io_loop();
    struct gv_file_work *work;
    struct gv_job *job;
    char *to;
    int rc = 0;

    if (loop == NULL)
        return gv_usage_wait("grove_file_save_await");
    if (path == NULL || (bytes == NULL && n_bytes > 0))
        return gv_usage("grove_file_save_await: there is no path, or the bytes are NULL");
    if (n_bytes > GROVE_FILE_BYTES_MAX)
        return gv_io_refused(loop, GROVE_ETOOBIG, "save %.100s: at most 64 MiB at once", path);
    to = grove_printf("%s.new", path);
    job = to != NULL ? new_job("save", gv_host_file_save, path, to, &rc) : NULL;
    if (job == NULL)
        return rc != 0 ? rc : gv_io_failed(loop, GROVE_ENOMEM, "save", path);
    work = &file_job_of(job)->work;
    work->mode = mode;
    work->n_data = n_bytes;
    work->data = malloc(n_bytes > 0 ? n_bytes : 1);
    if (work->data == NULL) {
        gv_job_free(job);
        return gv_io_failed(loop, GROVE_ENOMEM, "save", path);
    }
    memcpy(work->data, n_bytes > 0 ? bytes : "", n_bytes);
    rc = await(job, "save", path);
    if (rc == 0)
        gv_job_free(job);
    return rc;
}
