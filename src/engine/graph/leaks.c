// One mark from the roots, one from lost objects, one from raw blocks; what is left is garbage.

#include "engine/graph/leaks.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/objects/references.h"

enum { BETWEEN_CHECKS = 16384 };

uint64_t tm_leak_excess(struct tm_graph *graph, const struct tm_heap_node *node)
{
    uint64_t count;
    if (node->kind != TM_NODE_OBJECT || !tm_objects_word(graph->objects, tm_node_object(node), &count) ||
        tm_objects_is_immortal(graph->objects, count))
        return 0;
    count = tm_objects_count(graph->objects, count);
    uint64_t found = graph->found[tm_node_number(graph->nodes, node)];
    return count > found ? count - found : 0;
}

struct search {
    struct tm_graph *graph;
    struct tm_leaks *leaks;
    struct tm_reach held; // by roots, then by lost objects, then by raw blocks
};

static void hold(struct search *search, size_t from, enum tm_leak_kind by)
{
    for (size_t i = from; i < search->held.tail; i++) {
        uint32_t number = search->held.queue[i];
        if (search->leaks->kinds[number] != TM_LEAK_NONE)
            continue;
        search->leaks->kinds[number] = TM_LEAK_HELD;
        search->leaks->held_count[by]++;
        search->leaks->held_size[by] =
            tm_add_saturating(search->leaks->held_size[by], search->graph->nodes->items[number].size);
    }
}

static struct tm_error *check(const struct search *search, size_t i)
{
    return i % BETWEEN_CHECKS == 0 ? tm_objects_check(search->graph->objects) : NULL;
}

// Objects that nothing reaches and that are counted more often than found.
static struct tm_error *find_lost(struct search *search)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < search->graph->nodes->count; i++) {
        if (!tm_reached(&search->held, i) && tm_leak_excess(search->graph, &search->graph->nodes->items[i]) > 0)
            search->leaks->kinds[i] = TM_LEAK_LOST;
        error = check(search, i);
    }
    size_t from = search->held.tail;
    for (size_t i = 0; !error && i < search->graph->nodes->count; i++)
        if (search->leaks->kinds[i] == TM_LEAK_LOST)
            tm_reach_add(&search->held, (uint32_t)i, 0);
    if (!error)
        error = tm_reach_all(&search->held, search->graph);
    hold(search, from, TM_LEAK_LOST);
    return error;
}

static void add_raw(struct search *search, uint32_t number)
{
    search->leaks->kinds[number] = TM_LEAK_RAW;
    tm_reach_add(&search->held, number, 0);
}

static bool is_raw(const struct search *search, size_t number)
{
    const struct tm_heap_node *node = &search->graph->nodes->items[number];
    return node->kind == TM_NODE_BLOCK && !node->owner && !tm_reached(&search->held, number);
}

// What unreachable objects reach: a collection would free it with them.
static struct tm_error *reach_garbage(const struct search *search, struct tm_reach *garbage)
{
    const struct tm_graph *graph = search->graph;
    struct tm_error *error = tm_reach_init(garbage, graph, false);
    for (size_t i = 0; !error && i < graph->nodes->count; i++)
        if (graph->nodes->items[i].kind == TM_NODE_OBJECT && !tm_reached(&search->held, i))
            tm_reach_add(garbage, (uint32_t)i, 0);
    return error ? error : tm_reach_all(garbage, graph);
}

// Blocks that are no objects, nor parts of some, and to which no word points; then those that are left and that only such
// blocks point to, in a circle or by what their memory has from before.
static struct tm_error *find_raw(struct search *search)
{
    const struct tm_graph *graph = search->graph;
    struct tm_reach garbage;
    unsigned char *pointed = calloc(graph->nodes->count + 1, 1);
    if (!pointed)
        return tm_error_no_memory();
    for (size_t i = 0; i < graph->edge_count; i++)
        pointed[graph->to[i]] = 1;
    size_t from = search->held.tail;
    for (size_t i = 0; i < graph->nodes->count; i++)
        if (is_raw(search, i) && !pointed[i])
            add_raw(search, (uint32_t)i);
    free(pointed);
    struct tm_error *error = tm_reach_all(&search->held, graph);
    if (error)
        return error;
    error = reach_garbage(search, &garbage);
    for (size_t i = 0; !error && i < graph->nodes->count; i++)
        if (is_raw(search, i) && !tm_reached(&garbage, i))
            add_raw(search, (uint32_t)i);
    tm_reach_deinit(&garbage);
    if (!error)
        error = tm_reach_all(&search->held, graph);
    hold(search, from, TM_LEAK_RAW);
    return error;
}

static struct tm_error *forget_reference(void *context, uint64_t offset, uint64_t word)
{
    struct tm_graph *graph = context;
    bool counts;
    (void)offset;
    const struct tm_heap_node *node = tm_graph_target(graph, word, &counts);
    if (counts && graph->found[tm_node_number(graph->nodes, node)] > 0)
        graph->found[tm_node_number(graph->nodes, node)]--;
    return NULL;
}

// A reference in a raw block is either lost with it, or stale: the block's memory had another use before. Such words do not
// count for objects that are held.
static struct tm_error *forget_raw(struct search *search)
{
    struct tm_graph *graph = search->graph;
    struct tm_error *error = NULL;
    bool unreadable = false;
    for (size_t i = 0; !error && i < graph->nodes->count; i++)
        if (search->leaks->kinds[i] == TM_LEAK_RAW)
            error = tm_references_visit(graph->objects, graph->nodes, &graph->nodes->items[i], forget_reference, graph,
                                        &unreadable);
    return error;
}

static struct tm_error *find_extra(struct search *search, const struct tm_reach *held)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < search->graph->nodes->count; i++) {
        if (tm_reached(held, i) && tm_leak_excess(search->graph, &search->graph->nodes->items[i]) > 0)
            search->leaks->kinds[i] = TM_LEAK_EXTRA;
        error = check(search, i);
    }
    return error;
}

static struct tm_error *find_all(struct search *search)
{
    struct tm_reach held;
    struct tm_error *error = tm_reach_init(&held, search->graph, false);
    if (error)
        return error;
    tm_reach_roots(&held, search->graph);
    tm_reach_roots(&search->held, search->graph);
    error = tm_reach_all(&held, search->graph);
    if (!error)
        error = tm_reach_all(&search->held, search->graph);
    if (!error)
        error = find_lost(search);
    if (!error)
        error = find_raw(search);
    if (!error)
        error = forget_raw(search);
    if (!error)
        error = find_extra(search, &held);
    tm_reach_deinit(&held);
    for (size_t i = 0; !error && i < search->graph->nodes->count; i++)
        if (!tm_reached(&search->held, i) && search->graph->nodes->items[i].kind != TM_NODE_DEAD)
            search->leaks->kinds[i] = TM_LEAK_GARBAGE;
    return error;
}

struct tm_error *tm_leaks_find(struct tm_leaks *leaks, struct tm_graph *graph)
{
    struct search search = {.graph = graph, .leaks = leaks};
    memset(leaks, 0, sizeof(*leaks));
    leaks->kinds = calloc(graph->nodes->count + 1, 1);
    struct tm_error *error = leaks->kinds ? tm_reach_init(&search.held, graph, false) : tm_error_no_memory();
    if (!error)
        error = find_all(&search);
    tm_reach_deinit(&search.held);
    if (error)
        tm_leaks_deinit(leaks);
    return error;
}

void tm_leaks_deinit(struct tm_leaks *leaks)
{
    free(leaks->kinds);
    memset(leaks, 0, sizeof(*leaks));
}
