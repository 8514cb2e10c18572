// tm-top: the places that hold the most traced memory.

#include <inttypes.h>

#include "engine/commands/columns.h"
#include "engine/commands/command.h"
#include "engine/commands/estimates.h"
#include "engine/commands/hints.h"
#include "engine/commands/query.h"
#include "engine/commands/report.h"
#include "engine/commands/retained_rows.h"

#define TOP_OPTIONS(X)       \
    TM_OPTIONS_LIMIT(X)      \
    TM_OPTIONS_ORDER(X)      \
    TM_OPTIONS_RETAINED(X)   \
    TM_OPTIONS_CUMULATIVE(X) \
    TM_OPTIONS_MINE(X) TM_OPTIONS_FILTERS(X) TM_OPTIONS_PLAIN(X) TM_OPTIONS_SAMPLES(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {TOP_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] = TM_HELP(
    "Show the places that hold the most traced memory.", "tm-top [KEY] [OPTION]...",
    TM_HELP_COLUMNS "\n" TM_HELP_ESTIMATES "\n"
                    "Each row is str() of a tracemalloc.Statistic, largest size first. Below it is\n"
                    "the source line, if the file can be read here. With key traceback, all frames\n"
                    "are below it, with their functions. Then come the sum of the other rows and the\n"
                    "total. A large memory leak is among the first rows; tm-diff finds a small one.\n"
                    "\n" TM_HELP_KEYS("lineno") "\n" TM_HELP_MINE "\n" TM_HELP_FILTERS "\n" TM_HELP_PRIVATE,
    TOP_OPTIONS,
    "Examples:\n"
    "  tm-top\n"
    "  tm-top filename -n 5\n"
    "  tm-top function\n"
    "  tm-top type,lineno --mine /srv/shop\n"
    "  tm-top --type 'shop.*'\n"
    "  tm-top type --retained -n 5\n"
    "  tm-top --sort allocated\n"
    "  tm-top --mine /srv/shop\n"
    "  tm-top traceback --include '*/views.py' --all-frames\n"
    "  tm-top --exclude '<frozen *>' --cumulative\n"
    "\n"
    "The JSON object has:\n"
    "  command, key, cumulative, limit, sort\n"
    "  traceback_limit\n"
    "                frames kept for each block\n" TM_HELP_JSON_FILTERS TM_HELP_JSON_MINE
    "  statistics    the rows: " TM_HELP_JSON_PLACES "                size, count;\n" TM_HELP_JSON_CHURN ";\n"
    "                with --retained retained_size, retained_count (what would be\n"
    "                freed if all blocks of the row went)\n"
    "  other         the rows not shown: statistics (how many), size, count (null if\n"
    "                cumulative: rows overlap)\n" TM_HELP_JSON_ESTIMATES "  total_size, total_count\n"
    "                each block once; with --sort allocated or freed also\n"
    "                total_allocated and so on\n" TM_HELP_JSON_TYPES TM_HELP_JSON_LACKS
    "  suspect       with --retained: whether memory is missing that may hold\n"
    "                references\n"
    "  in_flight     bytes in blocks that were being recorded or freed\n" TM_HELP_JSON_PRIVATE TM_HELP_JSON_HINTS
    "  missing       " TM_HELP_JSON_MISSING);

static struct tm_error *prepare(struct tm_request *request)
{
    struct tm_error *error = tm_request_check_words(request, 1);
    if (!error && request->words.count == 1)
        error = tm_request_set_key(request, request->words.items[0]);
    if (!error)
        error = tm_request_check_cumulative(request);
    if (!error)
        error = tm_retained_rows_check(request);
    return error;
}

// How many rows are shown, and the sum of the others.
struct top {
    size_t shown;
    uint64_t other_size;
    uint64_t other_count;
    struct tm_estimate other_estimate;
    size_t few; // rows shown that rest on few samples
};

static struct top split(const struct tm_statistics *statistics, size_t limit)
{
    struct top top = {.shown = limit < statistics->count ? limit : statistics->count};
    for (size_t i = top.shown; i < statistics->count; i++) {
        const struct tm_statistic *statistic = statistics->items[i];
        tm_estimate_sum(&top.other_size, &top.other_count, &top.other_estimate, statistic->size, statistic->count,
                        &statistic->estimate);
    }
    for (size_t i = 0; i < top.shown; i++)
        top.few += ((const struct tm_statistic *)statistics->items[i])->estimate.samples < TM_FEW_SAMPLES;
    return top;
}

// A row as the columns take it: nothing was there before.
static struct tm_difference row_of(const struct tm_statistic *statistic)
{
    return (struct tm_difference){.place = statistic->place,
                                  .size = statistic->size,
                                  .count = statistic->count,
                                  .estimate = statistic->estimate,
                                  .churn = statistic->churn,
                                  .mixed = statistic->mixed};
}

static void write_row(const struct tm_request *request, const struct tm_statistic *statistic, struct tm_text *out)
{
    if (request->settings.plain || !statistic->estimate.samples) {
        tm_format_statistic(out, statistic);
    } else {
        tm_format_place(out, &statistic->place);
        tm_estimate_write_amount(out, statistic->size, statistic->count, &statistic->estimate);
    }
    if (!request->settings.plain && tm_request_wants_history(request))
        tm_format_churn(out, &statistic->churn);
    tm_text_add(out, "\n");
    tm_report_detail(out, request, &statistic->place, statistic->mixed);
}

static void write_column_row(const struct tm_request *request, const struct tm_columns *columns,
                             const struct tm_statistic *statistic, struct tm_text *out)
{
    const struct tm_difference row = row_of(statistic);
    tm_columns_row(columns, &row, out);
    if (tm_key_place(request->key) == TM_KEY_TRACEBACK)
        tm_report_detail(out, request, &statistic->place, statistic->mixed);
}

static struct tm_error *write_rows(const struct tm_request *request, const struct tm_statistics *statistics,
                                   size_t shown, const struct tm_retained_rows *retained, struct tm_text *out)
{
    struct tm_columns columns;
    struct tm_screen screen;
    bool in_columns = shown > 0 && tm_columns_wanted(request, &screen);

    if (in_columns) {
        tm_columns_init(&columns, request, &screen, statistics->total_size, false, statistics->sample_period);
        for (size_t i = 0; i < shown; i++) {
            const struct tm_difference row = row_of(statistics->items[i]);
            tm_columns_measure(&columns, &row);
        }
        tm_columns_header(&columns, out);
    }
    for (size_t i = 0; i < shown; i++) {
        const struct tm_statistic *statistic = statistics->items[i];
        struct tm_error *error = tm_host_check(&request->session->host);
        if (error)
            return error;
        if (in_columns)
            write_column_row(request, &columns, statistic, out);
        else
            write_row(request, statistic, out);
        if (!request->settings.plain)
            tm_report_row_lacks(out, &statistic->not_recorded, &statistic->shortened);
        tm_retained_rows_write(retained, i, out);
    }
    return NULL;
}

// What was ever allocated, where that is asked for.
static void write_history(const struct tm_request *request, const struct tm_churn *churn, struct tm_text *out)
{
    if (request->settings.plain || !tm_request_wants_history(request))
        return;
    tm_text_add(out, "Ever allocated: ");
    tm_format_kib(out, false, churn->allocated, false);
    tm_text_printf(out, " in %" PRIu64 " blocks; freed: ", churn->allocations);
    tm_format_kib(out, false, churn->freed, false);
    tm_text_printf(out, " in %" PRIu64 " blocks\n", churn->frees);
}

static void write_kib(struct tm_text *out, uint64_t size, const struct tm_estimate *estimate, bool estimated)
{
    if (estimated)
        tm_estimate_write_kib(out, size, estimate);
    else
        tm_format_kib(out, false, size, false);
}

static void write_unmatched(const struct tm_unmatched *unmatched, bool estimated, struct tm_text *out)
{
    if (unmatched->count == 0)
        return;
    tm_text_add(out, "no frame matches");
    if (estimated)
        tm_estimate_write_amount(out, unmatched->size, unmatched->count, &unmatched->estimate);
    else
        tm_format_amount(out, unmatched->size, unmatched->count);
    tm_text_add(out, "\n");
}

static struct tm_error *write_text(const struct tm_request *request, const struct tm_query *query,
                                   const struct tm_retained_rows *retained, struct tm_text *out)
{
    const struct tm_statistics *statistics = &query->statistics;
    struct top top = split(statistics, tm_request_limit(request));
    bool sampled = query->sample_period, estimated = sampled && !request->settings.plain;

    if (sampled && request->settings.plain)
        tm_estimate_write_plain_note(out, "", query->sample_period, statistics->total_estimate.samples);
    struct tm_error *error = write_rows(request, statistics, top.shown, retained, out);
    if (error)
        return error;
    if (top.shown < statistics->count) {
        tm_text_printf(out, "%zu other", statistics->count - top.shown);
        if (!request->settings.cumulative) { // whose rows overlap: their sum would mean nothing
            tm_text_add(out, ": ");
            write_kib(out, top.other_size, &top.other_estimate, estimated);
        }
        tm_text_add(out, "\n");
    }
    write_unmatched(&query->unmatched, estimated, out);
    if (tm_key_has_type(request->key))
        tm_report_census(out, &query->census);
    tm_text_add(out, "Total allocated size: ");
    write_kib(out, statistics->total_size, &statistics->total_estimate, estimated);
    tm_report_overlap(out, request);
    tm_text_add(out, "\n");
    write_history(request, &statistics->total_churn, out);
    if (estimated) {
        tm_estimate_write_note(out, "", query->sample_period, statistics->total_estimate.samples);
        tm_estimate_write_few(out, top.few);
    }
    if (retained->suspect)
        tm_text_add(out, "memory that may hold references cannot be read: less may be freed than is shown\n");
    if (!request->settings.plain)
        tm_report_footprint(out, &query->footprint);
    tm_report_filters(out, request);
    if (!request->settings.plain)
        tm_hint(out, request, query);
    tm_report_lacks(out, "", statistics, query->codes_full);
    tm_report_in_flight(out, "", query->in_flight);
    tm_report_damage(out, &query->damage);
    return NULL;
}

static void write_rows_json(const struct tm_request *request, const struct tm_statistics *statistics,
                            const struct top *top, const struct tm_retained_rows *retained, struct tm_json *json)
{
    tm_json_begin_array(json, "statistics");
    for (size_t i = 0; i < top->shown; i++) {
        const struct tm_statistic *statistic = statistics->items[i];
        tm_json_begin_object(json, NULL);
        tm_report_place_json(json, &statistic->place, request->key, statistic->mixed);
        tm_json_number(json, "size", statistic->size);
        tm_json_number(json, "count", statistic->count);
        if (statistics->sample_period)
            tm_estimate_write_json(json, "", &statistic->estimate);
        if (tm_request_wants_history(request))
            tm_report_churn_json(json, "", &statistic->churn);
        tm_report_row_lacks_json(json, &statistic->not_recorded, &statistic->shortened);
        tm_retained_rows_write_json(retained, i, json);
        tm_json_end_object(json);
    }
    tm_json_end_array(json);

    tm_json_begin_object(json, "other");
    tm_json_number(json, "statistics", statistics->count - top->shown);
    if (request->settings.cumulative) {
        tm_json_null(json, "size");
        tm_json_null(json, "count");
    } else {
        tm_json_number(json, "size", top->other_size);
        tm_json_number(json, "count", top->other_count);
        if (statistics->sample_period)
            tm_estimate_write_json(json, "", &top->other_estimate);
    }
    tm_json_end_object(json);
}

static void write_json(const struct tm_request *request, const struct tm_query *query,
                       const struct tm_retained_rows *retained, struct tm_text *out)
{
    struct tm_json json = {out, false};
    struct tm_text hints = TM_TEXT_EMPTY;
    struct top top = split(&query->statistics, tm_request_limit(request));

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", request->command->name);
    tm_json_word(&json, "key", tm_key_name(request->key));
    tm_json_bool(&json, "cumulative", request->settings.cumulative);
    tm_json_number(&json, "limit", tm_request_limit(request));
    tm_json_word(&json, "sort", tm_order_name(request->settings.order));
    tm_json_number(&json, "traceback_limit", query->frame_limit);
    if (query->sample_period)
        tm_estimate_write_period_json(&json, query->sample_period);
    tm_report_filters_json(&json, request);
    write_rows_json(request, &query->statistics, &top, retained, &json);
    if (request->settings.retained)
        tm_json_bool(&json, "suspect", retained->suspect);
    if (tm_mine_count(&request->settings.mine) > 0)
        tm_report_unmatched_json(&json, "unmatched", &query->unmatched);
    if (query->census.taken)
        tm_report_census_json(&json, &query->census);
    tm_json_number(&json, "total_size", query->statistics.total_size);
    tm_json_number(&json, "total_count", query->statistics.total_count);
    if (query->sample_period)
        tm_estimate_write_json(&json, "total_", &query->statistics.total_estimate);
    if (tm_request_wants_history(request))
        tm_report_churn_json(&json, "total_", &query->statistics.total_churn);
    tm_report_lacks_json(&json, &query->statistics);
    tm_json_number(&json, "in_flight", query->in_flight);
    tm_report_footprint_json(&json, "private", &query->footprint);
    tm_hint(&hints, request, query);
    tm_hints_write_json(&json, &hints);
    tm_text_deinit(&hints);
    tm_report_damage_json(&json, "missing", &query->damage);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

static struct tm_error *answer(struct tm_request *request, struct tm_target *current, struct tm_pool *pool,
                               struct tm_text *out)
{
    struct tm_retained_rows retained = {0};
    struct tm_query query;

    struct tm_error *error = tm_query_init(&query, request, current, pool);
    if (error)
        return error;
    error = tm_statistics_sort(&query.statistics, &request->session->host, request->settings.order,
                               tm_request_limit(request));
    if (!error)
        error = tm_retained_rows_init(&retained, request, current, pool, &query,
                                      split(&query.statistics, tm_request_limit(request)).shown);
    if (!error && request->settings.json)
        write_json(request, &query, &retained, out);
    else if (!error)
        error = write_text(request, &query, &retained, out);
    tm_retained_rows_deinit(&retained);
    tm_query_deinit(&query);
    return error;
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    struct tm_pool *pool;

    struct tm_error *error = tm_pool_create(&pool);
    if (error)
        return error;
    error = answer(request, current, pool, out);
    tm_pool_destroy(pool);
    return error;
}

const struct tm_command tm_command_top = {
    .name = "tm-top",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .needs_target = true,
    .prepare = prepare,
    .run = run,
    .complete = tm_complete_key_first,
};
