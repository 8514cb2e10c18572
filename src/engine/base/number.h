/**
 * Numbers: sums that do not wrap, distances, comparing, and reading numbers from bytes. Knows nothing of what they count.
 */
#ifndef TRACEMORTEM_ENGINE_BASE_NUMBER_H
#define TRACEMORTEM_ENGINE_BASE_NUMBER_H

#include <stdint.h>
#include <string.h>

/** The sum, or 2^64 - 1 where it would exceed that: only a corrupt target gets there. */
static inline uint64_t tm_add_saturating(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/** How far apart two numbers are. */
static inline uint64_t tm_distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/** Negative, 0 or positive: ascending, as qsort() wants it. */
static inline int tm_compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/** The little-endian number in the first 4 bytes, at any alignment. */
static inline uint32_t tm_load_u32(const unsigned char *bytes)
{
    uint32_t number;
    memcpy(&number, bytes, sizeof(number)); // the engine runs on little-endian hosts only: table/root.c
    return number;
}

/** The same of 8 bytes. */
static inline uint64_t tm_load_u64(const unsigned char *bytes)
{
    uint64_t number;
    memcpy(&number, bytes, sizeof(number));
    return number;
}

/** The same of `width` bytes, 0 to 8. */
static inline uint64_t tm_load_number(const unsigned char *bytes, unsigned width)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < width; i++)
        number |= (uint64_t)bytes[i] << 8 * i;
    return number;
}

#endif
