/**
 * Holders: shortest paths from a root to a node, where modules and the variables of Python functions count as nearer than
 * what C has; and what only some nodes hold. Knows no command.
 */
#ifndef TRACEMORTEM_ENGINE_GRAPH_HOLDERS_H
#define TRACEMORTEM_ENGINE_GRAPH_HOLDERS_H

#include "engine/graph/graph.h"

#define TM_NO_NODE UINT32_MAX

struct tm_holders {
    struct tm_graph *graph;
    struct tm_reach reach; // with parents
};

/** As if `without`, and what only it holds, were not there; TM_NO_NODE: all is there. */
struct tm_error *tm_holders_init(struct tm_holders *holders, struct tm_graph *graph, uint32_t without);
void tm_holders_deinit(struct tm_holders *holders);

/**
 * The path to a node, from the root on: at most `capacity` nodes of it. *count 0: nothing holds it. It begins with a module
 * if it leads through one.
 */
void tm_holders_path(const struct tm_holders *holders, uint32_t node, uint32_t *path, size_t capacity, size_t *count);

/** A way to a node: what refers to it directly, and how far that is from where it begins. */
struct tm_way {
    uint32_t referrer; // TM_NO_NODE: the node is itself where it begins
    uint32_t tier;     // 0: it begins with a module, else enum tm_root_kind + 1
    uint32_t length;   // nodes before the node
};
/**
 * All ways to the node without which the holders were made, by the node's direct referrers, the nearest first. The caller
 * frees the array.
 */
struct tm_error *tm_holders_ways(const struct tm_holders *holders, uint32_t node, struct tm_way **ways, size_t *count);

/** Where a path begins that has this first node: "module shop", "data of libfoo.so+0x1234". */
struct tm_error *tm_holders_describe(const struct tm_holders *holders, uint32_t first, struct tm_text *text);
/** Whether the node is a module: paths begin there. */
bool tm_holders_is_module(const struct tm_graph *graph, uint32_t node);

/** A set of nodes, as bits. The caller frees it. */
uint64_t *tm_node_set_create(const struct tm_graph *graph);
static inline void tm_node_set_add(uint64_t *set, uint32_t node)
{
    set[node / 64] |= UINT64_C(1) << node % 64;
}
static inline bool tm_node_set_has(const uint64_t *set, uint32_t node)
{
    return set[node / 64] >> node % 64 & 1;
}

/** Size and count of what would go if all nodes of a set went: themselves, and what nothing else holds. */
struct tm_error *tm_graph_retained(const struct tm_graph *graph, const uint64_t *set, uint64_t *size, uint64_t *count);

#endif
