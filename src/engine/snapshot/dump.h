/**
 * Writing traces as tracemalloc's Snapshot.dump() does: Snapshot.load() of any CPython from 3.8 on reads the result.
 * Knows tracemalloc's classes, and nothing of where traces come from.
 */
#ifndef TRACEMORTEM_ENGINE_SNAPSHOT_DUMP_H
#define TRACEMORTEM_ENGINE_SNAPSHOT_DUMP_H

#include "engine/base/arena.h"
#include "engine/base/set.h"
#include "engine/model/pool.h"
#include "engine/snapshot/pickle.h"

/** What a trace's tuple contains. */
enum tm_dump_form {
    TM_DUMP_3_8, // domain, size, frames
    TM_DUMP_3_9, // and how many frames the whole stack had
};

struct tm_dump {
    struct tm_pickler pickler;
    enum tm_dump_form form;
    struct tm_arena arena;
    struct tm_set names;      // what was written of each kind, with its index in the memo
    struct tm_set frames;     //
    struct tm_set tracebacks; //
    unsigned batched;         // traces since the last mark
    uint64_t sample_period;   // 0: all blocks are there
    uint64_t *sizes;          // of the samples
    size_t size_count;
    size_t size_capacity;
};

/**
 * `sample_period`: traces are samples, or 0. Then each is written with the bytes that it stands for, so that sums are
 * right; tracemalloc still counts one block for it. The snapshot gets two attributes, which tracemalloc ignores:
 * `sample_period`, and the list `sample_sizes`, of what the samples' own sizes are.
 */
void tm_dump_start(struct tm_dump *dump, enum tm_dump_form form, uint64_t sample_period, tm_output_callback output,
                   void *context);
/** The pool's tracebacks must live as long as the dump. */
struct tm_error *tm_dump_trace(struct tm_dump *dump, uint32_t domain, uint64_t size,
                               const struct tm_traceback *traceback);
/**
 * Write the end, unless there is an `error`; that one, or else the first of its own, is returned. *written is how
 * many bytes were written.
 */
struct tm_error *tm_dump_finish(struct tm_dump *dump, struct tm_error *error, uint32_t frame_limit, uint64_t *written);

#endif
