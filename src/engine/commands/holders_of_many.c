// Marks what the filters keep, then counts paths.

#include "engine/commands/holders_of_many.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/report.h"
#include "engine/graph/merged.h"

enum { DEFAULT_DEPTH = 8 };

struct answer {
    const struct tm_request *request;
    struct tm_look *look;
    struct tm_merged merged;
    uint64_t *wanted; // nodes
    uint32_t depth;
    uint64_t retained_size, retained_count;
};

static struct tm_error *want(void *context, const struct tm_trace *trace, const struct tm_heap_node *node)
{
    struct answer *answer = context;
    (void)trace;
    if (!node->owner)
        tm_node_set_add(answer->wanted, (uint32_t)tm_node_number(&answer->look->nodes, node));
    return NULL;
}

// Objects go with their parts, whatever else refers to these.
static void add_parts(struct answer *answer)
{
    const struct tm_nodes *nodes = &answer->look->nodes;
    for (size_t i = 0; i < nodes->count; i++)
        if (nodes->items[i].owner && tm_node_set_has(answer->wanted, nodes->items[i].owner - 1))
            tm_node_set_add(answer->wanted, (uint32_t)i);
}

static struct tm_error *collect(struct answer *answer, struct tm_pool *pool)
{
    struct tm_graph *graph = &answer->look->graph;
    struct tm_holders holders;
    answer->wanted = tm_node_set_create(graph);
    struct tm_error *error =
        answer->wanted ? tm_look_visit(answer->look, answer->request, pool, want, answer) : tm_error_no_memory();
    if (!error)
        add_parts(answer);
    if (!error)
        error = tm_graph_retained(graph, answer->wanted, &answer->retained_size, &answer->retained_count);
    if (!error)
        error = tm_holders_init(&holders, graph, TM_NO_NODE);
    if (error)
        return error;
    error = tm_merged_init(&answer->merged, &holders, answer->wanted, answer->depth);
    tm_holders_deinit(&holders);
    return error;
}

static size_t shown_of(const struct answer *answer)
{
    size_t limit = tm_request_limit(answer->request);
    return limit < answer->merged.order_count ? limit : answer->merged.order_count;
}

static uint64_t example_of(const struct answer *answer, const struct tm_merged_path *path)
{
    return tm_node_object(&answer->look->nodes.items[path->example]);
}

static void write_text(const struct answer *answer, struct tm_text *out)
{
    const struct tm_merged *merged = &answer->merged;
    tm_report_count(out, merged->objects, "object");
    tm_text_add(out, ", ");
    tm_format_size(out, false, merged->size, false);
    tm_text_add(out, " with their parts; without them ");
    tm_format_size(out, false, answer->retained_size, false);
    tm_text_add(out, " in ");
    tm_report_count(out, answer->retained_count, "block");
    tm_text_add(out, " would be freed\n");
    for (size_t i = 0; i < shown_of(answer); i++) {
        const struct tm_merged_path *path = &merged->paths[merged->order[i]];
        tm_text_add(out, "  ");
        tm_merged_write(merged, merged->order[i], out);
        tm_text_add(out, ": size=");
        tm_format_size(out, false, path->size, false);
        tm_text_printf(out, ", count=%" PRIu64 ", such as 0x%" PRIx64 "\n", path->count, example_of(answer, path));
    }
    if (shown_of(answer) < merged->order_count)
        tm_text_printf(out, "  %zu other\n", merged->order_count - shown_of(answer));
    if (merged->unheld_objects > 0) {
        tm_text_add(out, "nothing holds ");
        tm_report_count(out, merged->unheld_objects, "object");
        tm_text_add(out, " of ");
        tm_format_size(out, false, merged->unheld_size, false);
        tm_text_add(out, ": see tm-leaks\n");
    }
    if (tm_look_is_suspect(answer->look))
        tm_text_add(out, "memory that may hold references cannot be read: paths may be missing\n");
    tm_report_filters(out, answer->request);
    tm_report_damage(out, &answer->look->nodes.traces.damage);
}

static void write_paths_json(const struct answer *answer, struct tm_json *json)
{
    const struct tm_merged *merged = &answer->merged;
    tm_json_begin_array(json, "paths");
    for (size_t i = 0; i < shown_of(answer); i++) {
        const struct tm_merged_path *path = &merged->paths[merged->order[i]];
        struct tm_text text = TM_TEXT_EMPTY;
        tm_merged_write(merged, merged->order[i], &text);
        tm_json_begin_object(json, NULL);
        tm_json_string(json, "path", tm_text_string(&text), text.length);
        tm_json_number(json, "size", path->size);
        tm_json_number(json, "count", path->count);
        tm_json_number(json, "example", example_of(answer, path));
        tm_json_end_object(json);
        tm_text_deinit(&text);
    }
    tm_json_end_array(json);
    tm_json_number(json, "other", merged->order_count - shown_of(answer));
}

static void write_json(const struct answer *answer, struct tm_text *out)
{
    const struct tm_merged *merged = &answer->merged;
    const char *type = answer->request->settings.type;
    struct tm_json json = {out, false};
    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", answer->request->command->name);
    tm_json_number(&json, "limit", tm_request_limit(answer->request));
    tm_json_number(&json, "depth", answer->depth);
    if (type)
        tm_json_string(&json, "type", type, strlen(type));
    else
        tm_json_null(&json, "type");
    tm_report_filters_json(&json, answer->request);
    tm_json_number(&json, "size", merged->size);
    tm_json_number(&json, "count", merged->objects);
    tm_json_number(&json, "retained_size", answer->retained_size);
    tm_json_number(&json, "retained_count", answer->retained_count);
    tm_json_begin_object(&json, "unheld");
    tm_json_number(&json, "size", merged->unheld_size);
    tm_json_number(&json, "count", merged->unheld_objects);
    tm_json_end_object(&json);
    write_paths_json(answer, &json);
    tm_json_bool(&json, "suspect", tm_look_is_suspect(answer->look));
    tm_report_damage_json(&json, "missing", &answer->look->nodes.traces.damage);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

struct tm_error *tm_holders_of_many(const struct tm_request *request, struct tm_look *look, struct tm_pool *pool,
                                    struct tm_text *out)
{
    struct answer answer = {.request = request, .look = look};
    answer.depth = request->settings.depth ? request->settings.depth : DEFAULT_DEPTH;
    struct tm_error *error = collect(&answer, pool);
    if (!error && request->settings.json)
        write_json(&answer, out);
    else if (!error)
        write_text(&answer, out);
    tm_merged_deinit(&answer.merged);
    free(answer.wanted);
    return error;
}
