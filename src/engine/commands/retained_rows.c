// One mark of the whole graph for each row: exact, since rows overlap in what they hold.

#include "engine/commands/retained_rows.h"

#include <stdlib.h>
#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/look.h"
#include "engine/commands/report.h"
#include "engine/commands/sift.h"
#include "engine/graph/holders.h"

enum { BETWEEN_CHECKS = 65536 };

struct rows {
    const struct tm_request *request;
    const struct tm_query *query;
    struct tm_look look;
    struct tm_census_names names;
    struct tm_set numbers; // of the shown rows plus 1, by their statistics
    uint32_t *row_of;      // by node: the number plus 1 of the row that counts it; 0: none
    bool typed;
    uint32_t node; // that is being sifted
    const struct tm_name *name;
};

struct tm_error *tm_retained_rows_check(const struct tm_request *request)
{
    const struct tm_settings *settings = &request->settings;
    const char *other = settings->cumulative                 ? "--cumulative"
                        : tm_mine_count(&settings->mine) > 0 ? "--mine"
                        : tm_request_wants_history(request)  ? "--sort allocated or freed"
                                                             : NULL;
    if (!settings->retained || !other)
        return NULL;
    return tm_usage_error(request->command->name, "--retained does not go with ", other, "");
}

static struct tm_error *note_row(void *context, const struct tm_trace *trace)
{
    struct rows *rows = context;
    const struct tm_place place = tm_place_of(trace->origin->traceback, rows->name, rows->request->key);
    const struct tm_statistic *statistic = tm_statistics_find(&rows->query->statistics, &place);
    if (statistic && rows->numbers.count > 0)
        rows->row_of[rows->node] = (uint32_t)(uintptr_t)tm_set_find_number(&rows->numbers, (uintptr_t)statistic)->item;
    return NULL;
}

static struct tm_error *note_rows(struct rows *rows, struct tm_sifter *sifter)
{
    const struct tm_nodes *nodes = &rows->look.nodes;
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < nodes->count; i++) {
        // By type a part counts with its owner, and where that was allocated.
        const struct tm_heap_node *node = rows->typed ? tm_node_owner(nodes, &nodes->items[i]) : &nodes->items[i];
        rows->name = rows->typed ? tm_census_name(&rows->names, node) : NULL;
        rows->node = (uint32_t)i;
        if (node->origin != TM_UNTRACED && (!rows->typed || rows->name)) {
            const struct tm_trace trace = {node->address, node->size, &nodes->origins[node->origin], false};
            error = tm_sift(sifter, &trace);
        }
        if (!error && i % BETWEEN_CHECKS == 0)
            error = tm_host_check(rows->look.objects.host);
    }
    return error;
}

static struct tm_error *number_rows(struct rows *rows, size_t shown)
{
    for (size_t i = 0; i < shown; i++) {
        uintptr_t statistic = (uintptr_t)rows->query->statistics.items[i];
        if (!tm_set_reserve(&rows->numbers))
            return tm_error_no_memory();
        tm_set_put_number(&rows->numbers, tm_set_find_number(&rows->numbers, statistic), statistic,
                          (void *)(uintptr_t)(i + 1));
    }
    rows->row_of = calloc(rows->look.nodes.count + 1, sizeof(*rows->row_of));
    return rows->row_of ? NULL : tm_error_no_memory();
}

static struct tm_error *mark_rows(struct rows *rows, struct tm_retained_rows *result)
{
    const struct tm_graph *graph = &rows->look.graph;
    uint64_t *set = tm_node_set_create(graph);
    struct tm_error *error = set ? NULL : tm_error_no_memory();
    for (size_t row = 0; !error && row < result->count; row++) {
        memset(set, 0, (graph->nodes->count / 64 + 1) * sizeof(*set));
        for (size_t i = 0; i < graph->nodes->count; i++)
            if (rows->row_of[i] == row + 1)
                tm_node_set_add(set, (uint32_t)i);
        error = tm_graph_retained(graph, set, &result->items[row].size, &result->items[row].count);
        tm_host_progress(rows->look.objects.host, "retained", row, result->count);
    }
    free(set);
    return error;
}

static struct tm_error *find_rows(struct rows *rows, struct tm_target *target, struct tm_pool *pool, size_t shown)
{
    struct tm_sifter sifter;
    struct tm_error *error = tm_look_init_graph(&rows->look, rows->request, target, pool);
    if (!error)
        error = tm_census_names_init(&rows->names, &rows->look.objects, rows->look.type);
    if (!error)
        error = number_rows(rows, shown);
    if (error)
        return error;
    error = tm_sifter_init(&sifter, rows->request, pool, note_row, rows);
    if (!error)
        error = note_rows(rows, &sifter);
    tm_sifter_deinit(&sifter);
    return error;
}

struct tm_error *tm_retained_rows_init(struct tm_retained_rows *result, const struct tm_request *request,
                                       struct tm_target *target, struct tm_pool *pool, const struct tm_query *query,
                                       size_t shown)
{
    struct rows rows = {.request = request, .query = query};
    *result = (struct tm_retained_rows){0};
    if (!request->settings.retained)
        return NULL;
    rows.typed = tm_key_has_type(request->key) || request->settings.type;
    result->items = calloc(shown + 1, sizeof(*result->items));
    result->count = shown;
    struct tm_error *error = result->items ? find_rows(&rows, target, pool, shown) : tm_error_no_memory();
    if (!error) {
        result->suspect = tm_look_is_suspect(&rows.look);
        error = mark_rows(&rows, result);
    }
    free(rows.row_of);
    tm_set_deinit(&rows.numbers);
    tm_census_names_deinit(&rows.names);
    tm_look_deinit(&rows.look);
    return error;
}

void tm_retained_rows_deinit(struct tm_retained_rows *rows)
{
    free(rows->items);
    *rows = (struct tm_retained_rows){0};
}

void tm_retained_rows_write(const struct tm_retained_rows *rows, size_t index, struct tm_text *out)
{
    if (index >= rows->count)
        return;
    tm_text_add(out, "    without them ");
    tm_format_size(out, false, rows->items[index].size, false);
    tm_text_add(out, " in ");
    tm_report_count(out, rows->items[index].count, "block");
    tm_text_add(out, " would be freed\n");
}

void tm_retained_rows_write_json(const struct tm_retained_rows *rows, size_t index, struct tm_json *json)
{
    if (index >= rows->count)
        return;
    tm_json_number(json, "retained_size", rows->items[index].size);
    tm_json_number(json, "retained_count", rows->items[index].count);
}
