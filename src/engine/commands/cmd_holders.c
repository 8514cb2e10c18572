// tm-holders: what keeps an object alive.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/inspect.h"
#include "engine/commands/look.h"
#include "engine/commands/report.h"
#include "engine/commands/words.h"
#include "engine/graph/holders.h"
#include "engine/graph/leaks.h"
#include "engine/graph/roots.h"
#include "engine/objects/references.h"

enum { MOST_STEPS = 4096, SHOWN_ENDS = 20 };

#define HOLDERS_OPTIONS(X)                                                                                       \
    X(TM_OPTION_LIMIT, 'n', "-n, ", "--limit", " N", "With --direct: show the first N references (default 10).") \
    X(TM_OPTION_DIRECT, 'd', "-d, ", "--direct", "", "Show all that refers to it directly, instead of a path.")  \
    TM_OPTIONS_PLAIN(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {HOLDERS_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] =
    TM_HELP("Show what holds an object: the references that lead to it.", "tm-holders [OPTION]... ADDRESS|EXPRESSION",
            "The answer is a shortest path from where it begins: a module, a variable of a\n"
            "Python function that runs, or else what C has (module data, a stack, memory of a\n"
            "library). Each line is a step: how the one before refers to it, what it is, and\n"
            "the line that allocated it. The last one is the object that was asked about.\n"
            "Below is how much would be freed if it went, with what it alone holds.\n"
            "\n"
            "The first line compares the reference count with the references that were found.\n"
            "If more are counted than found, C code has a reference that is nowhere in\n"
            "memory, or forgot to release one: see tm-leaks.\n"
            "\n"
            "The address may be anywhere in a block. Options come before it, and \"--\" ends\n"
            "the options.\n",
            HOLDERS_OPTIONS,
            "Examples:\n"
            "  tm-holders 0x7f3a5c0e4d30\n"
            "  tm-holders --direct 0x7f3a5c0e4d30\n"
            "  tm-find --type 'shop.Basket'        for addresses to ask about\n"
            "\n"
            "The JSON object has:\n"
            "  command, asked (the address), address (of the object), type, value\n"
            "  refcount, found\n"
            "                references that are counted and found (null: no object)\n"
            "  held          whether anything holds it\n"
            "  root          where the path begins, as text\n"
            "  path          the steps, each with label, address, type, value, filename,\n"
            "                lineno (null: not traced) and, where known, name\n"
            "  retained_size, retained_count\n"
            "                what would be freed if it went: bytes and blocks\n"
            "  direct        with --direct instead of path: what refers to it, each thing\n"
            "                as a step; direct_total; roots (whether something that is in no\n"
            "                block refers to it)\n"
            "  suspect       whether memory is missing that may hold references\n");

struct answer {
    struct tm_request *request;
    struct tm_look look;
    uint64_t asked;
    uint32_t node; // that of the object, if the address is in a part of one
    struct tm_text *out;
    struct tm_json *json; // NULL: text
};

// ---------------------------------------------------------------------------------------------------------------
// Steps

static struct tm_error *show_node(struct answer *answer, const struct tm_heap_node *node, struct tm_text *text)
{
    if (node->kind == TM_NODE_OBJECT)
        return tm_show_short(&answer->look.objects, tm_node_object(node), text);
    tm_text_printf(text, "%s of %" PRIu64 " bytes at 0x%" PRIx64,
                   node->kind == TM_NODE_DEAD ? "dead object" : "block of C", node->size, node->address);
    return NULL;
}

struct finding {
    struct answer *answer;
    const struct tm_heap_node *to;
    uint64_t offset;
    bool found;
};

static struct tm_error *match_word(void *context, uint64_t offset, uint64_t word)
{
    struct finding *finding = context;
    bool counts;
    if (!finding->found && tm_graph_target(&finding->answer->look.graph, word, &counts) == finding->to) {
        finding->offset = offset;
        finding->found = true;
    }
    return NULL;
}

// How `from` refers to `to`.
static struct tm_error *label(struct answer *answer, const struct tm_heap_node *from, const struct tm_heap_node *to,
                              struct tm_text *text)
{
    struct tm_objects *objects = &answer->look.objects;
    struct finding finding = {.answer = answer, .to = to};
    bool unreadable = false;
    struct tm_error *error = tm_references_visit(objects, &answer->look.nodes, from, match_word, &finding, &unreadable);
    if (!error && finding.found)
        error = tm_reference_label(objects, &answer->look.nodes, from, finding.offset, text);
    return error;
}

static void write_place(struct answer *answer, const struct tm_heap_node *node)
{
    const struct tm_origin *origin = tm_node_origin(&answer->look.nodes, node);
    if (!origin) {
        tm_text_add(answer->out, "  (not traced)");
        return;
    }
    const struct tm_place place = {.frame = *origin->traceback->newest};
    tm_text_add(answer->out, "  ");
    tm_format_place(answer->out, &place);
}

static void write_place_json(struct answer *answer, const struct tm_heap_node *node)
{
    const struct tm_origin *origin = tm_node_origin(&answer->look.nodes, node);
    if (origin) {
        tm_report_frame_json(answer->json, origin->traceback->newest);
        return;
    }
    tm_json_null(answer->json, "filename");
    tm_json_null(answer->json, "lineno");
}

static struct tm_error *write_step(struct answer *answer, const struct tm_text *label_text,
                                   const struct tm_heap_node *node)
{
    const struct tm_type *type = tm_node_type(&answer->look.objects, node);
    struct tm_text value = TM_TEXT_EMPTY;
    struct tm_error *error = show_node(answer, node, &value);
    if (answer->json) {
        tm_json_begin_object(answer->json, NULL);
        tm_json_string(answer->json, "label", tm_text_string(label_text), label_text->length);
        tm_json_number(answer->json, "address", tm_node_object(node));
        if (type)
            tm_inspect_type_json(type, answer->json);
        tm_json_string(answer->json, "value", tm_text_string(&value), value.length);
        write_place_json(answer, node);
        tm_json_end_object(answer->json);
    } else {
        tm_text_add(answer->out, "  ");
        tm_text_bytes(answer->out, tm_text_string(label_text), label_text->length);
        tm_text_add(answer->out, label_text->length ? "  " : "");
        if (type && node->kind == TM_NODE_OBJECT && !strstr(tm_text_string(&value), " at 0x")) {
            tm_type_write_name(type, answer->out);
            tm_text_printf(answer->out, " at 0x%" PRIx64 ": ", tm_node_object(node));
        }
        tm_text_bytes(answer->out, tm_text_string(&value), value.length);
        write_place(answer, node);
        tm_text_add(answer->out, "\n");
    }
    tm_text_deinit(&value);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// The path

static struct tm_error *describe_root(struct answer *answer, const struct tm_holders *holders, uint32_t first,
                                      struct tm_text *text)
{
    struct tm_graph *graph = &answer->look.graph;
    const struct tm_type *type = tm_node_type(&answer->look.objects, &answer->look.nodes.items[first]);
    struct tm_object object;
    bool found = false;
    if (type && type->shape == TM_SHAPE_MODULE) {
        struct tm_error *error =
            tm_object_at(&answer->look.objects, tm_node_object(&answer->look.nodes.items[first]), &object, &found);
        return error || !found ? error : tm_show_name(&answer->look.objects, &object, text);
    }
    (void)holders;
    return graph->root_of[first] ? tm_root_describe(graph, &graph->roots[graph->root_of[first] - 1], text) : NULL;
}

static bool is_module(const struct answer *answer, uint32_t node)
{
    const struct tm_type *type = tm_node_type(&answer->look.objects, &answer->look.nodes.items[node]);
    return type && type->shape == TM_SHAPE_MODULE;
}

// Parts and the dicts of modules and instances are no steps of their own: what they add goes before the next label.
static bool is_step(const struct answer *answer, const uint32_t *path, size_t i, size_t count)
{
    return i + 1 == count || !answer->look.nodes.items[path[i]].owner;
}

static struct tm_error *write_steps(struct answer *answer, const uint32_t *path, size_t count)
{
    const struct tm_heap_node *items = answer->look.nodes.items;
    struct tm_text text = TM_TEXT_EMPTY;
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < count; i++) {
        if (i > 0) {
            size_t before = text.length;
            error = label(answer, &items[path[i - 1]], &items[path[i]], &text);
            // A word that leads to a part says nothing that the part's own words do not say.
            if (!error && items[path[i]].owner && text.length > before &&
                &items[items[path[i]].owner - 1] == &items[path[i - 1]]) {
                text.length = before;
                text.bytes[before] = '\0';
            }
        }
        if (error || (i == 0 && is_module(answer, path[0]) && count > 1) || !is_step(answer, path, i, count))
            continue;
        if (count > 2 * SHOWN_ENDS && i == SHOWN_ENDS && !answer->json)
            tm_text_printf(answer->out, "  … %zu more steps\n", count - 2 * SHOWN_ENDS);
        if (answer->json || i < SHOWN_ENDS || i + SHOWN_ENDS >= count)
            error = write_step(answer, &text, &items[path[i]]);
        tm_text_clear(&text);
    }
    tm_text_deinit(&text);
    return error;
}

static struct tm_error *write_path(struct answer *answer)
{
    struct tm_holders holders;
    uint64_t size = 0, count = 0;
    uint32_t *path = malloc(MOST_STEPS * sizeof(*path));
    size_t steps;
    struct tm_error *error = path ? tm_holders_init(&holders, &answer->look.graph) : tm_error_no_memory();
    if (error) {
        free(path);
        return error;
    }
    tm_holders_path(&holders, answer->node, path, MOST_STEPS, &steps);
    struct tm_text root = TM_TEXT_EMPTY;
    if (steps > 0)
        error = describe_root(answer, &holders, path[0], &root);
    if (answer->json) {
        tm_json_bool(answer->json, "held", steps > 0);
        tm_json_string(answer->json, "root", tm_text_string(&root), root.length);
        tm_json_begin_array(answer->json, "path");
    } else if (steps > 0) {
        tm_text_bytes(answer->out, tm_text_string(&root), root.length);
        tm_text_add(answer->out, "\n");
    } else {
        tm_text_add(answer->out,
                    "nothing holds it: no reference leads to it from a module, a function or C's memory\n");
    }
    tm_text_deinit(&root);
    if (!error)
        error = write_steps(answer, path, steps);
    if (!error)
        error = tm_holders_retained(&holders, answer->node, &size, &count);
    if (answer->json) {
        tm_json_end_array(answer->json);
        tm_json_number(answer->json, "retained_size", size);
        tm_json_number(answer->json, "retained_count", count);
    } else if (steps > 0) {
        tm_text_add(answer->out, "without it ");
        tm_format_size(answer->out, false, size, false);
        tm_text_add(answer->out, " in ");
        tm_report_count(answer->out, count, "block");
        tm_text_add(answer->out, " would be freed\n");
    }
    tm_holders_deinit(&holders);
    free(path);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Direct references

static bool refers(const struct answer *answer, uint32_t from)
{
    const struct tm_graph *graph = &answer->look.graph;
    for (uint32_t i = graph->first[from]; i < graph->first[from + 1]; i++)
        if (graph->to[i] == answer->node)
            return true;
    return false;
}

static struct tm_error *write_direct(struct answer *answer)
{
    const struct tm_nodes *nodes = &answer->look.nodes;
    const struct tm_graph *graph = &answer->look.graph;
    uint64_t total = 0, limit = tm_request_limit(answer->request);
    struct tm_error *error = NULL;
    if (answer->json)
        tm_json_begin_array(answer->json, "direct");
    for (size_t i = 0; !error && i < nodes->count; i++) {
        if (i != answer->node && refers(answer, (uint32_t)i) && total++ < limit) {
            struct tm_text text = TM_TEXT_EMPTY;
            error = label(answer, &nodes->items[i], &nodes->items[answer->node], &text);
            if (!error)
                error = write_step(answer, &text, tm_node_owner(nodes, &nodes->items[i]));
            tm_text_deinit(&text);
        }
        if (!error && i % 65536 == 0)
            error = tm_host_check(answer->look.objects.host);
    }
    uint32_t root = graph->root_of[answer->node];
    if (answer->json) {
        tm_json_end_array(answer->json);
        tm_json_number(answer->json, "direct_total", total);
        tm_json_bool(answer->json, "roots", root);
        return error;
    }
    if (total > limit)
        tm_text_printf(answer->out, "  %" PRIu64 " more\n", total - limit);
    if (!error && root) {
        tm_text_add(answer->out, "  ");
        error = tm_root_describe(&answer->look.graph, &graph->roots[root - 1], answer->out);
        tm_text_add(answer->out, "\n");
    }
    if (total == 0 && !root)
        tm_text_add(answer->out, "  nothing refers to it\n");
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Running

static struct tm_error *not_found(const struct answer *answer)
{
    return tm_error_create(TM_ERROR_NOT_FOUND,
                           "no live block contains 0x%" PRIx64 ": what holds it cannot be told\nThe objects of the "
                           "interpreter itself are in its data, and are always held. Type \"tm-find --type 'PATTERN'\" "
                           "for addresses of others",
                           answer->asked);
}

static struct tm_error *write_counts(struct answer *answer, const struct tm_heap_node *node)
{
    struct tm_objects *objects = &answer->look.objects;
    const struct tm_type *type = tm_node_type(objects, node);
    uint64_t found = answer->look.graph.found[answer->node], count = 0;
    struct tm_text value = TM_TEXT_EMPTY;
    struct tm_error *error = show_node(answer, node, &value);
    bool has_count = node->kind == TM_NODE_OBJECT && tm_objects_word(objects, tm_node_object(node), &count);
    bool immortal = has_count && objects->cpython->immortal && (count >> 31 & 1);
    if (answer->json) {
        tm_json_number(answer->json, "address", tm_node_object(node));
        if (type)
            tm_inspect_type_json(type, answer->json);
        tm_json_string(answer->json, "value", tm_text_string(&value), value.length);
        if (has_count)
            tm_json_number(answer->json, "refcount", count);
        else
            tm_json_null(answer->json, "refcount");
        if (has_count)
            tm_json_number(answer->json, "found", found);
        else
            tm_json_null(answer->json, "found");
    } else {
        if (type && node->kind == TM_NODE_OBJECT && !strstr(tm_text_string(&value), " at 0x")) {
            tm_type_write_name(type, answer->out);
            tm_text_printf(answer->out, " object at 0x%" PRIx64 ": ", tm_node_object(node));
        }
        tm_text_bytes(answer->out, tm_text_string(&value), value.length);
        if (immortal)
            tm_text_printf(answer->out, ": immortal, %" PRIu64 " references found", found);
        else if (has_count) {
            tm_text_add(answer->out, ": ");
            tm_report_count(answer->out, count, "reference");
            tm_text_printf(answer->out, " counted, %" PRIu64 " found", found);
        }
        tm_text_add(answer->out, "\n");
    }
    tm_text_deinit(&value);
    return error;
}

static struct tm_error *write_answer(struct answer *answer)
{
    const struct tm_graph *graph = &answer->look.graph;
    bool suspect = graph->unreadable_roots > 0 || graph->unreadable_nodes > 0 || answer->look.nodes.unreadable > 0;
    struct tm_error *error = write_counts(answer, &answer->look.nodes.items[answer->node]);
    if (!error)
        error = answer->request->settings.direct ? write_direct(answer) : write_path(answer);
    if (answer->json)
        tm_json_bool(answer->json, "suspect", suspect);
    else if (suspect) {
        tm_format_size(answer->out, false, graph->unreadable_roots, false);
        tm_text_add(answer->out, " of memory that may hold references cannot be read\n");
    }
    return error;
}

static struct tm_error *look_up(struct answer *answer)
{
    const struct tm_heap_node *node = tm_nodes_find(&answer->look.nodes, answer->asked);
    if (!node)
        return not_found(answer);
    node = tm_node_owner(&answer->look.nodes, node);
    answer->node = (uint32_t)tm_node_number(&answer->look.nodes, node);
    if (!answer->json)
        return write_answer(answer);
    tm_json_begin_object(answer->json, NULL);
    tm_json_word(answer->json, "command", answer->request->command->name);
    tm_json_number(answer->json, "asked", answer->asked);
    struct tm_error *error = write_answer(answer);
    tm_json_end_object(answer->json);
    tm_text_add(answer->out, "\n");
    return error;
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    struct tm_json json = {out, false};
    struct answer answer;
    struct tm_pool *pool;
    memset(&answer, 0, sizeof(answer));
    answer.request = request;
    answer.asked = request->has_address ? request->address : request->unresolved[0].address;
    answer.out = out;
    answer.json = request->settings.json ? &json : NULL;
    struct tm_error *error = tm_pool_create(&pool);
    if (error)
        return error;
    error = tm_look_init_graph(&answer.look, request, current, pool);
    if (!error)
        error = look_up(&answer);
    tm_look_deinit(&answer.look);
    tm_pool_destroy(pool);
    return error;
}

const struct tm_command tm_command_holders = {
    .name = "tm-holders",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .takes_expression = true,
    .needs_target = true,
    .prepare = tm_request_take_address,
    .run = run,
};
