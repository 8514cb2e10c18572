/**
 * Tree: stacks with the same oldest frames share nodes, as a flame graph draws them. Small nodes are left out where there
 * are more than a picture has room for; each node says what was left out below it. Knows no format of an export.
 */
#ifndef TRACEMORTEM_ENGINE_EXPORT_TREE_H
#define TRACEMORTEM_ENGINE_EXPORT_TREE_H

#include "engine/export/stacks.h"

struct tm_tree_node {
    uint32_t depth; // 0: the oldest frame
    uint32_t frame;
    struct tm_amount amount; // of the node and all below it
    struct tm_amount cut;    // of the stacks that go on below it, in nodes that are left out
    uint64_t cut_stacks;     // how many these are
};

struct tm_tree {
    struct tm_tree_node *nodes; // a node comes before those below it
    size_t count;
    size_t capacity;
    struct tm_amount cut; // of stacks of which nothing is in the tree
    uint64_t cut_stacks;
    uint64_t stacks;       // without regard to their domains
    uint64_t whole_stacks; // of which all frames are in the tree
};

/** Nodes at this depth and below are left out. */
#define TM_TREE_DEPTH 400u

/**
 * The heaviest nodes: about `limit` of them at most, as nodes above a node that is kept are kept too. The weight of a node
 * is that of its amount; of equal ones the first are kept.
 */
struct tm_error *tm_tree_init(struct tm_tree *tree, const struct tm_host *host, const struct tm_stacks *stacks,
                              size_t limit);
void tm_tree_deinit(struct tm_tree *tree);

#endif
