/*
 * Slabs: pieces, sums, and what a worker that lies about them gains by it.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "tests/workers/yard.h"
#include "workers/slab.h"

#define SLAB_BYTES ((size_t)1 << 20)
#define HALF_BYTES (SLAB_BYTES / 2)

/* --- pieces --------------------------------------------------------------------------------------- */

static void test_the_lowest_place_that_fits_is_taken(void **state)
{
    struct gv_slab_half half = {.n_bytes = 16 * GV_SLAB_GRAIN};
    uint64_t a, b, c, d;

    (void)state;
    assert_true(gv_slab_take(&half, 4 * GV_SLAB_GRAIN, &a));
    assert_true(gv_slab_take(&half, GV_SLAB_GRAIN + 1, &b));
    assert_true(gv_slab_take(&half, 10 * GV_SLAB_GRAIN, &c));
    assert_int_equal(a, 0);
    assert_int_equal(b, 4 * GV_SLAB_GRAIN);
    assert_int_equal(c, 6 * GV_SLAB_GRAIN);
    assert_false(gv_slab_take(&half, 1, &d));
    gv_slab_give(&half, b);
    assert_false(gv_slab_take(&half, 2 * GV_SLAB_GRAIN + 1, &d));
    assert_true(gv_slab_take(&half, 2 * GV_SLAB_GRAIN, &d));
    assert_int_equal(d, b);
    gv_slab_give(&half, a);
    gv_slab_give(&half, c);
    gv_slab_give(&half, d);
    assert_true(gv_slab_take(&half, half.n_bytes, &a));
    assert_false(gv_slab_take(&half, UINT64_MAX, &b));
}

static void test_pieces_never_overlap_whatever_comes_and_goes(void **state)
{
    struct gv_slab_half half = {.n_bytes = 256 * GV_SLAB_GRAIN};
    uint64_t at[GV_SLAB_PIECES_MAX], bits = 88172645463325252u;
    uint8_t owner[256] = {0}, n_of[GV_SLAB_PIECES_MAX] = {0};

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        unsigned i;

        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        i = bits % GV_SLAB_PIECES_MAX;
        if (n_of[i] > 0) {
            gv_slab_give(&half, at[i]);
            memset(owner + at[i] / GV_SLAB_GRAIN, 0, n_of[i]);
            n_of[i] = 0;
        } else if (gv_slab_take(&half, (bits >> 32 & 15) * GV_SLAB_GRAIN + 1, &at[i])) {
            n_of[i] = (uint8_t)((bits >> 32 & 15) + 1);
            assert_true(at[i] / GV_SLAB_GRAIN + n_of[i] <= sizeof owner);
            for (unsigned k = 0; k < n_of[i]; k++)
                assert_int_equal(owner[at[i] / GV_SLAB_GRAIN + k]++, 0);
        }
    }
}

static void test_there_are_no_more_pieces_than_have_a_place_in_the_list(void **state)
{
    struct gv_slab_half half = {.n_bytes = UINT64_C(1) << 40};
    uint64_t at;

    (void)state;
    for (unsigned i = 0; i < GV_SLAB_PIECES_MAX; i++)
        assert_true(gv_slab_take(&half, 1, &at));
    assert_false(gv_slab_take(&half, 1, &at));
    gv_slab_give(&half, 0);
    assert_true(gv_slab_take(&half, 1, &at));
}

/* --- sums ----------------------------------------------------------------------------------------- */

