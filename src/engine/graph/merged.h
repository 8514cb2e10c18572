/**
 * Merged paths: how many objects are held along each path, where paths that differ only in an index or a key of a container
 * are one: "module shop.sessions[*].basket". Knows no command.
 */
#ifndef TRACEMORTEM_ENGINE_GRAPH_MERGED_H
#define TRACEMORTEM_ENGINE_GRAPH_MERGED_H

#include "engine/graph/holders.h"

/** What leads from the path before to this one. */
struct tm_merged_path {
    uint32_t before;             // its number plus 1; 0: the label says where the path begins
    uint32_t depth;              // labels before this one
    const struct tm_name *label; // ".sessions", "[*]"
    uint64_t size, count;        // of the objects that end here, with their parts
    uint32_t example;            // the first of them
};

struct tm_merged {
    struct tm_merged_path *paths;
    size_t count;
    size_t capacity;
    uint32_t *order; // numbers of the paths that objects end at, the greatest first
    size_t order_count;
    uint64_t size, objects;               // of all that was asked about
    uint64_t unheld_size, unheld_objects; // what nothing holds of it
};

/**
 * The paths of a set of nodes; parts count with their owners. Of a path at most `depth` labels are told apart. The
 * holders are those of the whole graph.
 */
struct tm_error *tm_merged_init(struct tm_merged *merged, const struct tm_holders *holders, const uint64_t *wanted,
                                uint32_t depth);
void tm_merged_deinit(struct tm_merged *merged);

void tm_merged_write(const struct tm_merged *merged, uint32_t path, struct tm_text *text);

#endif
