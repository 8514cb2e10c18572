// tm-save: a snapshot file that tracemalloc.Snapshot.load() reads.

#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/estimates.h"
#include "engine/commands/query.h"
#include "engine/commands/report.h"
#include "engine/open.h"
#include "engine/snapshot/dump.h"
#include "engine/target/backing.h"
#include "engine/target/private.h"

#define SAVE_OPTIONS(X) TM_OPTIONS_SAVE(X) TM_OPTIONS_FILTERS(X) TM_OPTIONS_SAMPLES(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {SAVE_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] =
    TM_HELP("Save the traces as a file that tracemalloc.Snapshot.load() reads.", "tm-save FILE [OPTION]...",
            "The command writes what Snapshot.dump() would have written inside the program,\n"
            "with the traces in the order of their blocks' addresses. tm-diff compares FILE\n"
            "with a process, a core or another such file. CPython 3.8 and later load it:\n"
            "\n"
            "  snapshot = tracemalloc.Snapshot.load(FILE)\n"
            "  snapshot.statistics('lineno')\n"
            "\n"
            "CPython 3.8 has another form of traces than later versions. Load the file in a\n"
            "CPython that has the target's form, or choose the form with --traces. An\n"
            "existing file is not replaced without --force, and a core is never replaced. A\n"
            "file that could not be written completely is removed.\n"
            "\n"
            "Of a program in the sampled profile the file has the samples, each with the\n"
            "bytes that it stands for. So sizes are estimates in tracemalloc, and counts are\n"
            "those of the samples. tm-diff reads both, and their errors, from two attributes\n"
            "of the snapshot: sample_period and sample_sizes.\n"
            "\n"
            "With --core the file is a core of the trace table alone: gigabytes become\n"
            "megabytes, and every command answers of it as of the target, but those that\n"
            "need objects, threads or registers. It has addresses, sizes, and names of\n"
            "files and functions, and no data of the program.\n"
            "\n" TM_HELP_FILTERS,
            SAVE_OPTIONS,
            "Examples:\n"
            "  tm-save now.snapshot\n"
            "  tm-save --force --include '*/views.py' --all-frames views.snapshot\n"
            "  tm-save --core table.core\n"
            "\n"
            "The JSON object has:\n"
            "  command, file\n"
            "  traces        \"3.8\" or \"3.9\": the form of the traces\n"
            "  bytes         the file's size\n"
            "  traceback_limit\n"
            "                frames kept for each block\n" TM_HELP_JSON_FILTERS "  total_size, total_count\n"
            "  sample_period, estimate\n"
            "                only where blocks are sampled: as in tm-traces --json\n"
            "  missing       " TM_HELP_JSON_MISSING "\n"
            "With --core there are only: command, file, bytes, table_bytes (of the table's\n"
            "memory), missing_bytes (of these, what could not be read), bad_mappings\n"
            "(damaged records of the list that says what memory the table has).\n");

// From this version on, traces have four parts.
#define PYTHON_3_9 0x03090000u

static struct tm_error *prepare(struct tm_request *request)
{
    struct tm_error *error = tm_request_check_words(request, 1);
    if (error)
        return error;
    if (request->settings.core && (request->settings.filters.count || request->settings.form != TM_FORM_OF_TARGET))
        return tm_usage_error(request->command->name, "--core saves the whole table: it takes no filters and no ",
                              "--traces", "");
    if (request->words.count == 0 || request->words.items[0][0] == '\0')
        return tm_usage_error(request->command->name, "missing file name. Usage: ", "tm-save FILE", "");
    tm_request_add_unresolved(request, request->settings.force ? TM_OPERAND_REPLACE : TM_OPERAND_OUTPUT,
                              request->words.items[0]);
    return NULL;
}

struct saver {
    const struct tm_request *request;
    struct tm_traces traces;
    struct tm_dump dump;
    bool started;
    uint64_t total_size;
    uint64_t total_count;
    struct tm_estimate estimate; // of all blocks, where these are samples
    uint64_t bytes;
};

// Called only when the target's version is known.
static void start(struct saver *saver)
{
    const struct tm_unresolved *file = &saver->request->unresolved[0];
    enum tm_form form = saver->request->settings.form;
    uint32_t version = saver->traces.python_version;
    if (saver->started)
        return;
    if (form == TM_FORM_OF_TARGET)
        form = version != 0 && version < PYTHON_3_9 ? TM_FORM_3_8 : TM_FORM_3_9;
    saver->started = true;
    tm_dump_start(&saver->dump, form == TM_FORM_3_8 ? TM_DUMP_3_8 : TM_DUMP_3_9, saver->traces.sample_period,
                  file->output, file->output_context);
}

static struct tm_error *visit(void *context, const struct tm_trace *trace)
{
    struct saver *saver = context;
    start(saver);
    saver->total_size = tm_add_saturating(saver->total_size, trace->size);
    saver->total_count++;
    if (saver->traces.sample_period) {
        const struct tm_estimate estimate = tm_estimate_of(saver->traces.sample_period, trace->size);
        tm_estimate_add(&saver->estimate, &estimate);
    }
    return tm_dump_trace(&saver->dump, trace->origin->domain, trace->size, trace->origin->traceback);
}

