// tm-holders: what keeps an object alive, or many of them.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/holder_steps.h"
#include "engine/commands/holders_of_many.h"
#include "engine/commands/inspect.h"
#include "engine/commands/look.h"
#include "engine/commands/report.h"
#include "engine/graph/holders.h"
#include "engine/graph/roots.h"

#define HOLDERS_OPTIONS(X)                                                                                            \
    X(TM_OPTION_LIMIT, 'n', "-n, ", "--limit", " N", "With filters or --direct: show the first N rows (default 10).") \
    X(TM_OPTION_DIRECT, 'd', "-d, ", "--direct", "", "Show all that refers to it directly, instead of a path.")       \
    X(TM_OPTION_PATHS, 'p', "-p, ", "--paths", " N",                                                                  \
      "Show up to N paths (default 1), through different things that refer to\n"                                      \
      "        it, the shortest first.")                                                                              \
    X(TM_OPTION_DEPTH, 0, "    ", "--depth", " N",                                                                    \
      "Show only the N steps of a path that are nearest to the object. With\n"                                        \
      "        filters: tell at most N steps from the beginning apart (default 8).")                                  \
    TM_OPTIONS_FILTERS(X) TM_OPTIONS_PLAIN(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {HOLDERS_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] =
    TM_HELP("Show what holds an object, or many: the references that lead there.",
            "tm-holders [OPTION]... ADDRESS|EXPRESSION|FILTERS",
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
            "With filters instead of an address, the shortest paths of all objects that they\n"
            "keep are counted together, largest first. \"[*]\" in a path is any index or key.\n"
            "The first line says what would be freed if all of these objects went.\n"
            "\n"
            "The address may be anywhere in a block. Options come before it, and \"--\" ends\n"
            "the options.\n"
            "\n" TM_HELP_FILTERS,
            HOLDERS_OPTIONS,
            "Examples:\n"
            "  tm-holders 0x7f3a5c0e4d30\n"
            "  tm-holders --paths 5 --depth 3 0x7f3a5c0e4d30\n"
            "  tm-holders --direct 0x7f3a5c0e4d30\n"
            "  tm-holders --type 'shop.Basket'\n"
            "  tm-holders --include '*/views.py:120'\n"
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
            "  other_paths   with --paths: the next ones, each with root and path\n"
            "  paths_total   how many there are: things that are held and refer to it\n"
            "  retained_size, retained_count\n"
            "                what would be freed if it went: bytes and blocks\n"
            "  direct        with --direct instead of path: what refers to it, each thing\n"
            "                as a step; direct_total; roots (whether something that is in no\n"
            "                block refers to it)\n"
            "  suspect       whether memory is missing that may hold references\n"
            "With filters instead: command, limit, depth, type (the pattern), size, count (of\n"
            "objects and their parts), retained_size, retained_count, suspect and\n" TM_HELP_JSON_FILTERS
            "  unheld        size and count of the objects that nothing holds\n"
            "  paths         the rows: path (as text), size, count, example (an address)\n"
            "  other         how many rows are not shown\n"
            "  missing       " TM_HELP_JSON_MISSING);

static bool is_filtered(const struct tm_request *request)
{
    return request->settings.filters.count > 0 || request->settings.type;
}

static struct tm_error *prepare(struct tm_request *request)
{
    const struct tm_settings *settings = &request->settings;
    bool filtered = is_filtered(request);
    if (request->words.count > 0 && filtered)
        return tm_usage_error(request->command->name, "filters and an address: \"", request->words.items[0],
                              "\". Filters are for many objects: leave out one of them");
    if (filtered && (settings->direct || settings->paths))
        return tm_usage_error(request->command->name, "", settings->direct ? "--direct" : "--paths",
                              " is for one address: leave it out, or the filters");
    if (filtered)
        return NULL;
    if (request->words.count == 0)
        return tm_usage_error(request->command->name,
                              "missing address. Usage: ", "tm-holders [OPTION]... ADDRESS|EXPRESSION|FILTERS",
                              "; \"tm-find --type 'PATTERN'\" lists addresses");
    return tm_request_take_address(request);
}

struct answer {
    struct tm_request *request;
    struct tm_look look;
    uint64_t asked;
    uint32_t node; // that of the object, if the address is in a part of one
    struct tm_text *out;
    struct tm_json *json; // NULL: text
};

// ---------------------------------------------------------------------------------------------------------------
// Paths

static struct tm_steps steps_of(struct answer *answer)
{
    return (struct tm_steps){&answer->look, answer->out, answer->json, answer->request->settings.depth};
}

// The nodes of a way, the object that was asked about last. The caller frees them.
static struct tm_error *take_path(const struct answer *answer, const struct tm_holders *holders,
                                  const struct tm_way *way, uint32_t **path, size_t *count)
{
    *count = 0;
    *path = malloc((way->length + 1) * sizeof(**path));
    if (!*path)
        return tm_error_no_memory();
    if (way->referrer != TM_NO_NODE)
        tm_holders_path(holders, way->referrer, *path, way->length, count);
    (*path)[(*count)++] = answer->node;
    return NULL;
}

static struct tm_error *write_path(struct answer *answer, const struct tm_holders *holders, const struct tm_way *way)
{
    const struct tm_steps steps = steps_of(answer);
    struct tm_text root = TM_TEXT_EMPTY;
    uint32_t *path;
    size_t count;
    struct tm_error *error = take_path(answer, holders, way, &path, &count);
    if (!error)
        error = tm_holders_describe(holders, path[0], &root);
    if (answer->json) {
        tm_json_string(answer->json, "root", tm_text_string(&root), root.length);
        tm_json_begin_array(answer->json, "path");
    } else {
        tm_text_bytes(answer->out, tm_text_string(&root), root.length);
        tm_text_add(answer->out, "\n");
    }
    tm_text_deinit(&root);
    if (!error)
        error = tm_steps_write(&steps, path, count);
    if (answer->json)
        tm_json_end_array(answer->json);
    free(path);
    return error;
}

static void write_unheld(struct answer *answer)
{
    if (!answer->json) {
        tm_text_add(answer->out,
                    "nothing holds it: no reference leads to it from a module, a function or C's memory\n");
        return;
    }
    tm_json_string(answer->json, "root", "", 0);
    tm_json_begin_array(answer->json, "path");
    tm_json_end_array(answer->json);
}

static struct tm_error *write_ways(struct answer *answer, const struct tm_holders *holders, const struct tm_way *ways,
                                   size_t count)
{
    size_t wanted = answer->request->settings.paths ? answer->request->settings.paths : 1;
    size_t shown = wanted < count ? wanted : count;
    struct tm_error *error = NULL;
    if (answer->json)
        tm_json_bool(answer->json, "held", count > 0);
    if (count == 0)
        write_unheld(answer);
    for (size_t i = 0; !error && i < shown; i++) {
        if (answer->json && i == 1)
            tm_json_begin_array(answer->json, "other_paths");
        if (answer->json && i > 0)
            tm_json_begin_object(answer->json, NULL);
        error = write_path(answer, holders, &ways[i]);
        if (answer->json && i > 0)
            tm_json_end_object(answer->json);
    }
    if (answer->json && shown > 1)
        tm_json_end_array(answer->json);
    if (answer->json)
        tm_json_number(answer->json, "paths_total", count);
    else if (shown < count) {
        tm_report_count(answer->out, count - shown, "more path");
        tm_text_printf(answer->out, " through other things that refer to it: --paths %zu\n", count);
    }
    return error;
}

static struct tm_error *write_retained(struct answer *answer, bool held)
{
    uint64_t *set = tm_node_set_create(&answer->look.graph), size = 0, count = 0;
    if (!set)
        return tm_error_no_memory();
    tm_node_set_add(set, answer->node);
    struct tm_error *error = tm_graph_retained(&answer->look.graph, set, &size, &count);
    free(set);
    if (answer->json) {
        tm_json_number(answer->json, "retained_size", size);
        tm_json_number(answer->json, "retained_count", count);
    } else if (held) {
        tm_text_add(answer->out, "without it ");
        tm_format_size(answer->out, false, size, false);
        tm_text_add(answer->out, " in ");
        tm_report_count(answer->out, count, "block");
        tm_text_add(answer->out, " would be freed\n");
    }
    return error;
}

static struct tm_error *write_paths(struct answer *answer)
{
    struct tm_holders holders;
    struct tm_way *ways = NULL;
    size_t count = 0;
    // Without the object itself: what is held only by it is no way to it.
    struct tm_error *error = tm_holders_init(&holders, &answer->look.graph, answer->node);
    if (error)
        return error;
    error = tm_holders_ways(&holders, answer->node, &ways, &count);
    if (!error)
        error = write_ways(answer, &holders, ways, count);
    free(ways);
    tm_holders_deinit(&holders);
    return error ? error : write_retained(answer, count > 0);
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
    const struct tm_steps steps = steps_of(answer);
    struct tm_error *error = NULL;
    if (answer->json)
        tm_json_begin_array(answer->json, "direct");
    for (size_t i = 0; !error && i < nodes->count; i++) {
        if (i != answer->node && refers(answer, (uint32_t)i) && total++ < limit) {
            struct tm_text text = TM_TEXT_EMPTY;
            error = tm_step_label(&steps, &nodes->items[i], &nodes->items[answer->node], &text);
            if (!error)
                error = tm_step_write(&steps, &text, tm_node_owner(nodes, &nodes->items[i]));
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
    const struct tm_steps steps = steps_of(answer);
    struct tm_objects *objects = &answer->look.objects;
    const struct tm_type *type = tm_node_type(objects, node);
    uint64_t found = answer->look.graph.found[answer->node], count = 0;
    struct tm_text value = TM_TEXT_EMPTY;
    struct tm_error *error = tm_step_show(&steps, node, &value);
    bool has_count = node->kind == TM_NODE_OBJECT && tm_objects_word(objects, tm_node_object(node), &count);
    bool immortal = has_count && tm_objects_is_immortal(objects, count);
    count = tm_objects_count(objects, count);
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
    bool suspect = tm_look_is_suspect(&answer->look);
    struct tm_error *error = write_counts(answer, &answer->look.nodes.items[answer->node]);
    if (!error)
        error = answer->request->settings.direct ? write_direct(answer) : write_paths(answer);
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
    if (!is_filtered(request))
        answer.asked = request->has_address ? request->address : request->unresolved[0].address;
    answer.out = out;
    answer.json = request->settings.json ? &json : NULL;
    struct tm_error *error = tm_pool_create(&pool);
    if (error)
        return error;
    error = tm_look_init_graph(&answer.look, request, current, pool);
    if (!error && is_filtered(request))
        error = tm_holders_of_many(request, &answer.look, pool, out);
    else if (!error)
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
    .prepare = prepare,
    .run = run,
};
