/**
 * Ranges of addresses.
 */
#ifndef TRACEMORTEM_ENGINE_TARGET_RANGE_H
#define TRACEMORTEM_ENGINE_TARGET_RANGE_H

#include "engine/base/number.h"

/** Where addresses of programs end. What is above belongs to the kernel. */
#define TM_USER_END (UINT64_C(1) << 63)

/** The addresses [start, end). */
struct tm_range {
    uint64_t start;
    uint64_t end;
};

/** For qsort(): by where they start. */
static inline int tm_ranges_compare(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_range *)a)->start, ((const struct tm_range *)b)->start);
}

#endif