static struct tm_error *save(struct saver *saver, struct tm_target *current)
{
    struct tm_pool *pool;

    struct tm_error *error = tm_pool_create(&pool);
    if (error)
        return error;
    error = tm_query_traces(saver->request, current, pool, visit, saver, &saver->traces);
    if (!error)
        start(saver);
    if (saver->started)
        error = tm_dump_finish(&saver->dump, error, saver->traces.frame_limit, &saver->bytes);
    tm_pool_destroy(pool);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Writing

static void write_text(const struct saver *saver, struct tm_text *out)
{
    const char *file = saver->request->unresolved[0].text;

    bool sampled = saver->traces.sample_period;

    tm_report_count(out, saver->total_count, sampled ? "sample" : "trace");
    tm_text_add(out, sampled ? ", which stand for " : " of ");
    if (sampled)
        tm_estimate_write_kib(out, tm_estimate_size(&saver->estimate), &saver->estimate);
    else
        tm_format_kib(out, false, saver->total_size, false);
    tm_text_add(out, sampled ? ", saved in " : " saved in ");
    tm_text_escape(out, file, strlen(file));
    tm_text_add(out, " (");
    tm_format_size(out, false, saver->bytes, false);
    tm_text_add(out, ")\n");
    if (sampled)
        tm_text_add(out,
                    "tracemalloc takes each sample for one block: its sizes are estimates, its counts and averages "
                    "are wrong. tm-diff knows\n");
    tm_report_filters(out, saver->request);
    tm_report_damage(out, &saver->traces.damage);
}

static void write_json(const struct saver *saver, struct tm_text *out)
{
    const char *file = saver->request->unresolved[0].text;
    struct tm_json json = {out, false};

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", saver->request->command->name);
    tm_json_string(&json, "file", file, strlen(file));
    tm_json_word(&json, "traces", saver->dump.form == TM_DUMP_3_8 ? "3.8" : "3.9");
    tm_json_number(&json, "bytes", saver->bytes);
    tm_json_number(&json, "traceback_limit", saver->traces.frame_limit);
    tm_report_filters_json(&json, saver->request);
    tm_json_number(&json, "total_size", saver->total_size);
    tm_json_number(&json, "total_count", saver->total_count);
    if (saver->traces.sample_period)
        tm_estimate_write_samples_json(&json, saver->traces.sample_period, &saver->estimate);
    tm_report_damage_json(&json, "missing", &saver->traces.damage);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

// ---------------------------------------------------------------------------------------------------------------
// The table itself

static void write_core_text(const struct tm_request *request, const struct tm_saved *saved, struct tm_text *out)
{
    const char *file = request->unresolved[0].text;
    tm_text_add(out, "the trace table saved in ");
    tm_text_escape(out, file, strlen(file));
    tm_text_add(out, " (");
    tm_format_size(out, false, saved->size, false);
    tm_text_add(out, ")\n");
    if (saved->bad_mappings) {
        tm_report_count(out, saved->bad_mappings, "record");
        tm_text_add(out,
                    " of the list of the table's mappings are damaged: what is in these mappings may be missing\n");
    }
    if (saved->missing) {
        tm_report_count(out, saved->missing, "byte");
        tm_text_add(out, " of the table's memory could not be read, and are missing\n");
    }
}

static void write_core_json(const struct tm_request *request, const struct tm_saved *saved, struct tm_text *out)
{
    const char *file = request->unresolved[0].text;
    struct tm_json json = {out, false};
    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", request->command->name);
    tm_json_string(&json, "file", file, strlen(file));
    tm_json_number(&json, "bytes", saved->size);
    tm_json_number(&json, "table_bytes", saved->bytes);
    tm_json_number(&json, "missing_bytes", saved->missing);
    tm_json_number(&json, "bad_mappings", saved->bad_mappings);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

static struct tm_error *save_core(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    const struct tm_unresolved *file = &request->unresolved[0];
    const struct tm_host *host = &request->session->host;
    struct tm_source *source;
    struct tm_saved saved;
    struct tm_backing backing;
    struct tm_private private;

    tm_target_backing(current, &backing);
    struct tm_error *error = tm_source_open(current, host, &source);
    if (!error)
        error = tm_target_private(current, &private);
    if (error)
        return error;
    const struct tm_save save = {.process = tm_target_process(current),
                                 .private_kind = private.kind,
                                 .private_bytes = private.size,
                                 .moment = backing.moment ? backing.moment : backing.now,
                                 .now = backing.now,
                                 .output = file->output,
                                 .context = file->output_context};
    error = tm_source_save(source, host, &save, &saved);
    if (error)
        return error;
    if (request->settings.json)
        write_core_json(request, &saved, out);
    else
        write_core_text(request, &saved, out);
    return NULL;
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    struct saver saver = {.request = request};

    if (request->settings.core)
        return save_core(request, current, out);
    struct tm_error *error = save(&saver, current);
    if (error)
        return error;
    if (request->settings.json)
        write_json(&saver, out);
    else
        write_text(&saver, out);
    return NULL;
}

const struct tm_command tm_command_save = {
    .name = "tm-save",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .needs_target = true,
    .prepare = prepare,
    .run = run,
};