static void test_a_sum_tells_every_bit_and_the_order(void **state)
{
    static uint8_t bytes[1000], copy[1000];
    uint64_t sum;

    (void)state;
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 256);
    for (size_t n = 0; n <= sizeof bytes; n += 37) {
        sum = gv_slab_sum(bytes, n);
        memset(copy, 0xee, sizeof copy);
        assert_int_equal(gv_slab_copy(copy, bytes, n), sum);
        assert_memory_equal(copy, bytes, n);
        for (size_t i = 0; i < n; i++) {
            copy[i] ^= (uint8_t)(1 << i % 8);
            assert_int_not_equal(gv_slab_sum(copy, n), sum);
            copy[i] ^= (uint8_t)(1 << i % 8);
        }
        if (n > 0)
            assert_int_not_equal(gv_slab_sum(bytes, n - 1), sum);
    }
    sum = gv_slab_sum(bytes, 640);
    for (size_t word = 0; word < 64;
         word += 8) { /* A word changes places with that of the next line. */
        memcpy(copy, bytes, 640);
        memcpy(copy + word, bytes + 64 + word, 8);
        memcpy(copy + 64 + word, bytes + word, 8);
        assert_int_not_equal(gv_slab_sum(copy, 640), sum);
    }
    memset(copy, 0, sizeof copy);
    assert_int_not_equal(gv_slab_sum(copy, 64), gv_slab_sum(copy, 128));
}

/* --- what a frame says ------------------------------------------------------------------------------ */

static void test_a_piece_is_read_as_it_was_written_and_is_no_longer_than_a_message(void **state)
{
    struct gv_slab_piece piece = {64 << 20, (16 << 20) + 1, UINT64_C(0x123456789abcdef0)}, read;
    uint8_t wire[GV_SLAB_WIRE_BYTES];

    (void)state;
    gv_slab_piece_write(wire, &piece);
    assert_string_equal(gv_slab_piece_read(&read, wire, sizeof wire, 256 << 20),
                        "a message in shared memory is longer than may be");
    piece.n_bytes--;
    gv_slab_piece_write(wire, &piece);
    assert_null(gv_slab_piece_read(&read, wire, sizeof wire, 256 << 20));
    assert_memory_equal(&read, &piece, sizeof piece);
    assert_null(gv_slab_piece_read(&read, wire, sizeof wire, 80 << 20));
    assert_non_null(gv_slab_piece_read(&read, wire, sizeof wire, (80 << 20) - 1));
}

/* --- a pool and its worker ------------------------------------------------------------------------ */

static _Alignas(64) uint8_t memory[SLAB_BYTES];
static unsigned n_slabs, n_trimmed; /* open; given back */
static int open_rc;
static bool is_mapped; /* by the pool */
static int read_rc;

static int slab_open(void *world, size_t bytes, struct gv_slab *slab)
{
    (void)world;
    if (open_rc != 0)
        return open_rc;
    memset(memory, 0, sizeof memory);
    *slab = (struct gv_slab){.memory = is_mapped ? memory : NULL, .bytes = bytes, .fd = 1};
    n_slabs++;
    return 0;
}

static int slab_inherit(void *world, int fd, size_t bytes, struct gv_slab *slab)
{
    (void)world;
    *slab = (struct gv_slab){.memory = memory, .bytes = bytes, .fd = fd};
    n_slabs++;
    return 0;
}

static int slab_write(struct gv_slab *slab, size_t offset, const void *bytes, size_t n_bytes)
{
    (void)slab;
    memcpy(memory + offset, bytes, n_bytes);
    return 0;
}

static int slab_read(struct gv_slab *slab, size_t offset, void *bytes, size_t n_bytes)
{
    (void)slab;
    memcpy(bytes, memory + offset, n_bytes);
    return read_rc;
}

static int slab_reserve(struct gv_slab *slab, size_t offset, size_t n_bytes)
{
    (void)slab;
    (void)offset;
    (void)n_bytes;
    return 0;
}

static void slab_trim(struct gv_slab *slab, size_t offset, size_t n_bytes)
{
    (void)slab;
    assert_int_equal(offset, 0);
    assert_int_equal(n_bytes, SLAB_BYTES);
    n_trimmed++;
}

static void slab_close(void *world, struct gv_slab *slab)
{
    (void)world;
    *slab = (struct gv_slab){.fd = -1};
    n_slabs--;
}

