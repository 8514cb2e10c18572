// From the roots on, in the order in which nodes were reached: each node's path is that of its parent and a label. Only
// nodes that lead to a wanted one are looked at, and the references of each once.

#include "engine/graph/merged.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/graph/roots.h"
#include "engine/model/pool.h"
#include "engine/objects/references.h"

enum { MOST_PATHS = 1 << 20, MOST_DESCRIBED = 1000, BETWEEN_CHECKS = 4096 };

static const char any_item[] = "[*]", any_key[] = ".keys()[*]", more[] = "…", dict_label[] = ".__dict__";

struct search {
    struct tm_merged *merged;
    const struct tm_holders *holders;
    const uint64_t *wanted;
    uint64_t *needed;   // nodes that lead to a wanted one
    uint32_t *path_of;  // by node: the number of its path plus 1; 0: none yet
    struct tm_set seen; // paths, by the path before and the label
    struct tm_set labels;
    uint32_t depth;
    uint64_t described; // roots
    uint32_t from;      // the node whose references are visited
    struct tm_text text;
};

// ---------------------------------------------------------------------------------------------------------------
// Paths

// Each label has a number, so that two numbers name a path.
static struct tm_error *number_label(struct search *search, const struct tm_name *label, uint64_t *number)
{
    if (!tm_set_reserve(&search->labels))
        return tm_error_no_memory();
    struct tm_set_entry *entry = tm_set_find_number(&search->labels, (uintptr_t)label);
    if (!entry->item)
        tm_set_put_number(&search->labels, entry, (uintptr_t)label, (void *)(uintptr_t)(search->labels.count + 1));
    *number = (uintptr_t)entry->item;
    return NULL;
}

static struct tm_error *find_path(struct search *search, uint32_t before, uint32_t depth, uint32_t *result)
{
    struct tm_merged *merged = search->merged;
    const struct tm_name *label;
    uint64_t number = 0;
    struct tm_error *error = tm_text_check(&search->text);
    if (!error)
        error = tm_pool_name(search->holders->graph->objects->pool, tm_text_string(&search->text),
                             (uint32_t)search->text.length, &label);
    if (!error)
        error = number_label(search, label, &number);
    if (!error && !tm_set_reserve(&search->seen))
        error = tm_error_no_memory();
    if (error)
        return error;
    struct tm_set_entry *entry = tm_set_find_number(&search->seen, (uint64_t)before << 32 | (number & UINT32_MAX));
    if (!entry->item) {
        if (merged->count >= MOST_PATHS && before) { // too many: they end where the one before does
            *result = before;
            return NULL;
        }
        if (!TM_GROW(&merged->paths, merged->count + 1, &merged->capacity))
            return tm_error_no_memory();
        merged->paths[merged->count++] = (struct tm_merged_path){.before = before, .depth = depth, .label = label};
        tm_set_put_number(&search->seen, entry, (uint64_t)before << 32 | (number & UINT32_MAX),
                          (void *)(uintptr_t)merged->count);
    }
    *result = (uint32_t)(uintptr_t)entry->item;
    return NULL;
}

static struct tm_error *begin_path(struct search *search, uint32_t node)
{
    struct tm_graph *graph = search->holders->graph;
    struct tm_error *error = NULL;
    tm_text_clear(&search->text);
    // The places of C's data and memory are all different: what is merged is their kind.
    const struct tm_root_word *root = graph->root_of[node] ? &graph->roots[graph->root_of[node] - 1] : NULL;
    bool describe = tm_holders_is_module(graph, node) || (root && root->kind == TM_ROOT_FRAME);
    if (describe && search->described++ < MOST_DESCRIBED)
        error = tm_holders_describe(search->holders, node, &search->text);
    else
        tm_text_add(&search->text, root ? tm_root_kind_name(root->kind) : more);
    return error ? error : find_path(search, 0, 0, &search->path_of[node]);
}

static bool label_is(const struct tm_merged_path *path, const char *label)
{
    return path->label->length == strlen(label) && memcmp(path->label->bytes, label, path->label->length) == 0;
}

// Whether the path ends at what has names: the dict of a module, of a class or of an instance.
static bool is_namespace(const struct search *search, uint32_t path)
{
    return label_is(&search->merged->paths[path - 1], dict_label);
}

