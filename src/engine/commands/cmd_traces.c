// tm-traces: single blocks, sorted by size, address or site; shows the first of them.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/commands/command.h"
#include "engine/commands/estimates.h"
#include "engine/commands/hints.h"
#include "engine/commands/query.h"
#include "engine/commands/report.h"

#define TRACES_OPTIONS(X)   \
    TM_OPTIONS_LIMIT(X)     \
    TM_OPTIONS_SORT(X)      \
    TM_OPTIONS_TRACEBACK(X) \
    TM_OPTIONS_MINE(X) TM_OPTIONS_FILTERS(X) TM_OPTIONS_PLAIN(X) TM_OPTIONS_SAMPLES(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {TRACES_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] = TM_HELP("List single traced blocks.", "tm-traces [OPTION]...",
                                   "Each row is a block: its address, its size, its domain, and the line and\n"
                                   "function that allocated it (the most recent frame). Then come the sum of the\n"
                                   "other blocks and the total. To see the whole traceback of a block, give its\n"
                                   "address to tm-traceback, or use --traceback.\n"
                                   "\n"
                                   "With --sort site, blocks with the same traceback are listed together, largest\n"
                                   "first. The sites are in the order of tm-top traceback.\n"
                                   "\n"
                                   "With --mine, a row names the most recent frame that matches, and blocks\n"
                                   "without one are left out and counted in one row at the end.\n"
                                   "\n"
                                   "Of a program in the sampled profile the rows are the blocks that were picked,\n"
                                   "and all sums but the total are theirs.\n"
                                   "\n" TM_HELP_FILTERS,
                                   TRACES_OPTIONS,
                                   "Examples:\n"
                                   "  tm-traces\n"
                                   "  tm-traces -n 3 --traceback\n"
                                   "  tm-traces --sort address --include '*/views.py:120'\n"
                                   "  tm-traces --domain 389047\n"
                                   "\n"
                                   "The JSON object has:\n"
                                   "  command, sort, limit\n"
                                   "  traceback_limit\n"
                                   "                frames kept for each block\n" TM_HELP_JSON_FILTERS TM_HELP_JSON_MINE
                                   "  traces        the rows: address, size, domain, resizing (inside realloc(): the\n"
                                   "                row is the block before it),\n"
                                   "                " TM_HELP_JSON_TOTAL TM_HELP_JSON_FRAMES ";\n"
                                   "                with --mine also filename, lineno and name\n"
                                   "  other         the blocks not shown: traces (how many), size\n"
                                   "  total_size, total_count\n"
                                   "  sample_period, estimate\n"
                                   "                only where blocks are sampled: the mean distance of picked\n"
                                   "                bytes; size, count, standard_error and samples of all blocks.\n"
                                   "                All else is about the recorded ones\n" TM_HELP_JSON_HINTS
                                   "  missing       " TM_HELP_JSON_MISSING);

static struct tm_error *prepare(struct tm_request *request)
{
    request->key = TM_KEY_TRACEBACK; // a site is a traceback
    return tm_request_check_words(request, 0);
}

struct row {
    uint64_t address;
    uint64_t size;
    const struct tm_traceback *traceback;
    const struct tm_traceback *named; // up to the frame that the row names: with --mine not all of it
    const struct tm_statistic *site;  // NULL: not wanted, or unknown
    uint32_t domain;
    bool resizing;
};

struct answer {
    struct tm_query sites; // only where it is needed: see collect()
    bool by_site;
    bool by_mine;
    struct tm_traces traces;
    enum tm_sort sort;
    struct row *rows; // those to show; until they are sorted a heap, with the last in the order at its top
    size_t count;
    size_t capacity;
    size_t limit;
    uint64_t total_size;
    uint64_t total_count;
    uint64_t unmatched_size;
    uint64_t unmatched_count;
    struct tm_estimate estimate; // of all blocks, where these are samples
};

// ---------------------------------------------------------------------------------------------------------------
// Order

static int compare_sites(const struct row *a, const struct row *b)
{
    const struct tm_place a_place = {.traceback = a->named}, b_place = {.traceback = b->named};
    if (a->site && b->site)
        return a->site == b->site ? 0 : -tm_statistics_compare(a->site, b->site);
    if (a->site || b->site)
        return a->site ? -1 : 1;
    return tm_places_compare(&a_place, &b_place);
}

// Negative: `a` comes before `b`.
static int compare_rows(enum tm_sort sort, const struct row *a, const struct row *b)
{
    if (sort == TM_SORT_SITE) {
        int order = compare_sites(a, b);
        if (order != 0)
            return order;
    }
    if (sort != TM_SORT_ADDRESS && a->size != b->size)
        return a->size > b->size ? -1 : 1;
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    return (a->domain > b->domain) - (a->domain < b->domain);
}

// Puts a row into the heap of `count` rows, at `at` or below.
static void sink(struct answer *answer, size_t count, size_t at, struct row row)
{
    struct row *rows = answer->rows;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && compare_rows(answer->sort, &rows[child + 1], &rows[child]) > 0)
            child++;
        if (compare_rows(answer->sort, &row, &rows[child]) >= 0)
            break;
        rows[at] = rows[child];
        at = child;
    }
    rows[at] = row;
}

