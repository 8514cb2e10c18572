/**
 * Heap snapshots: the whole graph of objects in the form of V8's .heapsnapshot files, which the memory panel of Chromium,
 * memlab and other programs read. Written in pieces, in one pass over the nodes and one over their references. Knows no
 * command.
 */
#ifndef TRACEMORTEM_ENGINE_EXPORT_HEAPSNAPSHOT_H
#define TRACEMORTEM_ENGINE_EXPORT_HEAPSNAPSHOT_H

#include "engine/export/sink.h"
#include "engine/graph/graph.h"

/** What was written. */
struct tm_heapsnapshot_counts {
    uint64_t nodes, edges; // of the file, with those that are no blocks
};

struct tm_error *tm_export_heapsnapshot(struct tm_graph *graph, struct tm_sink *sink,
                                        struct tm_heapsnapshot_counts *counts);

#endif
