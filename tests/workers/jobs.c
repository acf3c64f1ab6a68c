#include "tests/workers/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <grove.h>

#include "links/frame.h"
#include "workers/page.h"

static uint64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* It cannot fail for this clock. */
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void jobs_burn(uint64_t us)
{
    uint64_t until_us = now_us() + us;

    while (now_us() < until_us)
        continue;
}

/* The file that counts runs, as all workers share it. */
static uint8_t *counts;
static uint64_t n_counts;

int jobs_map_counts(const char *path)
{
    struct stat stat;
    int fd;

    if (counts != NULL)
        return 0;
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0)
        return GROVE_EUSAGE;
    n_counts = (uint64_t)stat.st_size;
    counts = mmap(NULL, n_counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd); /* The mapping stays. */
    if (counts == MAP_FAILED)
        counts = NULL;
    return counts != NULL ? 0 : GROVE_ENOMEM;
}

/* Counts one run of id. */
static int count(const char *path, uint64_t id)
{
    int rc = path[0] != '\0' ? jobs_map_counts(path) : 0;

    if (rc != 0 || path[0] == '\0')
        return rc;
    if (id >= n_counts)
        return GROVE_EUSAGE;
    __atomic_fetch_add(&counts[id], 1, __ATOMIC_SEQ_CST);
    return 0;
}

static int echo(const Jobs__V1__EchoRequest *request, Jobs__V1__EchoResponse *response)
{
    response->text = grove_strdup(request->text);
    response->number = request->number;
    return response->text != NULL ? 0 : GROVE_ENOMEM;
}

static int once(const Jobs__V1__OnceRequest *request, Jobs__V1__OnceResponse *response)
{
    int rc = count(request->counts, request->id);

    jobs_burn(request->busy_us);
    response->id = request->id;
    return rc;
}

static int again(const Jobs__V1__AgainRequest *request, Jobs__V1__AgainResponse *response)
{
    int rc = count(request->counts, request->id);

    jobs_burn(request->busy_us);
    response->id = request->id;
    return rc;
}

/* Waits for room, as long as somebody reads. */
static void write_all(int fd, const char *bytes, size_t n_bytes)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};

    while (n_bytes > 0) {
        ssize_t n = write(fd, bytes, n_bytes);

        if (n < 0 && (errno != EAGAIN || poll(&room, 1, 10000) != 1))
            return;
        bytes += n > 0 ? n : 0;
        n_bytes -= n > 0 ? (size_t)n : 0;
    }
}

/* Writes bytes to every socket this process has: one of them is its link. */
static void spoil_link(const char *bytes, size_t n_bytes)
{
    for (int fd = 4; fd < 64; fd++) {
        int type;
        socklen_t n = sizeof type;

        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0)
            write_all(fd, bytes, n_bytes);
    }
}

/* Of the worker that this process is. */
static const struct gv_worker_page *status(void)
{
    void *page = mmap(NULL, GV_WORKER_PAGE_BYTES, PROT_READ, MAP_SHARED, GV_WORKER_PAGE_FD, 0);

    if (page == MAP_FAILED)
        abort();
    return page;
}

/* Answers the running job with 10 000 levels of an unfinished message. */
static void answer_badly(unsigned n_greetings)
{
    static uint8_t bytes[GV_FRAME_HEAD_BYTES + 30000 + GV_FRAME_CHECK_BYTES];
    struct gv_frame frame = {.type = GV_FRAME_REPLY, .flags = GV_FRAME_CALLEE};
    const struct gv_worker_page *page = status();
    uint8_t *at;

    frame.call = atomic_load(&page->job);
    frame.aux = gv_frame_outcome(GROVE_DONE, GROVE_STARTED_YES, 0);
    at = gv_frame_write_head(&frame, bytes, 30000);
    for (unsigned i = 0; i < 10000; i++) {
        *at++ = 1 << 3 | 2;
        *at++ = 0xff;
        *at++ = 0x7f;
    }
    /* HELLO was 0, SCHEMA 1 for who asks for it, then one for each job. */
    gv_frame_seal(bytes, (uint32_t)atomic_load(&page->started) + n_greetings - 1);
    spoil_link((const char *)bytes, sizeof bytes);
}

/* Answers a job that nobody has given out. */
static void answer_nobody(void)
{
    uint8_t bytes[GV_FRAME_HEAD_BYTES + GV_FRAME_CHECK_BYTES];
    struct gv_frame frame = {.type = GV_FRAME_REPLY, .flags = GV_FRAME_CALLEE, .call = 1u << 30};

    frame.aux = gv_frame_outcome(GROVE_DONE, GROVE_STARTED_YES, 0);
    (void)gv_frame_write_head(&frame, bytes, 0); /* There is no body to put there. */
    gv_frame_seal(bytes, (uint32_t)atomic_load(&status()->started));
    spoil_link((const char *)bytes, sizeof bytes);
}

static int crash(const Jobs__V1__CrashRequest *request, Jobs__V1__CrashResponse *response)
{
    static const char garbage[64] = "this is no frame but sixty-four bytes of something else!";

    if (request->counts[0] != '\0') {
        int rc = count(request->counts, 0);

        response->n_runs = rc == 0 ? counts[0] : 0;
        if (rc != 0 || counts[0] > request->n_crashes)
            return rc;
    }
    switch (request->how) {
    case 0:
        abort();
    case 1:
        _exit(7);
    case 3:
    case 5:
        answer_badly(request->how == 3 ? 1 : 2);
        if (request->how == 3)
            jobs_burn(10000000); /* The pool ends it before. */
        return 0;
    case 4:
        answer_nobody();
        return 0;
    default:
        spoil_link(garbage, sizeof garbage);
        jobs_burn(10000000); /* The pool ends it before. */
        return 0;
    }
}

