/*
 * Machines: other machines for the tests of pools: programs that join a pool
 * over TLS, certificates for them, and a wire between both that can be cut,
 * and healed.
 */
#ifndef TESTS_WORKERS_MACHINES_H
#define TESTS_WORKERS_MACHINES_H

#include "tests/workers/pools.h"

/* Certificates of authorities in a folder: "ours", of server, worker and other; "theirs", of the same. */
void machines_open(void);
void machines_close(void);

/* DIRECTORY/AUTHORITY/NAME.ENDING; lent until the eighth next call. */
const char *machines_file(const char *authority, const char *name);

/* Makes certificates of one more authority; days < 0: they have expired. */
void machines_certify(const char *authority, int days);

/* Options of a pool that listens here and lets worker in. */
struct grove_pool_options machines_pool(void);

/* The port of the pool. */
unsigned port_of(grove_ref pool);

/* Where machines dial, 127.0.0.1 if nobody says otherwise; and the process whose network they have, NULL: ours. */
extern const char *machine_dials, *machine_network;

/* What they run: only_worker, if nobody says otherwise. */
extern const char *machine_program;

/* Starts a machine with n workers that dials the port, with a certificate of that authority and name. */
struct grove_process *machine_start(unsigned port, unsigned n_workers, const char *authority,
                                    const char *name);

/* Asks it to end and waits; it must end with 0. */
void machine_stop(struct grove_process *machine);

/* Waits until n machines are there, at most ten seconds. */
void wait_remote(grove_ref pool, unsigned n);

/* --- the wire ------------------------------------------------------------------------------------- */

/* Passes bytes on between whoever dials its port and the pool's, on a thread of its own. */
struct wire;
struct wire *wire_open(unsigned to_port);
void wire_close(struct wire *wire);
unsigned wire_port(const struct wire *wire);

/* From now on bytes that come are kept and none is passed on, nor is any end: as of a cable that was cut. */
void wire_cut(struct wire *wire);

/* New connections pass again; those of before stay as dead as they were. */
void wire_heal(struct wire *wire);

#endif
