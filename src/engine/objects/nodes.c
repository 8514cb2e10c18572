// The list of all live blocks, its index by address, and one pass over them that finds objects and their parts.

#include "engine/objects/nodes.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/objects/untraced.h"

enum {
    CHUNK_SHIFT = 20,
    PAGE_SHIFT = 12,
    CHUNK_PAGES = 1 << (CHUNK_SHIFT - PAGE_SHIFT),
    SMALLEST_TYPE = 408,
    HEAD = 64, // bytes of a block that classifying needs
    BETWEEN_CHECKS = 16384,
};
#define MOST_NODES ((size_t)UINT32_MAX - 1)
#define MOST_CHUNKS ((size_t)1 << 18)

/** The nodes of a MiB of addresses, by its pages: those of page i are from first[i] on, to first[i + 1]. */
struct tm_node_chunk {
    uint64_t number;
    uint32_t first[CHUNK_PAGES + 1];
};

// ---------------------------------------------------------------------------------------------------------------
// Listing

static struct tm_error *add_origin(struct tm_nodes *nodes, struct tm_origin *origin)
{
    if (!TM_GROW(&nodes->origins, nodes->origin_count + 1, &nodes->origin_capacity))
        return tm_error_no_memory();
    nodes->origins[nodes->origin_count++] =
        (struct tm_origin){.traceback = origin->traceback, .domain = origin->domain, .giver = origin->giver};
    origin->mark = (const void *)(uintptr_t)nodes->origin_count;
    return NULL;
}

static struct tm_error *add_node(void *context, const struct tm_trace *trace)
{
    struct tm_nodes *nodes = context;
    struct tm_error *error = trace->origin->mark ? NULL : add_origin(nodes, trace->origin);
    if (error)
        return error;
    if ((nodes->count > 0 && trace->address < nodes->items[nodes->count - 1].address) || nodes->count == MOST_NODES ||
        trace->size > UINT64_MAX - trace->address) {
        nodes->dropped++;
        return NULL;
    }
    if (!TM_GROW(&nodes->items, nodes->count + 1, &nodes->capacity))
        return tm_error_no_memory();
    nodes->items[nodes->count++] = (struct tm_heap_node){
        .address = trace->address,
        .size = trace->size,
        .origin = (uint32_t)(uintptr_t)trace->origin->mark - 1,
    };
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// The index

static struct tm_node_chunk *chunk_of(const struct tm_nodes *nodes, uint64_t number)
{
    return nodes->chunk_set.count ? tm_set_find_number(&nodes->chunk_set, number)->item : NULL;
}

// A new chunk, in which no node begins yet: the next one is `next`.
static struct tm_error *add_chunk(struct tm_nodes *nodes, uint64_t number, uint32_t next, struct tm_node_chunk **result)
{
    *result = chunk_of(nodes, number);
    if (*result || nodes->chunk_count >= MOST_CHUNKS)
        return NULL;
    struct tm_node_chunk *chunk = malloc(sizeof(*chunk));
    if (!chunk || !tm_set_reserve(&nodes->chunk_set) ||
        !TM_GROW(&nodes->chunks, nodes->chunk_count + 1, &nodes->chunk_capacity)) {
        free(chunk);
        return tm_error_no_memory();
    }
    *chunk = (struct tm_node_chunk){.number = number, .first[0] = next};
    tm_set_put_number(&nodes->chunk_set, tm_set_find_number(&nodes->chunk_set, number), number, chunk);
    nodes->chunks[nodes->chunk_count++] = chunk;
    *result = chunk;
    return NULL;
}

static struct tm_error *index_node(struct tm_nodes *nodes, uint32_t number)
{
    struct tm_node_chunk *chunk;
    uint64_t address = nodes->items[number].address, first = address >> CHUNK_SHIFT;
    uint64_t last = (address + nodes->items[number].size) >> CHUNK_SHIFT;

    struct tm_error *error = add_chunk(nodes, first, number, &chunk);
    if (error || !chunk)
        return error;
    chunk->first[(unsigned)(address >> PAGE_SHIFT) % CHUNK_PAGES + 1] = number + 1;
    // A large block covers chunks in which none begins.
    for (uint64_t i = first + 1; !error && i <= last && nodes->chunk_count < MOST_CHUNKS; i++)
        error = add_chunk(nodes, i, number + 1, &chunk);
    return error;
}

static struct tm_error *index_all(struct tm_nodes *nodes, const struct tm_host *host)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < nodes->count; i++) {
        error = index_node(nodes, (uint32_t)i);
        if (!error && i % BETWEEN_CHECKS == 0)
            error = tm_host_check(host);
    }
    // Pages in which none begins.
    for (size_t i = 0; i < nodes->chunk_count; i++)
        for (unsigned page = 1; page <= CHUNK_PAGES; page++)
            if (nodes->chunks[i]->first[page] < nodes->chunks[i]->first[page - 1])
                nodes->chunks[i]->first[page] = nodes->chunks[i]->first[page - 1];
    return error;
}

