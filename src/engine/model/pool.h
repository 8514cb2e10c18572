/**
 * The pool: the file names and tracebacks of one request, each content kept once.
 *
 * Sources intern all names and tracebacks here. Two equal ones, of one snapshot or of two that are compared, are the
 * same pointer, so grouping is hashing of pointers. Destroying the pool frees them all.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_POOL_H
#define TRACEMORTEM_ENGINE_MODEL_POOL_H

#include "engine/base/error.h"

/**
 * UTF-8, lone surrogates as three bytes; may contain any byte, NUL too. The byte order of names is Python's order of
 * str.
 */
struct tm_name {
    uint32_t length; // bytes
    char bytes[];    // a NUL follows, for convenience
};

/**
 * One frame as tracemalloc has it, and what tracemalloc does not have: the function. Line 0: not known. The function is
 * no part of what tracemalloc compares: tm_frames_compare() does not look at it.
 */
struct tm_frame {
    const struct tm_name *file_name;
    uint32_t line;
    uint32_t first_line : 31;       // where the function begins; 0: not known
    bool not_recorded : 1;          // "<unknown>" stands for a code object that is not in the table: it had no room
    const struct tm_name *function; // its qualified name; NULL: not known
};

/** It is not known how many frames the whole stack had: more than the traceback, which was cut. */
#define TM_TOTAL_UNKNOWN 0u

/**
 * Oldest frame first, as in tracemalloc.Traceback. Two with the same frames and different totals are different, and so
 * are two whose functions differ.
 */
struct tm_traceback {
    uint32_t total_frames; // of the whole stack, as tracemalloc's total_nframe: at most 65535; or TM_TOTAL_UNKNOWN
    uint32_t count;        // at least 1
    struct tm_frame frames[];
};

/** Whether the traceback lacks older frames, as far as is known. */
static inline bool tm_traceback_is_cut(const struct tm_traceback *traceback)
{
    return traceback->total_frames == TM_TOTAL_UNKNOWN || traceback->total_frames > traceback->count;
}

struct tm_pool;
struct tm_error *tm_pool_create(struct tm_pool **result);
void tm_pool_destroy(struct tm_pool *pool);
struct tm_error *tm_pool_name(struct tm_pool *pool, const char *bytes, uint32_t length, const struct tm_name **result);
struct tm_error *tm_pool_traceback(struct tm_pool *pool, const struct tm_frame *frames, uint32_t count,
                                   uint32_t total_frames, const struct tm_traceback **result);

/** Python's order of str: negative, 0, positive. NULL comes first. */
int tm_names_compare(const struct tm_name *a, const struct tm_name *b);
/** tracemalloc's order: frames as tuples (file name, line), the oldest first. Negative, 0, positive. */
int tm_frames_compare(const struct tm_frame *a, uint32_t a_count, const struct tm_frame *b, uint32_t b_count);

#endif
