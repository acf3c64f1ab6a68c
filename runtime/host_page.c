/*
 * Pages that a parent and its children share: memfds, whose size is sealed,
 * so that nobody can pull them from under the other. Where the kernel has no
 * memfd, a shared memory object whose name is gone at once; its size cannot
 * be sealed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/host.h"

static int open_unnamed(void)
{
    char name[64];
    int fd, n;

    n = snprintf(name, sizeof(name), "/grove-%d-%016llx", (int)getpid(),
                 (unsigned long long)gv_env_host()->random(NULL));
    gv_assert(n > 0 && (size_t)n < sizeof(name));
    fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (shm_unlink(name) == 0)
        return fd;
    n = -errno;
    (void)close(fd);
    return n;
}

int gv_host_memfd_open(void)
{
    int fd = -1;

    if (!gv_host_old_kernel)
        fd = memfd_create("grove-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0)
        return fd;
    return gv_host_old_kernel || errno == ENOSYS ? open_unnamed() : -errno;
}

static int map(int fd, size_t bytes, struct gv_page *page)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (memory == MAP_FAILED)
        return -errno;
    *page = (struct gv_page){memory, bytes, fd};
    return 0;
}

int gv_host_page_open(void *world, size_t bytes, struct gv_page *page)
{
    int fd, rc;

    (void)world;
    fd = gv_host_memfd_open();
    if (fd < 0)
        return fd;
    if (ftruncate(fd, (off_t)bytes) != 0) {
        rc = -errno;
        goto close_fd;
    }
    /* Refused by what is no memfd: then the children are trusted with its size. */
    (void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    rc = map(fd, bytes, page);
    if (rc == 0)
        return 0;

close_fd:
    (void)close(fd);
    return rc;
}

int gv_host_page_inherit(void *world, int fd, size_t bytes, struct gv_page *page)
{
    struct stat stat;

    (void)world;
    if (fstat(fd, &stat) != 0)
        return -errno;
    /* A mapping beyond the end would be a SIGBUS at some later touch. */
    if (stat.st_size < 0 || (uint64_t)stat.st_size < bytes)
        return -EINVAL;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return -errno;
    return map(fd, bytes, page);
}

void gv_host_page_close(void *world, struct gv_page *page)
{
    (void)world;
    gv_assert(munmap(page->memory, page->bytes) == 0);
    (void)close(page->fd); /* nothing is lost by a failure */
    *page = (struct gv_page){NULL, 0, -1};
}
