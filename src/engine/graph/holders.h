/**
 * Holders: a shortest path from a root to a node, where modules and the variables of Python functions count as nearer than
 * what C has; what refers to a node directly; and what only a node holds. Knows no command.
 */
#ifndef TRACEMORTEM_ENGINE_GRAPH_HOLDERS_H
#define TRACEMORTEM_ENGINE_GRAPH_HOLDERS_H

#include "engine/graph/graph.h"

struct tm_holders {
    struct tm_graph *graph;
    struct tm_reach reach; // with parents
    uint64_t reachable_size, reachable_count;
};

struct tm_error *tm_holders_init(struct tm_holders *holders, struct tm_graph *graph);
void tm_holders_deinit(struct tm_holders *holders);

/**
 * The path to a node, from the root on: at most `capacity` nodes of it. *count 0: nothing holds it. It begins with a module
 * if it leads through one.
 */
void tm_holders_path(const struct tm_holders *holders, uint32_t node, uint32_t *path, size_t capacity, size_t *count);

/** Size and count of what would go if the node went, itself and its parts included. */
struct tm_error *tm_holders_retained(const struct tm_holders *holders, uint32_t node, uint64_t *size, uint64_t *count);

#endif
