/*
 * What asks the kernel for files. These block: they run on a thread (file.c).
 */
#ifndef GV_WORLD_HOST_FILE_H
#define GV_WORLD_HOST_FILE_H

#include <grove/file.h>

/* What is to be done, and what came of it. Paths and data belong to it. */
struct gv_file_work {
    int (*run)(struct gv_file_work *work); /* returns 0 or -errno */
    int fd;
    int flags;
    unsigned mode;
    int64_t offset; /* -1: where the kernel is */
    char *path, *to;
    unsigned char *data;
    size_t n_data; /* room, or how much to write; then how much there is */
    size_t n_names;
    struct grove_file_status status;
};

int gv_host_file_open(struct gv_file_work *work); /* sets fd */
int gv_host_file_close(struct gv_file_work *work);
int gv_host_file_read(struct gv_file_work *work);
int gv_host_file_write(struct gv_file_work *work);
int gv_host_file_sync(struct gv_file_work *work);
int gv_host_file_truncate(struct gv_file_work *work); /* to offset */
int gv_host_file_status(struct gv_file_work *work);
int gv_host_file_rename(struct gv_file_work *work);
int gv_host_file_remove(struct gv_file_work *work);
int gv_host_file_save(struct gv_file_work *work);
int gv_host_folder_make(struct gv_file_work *work);

/* The whole file into data, which it makes, with a NUL behind; n_data said how much at most. -EFBIG. */
int gv_host_file_load(struct gv_file_work *work);

/* The names, each with its NUL, into data, which it makes. -EFBIG. */
int gv_host_folder_list(struct gv_file_work *work);

#endif
