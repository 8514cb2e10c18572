/**
 * The graph of references: from roots (memory that is in no block, and registers) to blocks, and from block to block; and
 * marks on it. Nodes are those of objects/nodes.h, with the untraced blocks. An edge takes 4 bytes, a node 8 and two bits.
 *
 * A word that is an address inside a block reaches it; only one of the object's start counts as a reference. One before the
 * object's start is the collector's own and does neither.
 */
#ifndef TRACEMORTEM_ENGINE_GRAPH_GRAPH_H
#define TRACEMORTEM_ENGINE_GRAPH_GRAPH_H

#include "engine/objects/nodes.h"
#include "engine/objects/untraced.h"

/** Where a root is, those first that say most. */
enum tm_root_kind {
    TM_ROOT_FRAME,    // the variables of a Python frame
    TM_ROOT_DATA,     // the data of a program or library
    TM_ROOT_STACK,    // of a thread, what C functions have
    TM_ROOT_REGISTER, // its place is the thread's number
    TM_ROOT_MEMORY,   // what is in no block: of C libraries, or of an allocator
};

/** A word that is in no block and reaches one. Of several that reach the same the first kind is kept. */
struct tm_root_word {
    uint64_t place; // address; of a register the thread's number
    uint32_t node;
    uint8_t kind; // enum tm_root_kind
};

struct tm_graph {
    struct tm_objects *objects;
    struct tm_nodes *nodes;
    struct tm_untraced untraced;
    uint32_t *first; // edges of node i are to[first[i]] up to to[first[i + 1]]
    uint32_t *to;
    size_t edge_count;
    size_t edge_capacity;
    uint32_t *found;   // for each node how many references to its object were found
    uint32_t *root_of; // for each node the number plus 1 of the root that reaches it; 0: none
    struct tm_root_word *roots;
    size_t root_count;
    size_t root_capacity;
    struct tm_set free_chunks; // where free chunks of glibc begin: its lists have these addresses
    struct tm_range *stale;    // places that are no roots
    size_t stale_count;
    uint64_t lowest, highest;  // addresses of nodes: most words are outside
    uint64_t unreadable_roots; // bytes of memory that may have roots and could not be read
    uint64_t unreadable_nodes; // blocks with references that could not be read
    bool threads_unknown;      // whole stacks count as roots
    bool frames_unknown;       // what is behind the last Python frame counts as roots too
};

/** List the nodes and find all roots and edges. `nodes` is not initialized yet, and the caller frees it afterwards. */
struct tm_error *tm_graph_init(struct tm_graph *graph, struct tm_objects *objects, struct tm_nodes *nodes);
void tm_graph_deinit(struct tm_graph *graph);

/** The node that a word reaches; NULL: none. *counts: it is a reference to the object. */
struct tm_heap_node *tm_graph_target(const struct tm_graph *graph, uint64_t word, bool *counts);

/** A set of nodes, and the queue to fill it. */
struct tm_reach {
    uint64_t *bits;
    uint32_t *queue;
    size_t head, tail;
    uint32_t *parents; // the node from which each was reached, plus 1; 0: a root. NULL: not wanted
};
struct tm_error *tm_reach_init(struct tm_reach *reach, const struct tm_graph *graph, bool parents);
void tm_reach_deinit(struct tm_reach *reach);
static inline bool tm_reached(const struct tm_reach *reach, size_t node)
{
    return reach->bits[node / 64] >> node % 64 & 1;
}
/** Add a node, unless it is in. */
void tm_reach_add(struct tm_reach *reach, uint32_t node, uint32_t parent);
/** Add all nodes that a root reaches. */
void tm_reach_roots(struct tm_reach *reach, const struct tm_graph *graph);
/** Add all that the nodes reach which were added since the last call. Fails only if interrupted. */
struct tm_error *tm_reach_all(struct tm_reach *reach, const struct tm_graph *graph);

#endif
