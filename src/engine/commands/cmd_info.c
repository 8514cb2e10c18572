// tm-info: the state of the trace table: whether tracing is on, how much is traced, what could not be recorded.

#include <inttypes.h>
#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/estimates.h"
#include "engine/commands/info.h"
#include "engine/commands/recorder_facts.h"
#include "engine/commands/report.h"
#include "engine/open.h"

#define INFO_OPTIONS(X) TM_OPTIONS_SAMPLES(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {INFO_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] =
    TM_HELP("Show whether memory is traced, how much, and what could not be recorded.", "tm-info [OPTION]...",
            "This works also while tracing is off. Sizes are shown as tracemalloc shows them\n"
            "and in bytes; times are in UTC. \"not recorded\" counts allocations and frames\n"
            "that the tracer had no room for. \"room used\" shows how near the table is to its\n"
            "bounds (TRACEMORTEM_RECORDS), \"full\" which bounds it has reached. \"unreadable\"\n"
            "counts what could not be read of the table. Of a recorder's file it says\n"
            "whether the process lives, and the last moment that is known.\n"
            "\n"
            "If the program runs under CPython's own tracemalloc instead of the tracer, the\n"
            "command reads tracemalloc's tables and leaves out what they do not hold.\n"
            "\n" TM_HELP_PRIVATE,
            INFO_OPTIONS,
            "Examples:\n"
            "  tm-info\n"
            "  tm-info --json\n"
            "\n"
            "The JSON object has:\n"
            "  command\n"
            "  json_version  of what all commands print with --json\n"
            "  state         \"tracing\", \"clearing\", \"stopped\", \"loaded\" (never started)\n"
            "  tracing       whether there are traces: state is tracing or clearing\n"
            "  started, cleared\n"
            "                when tracing began and when traces were last cleared: ISO, UTC;\n"
            "                or null\n"
            "  traceback_limit, traced_memory, peak_traced_memory\n"
            "  blocks, resizing\n"
            "                live blocks; how many of them were inside realloc()\n"
            "  in_flight     bytes in blocks that were being recorded or freed\n"
            "  sites, sites_live\n"
            "                allocation sites in total; sites with live blocks\n"
            "  domains       distinct domains of live blocks\n"
            "  allocations, allocated\n"
            "                blocks and bytes since tracing began or traces were cleared;\n"
            "                null where detail is lean or sampled\n"
            "  strings, codes, nodes, table_bytes\n"
            "                records of the table; bytes that all its records take\n"
            "  bytes         bytes of names and line tables\n"
            "  string_limit, code_limit, node_limit, byte_limit\n"
            "                the most of them (0: unknown); of sites see record_limit\n"
            "  full          which of them have no more room: \"code objects\", \"strings\",\n"
            "                \"bytes\", \"nodes\", \"sites\"\n"
            "  leaves, mapped\n"
            "                leaves of the map; bytes of address space that the tracer mapped\n"
            "  lost_blocks, lost_frames\n"
            "                not recorded\n"
            "  shortened     live blocks whose traceback lacks frames: the table had no room\n"
            "  record_limit  the most sites that the tracer creates (TRACEMORTEM_RECORDS)\n"
            "  reuse_exact   whether an object that CPython creates from a free list has its\n"
            "                latest traceback\n"
            "  reuse_by      if so, how the tracer sees it: \"events\", \"entry\", \"slots\",\n"
            "                \"table\" (docs/design.md)\n"
            "  detail        \"sampled\": only some blocks are recorded; \"lean\": only what is\n"
            "                live is counted, and no frames beyond the limit; \"full\": these\n"
            "                are counted, too; null: not tracing\n"
            "  estimated, sample_period, standard_error, samples\n"
            "                only where detail is sampled: true; the mean distance of picked\n"
            "                bytes; size and count, the errors of traced_memory and blocks;\n"
            "                how many live blocks are recorded. Then the peak is not known\n"
            "  python_version, debug_build, free_threaded, tracer_version, pid\n"
            "  source        \"tracemortem\": the tracer's table; \"stock\": the tables of\n"
            "                CPython's own tracemalloc\n"
            "  found_by, table_address, layout_major, layout_minor\n"
            "  recorder      where the table is in a file (TRACEMORTEM_FILE), or should be:\n"
            "                state (\"file\", \"private\", \"cut\", \"none\"), file, error (errno),\n"
            "                refused (it could not be made longer), limit, reached,\n"
            "                reached_traced (TRACEMORTEM_AT), failed, failed_at,\n"
            "                failed_size (allocations without memory); from the file itself:\n"
            "                made, last (the last moment that is known), process (\"lives\",\n"
            "                \"exited\", \"exec\", \"died\", \"unknown\"), ended, status\n"
            "  saved         of a table saved by tm-save --core: moment, saved, missing\n"
            "                (bytes)\n" TM_HELP_JSON_PRIVATE "  missing       " TM_HELP_JSON_MISSING "\n"
            "If the source is \"stock\", there are only: command, json_version, state,\n"
            "tracing, traced_memory, blocks, sites_live, domains, python_version,\n"
            "free_threaded, source, found_by, table_address, missing; where known,\n"
            "traceback_limit and peak_traced_memory, private; and, where known,\n"
            "  locked        whether the tables' lock was held: a thread was changing them\n");

