// Memory by regions, cut into ranges of one kind each: what is in blocks, in pools or not in use is left out.

#include "engine/graph/roots.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/graph/stale.h"
#include "engine/heap/glibc.h"
#include "engine/objects/stacks.h"

enum {
    PIECE = 1 << 16,
    PAGE = 4096,
    LARGEST_SKIP = 1 << 20,
    RED_ZONE = 128, // bytes below the stack pointer that a function may use
    MOST_CHUNKS = 1 << 16,
    CHUNK_HEAD = 16, // of glibc's
    LONGEST_NAME = 256,
};

enum { LEFT_OUT = 255 };

/** A range whose kind is known. */
struct special {
    uint64_t start, end;
    uint8_t kind; // enum tm_root_kind, or LEFT_OUT
};

struct search {
    struct tm_graph *graph;
    struct special *specials;
    size_t count;
    size_t capacity;
    uint64_t chunks; // seen
};

static struct tm_error *add_special(struct search *search, uint64_t start, uint64_t end, unsigned kind)
{
    if (start >= end)
        return NULL;
    if (!TM_GROW(&search->specials, search->count + 1, &search->capacity))
        return tm_error_no_memory();
    search->specials[search->count++] = (struct special){start, end, (uint8_t)kind};
    return NULL;
}

static int compare_specials(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct special *)a)->start, ((const struct special *)b)->start);
}

// ---------------------------------------------------------------------------------------------------------------
// What is known of memory

static struct tm_error *add_data_and_pools(struct search *search)
{
    const struct tm_objects *objects = search->graph->objects;
    const struct tm_untraced *untraced = &search->graph->untraced;
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < objects->data_count; i++)
        error = add_special(search, objects->data[i].start, objects->data[i].end, TM_ROOT_DATA);
    for (size_t i = 0; !error && i < untraced->pool_count; i++)
        error = add_special(search, untraced->pools[i].start, untraced->pools[i].end, LEFT_OUT);
    // What is in use of a heap is in blocks; the rest of it is malloc's own, or free.
    for (size_t i = 0; !error && i < untraced->glibc.heap_count; i++)
        error = add_special(search, untraced->glibc.heaps[i].start, untraced->glibc.heaps[i].known, LEFT_OUT);
    return error;
}

static struct tm_error *add_chunk(void *context, uint64_t start, uint64_t top, uint64_t end)
{
    struct search *search = context;
    search->chunks++;
    struct tm_error *error = add_special(search, start, top, TM_ROOT_FRAME);
    return error ? error : add_special(search, top, end, LEFT_OUT);
}

static struct tm_error *add_chunks(void *context, const struct tm_python_thread *thread)
{
    struct search *search = context;
    return tm_stack_chunks_visit(search->graph->objects, thread, MOST_CHUNKS - search->chunks, add_chunk, search);
}

static struct tm_error *ignore_frame(void *context, const struct tm_python_frame *frame)
{
    (void)context;
    (void)frame;
    return NULL;
}

static struct tm_error *add_all_chunks(struct search *search)
{
    const struct tm_stack_visitor visitor = {add_chunks, ignore_frame, search};
    bool incomplete;
    struct tm_error *error = tm_stacks_visit(search->graph->objects, &visitor, &incomplete);
    if (error && tm_error_code(error) == TM_ERROR_NOT_FOUND) {
        search->graph->frames_unknown = true;
        tm_error_destroy(error);
        return NULL;
    }
    return error;
}

static const struct tm_region *region_of(const struct tm_region *regions, size_t count, uint64_t address)
{
    for (size_t i = 0; i < count; i++)
        if (address >= regions[i].start && address < regions[i].end)
            return &regions[i];
    return NULL;
}

