/**
 * Small cores: some ranges of a target's memory, written as an ELF core that every reader of cores reads as it was.
 *
 * The memory is read twice: first to see where it is zeros, then to write it. Both must be the same, or the process ran and
 * changed it, and what was written is of no one moment. Stretches of zeros share one place in the file. Knows no table.
 */
#ifndef TRACEMORTEM_ENGINE_TARGET_SMALL_CORE_H
#define TRACEMORTEM_ENGINE_TARGET_SMALL_CORE_H

#include "engine/base/host.h"
#include "engine/target/target.h"

struct tm_core_range {
    uint64_t start, end; // multiples of TM_CORE_PAGE
};
#define TM_CORE_PAGE ((uint64_t)4096)

struct tm_core_run;

struct tm_small_core {
    struct tm_target *target;
    const struct tm_host *host;
    struct tm_core_run *runs; // ascending
    size_t count, capacity;
    uint64_t *hashes; // of what was read first, a piece of data at a time
    size_t hash_count, hash_capacity;
    uint64_t bytes;   // of the ranges
    uint64_t missing; // of these, what cannot be read
};

/** Reads the ranges, which are ascending and do not overlap. The caller calls tm_small_core_deinit(), even if this fails. */
struct tm_error *tm_small_core_init(struct tm_small_core *core, struct tm_target *target, const struct tm_host *host,
                                    const struct tm_core_range *ranges, size_t count);
void tm_small_core_deinit(struct tm_small_core *core);

/**
 * Writes the file, with the process's id and one note of ours. *size: its bytes. Fails with TM_ERROR_CORRUPT if the memory
 * has changed since it was first read.
 */
struct tm_error *tm_small_core_write(struct tm_small_core *core, uint32_t process, uint32_t note_type, const void *note,
                                     size_t note_length, tm_output_callback output, void *context, uint64_t *size);

#endif