static int open_with(void **state, bool mapped)
{
    if (yard_open(state) != 0)
        return -1;
    fake.env.slab_open = slab_open;
    fake.env.slab_inherit = slab_inherit;
    fake.env.slab_write = slab_write;
    fake.env.slab_read = slab_read;
    fake.env.slab_reserve = slab_reserve;
    fake.env.slab_trim = slab_trim;
    fake.env.slab_close = slab_close;
    yard.pool->slab_bytes = SLAB_BYTES;
    n_slabs = n_trimmed = 0;
    open_rc = read_rc = 0;
    is_mapped = mapped;
    return 0;
}

static int open_mapped(void **state)
{
    return open_with(state, true);
}

static int open_unmapped(void **state)
{
    return open_with(state, false);
}

static int close_all(void **state)
{
    return yard_close(state) == 0 && n_slabs == 0 ? 0 : -1;
}

/* The worker answers its only job by a frame of this type whose body is at `wire`. */
static struct gv_job *answer_with(uint8_t type, const uint8_t *wire, size_t n_bytes)
{
    struct gv_frame frame = {.type = type, .flags = GV_FRAME_CALLEE | GV_FRAME_SLAB};
    struct gv_link *link;
    struct gv_job *job;

    yard_spawn();
    yard_connect();
    job = yard_job(JOB_METHOD_ECHO);
    yard_flush();
    link = fake.a.owner; /* the worker's end */
    frame.call = job->id;
    frame.aux = gv_frame_outcome(GROVE_DONE, GROVE_STARTED_YES, 0);
    assert_int_equal(gv_link_send(link, &frame, wire, n_bytes), 0);
    gv_link_flush(link);
    yard_flush();
    return job;
}

/* A good answer at the end of its half; returns where it lies. */
static struct gv_slab_piece write_answer(void)
{
    enum { TEXT_BYTES = 99996 };
    struct gv_slab_piece piece = {.offset = HALF_BYTES - TEXT_BYTES - 4, .n_bytes = TEXT_BYTES + 4};
    uint8_t *at = memory + HALF_BYTES + piece.offset;

    at[0] = 1 << 3 | 2; /* text */
    at[1] = (TEXT_BYTES & 0x7f) | 0x80;
    at[2] = (TEXT_BYTES >> 7 & 0x7f) | 0x80;
    at[3] = TEXT_BYTES >> 14;
    memset(at + 4, 'x', TEXT_BYTES);
    piece.sum = gv_slab_sum(at, piece.n_bytes);
    return piece;
}

/* The worker was found out, and is dropped; its job is not answered by what it said. */
static void assert_dropped(void)
{
    assert_int_equal(yard.n_killed, 1);
    assert_int_equal(yard.pool->stats.dropped_frames, 1);
    assert_int_equal(yard.pool->stats.dropped_peers, 1);
    assert_int_equal(yard.pool->stats.slab_answers, 0);
    assert_int_equal(yard.n_outcomes, 0);
    yard_exit(SIGKILL);
    assert_int_equal(yard.n_spawned, 2); /* Another one comes, with a slab of its own. */
}

static void test_an_answer_in_the_slab_is_taken_and_its_worker_told(void **state)
{
    uint8_t wire[GV_SLAB_WIRE_BYTES];
    struct gv_slab_piece piece;

    (void)state;
    yard_spawn(); /* It clears the memory. */
    piece = write_answer();
    gv_slab_piece_write(wire, &piece);
    yard_connect();
    {
        struct gv_frame frame = {.type = GV_FRAME_REPLY, .flags = GV_FRAME_CALLEE | GV_FRAME_SLAB};
        struct gv_job *job = yard_job(JOB_METHOD_ECHO);
        struct gv_link *link = fake.a.owner;

        yard_flush();
        frame.call = job->id;
        frame.aux = gv_frame_outcome(GROVE_DONE, GROVE_STARTED_YES, 0);
        assert_int_equal(gv_link_send(link, &frame, wire, sizeof wire), 0);
        gv_link_flush(link);
        yard_flush();
    }
    assert_heard(0, GROVE_STARTED_YES);
    assert_int_equal(yard.pool->stats.slab_answers, 1);
    assert_int_equal(atomic_load(&gv_child_page(yard.child)->taken), 1);
    assert_int_equal(yard.n_killed, 0);
}

