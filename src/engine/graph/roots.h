/**
 * Roots: all memory of the target that is in no block and may hold references, word by word, and the threads' registers.
 * What is known to be stale is left out: the parts of stacks and of Python's frames that are not in use, free memory of
 * pymalloc. Knows no edge.
 */
#ifndef TRACEMORTEM_ENGINE_GRAPH_ROOTS_H
#define TRACEMORTEM_ENGINE_GRAPH_ROOTS_H

#include "engine/graph/graph.h"

/** Finds the memory that allocators of C have free; before the edges, which would lead there. */
struct tm_error *tm_roots_find_free(struct tm_graph *graph);
/** Fills the roots of the graph, whose nodes are indexed. */
struct tm_error *tm_roots_find(struct tm_graph *graph);

/** What kind of memory it is: "memory of C". */
const char *tm_root_kind_name(enum tm_root_kind kind);
/** Where a root is, for a reader: "module data of libfoo.so+0x1234", "thread 4711: File …, line …, in f, local x". */
struct tm_error *tm_root_describe(struct tm_graph *graph, const struct tm_root_word *root, struct tm_text *text);

#endif
