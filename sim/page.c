#include "sim/page.h"

#include <errno.h>
#include <stdlib.h>

#include "sim/process.h"
#include "sim/thread.h"
#include "sim/world.h"

#define FIRST_FD    1000 /* of a parent: no real descriptor is that high here */
#define FIRST_CHILD 3    /* what a child inherits, counted from here */

static struct {
    void *memory;
    size_t bytes;
    unsigned n_mapped; /* by all processes */
} pages[GV_SIM_PAGES_MAX];

static void map(struct gv_process *process, unsigned k)
{
    process->mapped[k]++;
    pages[k].n_mapped++;
}

static void unmap(struct gv_process *process, unsigned k)
{
    process->mapped[k]--;
    if (--pages[k].n_mapped > 0)
        return;
    free(pages[k].memory);
    pages[k].memory = NULL;
}

bool gv_sim_pages_die(struct gv_process *process)
{
    bool any = false;

    for (unsigned k = 0; k < GV_SIM_PAGES_MAX; k++)
        while (process->mapped[k] > 0) {
            any = true;
            unmap(process, k);
        }
    return any;
}

int gv_sim_page_open(void *world, size_t bytes, struct gv_page *page)
{
    unsigned k = 0;

    (void)world;
    while (k < GV_SIM_PAGES_MAX && pages[k].memory != NULL)
        k++;
    if (k == GV_SIM_PAGES_MAX)
        return -EMFILE;
    pages[k].memory = calloc(1, bytes);
    if (pages[k].memory == NULL)
        return -ENOMEM;
    pages[k].bytes = bytes;
    map(gv_sim_thread_running()->process, k);
    *page = (struct gv_page){pages[k].memory, bytes, FIRST_FD + (int)k};
    return 0;
}

int gv_sim_page_inherit(void *world, int fd, size_t bytes, struct gv_page *page)
{
    struct gv_process *process = gv_sim_thread_running()->process;
    int k;

    (void)world;
    if (fd < FIRST_CHILD || fd >= FIRST_CHILD + (int)process->n_descriptors)
        return -EBADF;
    k = process->descriptors[fd - FIRST_CHILD] - FIRST_FD;
    if (k < 0 || k >= (int)GV_SIM_PAGES_MAX || pages[k].memory == NULL)
        return -EBADF;
    if (pages[k].bytes < bytes)
        return -EINVAL;
    map(process, (unsigned)k);
    *page = (struct gv_page){pages[k].memory, bytes, fd};
    return 0;
}

void gv_sim_page_close(void *world, struct gv_page *page)
{
    struct gv_process *process = gv_sim_thread_running()->process;

    (void)world;
    for (unsigned k = 0; k < GV_SIM_PAGES_MAX; k++)
        if (pages[k].memory == page->memory && process->mapped[k] > 0) {
            unmap(process, k);
            *page = (struct gv_page){NULL, 0, -1};
            return;
        }
    gv_sim_fail("a page was closed that is not mapped");
}
