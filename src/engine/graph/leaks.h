/**
 * Leaks: live blocks that nothing holds, told apart by what reference counts say; and objects that are held but counted
 * more often than references to them are found. Knows no command.
 */
#ifndef TRACEMORTEM_ENGINE_GRAPH_LEAKS_H
#define TRACEMORTEM_ENGINE_GRAPH_LEAKS_H

#include "engine/graph/graph.h"

enum tm_leak_kind {
    TM_LEAK_NONE,
    TM_LEAK_LOST,    // an object that nothing reaches, and whose count is greater than the references that are found
    TM_LEAK_RAW,     // a block that is no object, and to which no pointer is left
    TM_LEAK_GARBAGE, // nothing but unreachable objects holds it: a collection will free it
    TM_LEAK_EXTRA,   // held, but counted more often than found
    TM_LEAK_HELD,    // only lost objects or raw blocks hold it
};

struct tm_leaks {
    unsigned char *kinds;                                               // enum tm_leak_kind, for each node
    uint64_t held_size[TM_LEAK_HELD + 1], held_count[TM_LEAK_HELD + 1]; // of what lost objects and raw blocks hold
};

struct tm_error *tm_leaks_find(struct tm_leaks *leaks, struct tm_graph *graph);
void tm_leaks_deinit(struct tm_leaks *leaks);

/** By how many an object's count is greater than what is found; 0 for all that have no meaningful count. */
uint64_t tm_leak_excess(struct tm_graph *graph, const struct tm_heap_node *node);

#endif
