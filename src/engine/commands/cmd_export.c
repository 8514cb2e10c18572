// tm-export: all tracebacks, or their difference to another target, as a file for other programs: flame graphs, pictures,
// tables.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/commands/command.h"
#include "engine/commands/estimates.h"
#include "engine/commands/export_heap.h"
#include "engine/commands/export_rows.h"
#include "engine/commands/hints.h"
#include "engine/commands/info.h"
#include "engine/commands/report.h"
#include "engine/export/html.h"
#include "engine/open.h"

#define EXPORT_LIMIT(X)                              \
    X(TM_OPTION_LIMIT, 'n', "-n, ", "--limit", " N", \
      "openmetrics: have the N largest places (default 10; 0: only the totals).")
#define EXPORT_OPTIONS(X) \
    TM_OPTIONS_BASE(X)    \
    EXPORT_LIMIT(X)       \
    TM_OPTIONS_FORCE(X)   \
    TM_OPTIONS_CUMULATIVE(X) TM_OPTIONS_MINE(X) TM_OPTIONS_FILTERS(X) TM_OPTIONS_SAMPLES(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {EXPORT_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] =
    TM_HELP("Export all tracebacks for other programs: flame graphs, reports, tables.",
            "tm-export FORMAT FILE [KEY] [OPTION]...",
            "FORMAT is one of:\n"
            "  html        one page to look at, mail or attach to a ticket: flame graph,\n"
            "              treemap, tables. Any browser shows it, without a network.\n"
            "  speedscope  for speedscope\n"
            "  pprof       for go tool pprof and programs that read its heap profiles,\n"
            "              compressed\n"
            "  collapsed   for flamegraph.pl: a traceback and its bytes on each line\n"
            "  json        all rows, in the form of tm-top --json\n"
            "  csv         all rows, for a spreadsheet\n"
            "  openmetrics totals and the largest lines, for Prometheus\n"
            "  heapsnapshot\n"
            "              all objects with the references between them, for the memory\n"
            "              panel of Chromium's developer tools, memlab and others. Filters\n"
            "              do not apply.\n"
            "\n"
            "With --base the difference to another process or an earlier core is exported:\n"
            "html and speedscope show what grew, pprof has OLD as its base (-diff_base),\n"
            "collapsed has two numbers on each line (as difffolded.pl), json and csv have a\n"
            "_diff for each number.\n"
            "\n"
            "KEY is for json and csv: traceback (the default: a row for each traceback and\n"
            "domain), or another key of tm-top. --cumulative is for them too; the page\n"
            "of html then begins with cumulative sizes. The pictures of the other formats\n"
            "are cumulative always. With KEY type,traceback a picture and pprof have the\n"
            "type of the objects below the newest frame. The places of openmetrics are\n"
            "lines, or those of KEY.\n"
            "\n"
            "A page has at most 1 MB. If there is more, it shows the largest, with the sums\n"
            "of the others, and says how much that is. An existing file is not replaced\n"
            "without --force.\n"
            "\n"
            "Of a program in the sampled profile all formats have estimates. json and csv\n"
            "have their standard errors, and pprof has the period, as Go's profiles do.\n"
            "\n" TM_HELP_MINE "\n" TM_HELP_FILTERS,
            EXPORT_OPTIONS,
            "Examples:\n"
            "  tm-export html report.html\n"
            "  tm-export html growth.html --base before.core\n"
            "  tm-export pprof heap.pb.gz --mine /srv/shop\n"
            "  tm-export csv lines.csv lineno --cumulative\n"
            "  tm-export heapsnapshot shop.heapsnapshot\n"
            "\n"
            "The JSON object has:\n"
            "  command, format, file\n"
            "  bytes         the file's size\n"
            "  rows          how many tracebacks or rows the file has; of pprof the samples,\n"
            "                also those that have no live block any more\n"
            "  edges         heapsnapshot: how many references; rows then counts the nodes\n"
            "  whole_tracebacks\n"
            "                html: of how many all frames are in the page\n" TM_HELP_JSON_FILTERS TM_HELP_JSON_MINE
                TM_HELP_JSON_ESTIMATES "  total_size, total_count\n"
            "                with --base also total_size_diff, total_count_diff\n" TM_HELP_JSON_HINTS
            "  missing       " TM_HELP_JSON_MISSING "  missing_old   with --base: the same for OLD\n");

enum format {
    FORMAT_HTML,
    FORMAT_SPEEDSCOPE,
    FORMAT_PPROF,
    FORMAT_COLLAPSED,
    FORMAT_JSON,
    FORMAT_CSV,
    FORMAT_HEAPSNAPSHOT,
    FORMAT_OPENMETRICS
};
static const char *const format_names[] = {"html", "speedscope", "pprof",        "collapsed",
                                           "json", "csv",        "heapsnapshot", "openmetrics"};
enum { METRICS = 10 }; // places of openmetrics
enum { FORMATS = sizeof(format_names) / sizeof(format_names[0]) };

static bool has_rows(enum format format)
{
    return format == FORMAT_JSON || format == FORMAT_CSV;
}

static bool has_stacks(enum format format)
{
    return !has_rows(format) && format != FORMAT_OPENMETRICS && format != FORMAT_HEAPSNAPSHOT;
}

static enum format format_of(const struct tm_request *request)
{
    return (enum format)request->action;
}

// ---------------------------------------------------------------------------------------------------------------
// Parsing

static struct tm_error *unknown_format(const struct tm_request *request, const char *word)
{
    char after[160];
    const char *nearest = tm_nearest(word, format_names, FORMATS);

    snprintf(after, sizeof(after), "\": the formats are %s, %s, %s, %s, %s, %s, %s, %s%s%s%s", format_names[0],
             format_names[1], format_names[2], format_names[3], format_names[4], format_names[5], format_names[6],
             format_names[7], nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return tm_usage_error(request->command->name, "unknown format \"", word, after);
}

static struct tm_error *set_format(struct tm_request *request, const char *word)
{
    for (unsigned i = 0; i < FORMATS; i++) {
        if (strcmp(word, format_names[i]) == 0) {
            request->action = i;
            return i == FORMAT_HTML ? tm_export_html_require() : NULL;
        }
    }
    return unknown_format(request, word);
}

static struct tm_error *set_key(struct tm_request *request)
{
    const struct tm_words *words = &request->words;

    request->key = format_of(request) == FORMAT_OPENMETRICS ? TM_KEY_LINENO : TM_KEY_TRACEBACK;
    if (words->count < 3)
        return NULL;
    struct tm_error *error = tm_request_set_key(request, words->items[2]);
    if (error || has_rows(format_of(request)))
        return error;
    bool has_tracebacks = tm_key_place(request->key) == TM_KEY_TRACEBACK;
    if (format_of(request) == FORMAT_HEAPSNAPSHOT || (has_stacks(format_of(request)) && !has_tracebacks))
        return tm_usage_error(request->command->name, "unexpected operand \"", words->items[2],
                              "\": a key is for json, csv and openmetrics; the other formats have whole tracebacks, or "
                              "type,traceback");
    if (format_of(request) == FORMAT_OPENMETRICS && has_tracebacks)
        return tm_usage_error(request->command->name, "unexpected operand \"", words->items[2],
                              "\": openmetrics has no tracebacks; its keys are lineno, filename, function, type and "
                              "type,lineno");
    return NULL;
}

static struct tm_error *check_cumulative(const struct tm_request *request)
{
    enum format format = format_of(request);

    if (!request->settings.cumulative || format == FORMAT_HTML || format == FORMAT_HEAPSNAPSHOT) // it has its own check
        return NULL;
    if (has_stacks(format))
        return tm_usage_error(request->command->name, "cumulative mode is not for the format ", format_names[format],
                              ": its pictures are cumulative always");
    return tm_request_check_cumulative(request);
}

static struct tm_error *check_metrics(const struct tm_request *request)
{
    bool is_metrics = format_of(request) == FORMAT_OPENMETRICS;

    if (is_metrics && request->settings.base)
        return tm_usage_error(request->command->name, "--base is not for the format ", "openmetrics",
                              ": what reads metrics compares them itself");
    if (!is_metrics && request->settings.has_limit)
        return tm_usage_error(request->command->name, "--limit is not for the format ",
                              format_names[format_of(request)], ", which has all");
    return NULL;
}

static struct tm_error *prepare(struct tm_request *request)
{
    const struct tm_words *words = &request->words;

    struct tm_error *error = tm_request_check_words(request, 3);
    if (!error && words->count > 0)
        error = set_format(request, words->items[0]);
    if (!error && (words->count < 2 || words->items[1][0] == '\0'))
        error =
            tm_usage_error(request->command->name,
                           words->count == 0 ? "missing format and file name. Usage: " : "missing file name. Usage: ",
                           "tm-export FORMAT FILE",
                           ", where FORMAT is html, speedscope, pprof, collapsed, json, "
                           "csv, heapsnapshot or openmetrics");
    if (!error)
        error = set_key(request);
    if (!error)
        error = check_cumulative(request);
    if (!error)
        error = check_metrics(request);
    if (!error && format_of(request) == FORMAT_HEAPSNAPSHOT)
        error = tm_export_heap_check(request);
    if (error)
        return error;
    tm_request_add_unresolved(request, request->settings.force ? TM_OPERAND_REPLACE : TM_OPERAND_OUTPUT,
                              words->items[1]);
    if (request->settings.base)
        tm_request_add_unresolved(request, TM_OPERAND_CORE, request->settings.base);
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Collecting

struct answer {
    struct tm_request *request;
    struct tm_pool *pool;
    struct tm_export_sides sides;
    struct tm_stacks stacks;     // of the formats that have them
    const struct tm_name *types; // the file name of their frames that are types; NULL: none
    struct tm_html_cut cut;
    struct tm_text notes; // filters, hints, what is missing
    struct tm_text title;
    struct tm_text facts[TM_SIDES]; // of html
    struct tm_lack shallow;         // blocks of the new side whose tracebacks lack their oldest frames
    uint64_t rows;
    uint64_t bytes;
};

static void add_lack(struct tm_lack *lack, const struct tm_group *group)
{
    lack->size = tm_add_saturating(lack->size, group->size);
    lack->count = tm_add_saturating(lack->count, group->count);
}

// What statistics by traceback would have as their totals. Returns the blocks whose tracebacks were cut.
static struct tm_lack sum(struct tm_query *query, const struct tm_snapshot *groups)
{
    struct tm_lack cut = {0, 0};
    struct tm_statistics *statistics = &query->statistics;

    statistics->total_size = query->unmatched.size;
    statistics->total_count = query->unmatched.count;
    statistics->total_estimate = query->unmatched.estimate;
    for (size_t i = 0; i < groups->count; i++) {
        const struct tm_group *group = &groups->groups[i];
        tm_estimate_sum(&statistics->total_size, &statistics->total_count, &statistics->total_estimate, group->size,
                        group->count, group->estimate);
        if (group->traceback->lacks_record)
            add_lack(&statistics->not_recorded, group);
        if (group->shortened)
            add_lack(&statistics->shortened, group);
        if (tm_traceback_is_cut(group->traceback))
            add_lack(&cut, group);
    }
    return cut;
}

// Blocks of which --mine finds no frame are a traceback of their own, so that totals are those of tm-top.
static struct tm_error *add_unmatched(struct tm_pool *pool, const struct tm_unmatched *unmatched,
                                      struct tm_snapshot *groups)
{
    static const char name[] = "<no frame matches --mine>";
    struct tm_group group = {.size = unmatched->size, .count = unmatched->count};
    struct tm_frame frame = {0};

    if (unmatched->size == 0 && unmatched->count == 0)
        return NULL;
    struct tm_error *error = tm_pool_name(pool, name, sizeof(name) - 1, &frame.file_name);
    if (!error)
        error = tm_pool_traceback(pool, &frame, 1, 1, &group.traceback);
    if (!error && groups->sample_period) {
        group.estimate = tm_snapshot_estimate(groups, &unmatched->estimate);
        error = group.estimate ? NULL : tm_error_no_memory();
    }
    return error ? error : tm_snapshot_add(groups, &group);
}

// The type of the objects as a frame below the newest one.
static struct tm_error *add_type(struct tm_pool *pool, const struct tm_name *file_name, struct tm_group *group)
{
    const struct tm_traceback *traceback = group->traceback, *older;
    const struct tm_frame typed = {.file_name = file_name, .function = group->type};
    const struct tm_frame *frame;
    uint32_t total = traceback->total_frames == TM_TOTAL_UNKNOWN ? TM_TOTAL_UNKNOWN : traceback->total_frames + 1u;

    struct tm_error *error = tm_pool_older(pool, traceback->older, traceback->newest, &older);
    if (!error)
        error = tm_pool_frame(pool, &typed, &frame);
    return error ? error : tm_pool_newest(pool, older, frame, total, traceback->older_missing, &group->traceback);
}

static struct tm_error *add_types(const struct tm_host *host, struct tm_pool *pool, struct tm_snapshot *groups,
                                  const struct tm_name **file_name)
{
    struct tm_error *error = tm_pool_name(pool, "<type>", strlen("<type>"), file_name);
    for (size_t i = 0; i < groups->count && !error; i++) {
        error = i % 1024 == 0 ? tm_host_check(host) : NULL;
        if (!error && groups->groups[i].type)
            error = add_type(pool, *file_name, &groups->groups[i]);
    }
    return error;
}

static struct tm_error *collect_side(struct answer *answer, struct tm_target *target, struct tm_query *query,
                                     struct tm_snapshot *groups)
{
    enum format format = format_of(answer->request);

    struct tm_error *error =
        tm_query_groups(query, answer->request, target, answer->pool, format == FORMAT_PPROF, groups);
    if (error)
        return error;
    answer->shallow = sum(query, groups);
    // pprof has types as labels.
    if (has_stacks(format) && format != FORMAT_PPROF && tm_key_has_type(answer->request->key))
        error = add_types(&answer->request->session->host, answer->pool, groups, &answer->types);
    if (error)
        return error;
    return format == FORMAT_JSON ? NULL : add_unmatched(answer->pool, &query->unmatched, groups);
}

static struct tm_error *collect(struct answer *answer, struct tm_target *current)
{
    const struct tm_request *request = answer->request;
    struct tm_export_sides *sides = &answer->sides;
    struct tm_error *error = NULL;

    if (request->settings.base)
        error = tm_query_name_operand(
            request, 1, collect_side(answer, request->unresolved[1].target, &sides->old, &sides->old_groups));
    if (!error)
        error = collect_side(answer, current, &sides->now, &sides->now_groups);
    if (request->settings.base)
        tm_fits_merge(&sides->now.fits, &sides->old.fits); // a pattern needs to fit one side only
    return error;
}

static void answer_deinit(struct answer *answer)
{
    tm_stacks_deinit(&answer->stacks);
    tm_snapshot_deinit(&answer->sides.now_groups);
    tm_snapshot_deinit(&answer->sides.old_groups);
    tm_query_deinit(&answer->sides.now);
    tm_query_deinit(&answer->sides.old);
    tm_text_deinit(&answer->notes);
    tm_text_deinit(&answer->title);
    tm_text_deinit(&answer->facts[TM_SIDE_NEW]);
    tm_text_deinit(&answer->facts[TM_SIDE_OLD]);
    tm_pool_destroy(answer->pool);
}

// ---------------------------------------------------------------------------------------------------------------
// What is said beside the tracebacks

static void add_hints(const struct answer *answer, struct tm_text *hints)
{
    const struct tm_export_sides *sides = &answer->sides;

    if (!answer->request->settings.base) {
        tm_hint(hints, answer->request, &sides->now);
        return;
    }
    tm_hint_patterns(hints, answer->request, &sides->now.fits);
    tm_hint_frame_limit(hints, "OLD: ", &sides->old);
    tm_hint_frame_limit(hints, "NEW: ", &sides->now);
}

static void note_side(struct answer *answer, const char *who, const struct tm_query *query, const char *meaning)
{
    if (query->sample_period)
        tm_estimate_write_note(&answer->notes, who, query->sample_period, query->statistics.total_estimate.samples);
    tm_report_lacks(&answer->notes, who, &query->statistics, query->codes_full);
    tm_report_in_flight(&answer->notes, who, query->in_flight);
    tm_report_damage_of_side(&answer->notes, who, &query->damage, meaning);
}

// A picture of callers is only as deep as the tracebacks.
static void note_frame_limit(struct answer *answer)
{
    uint32_t limit = answer->sides.now.frame_limit;

    if (answer->shallow.count == 0 || tm_mine_count(&answer->request->settings.mine) > 0) // which has its own hint
        return;
    tm_text_add(&answer->notes, answer->sides.now.sample_period ? TM_ABOUT : "");
    tm_report_count(&answer->notes, answer->shallow.count, "block");
    tm_text_add(&answer->notes, " of ");
    tm_format_size(&answer->notes, false, answer->shallow.size, false);
    tm_text_printf(&answer->notes,
                   " without the oldest frames: at most %" PRIu32 " %s kept (TRACEMORTEM=%" PRIu64
                   " would keep more)\n",
                   limit, limit == 1 ? "is" : "are", limit < 10 ? UINT64_C(10) : 2 * (uint64_t)limit);
}

static struct tm_error *take_notes(struct answer *answer)
{
    bool compared = answer->request->settings.base;

    tm_report_filters(&answer->notes, answer->request);
    add_hints(answer, &answer->notes);
    note_frame_limit(answer);
    if (compared)
        note_side(answer, "OLD: ", &answer->sides.old,
                  "differences may be too large, and what seems to have grown may not have");
    note_side(answer, compared ? "NEW: " : "", &answer->sides.now,
              compared ? "sizes may be too small, and what seems to have shrunk may not have"
                       : "what is shown is a subset");
    return tm_text_check(&answer->notes);
}

// What tm-info says, and the process that it is about. Of a snapshot file neither is known. Tracebacks that can be read are
// exported whether or not the rest can be.
static struct tm_error *find_info(const struct tm_host *host, struct tm_target *target, struct tm_info *info,
                                  bool *is_known)
{
    struct tm_source *source;

    struct tm_error *error = tm_source_open(target, host, &source);
    if (!error)
        error = tm_source_info(source, host, info);
    *is_known = !error;
    if (!error || tm_error_code(error) == TM_ERROR_INTERRUPTED || tm_error_code(error) == TM_ERROR_NO_MEMORY)
        return error;
    tm_error_destroy(error);
    *info = (struct tm_info){0};
    return NULL;
}

static struct tm_error *find_facts(const struct tm_host *host, struct tm_target *target,
                                   const struct tm_footprint *footprint, struct tm_text *facts, struct tm_text *title)
{
    struct tm_info info = {0};
    bool is_known;

    struct tm_error *error = find_info(host, target, &info, &is_known);
    if (is_known)
        tm_info_write_text(&info, footprint, facts);
    if (info.tracer.pid)
        tm_text_printf(title, "process %" PRIu32, info.tracer.pid);
    else
        tm_text_add(title, "a Python process");
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Writing the file

static struct tm_error *write_html(struct answer *answer, const struct tm_export *export, struct tm_sink *sink)
{
    const struct tm_request *request = answer->request;
    struct tm_text *now = &answer->facts[TM_SIDE_NEW], *old = &answer->facts[TM_SIDE_OLD];
    struct tm_text written = TM_TEXT_EMPTY, old_title = TM_TEXT_EMPTY;

    struct tm_error *error = NULL;
    if (export->compared)
        error = find_facts(export->host, request->unresolved[1].target, &answer->sides.old.footprint, old, &old_title);
    tm_text_deinit(&old_title);
    tm_report_time(&written, (uint64_t)time(NULL) * 1000000000u);
    const struct tm_html_facts facts = {.now = tm_text_string(now),
                                        .old = tm_text_string(old),
                                        .notes = tm_text_string(&answer->notes),
                                        .written = tm_text_string(&written),
                                        .cumulative = request->settings.cumulative};
    if (!error)
        error = tm_export_html(export, &facts, sink, &answer->cut);
    tm_text_deinit(&written);
    return error;
}

static struct tm_error *write_stacks(struct answer *answer, struct tm_target *current, struct tm_sink *sink)
{
    const struct tm_request *request = answer->request;
    const struct tm_host *host = &request->session->host;
    bool compared = request->settings.base;

    struct tm_error *error =
        tm_stacks_init(&answer->stacks, host, &answer->sides.now_groups, compared ? &answer->sides.old_groups : NULL);
    if (!error && (format_of(request) == FORMAT_HTML || format_of(request) == FORMAT_SPEEDSCOPE))
        error = find_facts(host, current, &answer->sides.now.footprint, &answer->facts[TM_SIDE_NEW], &answer->title);
    if (answer->sides.now.sample_period || answer->sides.old.sample_period)
        tm_text_add(&answer->title, ", estimated from samples");
    if (error)
        return error;
    answer->stacks.types = answer->types;
    const struct tm_export export = {.host = host,
                                     .stacks = &answer->stacks,
                                     .compared = compared,
                                     .sampled = answer->sides.now.sample_period || answer->sides.old.sample_period,
                                     .title = tm_text_string(&answer->title)};
    answer->rows = answer->stacks.count;
    switch (format_of(request)) {
    case FORMAT_HTML:
        return write_html(answer, &export, sink);
    case FORMAT_SPEEDSCOPE:
        return tm_export_speedscope(&export, sink);
    case FORMAT_COLLAPSED:
        return tm_export_collapsed(&export, sink);
    case FORMAT_CSV:
        return tm_export_csv(&export, sink);
    case FORMAT_JSON:
        return tm_export_json(request, &answer->sides, &export, sink, &answer->rows);
    case FORMAT_PPROF:
    case FORMAT_OPENMETRICS:
    case FORMAT_HEAPSNAPSHOT:
        break;
    }
    return NULL;
}

static uint64_t count_missing(const struct tm_damage *damage)
{
    uint64_t count = tm_add_saturating(damage->unreadable_records, damage->corrupt_records);
    return tm_add_saturating(count, damage->torn_records);
}

static struct tm_error *write_metrics(struct answer *answer, struct tm_target *current, struct tm_sink *sink)
{
    const struct tm_request *request = answer->request;
    const struct tm_host *host = &request->session->host;
    const struct tm_query *now = &answer->sides.now;
    size_t limit = request->settings.has_limit ? (size_t)request->settings.limit : METRICS;
    struct tm_info info = {0};
    struct tm_statistics statistics;
    bool is_known;

    struct tm_error *error = find_info(host, current, &info, &is_known);
    if (error)
        return error;
    error =
        tm_statistics_init(&statistics, host, &answer->sides.now_groups, request->key, request->settings.cumulative);
    if (error)
        return error;
    error = tm_statistics_sort(&statistics, host, TM_ORDER_SIZE, limit);
    const struct tm_metrics metrics = {.info = is_known ? &info : NULL,
                                       .traced = is_known ? info.traced : now->statistics.total_size,
                                       .blocks = is_known ? info.blocks : now->statistics.total_count,
                                       .in_flight = now->in_flight,
                                       .missing = count_missing(&now->damage),
                                       .statistics = &statistics,
                                       .limit = limit,
                                       .by_line = tm_key_place(request->key) == TM_KEY_LINENO};
    answer->rows = limit < statistics.count ? limit : statistics.count;
    if (!error)
        tm_export_openmetrics(&metrics, sink);
    tm_statistics_deinit(&statistics);
    return error;
}

static struct tm_error *write_format(struct answer *answer, struct tm_target *current, struct tm_sink *sink)
{
    const struct tm_request *request = answer->request;
    const struct tm_export_sides *sides = &answer->sides;
    enum format format = format_of(request);

    answer->rows = sides->now_groups.count + sides->old_groups.count;
    if (format == FORMAT_PPROF)
        return tm_export_pprof(&request->session->host, &sides->now_groups,
                               request->settings.base ? &sides->old_groups : NULL, tm_text_string(&answer->notes),
                               sink);
    if (format == FORMAT_OPENMETRICS)
        return write_metrics(answer, current, sink);
    if (request->key == TM_KEY_TRACEBACK || has_stacks(format))
        return write_stacks(answer, current, sink);
    return format == FORMAT_CSV ? tm_export_places_csv(request, sides, sink, &answer->rows)
                                : tm_export_json(request, sides, NULL, sink, &answer->rows);
}

static struct tm_error *write_file(struct answer *answer, struct tm_target *current)
{
    const struct tm_unresolved *file = &answer->request->unresolved[0];
    struct tm_sink sink;

    tm_sink_init(&sink, file->output, file->output_context, format_of(answer->request) == FORMAT_PPROF);
    struct tm_error *error = write_format(answer, current, &sink);
    return tm_sink_finish(&sink, error, &answer->bytes);
}

// ---------------------------------------------------------------------------------------------------------------
// Writing the answer

// What a file has: samples of pprof are of one allocator each, and some of what was freed.
static const char *noun_of(const struct tm_request *request)
{
    if (format_of(request) == FORMAT_PPROF)
        return "sample";
    if (format_of(request) == FORMAT_OPENMETRICS)
        return "place";
    return request->key == TM_KEY_TRACEBACK || has_stacks(format_of(request)) ? "traceback" : "row";
}

static void write_text(const struct answer *answer, struct tm_text *out)
{
    const struct tm_request *request = answer->request;
    const char *file = request->unresolved[0].text;
    const struct tm_html_cut *cut = &answer->cut;

    tm_report_count(out, answer->rows, noun_of(request));
    tm_text_add(out, " of ");
    if (answer->sides.now.sample_period)
        tm_estimate_write_kib(out, answer->sides.now.statistics.total_size,
                              &answer->sides.now.statistics.total_estimate);
    else
        tm_format_kib(out, false, answer->sides.now.statistics.total_size, false);
    if (request->settings.base) {
        uint64_t old = answer->sides.old.statistics.total_size, now = answer->sides.now.statistics.total_size;
        tm_text_add(out, " (");
        tm_format_kib(out, now < old, tm_distance(old, now), true);
        tm_text_add(out, ")");
    }
    tm_text_printf(out, " exported as %s to ", format_names[format_of(request)]);
    tm_text_escape(out, file, strlen(file));
    tm_text_add(out, " (");
    tm_format_size(out, false, answer->bytes, false);
    tm_text_add(out, ")\n");
    if (cut->whole_stacks < cut->stacks) {
        tm_report_count(out, cut->stacks - cut->whole_stacks, "traceback");
        tm_text_add(out, " with ");
        tm_format_kib(out, false, cut->amount.size[TM_SIDE_NEW], false);
        tm_text_add(out, " are in the picture only as sums, because a page has at most 1 MB; its tables count all\n");
    }
    tm_text_bytes(out, tm_text_string(&answer->notes), answer->notes.length);
}

static void write_json(const struct answer *answer, struct tm_text *out)
{
    const struct tm_request *request = answer->request;
    const struct tm_query *now = &answer->sides.now, *old = &answer->sides.old;
    const char *file = request->unresolved[0].text;
    struct tm_text hints = TM_TEXT_EMPTY;
    struct tm_json json = {out, false};

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", request->command->name);
    tm_json_word(&json, "format", format_names[format_of(request)]);
    tm_json_string(&json, "file", file, strlen(file));
    tm_json_number(&json, "bytes", answer->bytes);
    tm_json_number(&json, "rows", answer->rows);
    if (format_of(request) == FORMAT_HTML)
        tm_json_number(&json, "whole_tracebacks", answer->cut.whole_stacks);
    tm_report_filters_json(&json, request);
    if (tm_mine_count(&request->settings.mine) > 0)
        tm_report_unmatched_json(&json, "unmatched", &now->unmatched);
    tm_json_number(&json, "total_size", now->statistics.total_size);
    tm_json_number(&json, "total_count", now->statistics.total_count);
    if (now->sample_period) {
        tm_estimate_write_period_json(&json, now->sample_period);
        tm_estimate_write_json(&json, "total_", &now->statistics.total_estimate);
    }
    if (request->settings.base) {
        const struct tm_statistics *a = &old->statistics, *b = &now->statistics;
        tm_json_signed(&json, "total_size_diff", b->total_size < a->total_size,
                       tm_distance(a->total_size, b->total_size));
        tm_json_signed(&json, "total_count_diff", b->total_count < a->total_count,
                       tm_distance(a->total_count, b->total_count));
    }
    add_hints(answer, &hints);
    tm_hints_write_json(&json, &hints);
    tm_text_deinit(&hints);
    tm_report_damage_json(&json, "missing", &now->damage);
    if (request->settings.base)
        tm_report_damage_json(&json, "missing_old", &old->damage);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    struct answer answer = {.request = request};

    if (format_of(request) == FORMAT_HEAPSNAPSHOT)
        return tm_export_heap(request, current, out);
    struct tm_error *error = tm_pool_create(&answer.pool);
    if (error)
        return error;
    error = collect(&answer, current);
    if (!error)
        error = take_notes(&answer);
    if (!error)
        error = write_file(&answer, current);
    if (!error && request->settings.json)
        write_json(&answer, out);
    else if (!error)
        write_text(&answer, out);
    answer_deinit(&answer);
    return error;
}

static void complete(const struct tm_session *session, const struct tm_words *before, struct tm_text *candidates)
{
    (void)session;
    if (before->count == 0)
        for (unsigned i = 0; i < FORMATS; i++)
            tm_text_printf(candidates, "%s\n", format_names[i]);
    if (before->count == 2 && (strcmp(before->items[0], "json") == 0 || strcmp(before->items[0], "csv") == 0 ||
                               strcmp(before->items[0], "openmetrics") == 0))
        tm_complete_keys(candidates);
}

const struct tm_command tm_command_export = {
    .name = "tm-export",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .needs_target = true,
    .prepare = prepare,
    .run = run,
    .complete = complete,
};
