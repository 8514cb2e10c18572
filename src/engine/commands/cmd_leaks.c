// tm-leaks: what nothing holds, and what is counted more often than it is referred to.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/inspect.h"
#include "engine/commands/look.h"
#include "engine/commands/query.h"
#include "engine/commands/report.h"
#include "engine/graph/leaks.h"

#define LEAKS_OPTIONS(X)                                                                                     \
    TM_OPTIONS_LIMIT(X)                                                                                      \
    X(TM_OPTION_KIND, 0, "    ", "--kind", " KIND", "Show only lost, raw, garbage or extra (default: all).") \
    TM_OPTIONS_MINE(X) TM_OPTIONS_FILTERS(X) TM_OPTIONS_PLAIN(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {LEAKS_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] = TM_HELP("Show what nothing in memory holds any more.", "tm-leaks [KEY] [OPTION]...",
                                   "All memory is searched for references: module data, stacks, registers, and the\n"
                                   "live blocks themselves. What nothing reaches is told apart by its reference\n"
                                   "counts:\n"
                                   "  lost     objects counted more often than anything refers to them: somebody\n"
                                   "           forgot to release them (a missing Py_DECREF in C)\n"
                                   "  raw      blocks that are no objects, and to which no pointer is left\n"
                                   "  garbage  what only unreachable objects refer to: cycles, which the next\n"
                                   "           garbage collection frees, if it runs\n"
                                   "  extra    objects that are held, but are counted more often than they are\n"
                                   "           referred to: they will not be freed when they are let go\n"
                                   "Rows are grouped by KEY (default type,lineno), with an example for tm-object.\n"
                                   "Objects count with their parts. A pointer that a library keeps in a changed form\n"
                                   "(tagged, xored) is not seen.\n"
                                   "\n"
                                   "If memory is missing that may hold references, what is found is called suspect.\n"
                                   "\n" TM_HELP_KEYS("type,lineno") "\n" TM_HELP_FILTERS,
                                   LEAKS_OPTIONS,
                                   "Examples:\n"
                                   "  tm-leaks\n"
                                   "  tm-leaks --kind lost -n 3\n"
                                   "  tm-leaks traceback --kind garbage\n"
                                   "\n"
                                   "The JSON object has:\n"
                                   "  command, key, limit\n" TM_HELP_JSON_FILTERS "  lost, raw, garbage, extra\n"
                                   "                each with size and count of all, and of what lost objects and\n"
                                   "                raw blocks alone hold: held_size, held_count; and\n"
                                   "  statistics    the rows: " TM_HELP_JSON_PLACES
                                   "                size, count; example (the address of one), excess (by how many\n"
                                   "                its count is too great), value (of it)\n"
                                   "  other         how many rows are not shown\n"
                                   "  suspect       whether memory is missing that may hold references\n"
                                   "  unreadable_roots, unreadable_blocks\n"
                                   "                bytes and blocks that could not be searched\n"
                                   "  threads_unknown, frames_unknown\n"
                                   "                whether whole stacks and all of Python's frames count as roots\n"
                                   "  untraced      size and count of blocks that no table knows, and that were\n"
                                   "                searched too; they are in no row\n"
                                   "  missing       " TM_HELP_JSON_MISSING);

static struct tm_error *prepare(struct tm_request *request)
{
    request->key = TM_KEY_TYPE_LINENO;
    struct tm_error *error = tm_request_check_words(request, 1);
    if (!error && request->words.count == 1)
        error = tm_request_set_key(request, request->words.items[0]);
    return error;
}

struct answer {
    struct tm_request *request;
    struct tm_pool *pool;
    struct tm_look look;
    struct tm_leaks leaks;
    struct tm_census_names names;
};

static const struct {
    enum tm_leak_kind kind;
    enum tm_wanted_leaks wanted;
    const char *name, *meaning;
} kinds[] = {
    {TM_LEAK_LOST, TM_WANTED_LOST, "lost", "counted more often than anything in memory refers to them"},
    {TM_LEAK_RAW, TM_WANTED_RAW, "raw", "blocks to which no pointer is left"},
    {TM_LEAK_GARBAGE, TM_WANTED_GARBAGE, "garbage", "cycles and what they hold, which the next collection frees"},
    {TM_LEAK_EXTRA, TM_WANTED_EXTRA, "extra", "held, but counted more often than found"},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

// ---------------------------------------------------------------------------------------------------------------
// Grouping

// The name of a node of this kind that is counted with it; NULL: it is of another kind or is not asked for.
static const struct tm_name *counted_name(const struct answer *answer, size_t number, enum tm_leak_kind kind)
{
    const struct tm_nodes *nodes = &answer->look.nodes;
    const struct tm_heap_node *owner = tm_node_owner(nodes, &nodes->items[number]);
    if (answer->leaks.kinds[tm_node_number(nodes, owner)] != kind || owner->origin == TM_UNTRACED)
        return NULL;
    return tm_census_name(&answer->names, owner);
}

static struct tm_error *group(const struct answer *answer, enum tm_leak_kind kind, struct tm_snapshot *snapshot)
{
    const struct tm_nodes *nodes = &answer->look.nodes;
    struct tm_census_groups groups;
    struct tm_error *error = NULL;
    tm_census_groups_init(&groups, nodes, snapshot);
    for (size_t i = 0; !error && i < nodes->count; i++) {
        const struct tm_heap_node *owner = tm_node_owner(nodes, &nodes->items[i]);
        const struct tm_name *name = counted_name(answer, i, kind);
        if (name)
            error = tm_census_groups_add(&groups, owner, name, nodes->items[i].size, owner == &nodes->items[i]);
        if (!error && i % 65536 == 0)
            error = tm_host_check(answer->look.objects.host);
    }
    tm_census_groups_deinit(&groups);
    snapshot->damage = nodes->traces.damage;
    snapshot->frame_limit = nodes->traces.frame_limit;
    snapshot->has_functions = true;
    return error;
}

// The place that a node counts for.
static struct tm_place place_of(const struct answer *answer, const struct tm_heap_node *node,
                                const struct tm_name *name)
{
    const struct tm_traceback *traceback = answer->look.nodes.origins[node->origin].traceback;
    return tm_place_of(traceback, name, answer->request->key);
}

// The first object that a row counts, or NULL: with --mine a row's place is not that of its blocks.
static const struct tm_heap_node *example_of(const struct answer *answer, enum tm_leak_kind kind,
                                             const struct tm_place *place)
{
    const struct tm_nodes *nodes = &answer->look.nodes;
    for (size_t i = 0; i < nodes->count; i++) {
        const struct tm_heap_node *node = &nodes->items[i];
        const struct tm_name *name = node->owner ? NULL : counted_name(answer, i, kind);
        if (!name)
            continue;
        const struct tm_place other = place_of(answer, node, name);
        if (tm_places_equal(&other, place))
            return node;
    }
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Writing

static struct tm_error *show_example(struct answer *answer, const struct tm_heap_node *node, struct tm_text *text)
{
    bool truncated;
    if (node->kind == TM_NODE_OBJECT)
        return tm_show_value(&answer->look.objects, tm_node_object(node), text, &truncated);
    tm_text_add(text, TM_NO_OBJECT);
    return NULL;
}

static struct tm_error *write_row(struct answer *answer, unsigned which, const struct tm_statistic *statistic,
                                  struct tm_text *out)
{
    const struct tm_heap_node *example = example_of(answer, kinds[which].kind, &statistic->place);
    struct tm_error *error = NULL;
    tm_text_add(out, "  ");
    tm_format_statistic(out, statistic);
    tm_text_add(out, "\n");
    tm_report_detail(out, answer->request, &statistic->place, statistic->mixed);
    if (!example)
        return NULL;
    uint64_t excess = tm_leak_excess(&answer->look.graph, example);
    tm_text_printf(out, "    such as 0x%" PRIx64, tm_node_object(example));
    if (excess > 0) {
        tm_text_add(out, ", counted ");
        tm_report_count(out, excess, "time");
        tm_text_add(out, " too often");
    }
    if (example->kind == TM_NODE_OBJECT) {
        tm_text_add(out, ": ");
        error = show_example(answer, example, out);
    }
    tm_text_add(out, "\n");
    return error;
}

static void write_heading(const struct answer *answer, unsigned which, const struct tm_statistics *statistics,
                          struct tm_text *out)
{
    enum tm_leak_kind kind = kinds[which].kind;
    tm_text_printf(out, "%s%s: ", kinds[which].name,
                   tm_look_is_suspect(&answer->look) && kind != TM_LEAK_EXTRA ? " (suspect)" : "");
    tm_format_size(out, false, statistics->total_size, false);
    tm_text_add(out, " in ");
    tm_report_count(out, statistics->total_count, kind == TM_LEAK_RAW ? "block" : "object");
    tm_text_printf(out, ", %s", kinds[which].meaning);
    if (answer->leaks.held_count[kind] > 0) {
        tm_text_add(out, "; alone they hold ");
        tm_format_size(out, false, answer->leaks.held_size[kind], false);
        tm_text_add(out, " in ");
        tm_report_count(out, answer->leaks.held_count[kind], "more block");
    }
    tm_text_add(out, "\n");
}

static struct tm_error *write_row_json(struct answer *answer, unsigned which, const struct tm_statistic *statistic,
                                       struct tm_json *json)
{
    const struct tm_heap_node *example = example_of(answer, kinds[which].kind, &statistic->place);
    struct tm_error *error = NULL;
    tm_json_begin_object(json, NULL);
    tm_report_place_json(json, &statistic->place, answer->request->key, statistic->mixed);
    tm_json_number(json, "size", statistic->size);
    tm_json_number(json, "count", statistic->count);
    if (example) {
        struct tm_text value = TM_TEXT_EMPTY;
        error = show_example(answer, example, &value);
        tm_json_number(json, "example", tm_node_object(example));
        tm_json_number(json, "excess", tm_leak_excess(&answer->look.graph, example));
        tm_json_string(json, "value", tm_text_string(&value), value.length);
        tm_text_deinit(&value);
    } else {
        tm_json_null(json, "example");
    }
    tm_json_end_object(json);
    return error;
}

static struct tm_error *write_rows(struct answer *answer, unsigned which, const struct tm_statistics *statistics,
                                   struct tm_text *out, struct tm_json *json)
{
    size_t limit = tm_request_limit(answer->request);
    size_t shown = limit < statistics->count ? limit : statistics->count;
    struct tm_error *error = NULL;
    if (json) {
        tm_json_begin_object(json, kinds[which].name);
        tm_json_number(json, "size", statistics->total_size);
        tm_json_number(json, "count", statistics->total_count);
        tm_json_number(json, "held_size", answer->leaks.held_size[kinds[which].kind]);
        tm_json_number(json, "held_count", answer->leaks.held_count[kinds[which].kind]);
        tm_json_begin_array(json, "statistics");
    } else {
        write_heading(answer, which, statistics, out);
    }
    for (size_t i = 0; !error && i < shown; i++) {
        error = json ? write_row_json(answer, which, statistics->items[i], json)
                     : write_row(answer, which, statistics->items[i], out);
        if (!error)
            error = tm_host_check(answer->look.objects.host);
    }
    if (json) {
        tm_json_end_array(json);
        tm_json_number(json, "other", statistics->count - shown);
        tm_json_end_object(json);
    } else if (shown < statistics->count) {
        tm_text_printf(out, "  %zu other\n", statistics->count - shown);
    }
    return error;
}

static struct tm_error *write_kind(struct answer *answer, unsigned which, struct tm_text *out, struct tm_json *json)
{
    const struct tm_request *request = answer->request;
    struct tm_snapshot snapshot = {0};
    struct tm_query query;
    memset(&query, 0, sizeof(query));
    struct tm_error *error = group(answer, kinds[which].kind, &snapshot);
    if (!error)
        error = tm_query_statistics(&query, request, answer->pool, &snapshot);
    if (!error)
        error =
            tm_statistics_sort(&query.statistics, &request->session->host, TM_ORDER_SIZE, tm_request_limit(request));
    if (!error)
        error = write_rows(answer, which, &query.statistics, out, json);
    tm_query_deinit(&query);
    tm_snapshot_deinit(&snapshot);
    return error;
}

static struct tm_error *write_kinds(struct answer *answer, struct tm_text *out, struct tm_json *json)
{
    enum tm_wanted_leaks wanted = answer->request->settings.kind;
    struct tm_error *error = NULL;
    for (unsigned i = 0; !error && i < KINDS; i++)
        if (wanted == TM_WANTED_ALL || wanted == kinds[i].wanted)
            error = write_kind(answer, i, out, json);
    return error;
}

static struct tm_error *write_text(struct answer *answer, struct tm_text *out)
{
    const struct tm_graph *graph = &answer->look.graph;
    struct tm_error *error = write_kinds(answer, out, NULL);
    if (tm_look_is_suspect(&answer->look)) {
        tm_text_add(out, "not looked at: ");
        tm_format_size(out, false, graph->unreadable_roots, false);
        tm_text_add(out, " of memory and ");
        tm_report_count(out, graph->unreadable_nodes + answer->look.nodes.unreadable, "block");
        tm_text_add(out, " that cannot be read: what only they refer to is listed above\n");
    }
    if (graph->threads_unknown)
        tm_text_add(out, "the threads' registers are not known: stale pointers on their stacks may hide leaks\n");
    if (graph->frames_unknown)
        tm_text_add(out, "the interpreter's state is not found: what is stale in its frames holds objects too\n");
    if (graph->untraced.count > 0) {
        tm_report_count(out, graph->untraced.count, "block");
        tm_text_add(out, " (");
        tm_format_size(out, false, graph->untraced.size, false);
        tm_text_add(out, ") were not traced: they are searched for references, and are in no row\n");
    }
    tm_report_filters(out, answer->request);
    tm_report_damage(out, &answer->look.nodes.traces.damage);
    return error;
}

static struct tm_error *write_json(struct answer *answer, struct tm_text *out)
{
    const struct tm_graph *graph = &answer->look.graph;
    struct tm_json json = {out, false};
    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", answer->request->command->name);
    tm_json_word(&json, "key", tm_key_name(answer->request->key));
    tm_json_number(&json, "limit", tm_request_limit(answer->request));
    tm_report_filters_json(&json, answer->request);
    struct tm_error *error = write_kinds(answer, out, &json);
    tm_json_bool(&json, "suspect", tm_look_is_suspect(&answer->look));
    tm_json_number(&json, "unreadable_roots", graph->unreadable_roots);
    tm_json_number(&json, "unreadable_blocks", graph->unreadable_nodes + answer->look.nodes.unreadable);
    tm_json_bool(&json, "threads_unknown", graph->threads_unknown);
    tm_json_bool(&json, "frames_unknown", graph->frames_unknown);
    tm_json_begin_object(&json, "untraced");
    tm_json_number(&json, "size", graph->untraced.size);
    tm_json_number(&json, "count", graph->untraced.count);
    tm_json_end_object(&json);
    tm_report_damage_json(&json, "missing", &answer->look.nodes.traces.damage);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
    return error;
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    struct answer answer;
    memset(&answer, 0, sizeof(answer));
    answer.request = request;
    struct tm_error *error = tm_pool_create(&answer.pool);
    if (error)
        return error;
    error = tm_look_init_graph(&answer.look, request, current, answer.pool);
    if (!error)
        error = tm_leaks_find(&answer.leaks, &answer.look.graph);
    if (!error)
        error = tm_census_names_init(&answer.names, &answer.look.objects, answer.look.type);
    if (!error)
        error = request->settings.json ? write_json(&answer, out) : write_text(&answer, out);
    tm_census_names_deinit(&answer.names);
    tm_leaks_deinit(&answer.leaks);
    tm_look_deinit(&answer.look);
    tm_pool_destroy(answer.pool);
    return error;
}

const struct tm_command tm_command_leaks = {
    .name = "tm-leaks",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .needs_target = true,
    .prepare = prepare,
    .run = run,
    .complete = tm_complete_key_first,
};
