/*
 * Slabs: memory that a parent shares with one child, for what is too large
 * for their stream. The child may do with it what it likes, at any time.
 *
 * Its size is sealed, so nobody can pull it from under the other. A child
 * can still punch holes into it; whoever touches a hole gets a fresh page,
 * or SIGBUS if the system refuses one. It does so only where it counts every
 * page that was promised (vm.overcommit_memory = 2), and in a file system
 * with a quota, which stands in where there is no memfd. There a parent does
 * not map it: write and read go through the kernel, which answers with an
 * error. A child maps it always, and reserves before it touches.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/assert.h"
#include "runtime/host.h"

/* True if a page of it can be refused when it is touched. */
static bool is_scarce(bool is_sealed)
{
    char mode = '2';
    int fd;

    if (!is_sealed)
        return true;
    fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, &mode, 1) != 1)
            mode = '2'; /* Who does not know is careful. */
        (void)close(fd);
    }
    return mode == '2';
}

/* A file larger than the limit would be SIGXFSZ, not an error. */
static bool is_allowed(size_t bytes)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_FSIZE, &limit) != 0 || bytes <= limit.rlim_cur;
}

static int map(struct gv_slab *slab)
{
    void *memory = mmap(NULL, slab->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, slab->fd, 0);

    if (memory == MAP_FAILED)
        return -errno;
    slab->memory = memory;
    return 0;
}

int gv_host_slab_open(void *world, size_t bytes, struct gv_slab *slab)
{
    int fd, rc = 0;

    (void)world;
    if (!is_allowed(bytes))
        return -EFBIG;
    fd = gv_host_memfd_open();
    if (fd < 0)
        return fd;
    *slab = (struct gv_slab){.bytes = bytes, .fd = fd};
    if (ftruncate(fd, (off_t)bytes) != 0)
        rc = -errno;
    slab->is_scarce =
        is_scarce(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
    if (rc == 0 && !slab->is_scarce)
        rc = map(slab);
    if (rc != 0)
        gv_host_slab_close(world, slab);
    return rc;
}

int gv_host_slab_inherit(void *world, int fd, size_t bytes, struct gv_slab *slab)
{
    struct stat stat;
    int seals;

    (void)world;
    if (fstat(fd, &stat) != 0)
        return -errno;
    if (stat.st_size < 0 || (uint64_t)stat.st_size < bytes)
        return -EINVAL;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return -errno;
    seals = fcntl(fd, F_GET_SEALS);
    *slab = (struct gv_slab){.bytes = bytes, .fd = fd};
    slab->is_scarce = is_scarce(seals >= 0 && (seals & F_SEAL_SHRINK) != 0);
    return map(slab);
}

int gv_host_slab_write(struct gv_slab *slab, size_t offset, const void *bytes, size_t n_bytes)
{
    const char *from = bytes;

    gv_assert(offset <= slab->bytes && n_bytes <= slab->bytes - offset);
    while (n_bytes > 0) {
        ssize_t n = pwrite(slab->fd, from, n_bytes, (off_t)offset);

        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        from += n;
        offset += (size_t)n;
        n_bytes -= (size_t)n;
    }
    return 0;
}

int gv_host_slab_read(struct gv_slab *slab, size_t offset, void *bytes, size_t n_bytes)
{
    char *to = bytes;

    gv_assert(offset <= slab->bytes && n_bytes <= slab->bytes - offset);
    while (n_bytes > 0) {
        ssize_t n = pread(slab->fd, to, n_bytes, (off_t)offset);

        if (n <= 0)
            return n < 0 ? -errno : -ENODATA; /* What is not sealed may have been cut. */
        to += n;
        offset += (size_t)n;
        n_bytes -= (size_t)n;
    }
    return 0;
}

int gv_host_slab_reserve(struct gv_slab *slab, size_t offset, size_t n_bytes)
{
    if (!slab->is_scarce)
        return 0;
    return fallocate(slab->fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)n_bytes) == 0 ? 0
                                                                                        : -errno;
}

void gv_host_slab_trim(struct gv_slab *slab, size_t offset, size_t n_bytes)
{
    /* What cannot be given back now is given back when it is closed. */
    (void)fallocate(slab->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                    (off_t)n_bytes);
}

uint64_t gv_host_slab_used(const struct gv_slab *slab)
{
    struct stat stat;

    return fstat(slab->fd, &stat) == 0 ? (uint64_t)stat.st_blocks * 512 : 0;
}

void gv_host_slab_close(void *world, struct gv_slab *slab)
{
    (void)world;
    if (slab->memory != NULL)
        gv_assert(munmap(slab->memory, slab->bytes) == 0);
    (void)close(slab->fd); /* nothing is lost by a failure */
    *slab = (struct gv_slab){.fd = -1};
}