// Of each stack what is above the stack pointer; of several in one region only what is below the lowest is known to be
// unused.
static struct tm_error *add_stacks(struct search *search, const struct tm_region *regions, size_t count,
                                   const struct tm_thread *threads, size_t thread_count)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < thread_count; i++) {
        const struct tm_region *region = region_of(regions, count, threads[i].stack_pointer);
        bool is_lowest = region;
        for (size_t j = 0; region && j < thread_count; j++)
            if (j != i && threads[j].stack_pointer >= region->start &&
                threads[j].stack_pointer < threads[i].stack_pointer)
                is_lowest = false;
        if (!is_lowest || threads[i].stack_pointer - region->start < RED_ZONE)
            continue;
        error = add_special(search, region->start, threads[i].stack_pointer - RED_ZONE, LEFT_OUT);
        if (!error)
            error = add_special(search, threads[i].stack_pointer - RED_ZONE, region->end, TM_ROOT_STACK);
    }
    return error;
}

static struct tm_error *add_free(void *context, uint64_t start, uint64_t end)
{
    struct tm_graph *graph = context;
    (void)end;
    // What the table says is live is so, whatever the heap's own links say.
    if (!tm_nodes_find(graph->nodes, start) && !tm_set_add_number(&graph->free_chunks, start - CHUNK_HEAD))
        return tm_error_no_memory();
    return NULL;
}

struct tm_error *tm_roots_find_free(struct tm_graph *graph)
{
    return tm_glibc_visit_free(&graph->untraced.glibc, add_free, graph);
}

// ---------------------------------------------------------------------------------------------------------------
// Words

static struct tm_error *add_word(struct tm_graph *graph, uint64_t place, uint64_t word, uint8_t kind)
{
    bool counts;
    const struct tm_heap_node *node = tm_graph_target(graph, word, &counts);
    if (!node || tm_is_stale(graph, place))
        return NULL;
    uint32_t number = (uint32_t)tm_node_number(graph->nodes, node);
    graph->found[number] += counts;
    if (graph->root_of[number]) {
        struct tm_root_word *known = &graph->roots[graph->root_of[number] - 1];
        if (kind < known->kind)
            *known = (struct tm_root_word){place, number, kind};
        return NULL;
    }
    if (!TM_GROW(&graph->roots, graph->root_count + 1, &graph->root_capacity))
        return tm_error_no_memory();
    graph->roots[graph->root_count++] = (struct tm_root_word){place, number, kind};
    graph->root_of[number] = (uint32_t)graph->root_count;
    return NULL;
}

static struct tm_error *scan(struct tm_graph *graph, uint64_t start, uint64_t end, uint8_t kind)
{
    unsigned char bytes[PIECE];
    struct tm_error *error = NULL;
    uint64_t skip = PAGE;
    start = (start + 7) & ~UINT64_C(7);
    while (!error && start + 8 <= end) {
        uint64_t length = end - start < PIECE ? (end - start) & ~UINT64_C(7) : PIECE;
        if (!tm_objects_read(graph->objects, start, bytes, length)) {
            // Page by page: of a piece only some may be missing.
            length = length < PAGE - start % PAGE ? length : PAGE - start % PAGE;
            if (!tm_objects_read(graph->objects, start, bytes, length)) {
                // In a large hole the steps grow, so that it costs little.
                length = skip > length ? skip : length;
                length = length < end - start ? length : end - start;
                skip = skip < LARGEST_SKIP ? 2 * skip : skip;
                graph->unreadable_roots += length;
                start += length;
                error = tm_objects_check(graph->objects);
                continue;
            }
        }
        skip = PAGE;
        for (uint64_t offset = 0; !error && offset + 8 <= length; offset += 8) {
            uint64_t word = tm_load_u64(bytes + offset);
            if (word >= graph->lowest && word < graph->highest)
                error = add_word(graph, start + offset, word, kind);
        }
        start += length;
        if (!error)
            error = tm_host_check(graph->objects->host);
    }
    return error;
}

