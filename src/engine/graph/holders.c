// Breadth first from the roots, in two tiers.

#include "engine/graph/holders.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/graph/roots.h"
#include "engine/objects/show.h"

enum { BETWEEN_CHECKS = 65536 };

bool tm_holders_is_module(const struct tm_graph *graph, uint32_t node)
{
    const struct tm_type *type = tm_node_type(graph->objects, &graph->nodes->items[node]);
    return type && type->shape == TM_SHAPE_MODULE && graph->nodes->items[node].kind == TM_NODE_OBJECT;
}

static struct tm_error *reach_in_tiers(struct tm_holders *holders, const struct tm_reach *held)
{
    const struct tm_graph *graph = holders->graph;
    // Modules that something holds, then the variables of functions: what a reader knows.
    for (size_t i = 0; i < held->tail; i++)
        if (tm_holders_is_module(graph, held->queue[i]))
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

struct tm_error *tm_holders_init(struct tm_holders *holders, struct tm_graph *graph, uint32_t without)
{
    struct tm_reach held;
    memset(holders, 0, sizeof(*holders));
    holders->graph = graph;
    struct tm_error *error = tm_reach_init(&held, graph, false);
    if (error)
        return error;
    if (without != TM_NO_NODE) // as if it had been there already: nothing is reached through it
        tm_node_set_add(held.bits, without);
    tm_reach_roots(&held, graph);
    error = tm_reach_all(&held, graph);
    if (!error)
        error = tm_reach_init(&holders->reach, graph, true);
    if (!error && without != TM_NO_NODE)
        tm_node_set_add(holders->reach.bits, without);
    if (!error)
        error = reach_in_tiers(holders, &held);
    tm_reach_deinit(&held);
    if (error)
        tm_holders_deinit(holders);
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
        if (parent == 0 || (*count > 1 && tm_holders_is_module(holders->graph, node)))
            break;
        node = parent - 1;
    }
    for (size_t i = 0; i < *count / 2; i++) {
        uint32_t other = path[i];
        path[i] = path[*count - 1 - i];
        path[*count - 1 - i] = other;
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Ways

static uint32_t tier_of(const struct tm_graph *graph, uint32_t first)
{
    if (tm_holders_is_module(graph, first))
        return 0;
    return graph->root_of[first] ? graph->roots[graph->root_of[first] - 1].kind + 1u : TM_ROOT_MEMORY + 1u;
}

// For each node that is reached, the way through it; in the order of the queue a node comes after its parent.
static struct tm_way *ways_through_all(const struct tm_holders *holders)
{
    const struct tm_reach *reach = &holders->reach;
    struct tm_way *all = calloc(holders->graph->nodes->count + 1, sizeof(*all));
    for (size_t i = 0; all && i < reach->tail; i++) {
        uint32_t node = reach->queue[i], parent = reach->parents[node];
        if (parent == 0 || tm_holders_is_module(holders->graph, node))
            all[node] = (struct tm_way){node, tier_of(holders->graph, node), 1};
        else
            all[node] = (struct tm_way){node, all[parent - 1].tier, all[parent - 1].length + 1};
    }
    return all;
}

static bool refers(const struct tm_graph *graph, uint32_t from, uint32_t to)
{
    for (uint32_t i = graph->first[from]; i < graph->first[from + 1]; i++)
        if (graph->to[i] == to)
            return true;
    return false;
}

static int compare_ways(const void *left, const void *right)
{
    const struct tm_way *a = left, *b = right;
    int order = tm_compare_numbers(a->tier, b->tier);
    if (order == 0)
        order = tm_compare_numbers(a->length, b->length);
    return order != 0 ? order : tm_compare_numbers(a->referrer, b->referrer);
}

struct tm_error *tm_holders_ways(const struct tm_holders *holders, uint32_t node, struct tm_way **ways, size_t *count)
{
    const struct tm_graph *graph = holders->graph;
    struct tm_way *all = ways_through_all(holders);
    struct tm_error *error = all ? NULL : tm_error_no_memory();
    *count = 0;
    *ways = all;
    // Those that refer to the node move to the beginning: a way is overwritten only after it was looked at.
    for (size_t i = 0; !error && i < graph->nodes->count; i++) {
        if (all[i].length > 0 && refers(graph, (uint32_t)i, node))
            all[(*count)++] = all[i];
        if (i % BETWEEN_CHECKS == 0)
            error = tm_host_check(graph->objects->host);
    }
    if (!error && graph->root_of[node])
        all[(*count)++] = (struct tm_way){TM_NO_NODE, graph->roots[graph->root_of[node] - 1].kind + 1u, 0};
    if (error) {
        free(all);
        *ways = NULL;
    } else if (*count > 0) {
        qsort(all, *count, sizeof(*all), compare_ways);
    }
    return error;
}

struct tm_error *tm_holders_describe(const struct tm_holders *holders, uint32_t first, struct tm_text *text)
{
    struct tm_graph *graph = holders->graph;
    if (tm_holders_is_module(graph, first)) {
        struct tm_object object;
        bool found = false;
        struct tm_error *error =
            tm_object_at(graph->objects, tm_node_object(&graph->nodes->items[first]), &object, &found);
        return error || !found ? error : tm_show_name(graph->objects, &object, text);
    }
    return graph->root_of[first] ? tm_root_describe(graph, &graph->roots[graph->root_of[first] - 1], text) : NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// What only some nodes hold

uint64_t *tm_node_set_create(const struct tm_graph *graph)
{
    return calloc(graph->nodes->count / 64 + 1, sizeof(uint64_t));
}

struct tm_error *tm_graph_retained(const struct tm_graph *graph, const uint64_t *set, uint64_t *size, uint64_t *count)
{
    struct tm_reach reach;
    *size = *count = 0;
    struct tm_error *error = tm_reach_init(&reach, graph, false);
    if (error)
        return error;
    // First all that is held without the set: nothing is reached through it. Then what the set adds.
    memcpy(reach.bits, set, (graph->nodes->count / 64 + 1) * sizeof(*set));
    tm_reach_roots(&reach, graph);
    error = tm_reach_all(&reach, graph);
    size_t from = reach.tail;
    for (size_t i = 0; !error && i < graph->nodes->count; i++)
        if (tm_node_set_has(set, (uint32_t)i))
            reach.queue[reach.tail++] = (uint32_t)i;
    if (!error)
        error = tm_reach_all(&reach, graph);
    *count = reach.tail - from;
    for (size_t i = from; i < reach.tail; i++)
        *size = tm_add_saturating(*size, graph->nodes->items[reach.queue[i]].size);
    tm_reach_deinit(&reach);
    return error;
}