static int crash_again(const Jobs__V1__CrashAgainRequest *request,
                       Jobs__V1__CrashAgainResponse *response)
{
    (void)request;
    (void)response;
    abort();
}

static int refuse(const Jobs__V1__RefuseRequest *request, Jobs__V1__RefuseResponse *response)
{
    (void)response;
    if (request->text[0] == '\0')
        return request->code;
    return grove_refuse(request->code, "%s", request->text);
}

static int big(const Jobs__V1__BigRequest *request, Jobs__V1__BigResponse *response)
{
    response->data.len = request->bytes;
    response->data.data = grove_alloc(request->bytes);
    if (response->data.data == NULL)
        return GROVE_ENOMEM;
    memset(response->data.data, 'b', request->bytes);
    return 0;
}

static int patient(const Jobs__V1__PatientRequest *request, Jobs__V1__PatientResponse *response)
{
    uint64_t until_us = now_us() + request->busy_us;

    (void)response;
    while (!grove_cancelled() && now_us() < until_us)
        grove_job_progress(0, "begun");
    return grove_cancelled() ? count(request->counts, request->id) : 0;
}

static int tell(const Jobs__V1__TellRequest *request, Jobs__V1__TellResponse *response)
{
    int rc = request->counts[0] != '\0' ? count(request->counts, request->id) : 0;
    bool is_first = request->counts[0] != '\0' && counts[request->id] == 1;

    for (uint32_t i = 1; rc == 0 && i <= request->n_steps; i++) {
        char note[32];

        (void)snprintf(note, sizeof note, "%" PRIu32, i); /* It fits. */
        grove_job_progress((double)i / request->n_steps,
                           strcmp(request->text, "%") == 0 ? note : request->text);
        if (is_first)
            abort();
        jobs_burn(request->step_us);
    }
    while (request->until_left && !grove_job_cancelled())
        grove_job_progress(1, request->text);
    response->n_steps = request->n_steps;
    return rc;
}

/* Writes PROGRESS about a job, as the frame of this number on its link. */
static void write_progress(uint64_t job, const void *body, size_t n_bytes, uint64_t number)
{
    uint8_t bytes[1024];
    struct gv_frame frame = {.type = GV_FRAME_PROGRESS, .flags = GV_FRAME_CALLEE, .call = job};
    uint8_t *at = gv_frame_write_head(&frame, bytes, n_bytes);

    memcpy(at, body, n_bytes);
    gv_frame_seal(bytes, (uint32_t)number);
    spoil_link((const char *)bytes, gv_frame_bytes(n_bytes));
}

static int lie(const Jobs__V1__LieRequest *request, Jobs__V1__LieResponse *response)
{
    /* A fraction, 0.5; then a note. */
    static const char half[] = "\x09\0\0\0\0\0\0\xe0\x3f";
    static const char no_number[] = "\x09\0\0\0\0\0\0\xf8\x7f";
    static const char no_text[] = "\x12\x02\xc3\x28";
    uint64_t job = atomic_load(&status()->job), number = atomic_load(&status()->started);
    char note[203] = "\x12\xc8\x01", large[300];

    (void)response;
    memset(note + 3, 'n', sizeof note - 3);
    memset(large, 0, sizeof large);
    switch (request->how) {
    case 0:
        write_progress(job + 1000, half, 9, number);
        break;
    case 1:
        write_progress(job, no_number, 9, number);
        break;
    case 2:
        write_progress(job, note, sizeof note, number);
        break;
    case 3:
        write_progress(job, half, 5, number);
        break;
    case 4:
        write_progress(job, large, sizeof large, number);
        break;
    case 5:
        write_progress(job, no_text, 4, number);
        break;
    default:
        for (;;)
            write_progress(job, half, 9, number++);
    }
    jobs_burn(10000000); /* The pool ends it before. */
    return 0;
}

static int n_warm_ups, n_jobs;

static int warm_up(void)
{
    if (n_jobs == 0)
        n_warm_ups++;
    return 0;
}
GROVE_WARM_UP(warm_up);

static int take(const Jobs__V1__TakeRequest *request, Jobs__V1__TakeResponse *response)
{
    char *memory = malloc(request->bytes);

    n_jobs++;
    response->taken = memory != NULL;
    response->warm_ups = n_warm_ups;
    response->nice = getpriority(PRIO_PROCESS, 0);
    if (memory != NULL)
        explicit_bzero(memory, request->bytes); /* which no compiler leaves out */
    if (!request->keep)
        free(memory);
    return 0;
}

/* The last place of the file counts all of them. */
static uint64_t next_order(const char *path)
{
    return jobs_map_counts(path) == 0
               ? __atomic_fetch_add(&counts[n_counts - 1], 1, __ATOMIC_SEQ_CST)
               : 0;
}

static int urgent(const Jobs__V1__UrgentRequest *request, Jobs__V1__UrgentResponse *response)
{
    response->order = next_order(request->counts);
    jobs_burn(request->busy_us);
    return 0;
}

static int unhurried(const Jobs__V1__UnhurriedRequest *request,
                     Jobs__V1__UnhurriedResponse *response)
{
    response->order = next_order(request->counts);
    jobs_burn(request->busy_us);
    return 0;
}

const struct job_service jobs = {
    .echo = echo,
    .once = once,
    .again = again,
    .crash = crash,
    .crash_again = crash_again,
    .refuse = refuse,
    .big = big,
    .patient = patient,
    .take = take,
    .urgent = urgent,
    .unhurried = unhurried,
    .tell = tell,
    .lie = lie,
};

GROVE_WORKER(job, &jobs);
