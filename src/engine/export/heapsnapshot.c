// The file: what its numbers mean, nodes, edges, the tree of tracebacks, strings. A string is named by its number and comes
// last. Those of str objects are read again then, so that they need no memory here.

#include "engine/export/heapsnapshot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/json.h"
#include "engine/base/number.h"
#include "engine/export/heap_traces.h"
#include "engine/graph/holders.h"
#include "engine/graph/roots.h"
#include "engine/objects/census.h"
#include "engine/objects/references.h"
#include "engine/objects/show.h"

enum {
    NODE_FIELDS = 7,
    MOST_NAMES = 1 << 20,  // of edges: those beyond have numbers
    MOST_DESCRIBED = 1000, // roots in frames: finding the frame takes time
    BETWEEN_CHECKS = 4096,
    ID_BITS = 31,
};

// In the order of the format's lists.
enum node_type {
    NODE_HIDDEN = 0,
    NODE_ARRAY = 1,
    NODE_STRING = 2,
    NODE_OBJECT = 3,
    NODE_CODE = 4,
    NODE_CLOSURE = 5,
    NODE_NATIVE = 8,
    NODE_SYNTHETIC = 9
};
enum edge_type { EDGE_CONTEXT, EDGE_ELEMENT, EDGE_PROPERTY, EDGE_INTERNAL, EDGE_HIDDEN, EDGE_SHORTCUT };

// The nodes that are no blocks, first in the file; then the blocks, then the places of allocations.
enum { ROOT, GC_ROOTS, FIRST_KIND, UNHELD = FIRST_KIND + TM_ROOT_MEMORY + 1, MADE_UP };

static const char meta[] =
    "{\"snapshot\":{\"meta\":{"
    "\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\",\"edge_count\",\"trace_node_id\",\"detachedness\"],"
    "\"node_types\":[[\"hidden\",\"array\",\"string\",\"object\",\"code\",\"closure\",\"regexp\",\"number\",\"native\","
    "\"synthetic\",\"concatenated string\",\"sliced string\",\"symbol\",\"bigint\",\"object shape\"],"
    "\"string\",\"number\",\"number\",\"number\",\"number\",\"number\"],"
    "\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"],"
    "\"edge_types\":[[\"context\",\"element\",\"property\",\"internal\",\"hidden\",\"shortcut\",\"weak\"],"
    "\"string_or_number\",\"node\"],"
    "\"trace_function_info_fields\":[\"function_id\",\"name\",\"script_name\",\"script_id\",\"line\",\"column\"],"
    "\"trace_node_fields\":[\"id\",\"function_info_index\",\"count\",\"size\",\"children\"],"
    "\"sample_fields\":[\"timestamp_us\",\"last_assigned_id\"],"
    "\"location_fields\":[\"object_index\",\"script_id\",\"line\",\"column\"]},";

struct writer {
    struct tm_graph *graph;
    const struct tm_nodes *nodes;
    struct tm_sink *sink;
    struct tm_heap_traces traces;
    uint64_t *modules; // nodes, those that are held
    uint64_t *unheld;  // nodes from which all that nothing holds is reached
    size_t unheld_count;
    size_t module_count, kind_counts[TM_ROOT_MEMORY + 1];
    size_t str_count;             // their strings come first
    const struct tm_name **names; // all other strings
    size_t name_count;
    size_t name_capacity;
    struct tm_set name_numbers;
    struct tm_set ids;
    uint64_t described;
    struct tm_text text;
    bool comma;
    uint64_t edges;
};

// ---------------------------------------------------------------------------------------------------------------
// Values

static void write_number(struct writer *writer, uint64_t number)
{
    if (writer->comma)
        tm_text_add(&writer->sink->text, ",");
    writer->comma = true;
    tm_text_number(&writer->sink->text, number);
}