struct tm_heap_node *tm_nodes_find(const struct tm_nodes *nodes, uint64_t address)
{
    const struct tm_node_chunk *chunk = chunk_of(nodes, address >> CHUNK_SHIFT);
    if (!chunk)
        return NULL;
    unsigned page = (unsigned)(address >> PAGE_SHIFT) % CHUNK_PAGES;
    uint32_t low = chunk->first[page], high = chunk->first[page + 1];
    while (low < high) { // the first node that begins behind the address
        uint32_t middle = low + (high - low) / 2;
        if (nodes->items[middle].address > address)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == 0)
        return NULL;
    struct tm_heap_node *node = &nodes->items[low - 1];
    // A block of no bytes has an address all the same.
    return address - node->address < node->size || address == node->address ? node : NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// What they are

struct claim {
    struct tm_nodes *nodes;
    uint32_t owner; // its number
};

static struct tm_error *claim(void *context, uint64_t part, enum tm_part kind)
{
    const struct claim *claim = context;
    struct tm_heap_node *node = tm_nodes_find(claim->nodes, part);
    if (!node || node->kind == TM_NODE_OBJECT || node->owner || tm_node_number(claim->nodes, node) == claim->owner)
        return NULL;
    node->owner = claim->owner + 1;
    node->part = (uint8_t)kind;
    node->kind = TM_NODE_BLOCK;
    node->type = 0;
    node->head = 0;
    return NULL;
}

// Memory that was not cleared may still look like an object that it had before, so only that of the right allocators
// counts. Types of some extension modules are in memory for other things.
static bool may_have_object(const struct tm_origin *origin, uint64_t size)
{
    return origin->domain == 0 && origin->giver != TM_GIVER_RAW &&
           (origin->giver != TM_GIVER_MEM || size >= SMALLEST_TYPE);
}

static struct tm_error *look_at(struct tm_objects *objects, struct tm_nodes *nodes, uint32_t number)
{
    unsigned char bytes[HEAD];
    struct tm_heap_node *node = &nodes->items[number];
    size_t length = node->size < HEAD ? (size_t)node->size : HEAD;

    const struct tm_origin *origin = tm_node_origin(nodes, node);
    if (node->no_object || (origin && !may_have_object(origin, node->size)))
        return NULL;
    if (!tm_objects_read(objects, node->address, bytes, length)) {
        nodes->unreadable++;
        return tm_heap_cache_error(objects->heap);
    }
    struct tm_heap_node found = *node;
    struct tm_error *error = tm_node_classify(objects, &found, bytes, length);
    if (error || found.kind == TM_NODE_BLOCK)
        return error;
    if (found.kind == TM_NODE_DEAD && node->owner) // what looks like a dead object is a part
        return NULL;
    found.owner = 0;
    found.part = TM_PART_NONE;
    *node = found;
    if (found.kind != TM_NODE_OBJECT)
        return NULL;
    struct claim context = {nodes, number};
    return tm_parts_visit(objects, tm_node_object(node), tm_node_type(objects, node), claim, &context);
}

static struct tm_error *look_at_all(struct tm_objects *objects, struct tm_nodes *nodes)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < nodes->count; i++) {
        error = look_at(objects, nodes, (uint32_t)i);
        if (!error && i % BETWEEN_CHECKS == 0) {
            tm_host_progress(objects->host, "objects", i, nodes->count);
            error = tm_objects_check(objects);
        }
    }
    return error ? error : tm_objects_check(objects);
}

struct tm_error *tm_nodes_init(struct tm_nodes *nodes, struct tm_objects *objects, struct tm_untraced *untraced)
{
    memset(nodes, 0, sizeof(*nodes));
    struct tm_error *error =
        tm_source_traces(objects->source, objects->host, objects->pool, add_node, nodes, &nodes->traces);
    if (!error && untraced)
        error = tm_untraced_add(untraced, objects, nodes);
    if (!error)
        error = index_all(nodes, objects->host);
    objects->nodes = nodes;
    if (!error)
        error = look_at_all(objects, nodes);
    if (error) {
        objects->nodes = NULL;
        tm_nodes_deinit(nodes);
    }
    return error;
}

void tm_nodes_deinit(struct tm_nodes *nodes)
{
    for (size_t i = 0; i < nodes->chunk_count; i++)
        free(nodes->chunks[i]);
    free(nodes->chunks);
    tm_set_deinit(&nodes->chunk_set);
    free(nodes->items);
    free(nodes->origins);
    memset(nodes, 0, sizeof(*nodes));
}
