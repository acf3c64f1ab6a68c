/*
 * Kill storm: workers are killed by chance, a third of them within 5 ms of
 * their birth, and strangers connect and hang up, while greenlets ask for
 * jobs. What must be true: see storm.h.
 *
 *     kill_storm [KILLS] [CONNECTS] [SEED]       default 300 1000, by chance
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/workers/storm.h"

#define BIRTH_MS 5u

static unsigned n_kills_wanted = 300, n_connects_wanted = 1000;
static unsigned n_kills, n_connects;
static unsigned n_early; /* kills within BIRTH_MS of birth */

/* --- kills ------------------------------------------------------------------------------------------ */

/* One that was not among the live ones a moment ago, 0 if there is none. */
static int newborn(const int *pids, int n, const int *before, int n_before)
{
    for (int i = 0; i < n; i++) {
        bool known = false;

        for (int j = 0; j < n_before; j++)
            known = known || before[j] == pids[i];
        if (!known)
            return pids[i];
    }
    return 0;
}

static bool kill_one(int pid)
{
    if (pid == 0 || kill(pid, SIGKILL) != 0)
        return false;
    n_kills++;
    return true;
}

static void kill_by_chance(void)
{
    int pids[STORM_WORKERS_MOST], before[STORM_WORKERS_MOST], n, n_before;

    n_before = grove_pool_pids(storm.pool, before, STORM_WORKERS_MOST);
    if (n_before <= 0)
        return;
    (void)kill_one(before[storm_chance((uint64_t)n_before)]); /* It may have died by itself. */
    if (storm_chance(2) != 0)
        return;
    /* Its successor is born soon: that one is killed too, while it is young. */
    for (unsigned i = 0; i < 600; i++) {
        int pid;

        (void)grove_sleep_await(1); /* main and greenlets here are never cancelled. */
        n = grove_pool_pids(storm.pool, pids, STORM_WORKERS_MOST);
        pid = newborn(pids, n, before, n_before);
        if (pid != 0) {
            (void)grove_sleep_await((uint32_t)storm_chance(BIRTH_MS - 1));
            n_early += kill_one(pid);
            return;
        }
    }
}

static void kill_workers(void *argument)
{
    unsigned until = n_kills + storm_share(n_kills_wanted);

    (void)argument;
    while (n_kills < until) {
        (void)grove_sleep_await((uint32_t)storm_chance(40));
        if (storm_somebody_works())
            kill_by_chance();
    }
    storm_disturbed();
}

/* --- strangers -------------------------------------------------------------------------------------- */

/* Where the pool listens: the one socket below the storm's directory. */
static bool find_socket(struct sockaddr_un *address)
{
    DIR *directory = opendir(storm_directory());
    struct dirent *entry;
    bool found = false;

    while (directory != NULL && !found && (entry = readdir(directory)) != NULL)
        if (strncmp(entry->d_name, "grove-", 6) == 0) {
            *address = (struct sockaddr_un){.sun_family = AF_UNIX};
            found = snprintf(address->sun_path, sizeof address->sun_path, "%s/%.40s/s",
                             storm_directory(), entry->d_name)
                    > 0;
        }
    if (directory != NULL)
        (void)closedir(directory);
    return found;
}

/* Connects, says nothing or nonsense, hangs up. */
static void connect_once(const struct sockaddr_un *address)
{
    /* Not blocking: it is this very thread that must accept, when the backlog is full. */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0) {
        if (storm_chance(3) == 0)
            (void)!send(fd, "GROVE\r\n\x01 and then nothing of use", storm_chance(30),
                        MSG_NOSIGNAL);
        n_connects++;
    }
    (void)close(fd);
}

static void disturb_door(void *argument)
{
    unsigned until = n_connects + storm_share(n_connects_wanted);
    struct sockaddr_un address;

    (void)argument;
    while (n_connects < until && find_socket(&address)) {
        for (unsigned i = 0; i < 10; i++)
            connect_once(&address);
        (void)grove_sleep_await(1);
    }
    storm_disturbed();
}

int main(int argc, char **argv)
{
    static const struct storm_plan plan = {.disturbers = {kill_workers, disturb_door}};
    int rc;

    n_kills_wanted = argc > 1 ? (unsigned)atoi(argv[1]) : n_kills_wanted;
    n_connects_wanted = argc > 2 ? (unsigned)atoi(argv[2]) : n_connects_wanted;
    rc = storm_main(&argc, &argv, &plan, 3);
    printf("kills=%u early=%u connects=%u\n", n_kills, n_early, n_connects);
    return rc != 0 || n_connects < n_connects_wanted;
}