static bool is_identifier(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!((text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z') && text[i] != '_' && (unsigned char)text[i] < 0x80 &&
            !(i > 0 && text[i] >= '0' && text[i] <= '9'))
            return false;
    return length > 0;
}

// "['name']" of a namespace is ".name".
static void shorten_key(struct tm_text *text)
{
    size_t length = text->length;
    char *bytes = text->bytes;
    if (length < 5 || memcmp(bytes, "['", 2) != 0 || memcmp(bytes + length - 2, "']", 2) != 0 ||
        !is_identifier(bytes + 2, length - 4))
        return;
    memmove(bytes + 1, bytes + 2, length - 4);
    bytes[0] = '.';
    text->length = length - 3;
    bytes[text->length] = '\0';
}

// ---------------------------------------------------------------------------------------------------------------
// Labels

static struct tm_error *write_label(struct search *search, uint64_t offset)
{
    struct tm_graph *graph = search->holders->graph;
    const struct tm_heap_node *node = &graph->nodes->items[search->from];
    const struct tm_type *type = tm_node_type(graph->objects, tm_node_owner(graph->nodes, node));
    tm_text_clear(&search->text);
    if (is_namespace(search, search->path_of[search->from])) {
        struct tm_error *error = tm_reference_label(graph->objects, graph->nodes, node, offset, &search->text);
        if (!error)
            shorten_key(&search->text);
        return error;
    }
    bool instance = node->part == TM_PART_VALUES && type && type->shape != TM_SHAPE_DICT;
    if (node->owner && node->part != TM_PART_BUFFER && !instance && type && type->shape != TM_SHAPE_TYPE) {
        tm_text_add(&search->text,
                    tm_reference_is_key(graph->objects, graph->nodes, node, offset) ? any_key : any_item);
        return NULL;
    }
    struct tm_error *error = tm_reference_label(graph->objects, graph->nodes, node, offset, &search->text);
    if (!error && search->text.length > 0 && search->text.bytes[0] == '[') {
        tm_text_clear(&search->text);
        tm_text_add(&search->text, any_item);
    }
    return error;
}

static struct tm_error *step(void *context, uint64_t offset, uint64_t word)
{
    struct search *search = context;
    struct tm_graph *graph = search->holders->graph;
    bool counts;
    const struct tm_heap_node *node = tm_graph_target(graph, word, &counts);
    if (!node)
        return NULL;
    uint32_t number = (uint32_t)tm_node_number(graph->nodes, node);
    if (!tm_node_set_has(search->needed, number) || search->path_of[number] ||
        search->holders->reach.parents[number] != search->from + 1 || tm_holders_is_module(graph, number))
        return NULL;
    uint32_t before = search->path_of[search->from];
    const struct tm_merged_path *path = &search->merged->paths[before - 1];
    if (node->owner == search->from + 1 || label_is(path, more)) { // a part is no step of its own
        search->path_of[number] = before;
        return NULL;
    }
    struct tm_error *error = NULL;
    uint32_t depth = path->depth + !label_is(path, dict_label);
    if (depth > search->depth) {
        tm_text_clear(&search->text);
        tm_text_add(&search->text, more);
    } else {
        error = write_label(search, offset);
    }
    return error ? error : find_path(search, before, depth, &search->path_of[number]);
}

// ---------------------------------------------------------------------------------------------------------------
// All of them

static void find_needed(struct search *search)
{
    const struct tm_reach *reach = &search->holders->reach;
    for (size_t i = reach->tail; i-- > 0;) {
        uint32_t node = reach->queue[i];
        if (!tm_node_set_has(search->needed, node) && !tm_node_set_has(search->wanted, node))
            continue;
        tm_node_set_add(search->needed, node);
        if (reach->parents[node] && !tm_holders_is_module(search->holders->graph, node))
            tm_node_set_add(search->needed, reach->parents[node] - 1);
    }
}

static struct tm_error *find_paths(struct search *search)
{
    const struct tm_reach *reach = &search->holders->reach;
    struct tm_graph *graph = search->holders->graph;
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < reach->tail; i++) {
        uint32_t node = reach->queue[i];
        bool unreadable = false;
        if (!tm_node_set_has(search->needed, node))
            continue;
        // A module begins a path; and so does what no word leads to that can still be found.
        if (!search->path_of[node])
            error = begin_path(search, node);
        search->from = node;
        if (!error)
            error = tm_references_visit(graph->objects, graph->nodes, &graph->nodes->items[node], step, search,
                                        &unreadable);
        if (!error && i % BETWEEN_CHECKS == 0)
            error = tm_host_check(graph->objects->host);
    }
    return error;
}