// The number of the first node that ends behind the address.
static size_t first_node(const struct tm_nodes *nodes, uint64_t address)
{
    size_t low = 0, high = nodes->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (nodes->items[middle].address + nodes->items[middle].size > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

// What is between the blocks of a range.
static struct tm_error *scan_between(struct tm_graph *graph, uint64_t start, uint64_t end, uint8_t kind)
{
    const struct tm_nodes *nodes = graph->nodes;
    struct tm_error *error = NULL;
    for (size_t i = first_node(nodes, start); !error && i < nodes->count && nodes->items[i].address < end; i++) {
        if (nodes->items[i].address > start)
            error = scan(graph, start, nodes->items[i].address, kind);
        if (nodes->items[i].address + nodes->items[i].size > start)
            start = nodes->items[i].address + nodes->items[i].size;
    }
    return !error && start < end ? scan(graph, start, end, kind) : error;
}

static struct tm_error *scan_region(const struct search *search, size_t *next, const struct tm_region *region)
{
    uint64_t at = region->start;
    struct tm_error *error = NULL;
    while (!error && at < region->end) {
        while (*next < search->count && search->specials[*next].end <= at)
            ++*next;
        const struct special *special = *next < search->count ? &search->specials[*next] : NULL;
        bool inside = special && special->start <= at;
        uint64_t end = inside ? special->end : special ? special->start : region->end;
        if (end > region->end)
            end = region->end;
        if (!inside || special->kind != LEFT_OUT)
            error = scan_between(search->graph, at, end, inside ? special->kind : TM_ROOT_MEMORY);
        at = end;
    }
    return error;
}

static int compare_regions(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_region *)a)->start, ((const struct tm_region *)b)->start);
}

static struct tm_error *scan_all(const struct search *search, struct tm_region *regions, size_t count)
{
    const uint32_t wanted = TM_REGION_READABLE | TM_REGION_WRITABLE;
    size_t next = 0;
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < count; i++) {
        if ((regions[i].flags & wanted) != wanted || strcmp(regions[i].name, "[anon:tracemortem]") == 0)
            continue;
        if (regions[i].flags & TM_REGION_ABSENT)
            search->graph->unreadable_roots += regions[i].end - regions[i].start;
        else
            error = scan_region(search, &next, &regions[i]);
        tm_host_progress(search->graph->objects->host, "roots", i, count);
    }
    return error;
}

static struct tm_error *add_registers(struct tm_graph *graph, const struct tm_thread *threads, size_t count)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; !error && j < threads[i].register_count; j++)
            error = add_word(graph, threads[i].id, threads[i].registers[j], TM_ROOT_REGISTER);
    return error;
}

struct tm_error *tm_roots_find(struct tm_graph *graph)
{
    struct search search = {.graph = graph};
    struct tm_region *regions = NULL;
    struct tm_thread *threads = NULL;
    size_t count = 0, thread_count = 0;

    struct tm_error *error = tm_target_regions(graph->objects->target, &regions, &count);
    if (!error)
        error = tm_target_threads(graph->objects->target, &threads, &thread_count);
    graph->threads_unknown = thread_count == 0;
    if (!error && count > 0)
        qsort(regions, count, sizeof(*regions), compare_regions);
    if (!error)
        error = add_data_and_pools(&search);
    if (!error)
        error = add_all_chunks(&search);
    if (!error)
        error = add_stacks(&search, regions, count, threads, thread_count);
    if (!error && search.count > 0)
        qsort(search.specials, search.count, sizeof(*search.specials), compare_specials);
    if (!error)
        error = scan_all(&search, regions, count);
    if (!error)
        error = add_registers(graph, threads, thread_count);
    free(search.specials);
    free(regions);
    free(threads);
    return error ? error : tm_objects_check(graph->objects);
}

// ---------------------------------------------------------------------------------------------------------------
// Names

struct naming {
    struct tm_objects *objects;
    const struct tm_root_word *root;
    struct tm_text *text;
    struct tm_python_thread thread;
    bool found;
};