static void test_a_place_that_cannot_be_costs_the_worker(void **state)
{
    static const struct gv_slab_piece wrong[] = {
        {HALF_BYTES, 1, 0},
        {HALF_BYTES + 1, 0, 0},
        {0, HALF_BYTES + 1, 0},
        {HALF_BYTES - 1, 2, 0},
        {UINT64_MAX, 1, 0},
        {1, UINT64_MAX, 0},
        {UINT64_MAX, UINT64_MAX, 0},
        {0, ((uint64_t)16 << 20) + 1, 0},
        {(uint64_t)0 - HALF_BYTES, 65536, 0}, /* in the other half, if it were added */
    };
    uint8_t wire[GV_SLAB_WIRE_BYTES];

    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (i > 0)
            assert_int_equal(close_all(state) + open_mapped(state), 0);
        gv_slab_piece_write(wire, &wrong[i]);
        (void)answer_with(GV_FRAME_REPLY, wire, sizeof wire);
        /* For its place, and not because the sum of what lies there is another one. */
        assert_true(strstr(yard_log(), "lies outside") != NULL
                    || strstr(yard_log(), "longer than may be") != NULL);
        assert_dropped();
    }
}

static void test_a_frame_that_points_with_too_few_or_many_bytes_costs_the_worker(void **state)
{
    static const uint8_t wire[GV_SLAB_WIRE_BYTES + 1];
    static const size_t lengths[] = {0, 8, GV_SLAB_WIRE_BYTES - 1, GV_SLAB_WIRE_BYTES + 1};

    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        if (i > 0)
            assert_int_equal(close_all(state) + open_mapped(state), 0);
        (void)answer_with(GV_FRAME_REPLY, wire, lengths[i]);
        assert_dropped();
    }
}

static void test_bytes_that_changed_after_their_frame_cost_the_worker(void **state)
{
    struct gv_slab_piece piece;
    uint8_t wire[GV_SLAB_WIRE_BYTES];

    (void)state;
    piece = write_answer();
    gv_slab_piece_write(wire, &piece); /* The birth of the worker makes zeros of them. */
    (void)answer_with(GV_FRAME_REPLY, wire, sizeof wire);
    assert_non_null(strstr(yard_log(), "changed in shared memory"));
    assert_dropped();
}

static void test_memory_that_was_taken_away_costs_the_worker(void **state)
{
    const struct gv_slab_piece piece = {0, 65536, 0};
    uint8_t wire[GV_SLAB_WIRE_BYTES];

    (void)state;
    read_rc = -ENODATA;
    gv_slab_piece_write(wire, &piece);
    (void)answer_with(GV_FRAME_REPLY, wire, sizeof wire);
    assert_dropped();
}

static void test_who_has_no_slab_cannot_point_into_one(void **state)
{
    const struct gv_slab_piece piece = {0, 0, 0};
    uint8_t wire[GV_SLAB_WIRE_BYTES];

    (void)state;
    yard.pool->slab_bytes = 0;
    gv_slab_piece_write(wire, &piece);
    (void)answer_with(GV_FRAME_REPLY, wire, sizeof wire);
    assert_dropped();
}

static void test_no_other_frame_may_point_into_the_slab(void **state)
{
    static const uint8_t wire[GV_SLAB_WIRE_BYTES],
        types[] = {GV_FRAME_PROGRESS, GV_FRAME_DRAIN, GV_FRAME_ITEM};

    for (unsigned i = 0; i < sizeof types; i++) {
        if (i > 0)
            assert_int_equal(close_all(state) + open_mapped(state), 0);
        (void)answer_with(types[i], wire, sizeof wire);
        assert_dropped();
    }
}

static void test_a_slab_that_cannot_be_made_is_one_line_in_the_log(void **state)
{
    const char *first;

    (void)state;
    open_rc = -ENOMEM;
    yard_spawn();
    yard_exit(SIGKILL); /* Its successor has none either. */
    first = strstr(yard_log(), "pool.slab");
    assert_non_null(first);
    assert_null(strstr(first + 1, "pool.slab"));
    yard_connect();
    (void)yard_job(JOB_METHOD_ECHO);
    yard_work();
    assert_int_equal(yard.code, 0);
}