static void rise(struct answer *answer, size_t at, struct row row)
{
    for (; at > 0 && compare_rows(answer->sort, &row, &answer->rows[(at - 1) / 2]) > 0; at = (at - 1) / 2)
        answer->rows[at] = answer->rows[(at - 1) / 2];
    answer->rows[at] = row;
}

static struct tm_error *consider(struct answer *answer, const struct row *row)
{
    if (answer->count < answer->limit) {
        if (!TM_GROW(&answer->rows, answer->count + 1, &answer->capacity))
            return tm_error_no_memory();
        rise(answer, answer->count++, *row);
        return NULL;
    }
    if (answer->limit && compare_rows(answer->sort, row, &answer->rows[0]) < 0)
        sink(answer, answer->count, 0, *row);
    return NULL;
}

// Moves the heap's top, which is the last row in the order, behind the heap until nothing is left of the heap.
static struct tm_error *sort_rows(struct answer *answer, const struct tm_host *host)
{
    for (size_t count = answer->count; count > 1; count--) {
        struct row last = answer->rows[0], other = answer->rows[count - 1];
        sink(answer, count - 1, 0, other);
        answer->rows[count - 1] = last;
        struct tm_error *error = count % 1024 == 0 ? tm_host_check(host) : NULL;
        if (error)
            return error;
    }
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Writing

static void add_row(struct tm_text *out, const struct row *row, bool plain)
{
    const struct tm_place place = {.frame = *row->named->newest};
    tm_text_printf(out, "0x%" PRIx64 ": size=", row->address);
    tm_format_size(out, false, row->size, false);
    tm_text_printf(out, ", domain %" PRIu32 ", ", row->domain);
    tm_format_place(out, &place);
    if (!plain)
        tm_format_function(out, &place.frame);
    tm_text_add(out, row->resizing ? "; being resized: this is its state before that\n" : "\n");
}

// The size of the blocks that are not shown, but for those that --mine leaves out.
static uint64_t other_size(const struct answer *answer)
{
    uint64_t shown = answer->unmatched_size;
    for (size_t i = 0; i < answer->count; i++)
        shown = tm_add_saturating(shown, answer->rows[i].size);
    return answer->total_size - shown;
}

static uint64_t other_count(const struct answer *answer)
{
    return answer->total_count - answer->unmatched_count - answer->count;
}

static void write_total(const struct answer *answer, struct tm_text *out)
{
    uint64_t period = answer->traces.sample_period;
    tm_text_add(out, "Total allocated size: ");
    if (!period) {
        tm_format_kib(out, false, answer->total_size, false);
        tm_text_add(out, "\n");
        return;
    }
    tm_estimate_write_kib(out, tm_estimate_size(&answer->estimate), &answer->estimate);
    tm_text_add(out, "\nThese blocks are the samples, and others are not recorded: ");
    tm_report_count(out, answer->total_count, "sample");
    tm_text_add(out, " of ");
    tm_format_kib(out, false, answer->total_size, false);
    tm_text_add(out, ", one in ");
    tm_format_size(out, false, period, false);
    tm_text_add(out, ". TRACEMORTEM_DETAIL=lean records every block\n");
}

static struct tm_error *write_text(const struct tm_request *request, const struct answer *answer, struct tm_text *out)
{
    const struct tm_host *host = &request->session->host;

