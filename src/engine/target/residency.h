/**
 * Residency: which of a target's memory is there. Of a process the system says it page by page. A core does not know it: in
 * its place counts which pages are not all zero. Knows nothing of what is in the memory.
 */
#ifndef TRACEMORTEM_ENGINE_TARGET_RESIDENCY_H
#define TRACEMORTEM_ENGINE_TARGET_RESIDENCY_H

#include "engine/target/target.h"

enum tm_residency_kind {
    TM_RESIDENCY_PAGES,   // as the system says
    TM_RESIDENCY_NONZERO, // pages that are not all zero
};

/** Memory [start, end) of whole pages that is there. */
struct tm_run {
    uint64_t start;
    uint64_t end;
    bool shared; // with other processes, since a fork; no part of a file. Only the system knows it
};

struct tm_residency {
    enum tm_residency_kind kind;
    struct tm_run *runs; // ascending; no two overlap
    size_t count;
    size_t capacity;
    uint64_t size;    // of all runs
    uint64_t rss;     // as the system counts it for the whole process; 0: not known
    uint64_t swapped; // bytes that are swapped out; only the system knows it
};

/** `regions` are ascending. Those that are absent are not looked at. Call tm_residency_deinit() in any case. */
struct tm_error *tm_residency_init(struct tm_residency *residency, struct tm_target *target, const struct tm_host *host,
                                   const struct tm_region *regions, size_t count);
void tm_residency_deinit(struct tm_residency *residency);

/** How much of a range is there, and how much of that is shared. */
struct tm_resident {
    uint64_t size;
    uint64_t shared;
};
/** *cursor is 0 at first. It makes ranges cheap whose addresses ascend, and may be wrong. */
struct tm_resident tm_residency_of(const struct tm_residency *residency, size_t *cursor, uint64_t start, uint64_t end);

#endif