static struct tm_error *pass(struct writer *writer)
{
    // The sink keeps its error, and reports it when it is finished.
    return tm_sink_pass(writer->sink) ? tm_error_create(TM_ERROR_OUTPUT, "the export could not be written to its file")
                                      : NULL;
}

static struct tm_error *number_name(struct writer *writer, const char *bytes, size_t length, uint64_t *result)
{
    const struct tm_name *name;
    *result = 0;
    struct tm_error *error = tm_pool_name(writer->graph->objects->pool, bytes, (uint32_t)length, &name);
    if (!error && (!tm_set_reserve(&writer->name_numbers) ||
                   !TM_GROW(&writer->names, writer->name_count + 1, &writer->name_capacity)))
        error = tm_error_no_memory();
    if (error)
        return error;
    struct tm_set_entry *entry = tm_set_find_number(&writer->name_numbers, (uintptr_t)name);
    if (!entry->item) {
        writer->names[writer->name_count++] = name;
        tm_set_put_number(&writer->name_numbers, entry, (uintptr_t)name, (void *)(uintptr_t)writer->name_count);
    }
    *result = writer->str_count + (uintptr_t)entry->item - 1;
    return NULL;
}

static struct tm_error *number_text(struct writer *writer, uint64_t *result)
{
    struct tm_error *error = tm_text_check(&writer->text);
    return error ? error : number_name(writer, tm_text_string(&writer->text), writer->text.length, result);
}

static struct tm_error *number_word(struct writer *writer, const char *word, uint64_t *result)
{
    return number_name(writer, word, strlen(word), result);
}

// Ids are odd and of 32 bits. They depend on the address, so that the same object has the same one in most later files.
static struct tm_error *make_id(struct writer *writer, uint64_t address, uint64_t *result)
{
    uint64_t id = tm_hash_number(address) >> (64 - ID_BITS);
    if (!tm_set_reserve(&writer->ids))
        return tm_error_no_memory();
    while (id < MADE_UP || tm_set_find_number(&writer->ids, id)->item)
        id = (id + 1) & ((UINT64_C(1) << ID_BITS) - 1);
    *result = 2 * id + 1;
    return tm_set_add_number(&writer->ids, id) ? NULL : tm_error_no_memory();
}

// ---------------------------------------------------------------------------------------------------------------
// Nodes

struct row {
    enum node_type type;
    uint64_t name, id, size, edges, trace;
};

static struct tm_error *write_node(struct writer *writer, const struct row *row)
{
    write_number(writer, row->type);
    write_number(writer, row->name);
    write_number(writer, row->id);
    write_number(writer, row->size < UINT32_MAX ? row->size : UINT32_MAX); // readers keep 32 bits
    write_number(writer, row->edges);
    write_number(writer, row->trace);
    write_number(writer, 0);
    return pass(writer);
}

static struct tm_error *write_made_up(struct writer *writer, unsigned number, const char *name, uint64_t edges)
{
    struct row row = {.type = NODE_SYNTHETIC, .id = 2 * number + 1, .edges = edges};
    struct tm_error *error = number_word(writer, name, &row.name);
    return error ? error : write_node(writer, &row);
}

static struct tm_error *write_all_made_up(struct writer *writer)
{
    struct tm_error *error = write_made_up(writer, ROOT, "", 1 + writer->module_count);
    if (!error)
        error = write_made_up(writer, GC_ROOTS, "(GC roots)", MADE_UP - FIRST_KIND);
    for (unsigned kind = 0; !error && kind <= TM_ROOT_MEMORY; kind++) {
        char name[64];
        tm_escape_into(name, sizeof(name), tm_root_kind_name(kind), strlen(tm_root_kind_name(kind)));
        tm_text_clear(&writer->text);
        tm_text_printf(&writer->text, "(%s)", name);
        error = write_made_up(writer, FIRST_KIND + kind, tm_text_string(&writer->text), writer->kind_counts[kind]);
    }
    return error ? error : write_made_up(writer, UNHELD, "(held by nothing)", writer->unheld_count);
}

