/*
 * The end of a core test that broke an invariant. The library's own report
 * needs the host, which core builds leave out.
 */
#include "runtime/assert.h"

#undef NDEBUG
#include <assert.h>

void gv_assert_failed(const char *condition, const char *file, int line)
{
    __assert_fail(condition, file, (unsigned)line, "gv_assert");
}
