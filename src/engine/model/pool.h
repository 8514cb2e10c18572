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
 * A traceback, linked from its newest frame to its oldest one. Tracebacks that begin alike share their oldest frames, so a
 * million of them take little more memory than their newest frames do.
 *
 * Two with the same frames and different totals are different, and so are two whose functions differ.
 */
struct tm_traceback {
    const struct tm_traceback
        *older; // the frames before the newest one, of which no more than the frames counts; or NULL
    const struct tm_frame *newest;
    uint32_t count;             // frames, at least 1
    uint32_t total_frames : 28; // of the whole stack, as tracemalloc's total_nframe: at most 65535; or TM_TOTAL_UNKNOWN
    uint32_t older_missing : 1; // older frames than these are recorded, but cannot be read
    uint32_t lacks_record : 1;  // some frame is `not_recorded`
    uint32_t only_older : 1;    // it is the older frames of others, and not a traceback itself
};

/** Whether the traceback lacks older frames, as far as is known. */
static inline bool tm_traceback_is_cut(const struct tm_traceback *traceback)
{
    return traceback->total_frames == TM_TOTAL_UNKNOWN || traceback->total_frames > traceback->count ||
           traceback->older_missing;
}

/** The frames, oldest first, as tracemalloc.Traceback has them. The caller frees the array. NULL: no memory. */
const struct tm_frame **tm_traceback_frames(const struct tm_traceback *traceback);
/** Its `count` oldest frames, which is at least 1 and at most what it has. */
const struct tm_traceback *tm_traceback_oldest(const struct tm_traceback *traceback, uint32_t count);
/** Whether both have the same files and lines, whatever their totals and functions are: as tracemalloc compares them. */
bool tm_tracebacks_equal(const struct tm_traceback *a, const struct tm_traceback *b);
/** tracemalloc's order: frames as tuples (file name, line), the oldest first. Negative, 0, positive. */
int tm_tracebacks_compare(const struct tm_traceback *a, const struct tm_traceback *b);
/** Of two equal ones: whether their functions are the same too. */
bool tm_tracebacks_same_functions(const struct tm_traceback *a, const struct tm_traceback *b);

struct tm_pool;
struct tm_error *tm_pool_create(struct tm_pool **result);
void tm_pool_destroy(struct tm_pool *pool);
struct tm_error *tm_pool_name(struct tm_pool *pool, const char *bytes, uint32_t length, const struct tm_name **result);

/** From an array, the oldest frame first. */
struct tm_error *tm_pool_traceback(struct tm_pool *pool, const struct tm_frame *frames, uint32_t count,
                                   uint32_t total_frames, const struct tm_traceback **result);

/** Frame by frame: each is interned once, then put below the older ones, which are NULL for the oldest. */
struct tm_error *tm_pool_frame(struct tm_pool *pool, const struct tm_frame *frame, const struct tm_frame **result);
struct tm_error *tm_pool_older(struct tm_pool *pool, const struct tm_traceback *older, const struct tm_frame *frame,
                               const struct tm_traceback **result);
/** The newest frame ends it. `older` comes from tm_pool_older() or is NULL; or it is the `older` of another traceback. */
struct tm_error *tm_pool_newest(struct tm_pool *pool, const struct tm_traceback *older, const struct tm_frame *frame,
                                uint32_t total_frames, bool older_missing, const struct tm_traceback **result);

/** Python's order of str: negative, 0, positive. NULL comes first. */
int tm_names_compare(const struct tm_name *a, const struct tm_name *b);
/** As tuples (file name, line). */
int tm_frames_compare(const struct tm_frame *a, const struct tm_frame *b);

#endif