static struct tm_error *prepare(struct tm_request *request)
{
    return tm_request_check_words(request, 0);
}

static const char *state_name(enum tm_tracing state)
{
    switch (state) {
    case TM_TRACING_NEVER:
        return "loaded";
    case TM_TRACING_ON:
        return "tracing";
    case TM_TRACING_STOPPED:
        return "stopped";
    case TM_TRACING_CLEARING:
        return "clearing";
    }
    return "unknown";
}

static bool is_tracing(const struct tm_info *info)
{
    return info->state == TM_TRACING_ON || info->state == TM_TRACING_CLEARING;
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

static const char *lock_text(enum tm_lock lock)
{
    switch (lock) {
    case TM_LOCK_FREE:
        return "free: no thread was changing the tables";
    case TM_LOCK_HELD:
        return "held: a thread was changing the tables";
    case TM_LOCK_UNKNOWN:
        break;
    }
    return "unknown: a thread may have been changing the tables";
}

static void write_detail(const struct tm_info *info, struct tm_text *out)
{
    if (info->sample_period) {
        tm_text_printf(out,
                       "sampled: one byte in %" PRIu64 " is picked, and its block is recorded: ", info->sample_period);
        tm_report_count(out, info->estimate.samples, "live block");
        tm_text_add(out, " (TRACEMORTEM_DETAIL=lean records all)\n");
    } else {
        tm_text_add(
            out, info->tracer.lean
                     ? "lean: what was freed and older frames are not counted (TRACEMORTEM_DETAIL=full counts them)\n"
                     : "full: what was freed and older frames are counted\n");
    }
}

static void write_state(const struct tm_info *info, struct tm_text *out)
{
    begin_fact(out, "tracing");
    if (info->state == TM_TRACING_NEVER)
        tm_text_add(out, info->has_tracer ? "off: never started" : "off: not started, or stopped");
    else if (info->state == TM_TRACING_STOPPED)
        tm_text_add(out, "off: stopped, and the traces are cleared");
    else if (is_tracing(info))
        tm_text_add(out, "on");
    else
        tm_text_printf(out, "unknown: state %" PRIu32, info->state);
    if (is_tracing(info) && info->tracer.started) {
        tm_text_add(out, " since ");
        tm_report_time(out, info->tracer.started);
    }
    if (info->state == TM_TRACING_CLEARING)
        tm_text_add(out, "; traces are being cleared");
    tm_text_add(out, "\n");
    if (info->tracer.cleared) {
        begin_fact(out, "traces cleared");
        tm_report_time(out, info->tracer.cleared);
        tm_text_add(out, "\n");
    }
    begin_fact(out, "frame limit");
    if (info->has_frame_limit) {
        tm_report_count(out, info->frame_limit, "frame");
        tm_text_add(out, " per traceback");
        tm_text_add(out, info->frame_limit == 1 ? "; 10 or more would name the callers\n" : "\n");
    } else {
        tm_text_add(out, "unknown\n");
    }
    if (info->has_tracer && is_tracing(info)) {
        begin_fact(out, "detail");
        write_detail(info, out);
    }
    if (info->has_lock) {
        begin_fact(out, "lock");
        tm_text_printf(out, "%s\n", lock_text(info->lock));
    }
}

static void write_memory(const struct tm_info *info, const struct tm_footprint *footprint, struct tm_text *out)
{
    const struct tm_tracer_info *tracer = &info->tracer;
    struct tm_pair errors = tm_errors_of(&info->estimate.variance);
    begin_fact(out, "traced memory");
    if (info->sample_period)
        tm_estimate_write_size(out, info->traced, errors.size);
    else
        add_size(out, info->traced);
    tm_text_add(out, "\n");
    if (info->has_peak) {
        begin_fact(out, "peak");
        add_size(out, info->peak);
        tm_text_add(out, "\n");
    } else {
        begin_fact(out, "peak");
        tm_text_add(out, info->sample_period
                             ? "not known: the live samples say nothing of blocks that are freed\n"
                             : "not known: no symbol leads to CPython's variable, and its place does not show it\n");
    }

    if (footprint->kind != TM_PRIVATE_UNKNOWN) {
        begin_fact(out, "private memory");
        tm_report_footprint_facts(out, footprint);
        tm_text_add(out, "\n");
    }
    begin_fact(out, "blocks");
    if (info->sample_period)
        tm_estimate_write_count(out, info->blocks, errors.count);
    else
        tm_text_printf(out, "%" PRIu64, info->blocks);
    tm_text_add(out, " live");
    if (tracer->resizing)
        tm_text_printf(out, ", %" PRIu64 " of them being resized", tracer->resizing);
    tm_text_printf(out, ", in ");
    tm_report_count(out, info->domains, "domain");
    tm_text_add(out, "\n");
    if (tracer->in_flight) {
        begin_fact(out, "in flight");
        add_size(out, tracer->in_flight);
        tm_text_add(out, " in blocks being recorded or freed: counts may be off by this much\n");
    }
    if (info->has_tracer)
        begin_fact(out, "allocations");
    if (info->has_tracer && tracer->lean) {
        tm_text_add(out, "not counted: see detail\n");
    } else if (info->has_tracer) {
        tm_text_printf(out, "%" PRIu64 " of ", tracer->allocations);
        add_size(out, tracer->allocated);
        tm_text_printf(out, " since %s\n", tracer->cleared > tracer->started ? "traces were cleared" : "tracing began");
    }
    begin_fact(out, "sites");
    tm_text_printf(out, "%" PRIu64 " with live blocks", info->sites_live);
    if (info->has_tracer)
        tm_text_printf(out, ", %" PRIu64 " in total", tracer->sites);
    if (tracer->record_limit)
        tm_text_printf(out, ", at most %" PRIu64, tracer->record_limit);
    tm_text_add(out, "\n");
}

// "12.3% of strings", if it is known how many there can be.
static void add_fill(struct tm_text *out, const char **comma, uint64_t count, uint64_t limit, const char *what)
{
    if (!limit)
        return;
    unsigned __int128 thousandths = (unsigned __int128)count * 1000 / limit;
    tm_text_printf(out, "%s%" PRIu64 ".%u%% of %s", *comma, (uint64_t)(thousandths / 10), (unsigned)(thousandths % 10),
                   what);
    *comma = ", ";
}

static void write_fill(const struct tm_tracer_info *tracer, struct tm_text *out)
{
    const char *comma = "";
    if (!tracer->record_limit)
        return;
    begin_fact(out, "room used");
    add_fill(out, &comma, tracer->codes, tracer->code_limit, "code objects");
    add_fill(out, &comma, tracer->strings, tracer->string_limit, "strings");
    add_fill(out, &comma, tracer->bytes, tracer->byte_limit, "bytes");
    add_fill(out, &comma, tracer->nodes, tracer->node_limit, "nodes");
    add_fill(out, &comma, tracer->site_records, tracer->record_limit, "sites");
    tm_text_add(out, "\n");
}

static const char *meaning_of_full(uint32_t full)
{
    return full & (TM_FULL_CODES | TM_FULL_STRINGS | TM_FULL_BYTES)
               ? "functions that are new to the table are recorded as <unknown>:0"
               : "tracebacks that are new to the table keep their newest frame only";
}

static const struct {
    const char *word, *meaning;
} reuse_ways[] = {
    [TM_REUSE_BY_EVENTS] = {"events", "CPython's reference tracer"},
    [TM_REUSE_BY_ENTRY] = {"entry", "a jump in CPython's code"},
    [TM_REUSE_BY_SLOTS] = {"slots", "CPython's table of traces, without its lock"},
    [TM_REUSE_BY_TABLE] = {"table", "CPython's table of traces, with its lock, which is slow"},
};

static void write_tracer(const struct tm_info *info, struct tm_text *out)
{
    begin_fact(out, "tracer's memory");
    add_size(out, info->tracer.table_bytes);
    tm_text_printf(out, " in records, ");
    tm_text_printf(out, "%" PRIu64 " %s of the map, ", info->tracer.leaves,
                   info->tracer.leaves == 1 ? "leaf" : "leaves");
    add_size(out, info->tracer.mapped);
    tm_text_add(out, " mapped\n");
    begin_fact(out, "records");
    tm_report_count(out, info->tracer.strings, "string");
    tm_text_add(out, ", ");
    tm_report_count(out, info->tracer.codes, "code object");
    tm_text_add(out, ", ");
    tm_report_count(out, info->tracer.nodes, "node");
    tm_text_add(out, "\n");
    write_fill(&info->tracer, out);
    if (info->tracer.full) {
        begin_fact(out, "full");
        tm_report_full(out, info->tracer.full);
        tm_text_printf(out, ": %s\n", meaning_of_full(info->tracer.full));
    }
    if (info->tracer.shortened) {
        begin_fact(out, "shortened");
        tm_report_count(out, info->tracer.shortened, info->sample_period ? "sample" : "live block");
        tm_text_add(out, " whose traceback lacks the oldest frames: the table had no room for them\n");
    }
    begin_fact(out, "free lists");
    tm_text_add(out, info->tracer.reuse_exact
                         ? "exact: an object created from one has its latest traceback\n"
                         : "not exact: an object created from one may have an earlier traceback\n");
    if (info->tracer.reuse_exact && info->tracer.reuse_way != TM_REUSE_BY_EVENTS) {
        begin_fact(out, "reuse seen by");
        tm_text_printf(out, "%s\n", reuse_ways[info->tracer.reuse_way].meaning);
    }
    begin_fact(out, "not recorded");
    tm_report_count(out, info->tracer.lost_blocks, "block");
    tm_text_add(out, ", ");
    tm_report_count(out, info->tracer.lost_frames, "frame");
    tm_text_add(out, "\n");
}

static void write_origin(const struct tm_info *info, struct tm_text *out)
{
    const struct tm_tracer_info *tracer = &info->tracer;
    begin_fact(out, "Python");
    tm_text_printf(out, "%s%s%s\n", info->python_version, tracer->debug_build ? ", debug build" : "",
                   info->free_threaded ? ", free-threaded" : "");
    if (info->has_tracer) {
        begin_fact(out, "tracer");
        tm_text_printf(out, "%s\n", tracer->version);
        begin_fact(out, "pid");
        tm_text_printf(out, "%" PRIu32 "\n", tracer->pid);
    }
    begin_fact(out, "table");
    tm_text_add(out, info->has_tracer ? "tracemortem's" : info->source);
    if (info->has_tracer)
        tm_text_printf(out, ", layout %" PRIu32 ".%" PRIu32, tracer->layout_major, tracer->layout_minor);
    else
        tm_text_add(out, ", CPython's own tracemalloc");
    tm_text_printf(out, ", at 0x%" PRIx64 ", found by %s\n", info->table_address, info->found_by);
}

void tm_info_write_text(const struct tm_info *info, const struct tm_footprint *footprint, struct tm_text *out)
{
    write_state(info, out);
    write_memory(info, footprint, out);
    if (info->has_tracer)
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
    tm_report_time(&text, nanoseconds);
    tm_json_word(json, key, tm_text_string(&text));
    json->text->failed = json->text->failed || text.failed;
    tm_text_deinit(&text);
}

struct number {
    const char *key;
    uint64_t value;
};

static void write_numbers_json(const struct number *numbers, size_t count, struct tm_json *json)
{
    for (size_t i = 0; i < count; i++)
        tm_json_number(json, numbers[i].key, numbers[i].value);
}

static void write_memory_json(const struct tm_info *info, struct tm_json *json)
{
    const struct number numbers[] = {{"traced_memory", info->traced},
                                     {"blocks", info->blocks},
                                     {"sites_live", info->sites_live},
                                     {"domains", info->domains}};
    if (info->has_frame_limit)
        tm_json_number(json, "traceback_limit", info->frame_limit);
    if (info->has_peak)
        tm_json_number(json, "peak_traced_memory", info->peak);
    write_numbers_json(numbers, sizeof(numbers) / sizeof(numbers[0]), json);
    if (info->sample_period) {
        tm_estimate_write_period_json(json, info->sample_period);
        tm_estimate_write_json(json, "", &info->estimate);
    }
    if (info->lock == TM_LOCK_FREE || info->lock == TM_LOCK_HELD)
        tm_json_bool(json, "locked", info->lock == TM_LOCK_HELD);
}

static void write_tracer_json(const struct tm_info *info, struct tm_json *json)
{
    const struct tm_tracer_info *tracer = &info->tracer;
    const struct number numbers[] = {{"resizing", tracer->resizing},
                                     {"in_flight", tracer->in_flight},
                                     {"sites", tracer->sites},
                                     {"strings", tracer->strings},
                                     {"codes", tracer->codes},
                                     {"nodes", tracer->nodes},
                                     {"bytes", tracer->bytes},
                                     {"string_limit", tracer->string_limit},
                                     {"code_limit", tracer->code_limit},
                                     {"node_limit", tracer->node_limit},
                                     {"byte_limit", tracer->byte_limit},
                                     {"table_bytes", tracer->table_bytes},
                                     {"leaves", tracer->leaves},
                                     {"mapped", tracer->mapped},
                                     {"lost_blocks", tracer->lost_blocks},
                                     {"lost_frames", tracer->lost_frames},
                                     {"shortened", tracer->shortened},
                                     {"record_limit", tracer->record_limit},
                                     {"pid", tracer->pid},
                                     {"layout_major", tracer->layout_major},
                                     {"layout_minor", tracer->layout_minor}};
    const struct number ever[] = {{"allocations", tracer->allocations}, {"allocated", tracer->allocated}};
    write_numbers_json(numbers, sizeof(numbers) / sizeof(numbers[0]), json);
    for (size_t i = 0; i < sizeof(ever) / sizeof(ever[0]); i++) {
        if (tracer->lean)
            tm_json_null(json, ever[i].key);
        else
            tm_json_number(json, ever[i].key, ever[i].value);
    }
    tm_report_full_json(json, tracer->full);
    tm_json_bool(json, "reuse_exact", tracer->reuse_exact);
    if (tracer->reuse_exact)
        tm_json_word(json, "reuse_by", reuse_ways[tracer->reuse_way].word);
    if (is_tracing(info))
        tm_json_word(json, "detail", info->sample_period ? "sampled" : tracer->lean ? "lean" : "full");
    else
        tm_json_null(json, "detail");
    tm_json_bool(json, "debug_build", tracer->debug_build);
    tm_json_word(json, "tracer_version", tracer->version);
}

static void write_json(const struct tm_request *request, const struct tm_info *info,
                       const struct tm_footprint *footprint, const struct tm_recorder_facts *recorder,
                       struct tm_text *out)
{
    struct tm_json json = {out, false};

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", request->command->name);
    tm_json_number(&json, "json_version", TM_JSON_VERSION);
    tm_json_word(&json, "state", state_name(info->state));
    tm_json_bool(&json, "tracing", is_tracing(info));
    if (info->has_tracer) {
        write_time_json(&json, "started", is_tracing(info) ? info->tracer.started : 0);
        write_time_json(&json, "cleared", info->tracer.cleared);
    }
    write_memory_json(info, &json);
    if (info->has_tracer)
        write_tracer_json(info, &json);
    tm_json_word(&json, "python_version", info->python_version);
    tm_json_bool(&json, "free_threaded", info->free_threaded);
    tm_json_word(&json, "source", info->source);
    tm_json_word(&json, "found_by", info->found_by);
    tm_json_number(&json, "table_address", info->table_address);
    tm_recorder_write_json(recorder, &json);
    tm_report_footprint_json(&json, "private", footprint);
    tm_report_damage_json(&json, "missing", &info->damage);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    const struct tm_host *host = &request->session->host;
    struct tm_source *source;
    struct tm_footprint footprint;
    struct tm_info info = {0};
    struct tm_recorder_facts recorder;

    struct tm_error *error = tm_source_open(current, host, &source);
    if (!error)
        error = tm_source_info(source, host, &info);
    if (!error)
        error = tm_footprint_init(&footprint, current, info.traced, info.tracer.own_bytes);
    if (!error)
        error = tm_recorder_facts_init(&recorder, current, &info);
    if (error)
        return error;
    footprint.estimated = info.sample_period != 0;
    if (request->settings.json) {
        write_json(request, &info, &footprint, &recorder, out);
    } else {
        tm_info_write_text(&info, &footprint, out);
        tm_recorder_write_text(&recorder, out);
    }
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
