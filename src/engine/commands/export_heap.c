// From the graph to its file, and what is said of it.

#include "engine/commands/export_heap.h"

#include <inttypes.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/commands/command.h"
#include "engine/commands/look.h"
#include "engine/commands/report.h"
#include "engine/export/heapsnapshot.h"

struct answer {
    const struct tm_request *request;
    struct tm_look look;
    struct tm_heapsnapshot_counts counts;
    uint64_t bytes;
    uint64_t size, count; // of traced blocks
};

struct tm_error *tm_export_heap_check(const struct tm_request *request)
{
    const struct tm_settings *settings = &request->settings;
    const char *option = settings->base                                          ? "--base"
                         : settings->cumulative                                  ? "--cumulative"
                         : tm_mine_count(&settings->mine) > 0                    ? "--mine"
                         : settings->filters.count > 0 || settings->type != NULL ? "a filter"
                                                                                 : NULL;
    if (!option)
        return NULL;
    return tm_usage_error(request->command->name, "a heap snapshot has all objects: ", option, " does not go with it");
}

static void sum(struct answer *answer)
{
    for (size_t i = 0; i < answer->look.nodes.count; i++) {
        if (answer->look.nodes.items[i].origin == TM_UNTRACED)
            continue;
        answer->size = tm_add_saturating(answer->size, answer->look.nodes.items[i].size);
        answer->count++;
    }
}

static void write_text(const struct answer *answer, struct tm_text *out)
{
    const char *file = answer->request->unresolved[0].text;
    tm_report_count(out, answer->counts.nodes, "node");
    tm_text_add(out, " and ");
    tm_report_count(out, answer->counts.edges, "reference");
    tm_text_add(out, " exported as heapsnapshot to ");
    tm_text_escape(out, file, strlen(file));
    tm_text_add(out, " (");
    tm_format_size(out, false, answer->bytes, false);
    tm_text_add(out, ")\n");
    if (answer->request->session->filters.count > 0)
        tm_text_add(out, "the session's filters do not apply: the file has all objects\n");
    if (tm_look_is_suspect(&answer->look))
        tm_text_add(out, "memory that may hold references cannot be read: some references may be missing\n");
    tm_report_damage(out, &answer->look.nodes.traces.damage);
}

static void write_json(const struct answer *answer, struct tm_text *out)
{
    const char *file = answer->request->unresolved[0].text;
    struct tm_json json = {out, false};
    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", answer->request->command->name);
    tm_json_word(&json, "format", "heapsnapshot");
    tm_json_string(&json, "file", file, strlen(file));
    tm_json_number(&json, "bytes", answer->bytes);
    tm_json_number(&json, "rows", answer->counts.nodes);
    tm_json_number(&json, "edges", answer->counts.edges);
    tm_json_begin_array(&json, "filters"); // none applies
    tm_json_end_array(&json);
    tm_json_number(&json, "total_size", answer->size);
    tm_json_number(&json, "total_count", answer->count);
    tm_json_bool(&json, "suspect", tm_look_is_suspect(&answer->look));
    tm_json_begin_array(&json, "hints");
    tm_json_end_array(&json);
    tm_report_damage_json(&json, "missing", &answer->look.nodes.traces.damage);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

struct tm_error *tm_export_heap(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    const struct tm_unresolved *file = &request->unresolved[0];
    struct answer answer = {.request = request};
    struct tm_pool *pool;
    struct tm_sink sink;
    struct tm_error *error = tm_pool_create(&pool);
    if (error)
        return error;
    error = tm_look_init_graph(&answer.look, request, current, pool);
    if (!error) {
        sum(&answer);
        tm_sink_init(&sink, file->output, file->output_context, false);
        error = tm_export_heapsnapshot(&answer.look.graph, &sink, &answer.counts);
        error = tm_sink_finish(&sink, error, &answer.bytes);
    }
    if (!error && request->settings.json)
        write_json(&answer, out);
    else if (!error)
        write_text(&answer, out);
    tm_look_deinit(&answer.look);
    tm_pool_destroy(pool);
    return error;
}
