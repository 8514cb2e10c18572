/**
 * Nodes: all live blocks of a target, each with what it is: an object of a type, a part of an object (the items of a list,
 * the keys of a dict), a dead object in one of CPython's free lists, or a block of which nothing is known.
 *
 * Nodes are numbered in the order of their addresses. 32 bytes each, and an index of 1 KiB for each MiB of addresses. Knows
 * no reference.
 */
#ifndef TRACEMORTEM_ENGINE_OBJECTS_NODES_H
#define TRACEMORTEM_ENGINE_OBJECTS_NODES_H

#include "engine/objects/types.h"

enum tm_node_kind {
    TM_NODE_BLOCK, // no object; or a part of one, if it has an owner
    TM_NODE_OBJECT,
    TM_NODE_DEAD, // an object that CPython keeps for reuse
};

/** What a part is to its owner. */
enum tm_part {
    TM_PART_NONE,
    TM_PART_ITEMS,  // of a list
    TM_PART_KEYS,   // of a dict, or of the instances of a type
    TM_PART_VALUES, // of a dict, or of an instance
    TM_PART_TABLE,  // of a set
    TM_PART_LINKS,  // a block of a deque
    TM_PART_BUFFER, // bytes
};

struct tm_heap_node {
    uint64_t address;
    uint64_t size;
    uint32_t origin; // in tm_nodes.origins
    uint32_t type;   // the type's number plus 1; 0: none
    uint32_t owner;  // the number of the node whose part this is, plus 1; 0: none
    uint8_t kind;    // enum tm_node_kind
    uint8_t part;    // enum tm_part
    uint8_t head;    // where in the block the object begins
    bool no_object;  // it cannot have one: nobody looked
};

struct tm_node_chunk;

struct tm_nodes {
    struct tm_heap_node *items;
    size_t count;
    size_t capacity;
    struct tm_origin *origins; // copies: their tracebacks belong to the pool
    size_t origin_count;
    size_t origin_capacity;
    uint64_t dropped;    // blocks that were out of order, or too many
    uint64_t unreadable; // blocks whose beginning cannot be read
    struct tm_traces traces;
    struct tm_set chunk_set; // by the number of the MiB
    struct tm_node_chunk **chunks;
    size_t chunk_count;
    size_t chunk_capacity;
};

/** The origin of a node that no table knows. */
#define TM_UNTRACED UINT32_MAX

struct tm_untraced;
/**
 * List all live blocks and find out what they are. objects->nodes is set. `untraced`: also those that are in use and that
 * no table knows, and what they are is stored there; NULL: only traced ones.
 */
struct tm_error *tm_nodes_init(struct tm_nodes *nodes, struct tm_objects *objects, struct tm_untraced *untraced);
void tm_nodes_deinit(struct tm_nodes *nodes);

/** The node that contains the address, or NULL. */
struct tm_heap_node *tm_nodes_find(const struct tm_nodes *nodes, uint64_t address);

static inline size_t tm_node_number(const struct tm_nodes *nodes, const struct tm_heap_node *node)
{
    return (size_t)(node - nodes->items);
}
/** The node whose part this is, or the node itself. */
static inline const struct tm_heap_node *tm_node_owner(const struct tm_nodes *nodes, const struct tm_heap_node *node)
{
    return node->owner ? &nodes->items[node->owner - 1] : node;
}
/** Where the node's block was allocated; NULL: not traced. */
static inline const struct tm_origin *tm_node_origin(const struct tm_nodes *nodes, const struct tm_heap_node *node)
{
    return node->origin == TM_UNTRACED ? NULL : &nodes->origins[node->origin];
}
/** The node's type, or NULL. */
static inline const struct tm_type *tm_node_type(const struct tm_objects *objects, const struct tm_heap_node *node)
{
    return node->type ? objects->list[node->type - 1] : NULL;
}
/** The address of the object in it. */
static inline uint64_t tm_node_object(const struct tm_heap_node *node)
{
    return node->address + node->head;
}

/**
 * What the memory of a block is. `bytes` is its beginning, `length` of them: at least its first 64 bytes, or all. Sets
 * kind, type and head.
 */
struct tm_error *tm_node_classify(struct tm_objects *objects, struct tm_heap_node *node, const unsigned char *bytes,
                                  size_t length);

/** Called for each address of memory that belongs to the object at `address`. */
typedef struct tm_error *(*tm_part_visitor)(void *context, uint64_t part, enum tm_part kind);
struct tm_error *tm_parts_visit(struct tm_objects *objects, uint64_t address, const struct tm_type *type,
                                tm_part_visitor visit, void *context);

#endif
