// Each array is believed only if what it has fits: dead objects first, and then addresses of blocks or nothing.

#include "engine/graph/stale.h"

#include "engine/base/grow.h"
#include "engine/objects/stacks.h"

enum {
    FREE_LIST = 80,             // slots of each of CPython's arrays
    ARENA_HEAD = 8 * (2 + 254), // of an arena of glibc, from `top` on: two chunks, and the lists of free ones
    THREAD_INTERPRETER = 16,    // PyThreadState.interp, in all releases
    MOST_RANGES = 1024,
};

struct search {
    struct tm_graph *graph;
    uint64_t interpreter; // that was looked at last
    size_t capacity;
};

static struct tm_error *add(struct search *search, uint64_t start, uint64_t end)
{
    struct tm_graph *graph = search->graph;
    if (start >= end || graph->stale_count >= MOST_RANGES)
        return NULL;
    if (!TM_GROW(&graph->stale, graph->stale_count + 1, &search->capacity))
        return tm_error_no_memory();
    graph->stale[graph->stale_count++] = (struct tm_range){start, end};
    return NULL;
}

// Whether a slot has what one of such a list can have. `in_use`: it counts.
static bool fits(const struct tm_graph *graph, uint64_t word, bool in_use)
{
    if (word == 0)
        return !in_use;
    const struct tm_heap_node *node = tm_nodes_find(graph->nodes, word);
    return in_use ? node && node->kind == TM_NODE_DEAD : word % 8 == 0;
}

static struct tm_error *look_at(struct search *search, uint64_t array, uint64_t count_at)
{
    uint64_t words[FREE_LIST];
    uint32_t count;
    struct tm_objects *objects = search->graph->objects;
    if (!tm_objects_int(objects, count_at, &count) || count > FREE_LIST ||
        !tm_objects_read(objects, array, words, sizeof(words)))
        return tm_objects_check(objects);
    for (uint32_t i = 0; i < FREE_LIST; i++)
        if (!fits(search->graph, words[i], i < count))
            return NULL;
    return add(search, array + 8 * (uint64_t)count, array + sizeof(words));
}

static struct tm_error *look_at_interpreter(void *context, const struct tm_python_thread *thread)
{
    struct search *search = context;
    struct tm_objects *objects = search->graph->objects;
    const struct tm_cpython *cpython = objects->cpython;
    uint64_t interpreter;
    if (!cpython->free_dicts || !tm_objects_word(objects, thread->state + THREAD_INTERPRETER, &interpreter) ||
        interpreter == search->interpreter)
        return tm_objects_check(objects);
    search->interpreter = interpreter;
    struct tm_error *error = look_at(search, interpreter + cpython->free_dicts, interpreter + cpython->free_dict_count);
    return error ? error : look_at(search, interpreter + cpython->free_lists, interpreter + cpython->free_list_count);
}

static struct tm_error *ignore_frame(void *context, const struct tm_python_frame *frame)
{
    (void)context;
    (void)frame;
    return NULL;
}

struct tm_error *tm_stale_find(struct tm_graph *graph)
{
    struct search search = {.graph = graph};
    const struct tm_stack_visitor visitor = {look_at_interpreter, ignore_frame, &search};
    const struct tm_glibc *glibc = &graph->untraced.glibc;
    bool incomplete;
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < glibc->heap_count; i++)
        if (glibc->heaps[i].state)
            error = add(&search, glibc->heaps[i].state, glibc->heaps[i].state + ARENA_HEAD);
    if (!error)
        error = tm_stacks_visit(graph->objects, &visitor, &incomplete);
    if (error && tm_error_code(error) == TM_ERROR_NOT_FOUND) { // the roots say so
        tm_error_destroy(error);
        return NULL;
    }
    return error;
}
