// tm-info: what is known of the trace table itself.

#include <inttypes.h>
#include <string.h>

#include "../layout/trace_table.h"
#include "command.h"
#include "report.h"

#define INFO_OPTIONS(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {INFO_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] = TM_HELP(
    "Show whether memory is traced and since when, how much, and what could not be recorded.", "tm-info [OPTION]...",
    "Answers also where tracing is off. Sizes stand as tracemalloc shows them, and in bytes; times are\n"
    "in UTC. \"not recorded\" counts allocations and frames which the tracer had no room for;\n"
    "\"unreadable\" what this side could not read of the table.\n",
    INFO_OPTIONS,
    "Examples:\n"
    "  tm-info\n"
    "  tm-info --json\n"
    "\n"
    "The JSON object has:\n"
    "  command\n"
    "  state         \"tracing\", \"clearing\", \"stopped\", \"loaded\" (never started)\n"
    "  tracing       whether there are traces: state is tracing or clearing\n"
    "  started, cleared    when tracing began and traces were last cleared: ISO, UTC; or null\n"
    "  traceback_limit, traced_memory, peak_traced_memory\n"
    "  blocks, resizing    live; of these, inside realloc()\n"
    "  in_flight     bytes in blocks which were being recorded or freed just then\n"
    "  sites, sites_live   allocation sites ever; with live blocks\n"
    "  domains       distinct ones with live blocks\n"
    "  allocations, allocated    blocks and bytes ever, since tracing began or was cleared\n"
    "  strings, codes, nodes, table_bytes    records of the table, and what all of them take\n"
    "  leaves, mapped    of the shadow map; address space mapped by the tracer, in bytes\n"
    "  lost_blocks, lost_frames    not recorded\n"
    "  reuse_exact   whether a block reborn from a free list has its latest traceback\n"
    "  python_version, debug_build, free_threaded, tracer_version, pid\n"
    "  source, found_by, table_address, layout_major, layout_minor\n"
    "  missing       " TM_HELP_JSON_MISSING);

static struct tm_error *prepare(struct tm_request *request)
{
    return tm_request_check_words(request, 0);
}

static const char *state_name(uint32_t state)
{
    switch (state) {
    case TM_STATE_LOADED:
        return "loaded";
    case TM_STATE_TRACING:
        return "tracing";
    case TM_STATE_STOPPED:
        return "stopped";
    case TM_STATE_CLEARING:
        return "clearing";
    }
    return "unknown";
}

static bool is_tracing(const struct tm_info *info)
{
    return info->state == TM_STATE_TRACING || info->state == TM_STATE_CLEARING;
}

// ---------------------------------------------------------------------------------------------------------------
// Text

static void begin_fact(struct tm_text *out, const char *name)
{
    tm_text_printf(out, "%s:%*s", name, (int)(18 - strlen(name)), "");
}

static void add_size(struct tm_text *out, uint64_t size)
{
    tm_format_size(out, false, size, false);
    tm_text_add(out, " (");
    tm_report_count(out, size, "byte");
    tm_text_add(out, ")");
}

static void write_state(const struct tm_info *info, struct tm_text *out)
{
    begin_fact(out, "tracing");
    if (info->state == TM_STATE_LOADED)
        tm_text_add(out, "off: never started");
    else if (info->state == TM_STATE_STOPPED)
        tm_text_add(out, "off: stopped, and what was recorded is cleared");
    else if (is_tracing(info))
        tm_text_add(out, "on");
    else
        tm_text_printf(out, "not known: state %" PRIu32, info->state);
    if (is_tracing(info) && info->started) {
        tm_text_add(out, " since ");
        tm_report_time(out, info->started, false);
    }
    if (info->state == TM_STATE_CLEARING)
        tm_text_add(out, "; traces are being cleared just now");
    tm_text_add(out, "\n");
    if (info->cleared) {
        begin_fact(out, "traces cleared");
        tm_report_time(out, info->cleared, false);
        tm_text_add(out, "\n");
    }
    begin_fact(out, "frame limit");
    tm_report_count(out, info->frame_limit, "frame");
    tm_text_add(out, " per traceback\n");
}

static void write_memory(const struct tm_info *info, struct tm_text *out)
{
    begin_fact(out, "traced memory");
    add_size(out, info->traced);
    tm_text_add(out, "\n");
    begin_fact(out, "peak");
    add_size(out, info->peak);
    tm_text_add(out, "\n");

    begin_fact(out, "blocks");
    tm_text_printf(out, "%" PRIu64 " live", info->blocks);
    if (info->resizing)
        tm_text_printf(out, ", %" PRIu64 " of them being resized just now", info->resizing);
    tm_text_printf(out, ", in ");
    tm_report_count(out, info->domains, "domain");
    tm_text_add(out, "\n");
    if (info->in_flight) {
        begin_fact(out, "in flight");
        add_size(out, info->in_flight);
        tm_text_add(out, " in blocks being recorded or freed just now: counts may be off by these\n");
    }
    begin_fact(out, "allocations");
    tm_text_printf(out, "%" PRIu64 " of ", info->allocations);
    add_size(out, info->allocated);
    tm_text_printf(out, " since tracing %s\n", info->cleared > info->started ? "was cleared" : "began");
    begin_fact(out, "sites");
    tm_text_printf(out, "%" PRIu64 " with live blocks, %" PRIu64 " ever\n", info->sites_live, info->sites);
}