static void count_nodes(const struct search *search)
{
    struct tm_merged *merged = search->merged;
    const struct tm_nodes *nodes = search->holders->graph->nodes;
    for (size_t i = 0; i < nodes->count; i++) {
        const struct tm_heap_node *owner = tm_node_owner(nodes, &nodes->items[i]);
        uint32_t number = (uint32_t)tm_node_number(nodes, owner);
        if (!tm_node_set_has(search->wanted, number) || nodes->items[i].origin == TM_UNTRACED)
            continue; // no other command counts what is not traced
        uint64_t size = nodes->items[i].size, count = number == i;
        merged->size = tm_add_saturating(merged->size, size);
        merged->objects += count;
        if (!search->path_of[number]) {
            merged->unheld_size = tm_add_saturating(merged->unheld_size, size);
            merged->unheld_objects += count;
            continue;
        }
        struct tm_merged_path *path = &merged->paths[search->path_of[number] - 1];
        if (path->count == 0 && path->size == 0)
            path->example = number;
        path->size = tm_add_saturating(path->size, size);
        path->count += count;
    }
}

struct ranked {
    uint64_t size, count;
    uint32_t path;
};

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    int order = tm_compare_numbers(b->size, a->size);
    if (order == 0)
        order = tm_compare_numbers(b->count, a->count);
    return order != 0 ? order : tm_compare_numbers(a->path, b->path);
}

static struct tm_error *rank(struct tm_merged *merged)
{
    struct ranked *ranked = calloc(merged->count + 1, sizeof(*ranked));
    merged->order = calloc(merged->count + 1, sizeof(*merged->order));
    if (!ranked || !merged->order) {
        free(ranked);
        return tm_error_no_memory();
    }
    for (size_t i = 0; i < merged->count; i++)
        if (merged->paths[i].count > 0 || merged->paths[i].size > 0)
            ranked[merged->order_count++] = (struct ranked){merged->paths[i].size, merged->paths[i].count, (uint32_t)i};
    qsort(ranked, merged->order_count, sizeof(*ranked), compare_ranked);
    for (size_t i = 0; i < merged->order_count; i++)
        merged->order[i] = ranked[i].path;
    free(ranked);
    return NULL;
}

struct tm_error *tm_merged_init(struct tm_merged *merged, const struct tm_holders *holders, const uint64_t *wanted,
                                uint32_t depth)
{
    struct search search = {.merged = merged, .holders = holders, .wanted = wanted, .depth = depth};
    *merged = (struct tm_merged){0};
    search.needed = tm_node_set_create(holders->graph);
    search.path_of = calloc(holders->graph->nodes->count + 1, sizeof(*search.path_of));
    struct tm_error *error = search.needed && search.path_of ? NULL : tm_error_no_memory();
    if (!error) {
        find_needed(&search);
        error = find_paths(&search);
    }
    if (!error) {
        count_nodes(&search);
        error = rank(merged);
    }
    free(search.needed);
    free(search.path_of);
    tm_set_deinit(&search.seen);
    tm_set_deinit(&search.labels);
    tm_text_deinit(&search.text);
    if (error)
        tm_merged_deinit(merged);
    return error;
}

void tm_merged_deinit(struct tm_merged *merged)
{
    free(merged->paths);
    free(merged->order);
    *merged = (struct tm_merged){0};
}

// Whether the beginning of a path is a name that labels can follow as in Python.
static bool names_object(const struct tm_name *label)
{
    return strncmp(label->bytes, "module ", 7) == 0 || strstr(label->bytes, ", local ");
}

void tm_merged_write(const struct tm_merged *merged, uint32_t path, struct tm_text *text)
{
    // From the end to the beginning, and then the other way; no path is longer than its depth says.
    const struct tm_merged_path *end = &merged->paths[path];
    size_t steps = 0, count = 1;
    for (const struct tm_merged_path *at = end; at->before; at = &merged->paths[at->before - 1])
        count++;
    for (; count-- > 0; steps = 0) {
        const struct tm_merged_path *at = end, *next = NULL;
        for (; steps < count; steps++) {
            next = at;
            at = &merged->paths[at->before - 1];
        }
        if (!(label_is(at, dict_label) && next && next->label->length > 0 && next->label->bytes[0] == '.'))
            tm_text_bytes(text, at->label->bytes, at->label->length);
        if (!at->before && next && !names_object(at->label))
            tm_text_add(text, ": ");
    }
}
