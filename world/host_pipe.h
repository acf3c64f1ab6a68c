/*
 * What a child of a program needs of the kernel before it starts.
 */
#ifndef GV_WORLD_HOST_PIPE_H
#define GV_WORLD_HOST_PIPE_H

#include <stddef.h>

/* A pipe: what is written to ends[1] comes out of ends[0]. Returns 0 or -errno. */
int gv_host_pipe(int ends[2]);

/* A descriptor that is empty to read and takes all that is written, or -errno. */
int gv_host_null(void);

/* Closes one that is not -1. */
void gv_host_pipe_close(int fd);

/* The path of a program, as a shell would find it. Returns 0, -ENOENT or -EACCES. */
int gv_host_find_program(const char *name, char *path, size_t room);

#endif
