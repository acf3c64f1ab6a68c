/*
 * grove-load PORT CONNECTIONS REQUESTS: see load.h. On the last CPU it may
 * use. Exit status: 0 every answer was right; 1 not; 2 wrong arguments.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define EVENTS_MAX 256

struct connection {
    int fd;
    unsigned n_bytes; /* of the answer so far */
    unsigned char mark;
};

static struct connection *connections;
static int poller;

static void take_last_cpu(void)
{
    cpu_set_t all, last;
    int cpu = -1;

    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all))
            cpu = i;
    CPU_ZERO(&last);
    CPU_SET(cpu, &last);
    (void)sched_setaffinity(0, sizeof last, &last);
}

static bool ask(struct connection *each)
{
    char bytes[LOAD_BYTES];

    memset(bytes, ++each->mark, sizeof bytes);
    each->n_bytes = 0;
    return write(each->fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes;
}

static bool dial(struct connection *each, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = each};
    const int yes = 1;

    each->fd = socket(AF_INET, SOCK_STREAM, 0);
    return each->fd >= 0 && connect(each->fd, (struct sockaddr *)&address, sizeof address) == 0
           && setsockopt(each->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0
           && epoll_ctl(poller, EPOLL_CTL_ADD, each->fd, &event) == 0;
}

/* Takes what has come. 1 if the answer is whole, 0 if not, -1 if it is wrong. */
static int take(struct connection *each)
{
    unsigned char bytes[LOAD_BYTES + 1];
    ssize_t n = recv(each->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n <= 0)
        return n < 0 && errno == EAGAIN ? 0 : -1;
    if (bytes[0] != each->mark || bytes[n - 1] != each->mark)
        return -1;
    each->n_bytes += (unsigned)n;
    return each->n_bytes < LOAD_BYTES ? 0 : each->n_bytes == LOAD_BYTES ? 1 : -1;
}

/* Has so many requests answered, and asks the next one on each connection at once. */
static bool run(long long n_requests)
{
    struct epoll_event events[EVENTS_MAX];

    while (n_requests > 0) {
        int n = epoll_wait(poller, events, EVENTS_MAX, 10000);

        if (n <= 0)
            return false;
        for (int i = 0; i < n; i++) {
            int rc = take(events[i].data.ptr);

            if (rc < 0 || (rc > 0 && !ask(events[i].data.ptr)))
                return false;
            n_requests -= rc;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    long long n_connections, n_requests;
    bool right = true;

    if (argc != 4)
        return fprintf(stderr, "usage: grove-load PORT CONNECTIONS REQUESTS\n"), 2;
    n_connections = atoll(argv[2]);
    n_requests = atoll(argv[3]);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    take_last_cpu();
    poller = epoll_create1(0);
    connections = calloc((size_t)n_connections, sizeof *connections);
    if (poller < 0 || connections == NULL)
        return 1;
    for (long long i = 0; i < n_connections && right; i++)
        right = dial(&connections[i], (unsigned)atoi(argv[1]));
    for (long long i = 0; i < n_connections && right; i++)
        right = ask(&connections[i]);
    right = right && run(n_requests / 8 + 1) && write(STDOUT_FILENO, "b", 1) == 1;
    right = right && run(n_requests) && write(STDOUT_FILENO, "e", 1) == 1;
    return right ? 0 : 1;
}
