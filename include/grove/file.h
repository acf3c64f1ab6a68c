/*
 * Files and folders. Disks block; so each of these runs on a thread kept for
 * files, and the caller suspends meanwhile.
 *
 * All that is lent to them is copied before they suspend: a caller whose
 * deadline comes, or who is stopped, leaves at once (GROVE_ETIMEDOUT,
 * GROVE_ECANCELED), and what it asked for may still be done. They have no
 * deadline of their own.
 *
 * An open file has an owner, as a stream has (stream.h): it is closed when
 * that ends, an actor must be pinned to have one, and it is used on one loop.
 * Functions that take a path need none of that.
 *
 * Errors are codes of grove or -errno (-ENOENT, -EACCES, -ENOSPC, -EMFILE …),
 * with the path and what to do in grove_why(). In simulation: GROVE_ENOSIM.
 */
#ifndef GROVE_FILE_H
#define GROVE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grove/export.h>

struct grove_file;

#define GROVE_FILE_BYTES_MAX (64u << 20) /* of one read or write; more: GROVE_ETOOBIG */

/*
 * Opens path with flags O_… of <fcntl.h> (O_CLOEXEC is added) and, if
 * it is created, mode less the umask.
 */
GROVE_API int grove_file_open_await(const char *path, int flags, unsigned mode,
                                    struct grove_file **file);

/*
 * Closes. Call grove_file_sync_await before, if it matters whether
 * all is on the disk. NULL is ignored. Never suspends.
 */
GROVE_API void grove_file_close(struct grove_file *file);

/*
 * Reads up to room bytes from offset on, and writes to *n_bytes how many
 * there were: 0 at the end of the file. offset -1: from where the last one
 * that said -1 ended; one turn at a time may do that, others get GROVE_EUSAGE.
 */
GROVE_API int grove_file_read_await(struct grove_file *file, void *bytes, size_t room,
                                    int64_t offset, size_t *n_bytes);

/* Writes all n_bytes at offset; -1 as above, and with O_APPEND at the end. */
GROVE_API int grove_file_write_await(struct grove_file *file, const void *bytes, size_t n_bytes,
                                     int64_t offset);

/*
 * Returns once all that was written is on the disk (fdatasync). After
 * an error nobody knows what is.
 */
GROVE_API int grove_file_sync_await(struct grove_file *file);

/* Makes the file n_bytes long. */
GROVE_API int grove_file_truncate_await(struct grove_file *file, uint64_t n_bytes);

struct grove_file_status {
    uint64_t n_bytes;
    int64_t modified_ms; /* since 1970 */
    unsigned mode;       /* permissions */
    bool is_file, is_folder;
};

/* What there is at path; symbolic links are followed. */
GROVE_API int grove_file_status_await(const char *path, struct grove_file_status *status);

/* Moves a file or folder; what was at `to` is replaced, all at once. */
GROVE_API int grove_file_rename_await(const char *from, const char *to);

/* Removes a file, or an empty folder. */
GROVE_API int grove_file_remove_await(const char *path);

/* Makes a folder, with mode less the umask. -EEXIST if there is one. */
GROVE_API int grove_folder_make_await(const char *path, unsigned mode);

/*
 * The names in a folder, in the order of strcmp, without "." and "..". They
 * lie in grove_alloc memory: good to the end of the turn or scope. At most
 * 100 000: GROVE_ETOOBIG.
 */
GROVE_API int grove_folder_list_await(const char *path, char ***names, size_t *n_names);

/*
 * The whole file in grove_alloc memory, with a NUL behind it; at most
 * bytes_max (and 31 MiB): GROVE_ETOOBIG.
 */
GROVE_API int grove_file_load_await(const char *path, size_t bytes_max, char **bytes,
                                    size_t *n_bytes);

/*
 * Writes the whole file, so that at any moment, also after a crash of the
 * machine, path has either the old content or the new: under another name
 * first (path and ".new"), then sync and rename. mode as in open. Of several
 * who save to one path at once, also processes, one comes after the other.
 * A link at path is replaced, not followed; a device, pipe or socket is left
 * alone: -EEXIST.
 */
GROVE_API int grove_file_save_await(const char *path, const void *bytes, size_t n_bytes,
                                    unsigned mode);

#endif