static const char *part_name(enum tm_part part)
{
    static const char *const names[] = {"block", "items", "keys", "values", "table", "links", "buffer"};
    return names[part];
}

static bool is_str(const struct writer *writer, const struct tm_heap_node *node)
{
    const struct tm_type *type = tm_node_type(writer->graph->objects, node);
    return node->kind == TM_NODE_OBJECT && type && type->shape == TM_SHAPE_STR && !type->is_heap;
}

// What a node is called: objects by their type, but what has a name of its own by that.
static struct tm_error *name_node(struct writer *writer, const struct tm_heap_node *node, struct row *row)
{
    struct tm_objects *objects = writer->graph->objects;
    const struct tm_heap_node *owner = tm_node_owner(writer->nodes, node);
    const struct tm_type *type = tm_node_type(objects, owner);
    struct tm_object object;
    bool found = false;
    struct tm_error *error = NULL;
    tm_text_clear(&writer->text);
    if (node->kind == TM_NODE_DEAD) {
        row->type = NODE_HIDDEN;
        tm_text_add(&writer->text, TM_FREE_LIST);
    } else if (node->owner) {
        row->type = node->part == TM_PART_BUFFER ? NODE_NATIVE : NODE_ARRAY;
        if (type)
            tm_type_write_name(type, &writer->text);
        tm_text_printf(&writer->text, " %s", part_name(node->part));
    } else if (node->kind != TM_NODE_OBJECT || !type) {
        row->type = NODE_NATIVE;
        tm_text_add(&writer->text, node->origin == TM_UNTRACED ? "block, not traced" : TM_NO_OBJECT);
    } else {
        bool named = type->shape == TM_SHAPE_FUNCTION || type->shape == TM_SHAPE_CODE ||
                     type->shape == TM_SHAPE_MODULE || type->shape == TM_SHAPE_TYPE;
        row->type = type->shape == TM_SHAPE_FUNCTION ? NODE_CLOSURE
                    : type->shape == TM_SHAPE_CODE   ? NODE_CODE
                                                     : NODE_OBJECT;
        if (named)
            error = tm_object_at(objects, tm_node_object(node), &object, &found);
        if (!error && found)
            error = tm_show_name(objects, &object, &writer->text);
        else if (!error)
            tm_type_write_name(type, &writer->text);
    }
    return error ? error : number_text(writer, &row->name);
}

static struct tm_error *write_blocks(struct writer *writer)
{
    uint64_t strings = 0;
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < writer->nodes->count; i++) {
        const struct tm_heap_node *node = &writer->nodes->items[i];
        struct row row = {.size = node->size};
        bool traced = node->origin != TM_UNTRACED;
        row.edges = writer->graph->first[i + 1] - writer->graph->first[i] + traced;
        row.trace = traced ? writer->traces.ids[node->origin] : 0;
        if (is_str(writer, node)) {
            row.type = NODE_STRING;
            row.name = strings++;
        } else {
            error = name_node(writer, node, &row);
        }
        if (!error)
            error = make_id(writer, node->address, &row.id);
        if (!error)
            error = write_node(writer, &row);
        if (!error && i % BETWEEN_CHECKS == 0) {
            tm_host_progress(writer->graph->objects->host, "nodes", i, writer->nodes->count);
            error = tm_objects_check(writer->graph->objects);
        }
    }
    return error;
}

