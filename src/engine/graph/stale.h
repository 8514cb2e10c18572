/**
 * Stale words: memory of the interpreter and of malloc() that has addresses of what it no longer holds. The lists in which
 * CPython keeps dead dicts and lists for reuse are arrays of which only the first ones count; the heads of glibc's arenas
 * have the addresses of free chunks.
 */
#ifndef TRACEMORTEM_ENGINE_GRAPH_STALE_H
#define TRACEMORTEM_ENGINE_GRAPH_STALE_H

#include "engine/graph/graph.h"

/** Fills graph->stale. What is not certain is left out: then these words count. */
struct tm_error *tm_stale_find(struct tm_graph *graph);

/** Whether a root's place is in such memory. */
static inline bool tm_is_stale(const struct tm_graph *graph, uint64_t place)
{
    for (size_t i = 0; i < graph->stale_count; i++)
        if (place - graph->stale[i].start < graph->stale[i].end - graph->stale[i].start)
            return true;
    return false;
}

#endif