    for (size_t i = 0; i < answer->count; i++) {
        const struct tm_traceback *traceback = answer->rows[i].traceback;
        struct tm_error *error = tm_host_check(host);
        if (error)
            return error;
        add_row(out, &answer->rows[i], request->settings.plain);
        if (request->settings.traceback)
            tm_format_frames(out, host, traceback, 0, traceback->count, request->settings.plain);
    }
    if (other_count(answer) > 0) {
        tm_text_printf(out, answer->traces.sample_period ? "%" PRIu64 " other samples: " : "%" PRIu64 " other: ",
                       other_count(answer));
        tm_format_kib(out, false, other_size(answer), false);
        tm_text_add(out, "\n");
    }
    if (answer->unmatched_count > 0) {
        tm_text_add(out, "no frame matches");
        tm_format_amount(out, answer->unmatched_size, answer->unmatched_count);
        tm_text_add(out, "\n");
    }
    write_total(answer, out);
    tm_report_filters(out, request);
    tm_hint(out, request, &answer->sites);
    tm_report_damage(out, &answer->traces.damage);
    return NULL;
}

static struct tm_error *write_rows_json(const struct tm_host *host, const struct answer *answer, struct tm_json *json)
{
    tm_json_begin_array(json, "traces");
    for (size_t i = 0; i < answer->count; i++) {
        const struct row *row = &answer->rows[i];
        struct tm_error *error = i % 256 == 0 ? tm_host_check(host) : NULL;
        if (error)
            return error;
        tm_json_begin_object(json, NULL);
        tm_json_number(json, "address", row->address);
        tm_json_number(json, "size", row->size);
        tm_json_number(json, "domain", row->domain);
        tm_json_bool(json, "resizing", row->resizing);
        tm_report_total_json(json, row->traceback);
        tm_report_frames_json(json, row->traceback, 0, row->traceback->count);
        if (answer->by_mine)
            tm_report_frame_json(json, row->named->newest);
        tm_json_end_object(json);
    }
    tm_json_end_array(json);
    return NULL;
}

static struct tm_error *write_json(const struct tm_request *request, const struct answer *answer, struct tm_text *out)
{
    struct tm_json json = {out, false};
    struct tm_text hints = TM_TEXT_EMPTY;

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", request->command->name);
    tm_json_word(&json, "sort", tm_sort_name(answer->sort));
    tm_json_number(&json, "limit", answer->limit);
    tm_json_number(&json, "traceback_limit", answer->traces.frame_limit);
    tm_report_filters_json(&json, request);
    struct tm_error *error = write_rows_json(&request->session->host, answer, &json);
    tm_json_begin_object(&json, "other");
    tm_json_number(&json, "traces", other_count(answer));
    tm_json_number(&json, "size", other_size(answer));
    tm_json_end_object(&json);
    if (answer->by_mine)
        tm_report_unmatched_json(&json, "unmatched", &answer->sites.unmatched);
    tm_json_number(&json, "total_size", answer->total_size);
    tm_json_number(&json, "total_count", answer->total_count);
    if (answer->traces.sample_period)
        tm_estimate_write_samples_json(&json, answer->traces.sample_period, &answer->estimate);
    tm_hint(&hints, request, &answer->sites);
    tm_hints_write_json(&json, &hints);
    tm_text_deinit(&hints);
    tm_report_damage_json(&json, "missing", &answer->traces.damage);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Running

static const char no_site;

// The statistic of an origin's traceback. It is looked up once for each origin.
static const struct tm_statistic *site_of(const struct answer *answer, struct tm_origin *origin)
{
    if (!origin->mark) {
        const struct tm_place place = {.traceback = answer->by_mine ? origin->mine : origin->traceback};
        const struct tm_statistic *site = tm_statistics_find(&answer->sites.statistics, &place);
        origin->mark = site ? (const void *)site : &no_site;
    }
    return origin->mark == &no_site ? NULL : origin->mark;
}

static struct tm_error *visit(void *context, const struct tm_trace *trace)
{
    struct answer *answer = context;
    struct tm_origin *origin = trace->origin;

    answer->total_size = tm_add_saturating(answer->total_size, trace->size);
    answer->total_count++;
    if (answer->traces.sample_period) {
        const struct tm_estimate estimate = tm_estimate_of(answer->traces.sample_period, trace->size);
        tm_estimate_add(&answer->estimate, &estimate);
    }
    if (answer->by_mine && !origin->mine) {
        answer->unmatched_size = tm_add_saturating(answer->unmatched_size, trace->size);
        answer->unmatched_count++;
        return NULL;
    }
    const struct row row = {
        .address = trace->address,
        .size = trace->size,
        .traceback = origin->traceback,
        .named = answer->by_mine ? origin->mine : origin->traceback,
        .site = answer->by_site ? site_of(answer, origin) : NULL,
        .domain = origin->domain,
        .resizing = trace->resizing,
    };
    return consider(answer, &row);
}

static struct tm_error *collect(const struct tm_request *request, struct tm_target *current, struct tm_pool *pool,
                                struct answer *answer)
{
    struct tm_error *error = NULL;
    answer->by_mine = tm_mine_count(&request->settings.mine) > 0;
    answer->sort = request->settings.sort;
    answer->limit = tm_request_limit(request);
    answer->by_site = answer->sort == TM_SORT_SITE;
    // The sites give the order, or say why nothing is found. They cost little beside all blocks, or nothing is shown.
    if (answer->by_site || answer->by_mine)
        error = tm_query_init(&answer->sites, request, current, pool);
    if (!error)
        error = tm_query_traces(request, current, pool, visit, answer, &answer->traces);
    if (!error && answer->total_count == 0 && !answer->by_site && !answer->by_mine)
        error = tm_query_init(&answer->sites, request, current, pool);
    if (!error)
        error = sort_rows(answer, &request->session->host);
    return error;
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    struct answer answer = {0};
    struct tm_pool *pool;

    struct tm_error *error = tm_pool_create(&pool);
    if (error)
        return error;
    error = collect(request, current, pool, &answer);
    if (!error)
        error = request->settings.json ? write_json(request, &answer, out) : write_text(request, &answer, out);
    free(answer.rows);
    tm_query_deinit(&answer.sites);
    tm_pool_destroy(pool);
    return error;
}

const struct tm_command tm_command_traces = {
    .name = "tm-traces",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .needs_target = true,
    .prepare = prepare,
    .run = run,
};