static struct tm_error *write_places(struct writer *writer)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < writer->traces.place_count; i++) {
        const struct tm_frame *frame = writer->traces.place_frames[i];
        struct row row = {.type = NODE_SYNTHETIC, .id = 2 * (i + 1)};
        tm_text_clear(&writer->text);
        tm_text_escape(&writer->text, frame->file_name->bytes, frame->file_name->length);
        tm_text_printf(&writer->text, ":%" PRIu32, frame->line);
        error = number_text(writer, &row.name);
        if (!error)
            error = write_node(writer, &row);
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Edges

static void write_edge(struct writer *writer, enum edge_type type, uint64_t name, uint64_t node)
{
    write_number(writer, type);
    write_number(writer, name);
    write_number(writer, node * NODE_FIELDS);
    writer->edges++;
}

static struct tm_error *write_root_edges(struct writer *writer)
{
    struct tm_graph *graph = writer->graph;
    struct tm_error *error = NULL;
    write_edge(writer, EDGE_ELEMENT, 1, GC_ROOTS);
    // Edges of this kind from the root lead to what a user knows: distances count from there.
    for (size_t i = 0, found = 0; !error && i < graph->nodes->count && found < writer->module_count; i++) {
        if (!tm_node_set_has(writer->modules, (uint32_t)i))
            continue;
        found++;
        uint64_t name = 0;
        struct tm_object object;
        bool is_object = false;
        tm_text_clear(&writer->text);
        error = tm_object_at(graph->objects, tm_node_object(&graph->nodes->items[i]), &object, &is_object);
        if (!error && is_object)
            error = tm_show_name(graph->objects, &object, &writer->text);
        if (!error)
            error = number_text(writer, &name);
        write_edge(writer, EDGE_SHORTCUT, name, MADE_UP + i);
        if (!error)
            error = pass(writer);
    }
    for (unsigned i = FIRST_KIND; i < MADE_UP; i++)
        write_edge(writer, EDGE_ELEMENT, i - FIRST_KIND + 1, i);
    return error;
}

static struct tm_error *write_root_word(struct writer *writer, const struct tm_root_word *root)
{
    uint64_t name = 0;
    struct tm_error *error = NULL;
    tm_text_clear(&writer->text);
    if (root->kind == TM_ROOT_FRAME && writer->described++ < MOST_DESCRIBED)
        error = tm_root_describe(writer->graph, root, &writer->text);
    else if (root->kind == TM_ROOT_REGISTER)
        tm_text_printf(&writer->text, "thread %" PRIu64, root->place);
    else
        tm_text_printf(&writer->text, "0x%" PRIx64, root->place);
    if (!error)
        error = number_text(writer, &name);
    write_edge(writer, EDGE_INTERNAL, name, MADE_UP + root->node);
    return error ? error : pass(writer);
}

static struct tm_error *write_kinds(struct writer *writer)
{
    const struct tm_graph *graph = writer->graph;
    struct tm_error *error = NULL;
    for (unsigned kind = 0; kind <= TM_ROOT_MEMORY; kind++)
        for (size_t i = 0; !error && i < graph->root_count; i++)
            if (graph->roots[i].kind == kind)
                error = write_root_word(writer, &graph->roots[i]);
    for (size_t i = 0, number = 0; !error && i < graph->nodes->count; i++) {
        if (!tm_node_set_has(writer->unheld, (uint32_t)i))
            continue;
        write_edge(writer, EDGE_ELEMENT, ++number, MADE_UP + i);
        error = pass(writer);
    }
    return error;
}

// The references of one node.
struct references {
    struct writer *writer;
    uint32_t node;
    uint32_t next; // of the graph's edges
};

// An attribute, an index, a variable: as text, and as the format has them.
static struct tm_error *write_label(struct writer *writer, uint32_t from, uint64_t offset, uint64_t to)
{
    struct tm_graph *graph = writer->graph;
    struct tm_text *text = &writer->text;
    uint64_t number;
    tm_text_clear(text);
    struct tm_error *error = tm_reference_label(graph->objects, graph->nodes, &graph->nodes->items[from], offset, text);
    if (!error)
        error = tm_text_check(text);
    if (error)
        return error;
    const char *label = tm_text_string(text);
    size_t digits = label[0] == '[' ? strspn(label + 1, "0123456789") : 0;
    bool is_list = graph->nodes->items[from].part != TM_PART_KEYS && graph->nodes->items[from].part != TM_PART_VALUES;
    if (is_list && digits > 0 && digits < 10 && strcmp(label + 1 + digits, "]") == 0) {
        write_edge(writer, EDGE_ELEMENT, strtoull(label + 1, NULL, 10), to);
        return NULL;
    }
    if (writer->name_count >= MOST_NAMES) {
        write_edge(writer, EDGE_ELEMENT, offset, to);
        return NULL;
    }
    enum edge_type type = EDGE_INTERNAL;
    if (label[0] == '.' || label[0] == '[')
        type = EDGE_PROPERTY;
    else if (strncmp(label, " local ", 7) == 0)
        type = EDGE_CONTEXT;
    size_t skip = strspn(label, ". ");
    error = number_name(writer, label + skip, text->length - skip, &number);
    if (!error)
        write_edge(writer, type, number, to);
    return error;
}

static struct tm_error *write_reference(void *context, uint64_t offset, uint64_t word)
{
    struct references *references = context;
    struct writer *writer = references->writer;
    const struct tm_graph *graph = writer->graph;
    bool counts;
    const struct tm_heap_node *node = tm_graph_target(graph, word, &counts);
    // The graph's edges are what was announced. A process that runs may have changed since.
    if (!node || references->next >= graph->first[references->node + 1] ||
        graph->to[references->next] != tm_node_number(graph->nodes, node))
        return NULL;
    uint32_t to = graph->to[references->next++];
    if (node->owner == references->node + 1) {
        uint64_t name;
        struct tm_error *error = number_word(writer, part_name(node->part), &name);
        write_edge(writer, EDGE_INTERNAL, name, MADE_UP + to);
        return error;
    }
    return write_label(writer, references->node, offset, MADE_UP + to);
}

static struct tm_error *write_references(struct writer *writer)
{
    struct tm_graph *graph = writer->graph;
    uint64_t allocated = 0, unknown = 0;
    struct tm_error *error = number_word(writer, "allocated at", &allocated);
    if (!error)
        error = number_word(writer, "?", &unknown);
    for (size_t i = 0; !error && i < graph->nodes->count; i++) {
        const struct tm_heap_node *node = &graph->nodes->items[i];
        struct references references = {writer, (uint32_t)i, graph->first[i]};
        bool unreadable = false;
        if (node->origin != TM_UNTRACED)
            write_edge(writer, EDGE_INTERNAL, allocated,
                       MADE_UP + graph->nodes->count + writer->traces.places[node->origin]);
        error = tm_references_visit(graph->objects, graph->nodes, node, write_reference, &references, &unreadable);
        for (uint32_t edge = references.next; edge < graph->first[i + 1]; edge++)
            write_edge(writer, EDGE_INTERNAL, unknown, MADE_UP + graph->to[edge]);
        if (!error)
            error = pass(writer);
        if (!error && i % BETWEEN_CHECKS == 0) {
            tm_host_progress(graph->objects->host, "edges", i, graph->nodes->count);
            error = tm_objects_check(graph->objects);
        }
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Tracebacks

static struct tm_error *write_functions(struct writer *writer)
{
    const struct tm_frames *frames = &writer->traces.frames;
    uint64_t name = 0, file = 0;
    struct tm_error *error = number_word(writer, "(root)", &name);
    if (!error)
        error = number_word(writer, "", &file);
    const uint64_t root[] = {0, name, file, 0, 0, 0};
    for (unsigned i = 0; i < sizeof(root) / sizeof(root[0]); i++)
        write_number(writer, root[i]);
    for (size_t i = 0; !error && i < frames->count; i++) {
        const struct tm_frame *frame = frames->items[i];
        tm_text_clear(&writer->text);
        tm_text_escape(&writer->text, frame->file_name->bytes, frame->file_name->length);
        error = number_text(writer, &file);
        tm_text_clear(&writer->text);
        if (frame->function)
            tm_text_escape(&writer->text, frame->function->bytes, frame->function->length);
        else
            tm_text_printf(&writer->text, "line %" PRIu32, frame->line);
        if (!error)
            error = number_text(writer, &name);
        const uint64_t fields[] = {i + 1, name, file, file, frame->line, 0};
        for (unsigned j = 0; j < sizeof(fields) / sizeof(fields[0]); j++)
            write_number(writer, fields[j]);
        if (!error)
            error = pass(writer);
    }
    return error;
}

static void close_traces(struct writer *writer, uint32_t levels)
{
    for (uint32_t i = 0; i < levels; i++)
        tm_text_add(&writer->sink->text, "]");
    writer->comma = true;
}

static struct tm_error *write_tree(struct writer *writer)
{
    const struct tm_heap_traces *traces = &writer->traces;
    struct tm_text *text = &writer->sink->text;
    uint32_t open = 0, id = TM_HEAP_TRACES_ROOT;
    struct tm_error *error = NULL;
    tm_text_printf(text, "%u,0,0,0,[", id++);
    writer->comma = false;
    for (size_t i = 0, next; !error && i < traces->count; i = next) {
        const struct tm_heap_trace *trace = &traces->items[i];
        uint64_t size = trace->size, count = trace->count;
        uint32_t common = i > 0 ? tm_heap_traces_common(trace, trace - 1) : 0;
        // Those that differ in their domain only are one.
        for (next = i + 1; next < traces->count && traces->items[next].depth == trace->depth &&
                           tm_heap_traces_common(trace, &traces->items[next]) == trace->depth;
             next++) {
            size = tm_add_saturating(size, traces->items[next].size);
            count += traces->items[next].count;
        }
        if (open > common)
            close_traces(writer, open - common);
        for (uint32_t at = common; at < trace->depth; at++) {
            bool last = at + 1 == trace->depth;
            write_number(writer, id++);
            write_number(writer, trace->frames[at] + 1);
            write_number(writer, last ? count : 0);
            write_number(writer, last ? size : 0);
            tm_text_add(text, ",[");
            writer->comma = false;
        }
        open = trace->depth;
        error = pass(writer);
    }
    close_traces(writer, open + 2); // the root's children, and the array that has the root
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Strings

static struct tm_error *write_strings(struct writer *writer)
{
    struct tm_objects *objects = writer->graph->objects;
    struct tm_json json = {&writer->sink->text, false};
    struct tm_error *error = NULL;
    uint64_t strings = 0;
    for (size_t i = 0; !error && strings < writer->str_count && i < writer->nodes->count; i++) {
        const struct tm_heap_node *node = &writer->nodes->items[i];
        bool truncated;
        if (!is_str(writer, node))
            continue;
        strings++;
        tm_text_clear(&writer->text);
        error = tm_show_value(objects, tm_node_object(node), &writer->text, &truncated);
        if (!error)
            error = tm_text_check(&writer->text);
        if (!error)
            tm_json_string(&json, NULL, tm_text_string(&writer->text), writer->text.length);
        if (!error)
            error = pass(writer);
        if (!error && strings % BETWEEN_CHECKS == 0)
            error = tm_objects_check(objects);
    }
    for (size_t i = 0; !error && i < writer->name_count; i++) {
        tm_json_string(&json, NULL, writer->names[i]->bytes, writer->names[i]->length);
        error = pass(writer);
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// All of it

// From which nodes the rest is reached that no root leads to.
static struct tm_error *find_unheld(struct writer *writer)
{
    struct tm_reach reach;
    writer->unheld = tm_node_set_create(writer->graph);
    writer->modules = tm_node_set_create(writer->graph);
    struct tm_error *error =
        writer->unheld && writer->modules ? tm_reach_init(&reach, writer->graph, false) : tm_error_no_memory();
    if (error)
        return error;
    tm_reach_roots(&reach, writer->graph);
    error = tm_reach_all(&reach, writer->graph);
    for (size_t i = 0; !error && i < writer->nodes->count; i++) {
        bool held = tm_reached(&reach, i);
        // Modules that are held, as tm-holders has them.
        if (held && tm_holders_is_module(writer->graph, (uint32_t)i)) {
            tm_node_set_add(writer->modules, (uint32_t)i);
            writer->module_count++;
        }
        if (held)
            continue;
        tm_node_set_add(writer->unheld, (uint32_t)i);
        writer->unheld_count++;
        tm_reach_add(&reach, (uint32_t)i, 0);
        error = tm_reach_all(&reach, writer->graph);
    }
    tm_reach_deinit(&reach);
    return error;
}

static void count_all(struct writer *writer)
{
    for (size_t i = 0; i < writer->graph->root_count; i++)
        writer->kind_counts[writer->graph->roots[i].kind]++;
    for (size_t i = 0; i < writer->nodes->count; i++)
        writer->str_count += is_str(writer, &writer->nodes->items[i]);
}

static void begin_array(struct writer *writer, const char *key)
{
    tm_text_printf(&writer->sink->text, "\"%s\":[", key);
    writer->comma = false;
}

static struct tm_error *write_all(struct writer *writer, struct tm_heapsnapshot_counts *counts)
{
    struct tm_text *text = &writer->sink->text;
    size_t traced = 0;
    for (size_t i = 0; i < writer->nodes->count; i++)
        traced += writer->nodes->items[i].origin != TM_UNTRACED;
    counts->nodes = MADE_UP + writer->nodes->count + writer->traces.place_count;
    counts->edges = 1 + writer->module_count + (MADE_UP - FIRST_KIND) + writer->graph->root_count +
                    writer->unheld_count + writer->graph->edge_count + traced;
    tm_text_add(text, meta);
    tm_text_printf(text, "\"node_count\":%" PRIu64 ",\"edge_count\":%" PRIu64 ",\"trace_function_count\":%zu},\n",
                   counts->nodes, counts->edges, writer->traces.frames.count + 1);
    begin_array(writer, "nodes");
    struct tm_error *error = write_all_made_up(writer);
    if (!error)
        error = write_blocks(writer);
    if (!error)
        error = write_places(writer);
    tm_text_add(text, "],\n");
    begin_array(writer, "edges");
    if (!error)
        error = write_root_edges(writer);
    if (!error)
        error = write_kinds(writer);
    if (!error)
        error = write_references(writer);
    tm_text_add(text, "],\n");
    begin_array(writer, "trace_function_infos");
    if (!error)
        error = write_functions(writer);
    tm_text_add(text, "],\n");
    begin_array(writer, "trace_tree");
    if (!error)
        error = write_tree(writer);
    tm_text_add(text, ",\n\"samples\":[],\n\"locations\":[],\n");
    begin_array(writer, "strings");
    if (!error)
        error = write_strings(writer);
    tm_text_add(text, "]}\n");
    return error;
}

struct tm_error *tm_export_heapsnapshot(struct tm_graph *graph, struct tm_sink *sink,
                                        struct tm_heapsnapshot_counts *counts)
{
    struct writer writer = {.graph = graph, .nodes = graph->nodes, .sink = sink};
    struct tm_error *error = tm_heap_traces_init(&writer.traces, graph->nodes, graph->objects->host);
    if (error)
        return error;
    error = find_unheld(&writer);
    if (!error) {
        count_all(&writer);
        error = write_all(&writer, counts);
    }
    tm_heap_traces_deinit(&writer.traces);
    free(writer.unheld);
    free(writer.modules);
    free(writer.names);
    tm_set_deinit(&writer.name_numbers);
    tm_set_deinit(&writer.ids);
    tm_text_deinit(&writer.text);
    return error;
}
