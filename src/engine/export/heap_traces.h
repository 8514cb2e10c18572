/**
 * Heap traces: the tracebacks of all nodes as a tree, in which each traceback is a node; and the places of their newest
 * frames, by number. Knows no format.
 */
#ifndef TRACEMORTEM_ENGINE_EXPORT_HEAP_TRACES_H
#define TRACEMORTEM_ENGINE_EXPORT_HEAP_TRACES_H

#include "engine/export/stacks.h"
#include "engine/objects/nodes.h"

/** A traceback of an origin. */
struct tm_heap_trace {
    const uint32_t *frames; // numbers, oldest first
    uint32_t depth;
    uint32_t origin;
    uint64_t size, count; // of its live blocks
};

struct tm_heap_traces {
    struct tm_frames frames;
    struct tm_arena arena;
    struct tm_heap_trace
        *items; // in the order of their frames' numbers: those with the same oldest frames are together
    size_t count;
    uint32_t *ids;                        // by origin: that of the tree's node where its traceback ends
    uint32_t *places;                     // by origin: the number of the newest frame's file and line
    const struct tm_frame **place_frames; // by place
    size_t place_count;
};

struct tm_error *tm_heap_traces_init(struct tm_heap_traces *traces, const struct tm_nodes *nodes,
                                     const struct tm_host *host);
void tm_heap_traces_deinit(struct tm_heap_traces *traces);

/** The id of the root of the tree; the nodes below have the next ones, each before its children. */
enum { TM_HEAP_TRACES_ROOT = 1 };

/** How many frames two tracebacks have in common, from the oldest on. */
uint32_t tm_heap_traces_common(const struct tm_heap_trace *a, const struct tm_heap_trace *b);

#endif