static void write_tracer(const struct tm_info *info, struct tm_text *out)
{
    begin_fact(out, "tracer's memory");
    add_size(out, info->table_bytes);
    tm_text_printf(out, " in records, ");
    tm_text_printf(out, "%" PRIu64 " shadow %s, ", info->leaves, info->leaves == 1 ? "leaf" : "leaves");
    add_size(out, info->mapped);
    tm_text_add(out, " mapped\n");
    begin_fact(out, "records");
    tm_report_count(out, info->strings, "string");
    tm_text_add(out, ", ");
    tm_report_count(out, info->codes, "code object");
    tm_text_add(out, ", ");
    tm_report_count(out, info->nodes, "node");
    tm_text_add(out, "\n");
    begin_fact(out, "free lists");
    tm_text_add(out, info->reuse_exact ? "exact: a block reborn from one has its latest traceback\n"
                                       : "not exact: a block reborn from one may have an earlier traceback\n");
    begin_fact(out, "not recorded");
    tm_report_count(out, info->lost_blocks, "block");
    tm_text_add(out, ", ");
    tm_report_count(out, info->lost_frames, "frame");
    tm_text_add(out, "\n");
}

static void write_origin(const struct tm_info *info, struct tm_text *out)
{
    begin_fact(out, "Python");
    tm_text_printf(out, "%s%s%s\n", info->python_version, info->debug_build ? ", debug build" : "",
                   info->free_threaded ? ", free-threaded" : "");
    begin_fact(out, "tracer");
    tm_text_printf(out, "%s\n", info->tracer_version);
    begin_fact(out, "pid");
    tm_text_printf(out, "%" PRIu32 "\n", info->pid);
    begin_fact(out, "table");
    tm_text_printf(out, "%s, layout %" PRIu32 ".%" PRIu32 ", at 0x%" PRIx64 ", found by %s\n", info->source,
                   info->layout_major, info->layout_minor, info->table_address, info->found_by);
}

static void write_text(const struct tm_info *info, struct tm_text *out)
{
    write_state(info, out);
    write_memory(info, out);
    write_tracer(info, out);
    write_origin(info, out);
    begin_fact(out, "unreadable");
    struct tm_text facts = TM_TEXT_EMPTY;
    tm_report_damage_facts(&facts, &info->damage);
    out->failed = out->failed || facts.failed;
    tm_text_printf(out, "%s\n", facts.length > 0 ? tm_text_string(&facts) : "nothing");
    tm_text_deinit(&facts);
}

// ---------------------------------------------------------------------------------------------------------------
// JSON

static void write_time_json(struct tm_json *json, const char *key, uint64_t nanoseconds)
{
    struct tm_text text = TM_TEXT_EMPTY;

    if (nanoseconds == 0) {
        tm_json_null(json, key);
        return;
    }
    tm_report_time(&text, nanoseconds, false);
    tm_json_word(json, key, tm_text_string(&text));
    json->text->failed = json->text->failed || text.failed;
    tm_text_deinit(&text);
}

static void write_numbers_json(const struct tm_info *info, struct tm_json *json)
{
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"traceback_limit", info->frame_limit},
        {"traced_memory", info->traced},
        {"peak_traced_memory", info->peak},
        {"blocks", info->blocks},
        {"resizing", info->resizing},
        {"in_flight", info->in_flight},
        {"sites", info->sites},
        {"sites_live", info->sites_live},
        {"domains", info->domains},
        {"allocations", info->allocations},
        {"allocated", info->allocated},
        {"strings", info->strings},
        {"codes", info->codes},
        {"nodes", info->nodes},
        {"table_bytes", info->table_bytes},
        {"leaves", info->leaves},
        {"mapped", info->mapped},
        {"lost_blocks", info->lost_blocks},
        {"lost_frames", info->lost_frames},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        tm_json_number(json, numbers[i].key, numbers[i].value);
}

static void write_json(const struct tm_request *request, const struct tm_info *info, struct tm_text *out)
{
    struct tm_json json = {out, false};

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", request->command->name);
    tm_json_word(&json, "state", state_name(info->state));
    tm_json_bool(&json, "tracing", is_tracing(info));
    write_time_json(&json, "started", is_tracing(info) ? info->started : 0);
    write_time_json(&json, "cleared", info->cleared);
    write_numbers_json(info, &json);
    tm_json_bool(&json, "reuse_exact", info->reuse_exact);
    tm_json_word(&json, "python_version", info->python_version);
    tm_json_bool(&json, "debug_build", info->debug_build);
    tm_json_bool(&json, "free_threaded", info->free_threaded);
    tm_json_word(&json, "tracer_version", info->tracer_version);
    tm_json_number(&json, "pid", info->pid);
    tm_json_word(&json, "source", info->source);
    tm_json_word(&json, "found_by", info->found_by);
    tm_json_number(&json, "table_address", info->table_address);
    tm_json_number(&json, "layout_major", info->layout_major);
    tm_json_number(&json, "layout_minor", info->layout_minor);
    tm_report_damage_json(&json, "missing", &info->damage);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    const struct tm_host *host = &request->session->host;
    struct tm_source *source;
    struct tm_info info;

    struct tm_error *error = tm_source_open(current, host, &source);
    if (!error)
        error = tm_source_info(source, host, &info);
    if (error)
        return error;
    if (request->settings.json)
        write_json(request, &info, out);
    else
        write_text(&info, out);
    return NULL;
}

const struct tm_command tm_command_info = {
    .name = "tm-info",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .needs_target = true,
    .prepare = prepare,
    .run = run,
};
