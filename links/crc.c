/*
 * CRC-32C: by the processor's instruction where it has one, else by a table
 * of 256 entries that is made on first use.
 */
#include <stdatomic.h>
#include <string.h>

#include "links/frame.h"

#define POLYNOMIAL 0x82f63b78u /* Castagnoli, bits reversed */

static uint32_t table[256];
static _Atomic bool table_made;

static void make_table(void)
{
    static atomic_flag making = ATOMIC_FLAG_INIT;

    /* acquire: pairs with the release of the maker, below. */
    while (atomic_flag_test_and_set_explicit(&making, memory_order_acquire))
        continue;
    /* relaxed: under the flag. Whoever waited for the maker must not write what others read by now. */
    for (uint32_t i = 0; i < 256 && !atomic_load_explicit(&table_made, memory_order_relaxed); i++) {
        uint32_t crc = i;

        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        table[i] = crc;
    }
    /* release: pairs with the acquire in gv_crc32c_table. */
    atomic_store_explicit(&table_made, true, memory_order_release);
    atomic_flag_clear_explicit(&making, memory_order_release);
}

uint32_t gv_crc32c_table(uint32_t crc, const uint8_t *bytes, size_t n_bytes)
{
    /* acquire: pairs with the release in make_table, so that the entries are seen. */
    if (!atomic_load_explicit(&table_made, memory_order_acquire))
        make_table();
    crc = ~crc;
    for (size_t i = 0; i < n_bytes; i++)
        crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xff];
    return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *bytes,
                                                                 size_t n_bytes)
{
    uint64_t sum = ~crc;

    for (; n_bytes >= 8; bytes += 8, n_bytes -= 8) {
        uint64_t word;

        memcpy(&word, bytes, sizeof word);
        sum = __builtin_ia32_crc32di(sum, word);
    }
    for (; n_bytes > 0; bytes++, n_bytes--)
        sum = __builtin_ia32_crc32qi((uint32_t)sum, *bytes);
    return ~(uint32_t)sum;
}
#endif

uint32_t gv_crc32c(uint32_t crc, const uint8_t *bytes, size_t n_bytes)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return by_instruction(crc, bytes, n_bytes);
#endif
    return gv_crc32c_table(crc, bytes, n_bytes);
}
