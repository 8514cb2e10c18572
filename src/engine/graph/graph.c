// Edges in one pass over the nodes, since these are visited in order; marks by a queue.

#include "engine/graph/graph.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/graph/roots.h"
#include "engine/graph/stale.h"
#include "engine/objects/references.h"

enum { BETWEEN_CHECKS = 16384, CHUNK_HEAD = 24 };

struct tm_heap_node *tm_graph_target(const struct tm_graph *graph, uint64_t word, bool *counts)
{
    *counts = false;
    if (word < graph->lowest || word >= graph->highest)
        return NULL;
    struct tm_heap_node *node = tm_nodes_find(graph->nodes, word);
    if (!node || node->kind == TM_NODE_DEAD || word - node->address < node->head)
        return NULL;
    // A free chunk begins in the end of the block before it.
    if (node->kind == TM_NODE_BLOCK && graph->free_chunks.count > 0 &&
        word - node->address + CHUNK_HEAD >= node->size && tm_set_find_number(&graph->free_chunks, word)->item)
        return NULL;
    *counts = node->kind == TM_NODE_OBJECT && word - node->address == node->head;
    return node;
}

struct builder {
    struct tm_graph *graph;
    uint32_t from;
};

static struct tm_error *add_edge(void *context, uint64_t offset, uint64_t word)
{
    struct builder *builder = context;
    struct tm_graph *graph = builder->graph;
    bool counts;
    const struct tm_heap_node *from = &graph->nodes->items[builder->from];
    const struct tm_heap_node *node = tm_graph_target(graph, word, &counts);
    // (Up to 3.11 an interpreter's state is in a block of C.)
    if (!node || (from->kind == TM_NODE_BLOCK && tm_is_stale(graph, from->address + offset)))
        return NULL;
    uint32_t number = (uint32_t)tm_node_number(graph->nodes, node);
    graph->found[number] += counts;
    if (number == builder->from)
        return NULL;
    if (graph->edge_count >= UINT32_MAX || !TM_GROW(&graph->to, graph->edge_count + 1, &graph->edge_capacity))
        return tm_error_no_memory();
    graph->to[graph->edge_count++] = number;
    return NULL;
}

static struct tm_error *add_edges(struct tm_graph *graph)
{
    struct tm_objects *objects = graph->objects;
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < graph->nodes->count; i++) {
        struct builder builder = {graph, (uint32_t)i};
        bool unreadable = false;
        graph->first[i] = (uint32_t)graph->edge_count;
        error = tm_references_visit(objects, graph->nodes, &graph->nodes->items[i], add_edge, &builder, &unreadable);
        graph->unreadable_nodes += unreadable;
        if (!error && i % BETWEEN_CHECKS == 0) {
            tm_host_progress(objects->host, "references", i, graph->nodes->count);
            error = tm_objects_check(objects);
        }
    }
    graph->first[graph->nodes->count] = (uint32_t)graph->edge_count;
    return error ? error : tm_objects_check(objects);
}

// Parts are held by their owners even where no word says so.
static struct tm_error *allocate(struct tm_graph *graph)
{
    size_t count = graph->nodes->count;
    graph->first = calloc(count + 1, sizeof(*graph->first));
    graph->found = calloc(count + 1, sizeof(*graph->found));
    graph->root_of = calloc(count + 1, sizeof(*graph->root_of));
    if (!graph->first || !graph->found || !graph->root_of)
        return tm_error_no_memory();
    if (count > 0) {
        const struct tm_heap_node *last = &graph->nodes->items[count - 1];
        graph->lowest = graph->nodes->items[0].address;
        graph->highest = last->address + last->size;
        for (size_t i = 0; i < count; i++) // a block may reach beyond the last one only where the target lies
            if (graph->nodes->items[i].address + graph->nodes->items[i].size > graph->highest)
                graph->highest = graph->nodes->items[i].address + graph->nodes->items[i].size;
    }
    return NULL;
}

struct tm_error *tm_graph_init(struct tm_graph *graph, struct tm_objects *objects, struct tm_nodes *nodes)
{
    memset(graph, 0, sizeof(*graph));
    graph->objects = objects;
    graph->nodes = nodes;
    struct tm_error *error = tm_nodes_init(nodes, objects, &graph->untraced);
    if (!error)
        error = allocate(graph);
    if (!error)
        error = tm_roots_find_free(graph);
    if (!error)
        error = tm_stale_find(graph);
    if (!error)
        error = add_edges(graph);
    if (!error)
        error = tm_roots_find(graph);
    if (error)
        tm_graph_deinit(graph);
    return error;
}

void tm_graph_deinit(struct tm_graph *graph)
{
    tm_untraced_deinit(&graph->untraced);
    free(graph->first);
    free(graph->to);
    free(graph->found);
    free(graph->root_of);
    free(graph->roots);
    free(graph->stale);
    tm_set_deinit(&graph->free_chunks);
    memset(graph, 0, sizeof(*graph));
}

// ---------------------------------------------------------------------------------------------------------------
// Marks

struct tm_error *tm_reach_init(struct tm_reach *reach, const struct tm_graph *graph, bool parents)
{
    size_t count = graph->nodes->count;
    memset(reach, 0, sizeof(*reach));
    reach->bits = calloc(count / 64 + 1, sizeof(*reach->bits));
    reach->queue = malloc((count + 1) * sizeof(*reach->queue));
    reach->parents = parents ? calloc(count + 1, sizeof(*reach->parents)) : NULL;
    if (reach->bits && reach->queue && (reach->parents || !parents))
        return NULL;
    tm_reach_deinit(reach);
    return tm_error_no_memory();
}

void tm_reach_deinit(struct tm_reach *reach)
{
    free(reach->bits);
    free(reach->queue);
    free(reach->parents);
    memset(reach, 0, sizeof(*reach));
}

void tm_reach_add(struct tm_reach *reach, uint32_t node, uint32_t parent)
{
    if (tm_reached(reach, node))
        return;
    reach->bits[node / 64] |= UINT64_C(1) << node % 64;
    if (reach->parents)
        reach->parents[node] = parent;
    reach->queue[reach->tail++] = node;
}

void tm_reach_roots(struct tm_reach *reach, const struct tm_graph *graph)
{
    for (size_t i = 0; i < graph->root_count; i++)
        tm_reach_add(reach, graph->roots[i].node, 0);
}

struct tm_error *tm_reach_all(struct tm_reach *reach, const struct tm_graph *graph)
{
    size_t done = 0;
    while (reach->head < reach->tail) {
        uint32_t node = reach->queue[reach->head++];
        for (uint32_t i = graph->first[node]; i < graph->first[node + 1]; i++)
            tm_reach_add(reach, graph->to[i], node + 1);
        if (++done % BETWEEN_CHECKS == 0) {
            struct tm_error *error = tm_host_check(graph->objects->host);
            if (error)
                return error;
        }
    }
    return NULL;
}
