// Breadth first from the roots, in two tiers.

#include "engine/graph/holders.h"

#include <string.h>

#include "engine/base/number.h"

static void count_reachable(struct tm_holders *holders)
{
    for (size_t i = 0; i < holders->reach.tail; i++) {
        holders->reachable_count++;
        holders->reachable_size =
            tm_add_saturating(holders->reachable_size, holders->graph->nodes->items[holders->reach.queue[i]].size);
    }
}

static bool is_module(const struct tm_graph *graph, uint32_t node)
{
    const struct tm_type *type = tm_node_type(graph->objects, &graph->nodes->items[node]);
    return type && type->shape == TM_SHAPE_MODULE && graph->nodes->items[node].kind == TM_NODE_OBJECT;
}

static struct tm_error *reach_in_tiers(struct tm_holders *holders, const struct tm_reach *held)
{
    const struct tm_graph *graph = holders->graph;
    // Modules that something holds, then the variables of functions: what a reader knows.
    for (size_t i = 0; i < held->tail; i++)
        if (is_module(graph, held->queue[i]))
            tm_reach_add(&holders->reach, held->queue[i], 0);
    struct tm_error *error = tm_reach_all(&holders->reach, graph);
    for (unsigned kind = TM_ROOT_FRAME; !error && kind <= TM_ROOT_MEMORY; kind++) {
        for (size_t i = 0; i < graph->root_count; i++)
            if (graph->roots[i].kind == kind)
                tm_reach_add(&holders->reach, graph->roots[i].node, 0);
        error = tm_reach_all(&holders->reach, graph);
    }
    return error;
}

struct tm_error *tm_holders_init(struct tm_holders *holders, struct tm_graph *graph)
{
    struct tm_reach held;
    memset(holders, 0, sizeof(*holders));
    holders->graph = graph;
    struct tm_error *error = tm_reach_init(&held, graph, false);
    if (error)
        return error;
    tm_reach_roots(&held, graph);
    error = tm_reach_all(&held, graph);
    if (!error)
        error = tm_reach_init(&holders->reach, graph, true);
    if (!error)
        error = reach_in_tiers(holders, &held);
    tm_reach_deinit(&held);
    if (error)
        tm_holders_deinit(holders);
    else
        count_reachable(holders);
    return error;
}

void tm_holders_deinit(struct tm_holders *holders)
{
    tm_reach_deinit(&holders->reach);
    memset(holders, 0, sizeof(*holders));
}

void tm_holders_path(const struct tm_holders *holders, uint32_t node, uint32_t *path, size_t capacity, size_t *count)
{
    *count = 0;
    if (!tm_reached(&holders->reach, node))
        return;
    while (*count < capacity) {
        path[(*count)++] = node;
        uint32_t parent = holders->reach.parents[node];
        if (parent == 0 || (*count > 1 && is_module(holders->graph, node)))
            break;
        node = parent - 1;
    }
    for (size_t i = 0; i < *count / 2; i++) {
        uint32_t other = path[i];
        path[i] = path[*count - 1 - i];
        path[*count - 1 - i] = other;
    }
}

struct tm_error *tm_holders_retained(const struct tm_holders *holders, uint32_t node, uint64_t *size, uint64_t *count)
{
    struct tm_graph *graph = holders->graph;
    struct tm_reach without;
    *size = *count = 0;
    if (!tm_reached(&holders->reach, node))
        return NULL;
    struct tm_error *error = tm_reach_init(&without, graph, false);
    if (error)
        return error;
    // As if it had been there already: nothing is reached through it.
    without.bits[node / 64] |= UINT64_C(1) << node % 64;
    tm_reach_roots(&without, graph);
    error = tm_reach_all(&without, graph);
    uint64_t left_size = 0;
    for (size_t i = 0; i < without.tail; i++)
        left_size = tm_add_saturating(left_size, graph->nodes->items[without.queue[i]].size);
    *size = holders->reachable_size - left_size;
    *count = holders->reachable_count - without.tail;
    tm_reach_deinit(&without);
    return error;
}
