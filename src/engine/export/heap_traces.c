// Sorted by their frames, tracebacks are a tree in the order in which it is written.

#include "engine/export/heap_traces.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"

uint32_t tm_heap_traces_common(const struct tm_heap_trace *a, const struct tm_heap_trace *b)
{
    uint32_t common = 0;
    while (common < a->depth && common < b->depth && a->frames[common] == b->frames[common])
        common++;
    return common;
}

static int compare_traces(const void *left, const void *right)
{
    const struct tm_heap_trace *a = left, *b = right;
    uint32_t common = tm_heap_traces_common(a, b);
    if (common < a->depth && common < b->depth)
        return tm_compare_numbers(a->frames[common], b->frames[common]);
    int order = tm_compare_numbers(a->depth, b->depth);
    return order != 0 ? order : tm_compare_numbers(a->origin, b->origin);
}

static struct tm_error *number_frames(struct tm_heap_traces *traces, const struct tm_nodes *nodes, uint32_t origin)
{
    const struct tm_traceback *traceback = nodes->origins[origin].traceback;
    uint32_t *frames = tm_arena_allocate(&traces->arena, traceback->count * sizeof(*frames));
    if (!frames)
        return tm_error_no_memory();
    uint32_t left = traceback->count;
    for (const struct tm_traceback *at = traceback; left > 0; at = at->older) { // the newest frame first
        struct tm_error *error = tm_frames_number(&traces->frames, at->newest, &frames[--left]);
        if (error)
            return error;
    }
    traces->items[origin] = (struct tm_heap_trace){.frames = frames, .depth = traceback->count, .origin = origin};
    return NULL;
}

// Numbers the nodes of the tree as they are met.
static struct tm_error *number_tree(struct tm_heap_traces *traces)
{
    uint32_t deepest = 0, next = TM_HEAP_TRACES_ROOT + 1;
    for (size_t i = 0; i < traces->count; i++)
        deepest = traces->items[i].depth > deepest ? traces->items[i].depth : deepest;
    uint32_t *path = malloc((deepest + 1) * sizeof(*path));
    if (!path)
        return tm_error_no_memory();
    for (size_t i = 0; i < traces->count; i++) {
        const struct tm_heap_trace *trace = &traces->items[i];
        for (uint32_t at = i > 0 ? tm_heap_traces_common(trace, trace - 1) : 0; at < trace->depth; at++)
            path[at] = next++;
        traces->ids[trace->origin] = path[trace->depth - 1];
    }
    free(path);
    return NULL;
}

static struct tm_error *number_places(struct tm_heap_traces *traces, const struct tm_nodes *nodes)
{
    struct tm_set seen = {0};
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < nodes->origin_count; i++) {
        const struct tm_traceback *traceback = nodes->origins[i].traceback;
        const struct tm_frame *frame = traceback->newest;
        uint64_t hash = tm_hash_number((uint64_t)(uintptr_t)frame->file_name ^ (uint64_t)frame->line << 40);
        if (!tm_set_reserve(&seen)) {
            error = tm_error_no_memory();
            break;
        }
        struct tm_set_entry *entry = tm_set_first(&seen, hash);
        while (entry->item) {
            const struct tm_frame *other = traces->place_frames[(uintptr_t)entry->item - 1];
            if (entry->hash == hash && other->file_name == frame->file_name && other->line == frame->line)
                break;
            entry = tm_set_next(&seen, entry);
        }
        if (!entry->item) {
            traces->place_frames[traces->place_count++] = frame;
            tm_set_put(&seen, entry, hash, (void *)(uintptr_t)traces->place_count);
        }
        traces->places[i] = (uint32_t)(uintptr_t)entry->item - 1;
    }
    tm_set_deinit(&seen);
    return error;
}

static void count_blocks(struct tm_heap_traces *traces, const struct tm_nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++) {
        const struct tm_heap_node *node = &nodes->items[i];
        if (node->origin == TM_UNTRACED)
            continue;
        traces->items[node->origin].size = tm_add_saturating(traces->items[node->origin].size, node->size);
        traces->items[node->origin].count++;
    }
}

struct tm_error *tm_heap_traces_init(struct tm_heap_traces *traces, const struct tm_nodes *nodes,
                                     const struct tm_host *host)
{
    size_t count = nodes->origin_count;
    struct tm_error *error = NULL;
    *traces = (struct tm_heap_traces){.count = count};
    traces->items = calloc(count + 1, sizeof(*traces->items));
    traces->ids = calloc(count + 1, sizeof(*traces->ids));
    traces->places = calloc(count + 1, sizeof(*traces->places));
    traces->place_frames = calloc(count + 1, sizeof(*traces->place_frames));
    if (!traces->items || !traces->ids || !traces->places || !traces->place_frames)
        error = tm_error_no_memory();
    for (size_t i = 0; !error && i < count; i++) {
        error = number_frames(traces, nodes, (uint32_t)i);
        if (!error && i % 4096 == 0)
            error = tm_host_check(host);
    }
    if (!error) {
        count_blocks(traces, nodes);
        if (count > 0)
            qsort(traces->items, count, sizeof(*traces->items), compare_traces);
        error = number_tree(traces);
    }
    if (!error)
        error = number_places(traces, nodes);
    if (error)
        tm_heap_traces_deinit(traces);
    return error;
}

void tm_heap_traces_deinit(struct tm_heap_traces *traces)
{
    free(traces->items);
    free(traces->ids);
    free(traces->places);
    free(traces->place_frames);
    tm_frames_deinit(&traces->frames);
    tm_arena_deinit(&traces->arena);
    *traces = (struct tm_heap_traces){0};
}
