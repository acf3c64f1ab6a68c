/*
 * Page: memory that simulated processes share, counted by who has mapped it.
 */
#ifndef GV_SIM_PAGE_H
#define GV_SIM_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/env.h"

/* Unmaps what a dead process has mapped. Returns true if that was anything. */
bool gv_sim_pages_die(struct gv_process *process);

int gv_sim_page_open(void *world, size_t bytes, struct gv_page *page);
int gv_sim_page_inherit(void *world, int fd, size_t bytes, struct gv_page *page);
void gv_sim_page_close(void *world, struct gv_page *page);

#endif
