#include "world/dns.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "actors/job.h"
#include "actors/verb.h"
#include "runtime/usage.h"
#include "world/host_dns.h"

struct lookup {
    char host[GROVE_HOST_BYTES]; /* asked for, or found */
    struct grove_addresses addresses;
};

static struct lookup *lookup_of(struct gv_job *job)
{
    return (struct lookup *)(void *)job->body;
}

static void run_lookup(struct gv_job *job)
{
    struct lookup *lookup = lookup_of(job);

    job->rc = gv_host_lookup(lookup->host, &lookup->addresses);
}

static void run_lookup_name(struct gv_job *job)
{
    struct lookup *lookup = lookup_of(job);

    job->rc = gv_host_lookup_name(lookup->addresses.text[0], lookup->host);
}

static int failed(struct gv_loop *loop, int code, const char *name)
{
    if (code == -ENOENT)
        return gv_io_refused(loop, code,
                             "look up %.150s: nobody has this name: mend it, or add it to the "
                             "name server or /etc/hosts",
                             name);
    if (code == -EAGAIN)
        return gv_io_refused(loop, code,
                             "look up %.150s: no name server has answered: look at "
                             "/etc/resolv.conf and the network, or try again later",
                             name);
    if (code == -EINVAL)
        return gv_usage("look up %.150s: this is no address", name);
    return gv_io_failed(loop, code, "look up", name);
}

/* A job for this name or address; *job on 0. */
static int begin(const char *function, const char *name, size_t room, struct gv_job **job)
{
    struct gv_loop *loop = gv_io_loop();

    if (loop == NULL)
        return gv_usage_wait(function);
    if (name == NULL || name[0] == '\0' || strlen(name) >= room)
        return gv_usage("%s: a name has 1 to %zu bytes", function, room - 1);
    *job = gv_job_new(loop, sizeof(struct lookup));
    return *job != NULL ? 0 : gv_io_failed(loop, GROVE_ENOMEM, "look up", name);
}

int gv_world_lookup(struct gv_loop *loop, const char *host, uint32_t deadline_ms,
                    struct grove_addresses *addresses)
{
    struct gv_job *job;
    int rc = begin("grove_lookup_await", host, GROVE_HOST_BYTES, &job);

    if (rc != 0)
        return rc;
    job->run = run_lookup;
    memcpy(lookup_of(job)->host, host, strlen(host) + 1);
    rc = gv_job_await(job, GV_BLOCKING_NAMES, deadline_ms, "look up", host);
    if (rc != 0)
        return rc;
    rc = job->rc;
    if (rc == 0)
        *addresses = lookup_of(job)->addresses;
    gv_job_free(job);
    return rc == 0 ? 0 : failed(loop, rc, host);
}

int grove_lookup_await(const char *host, struct grove_addresses *addresses)
{
    struct gv_loop *loop = gv_io_loop();

    if (loop == NULL)
        return gv_usage_wait("grove_lookup_await");
    if (addresses == NULL)
        return gv_usage_null("grove_lookup_await", "the place for addresses");
    return gv_world_lookup(loop, host, gv_turn_deadline(loop, loop->turn, GV_TIMEOUT_MS),
                           addresses);
}

int grove_lookup_name_await(const char *address, char host[GROVE_HOST_BYTES])
{
    struct gv_job *job;
    int rc = host != NULL ? begin("grove_lookup_name_await", address, GROVE_ADDRESS_BYTES, &job)
                          : gv_usage_null("grove_lookup_name_await", "the place for the name");
    struct gv_loop *loop;

    if (rc != 0)
        return rc;
    loop = job->loop;
    job->run = run_lookup_name;
    memcpy(lookup_of(job)->addresses.text[0], address, strlen(address) + 1);
    rc = gv_job_await(job, GV_BLOCKING_NAMES, gv_turn_deadline(loop, loop->turn, GV_TIMEOUT_MS),
                      "look up", address);
    if (rc != 0)
        return rc;
    rc = job->rc;
    if (rc == 0)
        memcpy(host, lookup_of(job)->host, GROVE_HOST_BYTES);
    gv_job_free(job);
    return rc == 0 ? 0 : failed(loop, rc, address);
}