static struct tm_error *note_thread(void *context, const struct tm_python_thread *thread)
{
    ((struct naming *)context)->thread = *thread;
    return NULL;
}

static struct tm_error *name_frame(void *context, const struct tm_python_frame *frame)
{
    struct naming *naming = context;
    char name[LONGEST_NAME];
    uint64_t place = naming->root->place, value;
    if (naming->found || place < frame->address || place >= frame->locals + 8 * ((uint64_t)frame->local_count + 64))
        return NULL;
    naming->found = true;
    tm_text_printf(naming->text, "thread 0x%" PRIx64 ": File \"", naming->thread.id);
    if (frame->file_name)
        tm_text_escape(naming->text, frame->file_name->bytes, frame->file_name->length);
    tm_text_printf(naming->text, "\", line %" PRId64 ", in ", frame->line);
    const struct tm_name *function = frame->qualified_name ? frame->qualified_name : frame->name;
    if (function)
        tm_text_escape(naming->text, function->bytes, function->length);
    uint32_t index = place >= frame->locals ? (uint32_t)((place - frame->locals) / 8) : UINT32_MAX;
    if (index < frame->local_count && tm_frame_local(naming->objects, frame, index, name, sizeof(name), &value)) {
        tm_text_add(naming->text, ", local ");
        tm_text_escape(naming->text, name, strlen(name));
    }
    return NULL;
}

static struct tm_error *name_data(struct tm_graph *graph, uint64_t place, struct tm_text *text)
{
    struct tm_module *modules;
    size_t count;
    const struct tm_module *best = NULL;
    uint64_t base = 0;
    struct tm_error *error = tm_target_modules(graph->objects->target, &modules, &count);
    if (error)
        return error;
    for (size_t i = 0; i < count; i++) { // the last one that begins below: what is not initialized follows it
        if (modules[i].start > place)
            break;
        best = &modules[i];
        if (modules[i].offset == 0)
            base = modules[i].start;
    }
    if (best) {
        const char *name = strrchr(best->path, '/');
        name = name ? name + 1 : best->path;
        tm_text_add(text, "data of ");
        tm_text_escape(text, name, strlen(name));
        tm_text_printf(text, "+0x%" PRIx64, place - base);
    } else {
        tm_text_printf(text, "data at 0x%" PRIx64, place);
    }
    free(modules);
    return NULL;
}

const char *tm_root_kind_name(enum tm_root_kind kind)
{
    switch (kind) {
    case TM_ROOT_FRAME:
        return "Python frames";
    case TM_ROOT_DATA:
        return "data of programs and libraries";
    case TM_ROOT_STACK:
        return "stacks of C functions";
    case TM_ROOT_REGISTER:
        return "registers";
    case TM_ROOT_MEMORY:
        break;
    }
    return "memory of C";
}

struct tm_error *tm_root_describe(struct tm_graph *graph, const struct tm_root_word *root, struct tm_text *text)
{
    struct naming naming = {.objects = graph->objects, .root = root, .text = text};
    const struct tm_stack_visitor visitor = {note_thread, name_frame, &naming};
    struct tm_error *error = NULL;
    bool incomplete;
    switch ((enum tm_root_kind)root->kind) {
    case TM_ROOT_FRAME:
        error = tm_stacks_visit(graph->objects, &visitor, &incomplete);
        if (!error && !naming.found)
            tm_text_printf(text, "a Python frame at 0x%" PRIx64, root->place);
        break;
    case TM_ROOT_DATA:
        error = name_data(graph, root->place, text);
        break;
    case TM_ROOT_STACK:
        tm_text_printf(text, "stack (of C functions) at 0x%" PRIx64, root->place);
        break;
    case TM_ROOT_REGISTER:
        tm_text_printf(text, "register of thread %" PRIu64, root->place);
        break;
    case TM_ROOT_MEMORY:
        tm_text_printf(text, "memory of C at 0x%" PRIx64, root->place);
        break;
    }
    return error;
}
