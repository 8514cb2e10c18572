/**
 * Untraced blocks: those that pymalloc or glibc has in use and that no table knows. They were allocated before tracing
 * began, or when there was no memory for a record, or by C without CPython's allocators. They hold references as all others
 * do. Large chunks that glibc has mapped for themselves are not among them.
 */
#ifndef TRACEMORTEM_ENGINE_OBJECTS_UNTRACED_H
#define TRACEMORTEM_ENGINE_OBJECTS_UNTRACED_H

#include "engine/heap/glibc.h"
#include "engine/objects/nodes.h"

/** What was found, and where the pools are: ascending. */
struct tm_untraced {
    struct tm_range *pools; // those that make sense; nobody owns free memory in them
    size_t pool_count;
    size_t pool_capacity;
    struct tm_glibc glibc;
    uint64_t count, size; // of untraced blocks
    uint64_t unsound;     // pools whose chains make no sense: their blocks are not known
};

/** Add the untraced blocks to the nodes, which are listed and not indexed yet; their origin is TM_UNTRACED. */
struct tm_error *tm_untraced_add(struct tm_untraced *untraced, struct tm_objects *objects, struct tm_nodes *nodes);
void tm_untraced_deinit(struct tm_untraced *untraced);

#endif