static void test_memory_goes_back_after_a_second_without_use_and_jobs(void **state)
{
    (void)state;
    yard_spawn();
    yard_connect();
    yard.child->slab_is_used = true;
    yard.child->slab_ms = yard.loop->now_ms;
    yard_pass(999);
    gv_slab_tick(yard.child, yard.loop->now_ms);
    assert_int_equal(n_trimmed, 0);
    (void)yard_job(JOB_METHOD_ECHO);
    yard_flush();
    yard_pass(10);
    gv_slab_tick(yard.child, yard.loop->now_ms);
    assert_int_equal(n_trimmed, 0); /* Its worker may be writing. */
    yard_work();
    gv_slab_tick(yard.child, yard.loop->now_ms);
    gv_slab_tick(yard.child, yard.loop->now_ms);
    assert_int_equal(n_trimmed, 1);
}

/* --- the worker's side ---------------------------------------------------------------------------- */

static void test_an_answers_piece_is_free_when_the_pool_has_it_and_not_before(void **state)
{
    static struct gv_worker_page page;
    struct gv_slab_user user;
    uint8_t *first;

    (void)state;
    page.slab_bytes = SLAB_BYTES;
    atomic_store(&page.taken, 0);
    assert_int_equal(gv_slab_user_open(&user, &fake.env, &page), 0);
    first = gv_slab_user_take(&user, 300000);
    assert_ptr_equal(first, memory + HALF_BYTES);
    (void)gv_slab_user_sum(&user);
    gv_slab_user_sent(&user);
    assert_null(gv_slab_user_take(&user, 300000));
    atomic_store(&page.taken, 5); /* More than there were: nobody believes that. */
    assert_ptr_equal(gv_slab_user_take(&user, 300000), first);
    gv_slab_user_give(&user);
    assert_ptr_equal(gv_slab_user_take(&user, 300000), first);
    assert_null(gv_slab_user_take(&user, GV_SLAB_LEAST - 1)); /* It gives the other one up. */
    assert_int_equal(user.answers.n, 0);
    gv_slab_user_close(&user);
}

#define mapped_test(function)   cmocka_unit_test_setup_teardown(function, open_mapped, close_all)
#define unmapped_test(function) cmocka_unit_test_setup_teardown(function, open_unmapped, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_lowest_place_that_fits_is_taken),
        cmocka_unit_test(test_pieces_never_overlap_whatever_comes_and_goes),
        cmocka_unit_test(test_there_are_no_more_pieces_than_have_a_place_in_the_list),
        cmocka_unit_test(test_a_sum_tells_every_bit_and_the_order),
        cmocka_unit_test(test_a_piece_is_read_as_it_was_written_and_is_no_longer_than_a_message),
        mapped_test(test_an_answer_in_the_slab_is_taken_and_its_worker_told),
        unmapped_test(test_an_answer_in_the_slab_is_taken_and_its_worker_told),
        mapped_test(test_a_place_that_cannot_be_costs_the_worker),
        mapped_test(test_a_frame_that_points_with_too_few_or_many_bytes_costs_the_worker),
        mapped_test(test_bytes_that_changed_after_their_frame_cost_the_worker),
        unmapped_test(test_bytes_that_changed_after_their_frame_cost_the_worker),
        unmapped_test(test_memory_that_was_taken_away_costs_the_worker),
        mapped_test(test_who_has_no_slab_cannot_point_into_one),
        mapped_test(test_no_other_frame_may_point_into_the_slab),
        mapped_test(test_a_slab_that_cannot_be_made_is_one_line_in_the_log),
        mapped_test(test_memory_goes_back_after_a_second_without_use_and_jobs),
        mapped_test(test_an_answers_piece_is_free_when_the_pool_has_it_and_not_before),
    };

    if (yard_begin() != 0)
        return 1;
    return yard_end(cmocka_run_group_tests(tests, NULL, NULL));
}
