// tm-top: the places that hold the most traced memory.

#include "engine/commands/command.h"
#include "engine/commands/hints.h"
#include "engine/commands/query.h"
#include "engine/commands/report.h"

#define TOP_OPTIONS(X) \
    TM_OPTIONS_LIMIT(X) TM_OPTIONS_CUMULATIVE(X) TM_OPTIONS_MINE(X) TM_OPTIONS_FILTERS(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {TOP_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] = TM_HELP(
    "Show the places that hold the most traced memory.", "tm-top [KEY] [OPTION]...",
    "Each row is str() of a tracemalloc.Statistic, largest size first. Below it is\n"
    "the source line, if the file can be read here. With key traceback, all frames\n"
    "are below it. Then come the sum of the other rows and the total.\n"
    "\n" TM_HELP_KEYS "\n" TM_HELP_MINE "\n" TM_HELP_FILTERS "\n" TM_HELP_PRIVATE,
    TOP_OPTIONS,
    "Examples:\n"
    "  tm-top\n"
    "  tm-top filename -n 5\n"
    "  tm-top --mine /srv/shop\n"
    "  tm-top traceback --include '*/views.py' --all-frames\n"
    "  tm-top --exclude '<frozen *>' --cumulative\n"
    "\n"
    "The JSON object has:\n"
    "  command, key, cumulative, limit\n"
    "  traceback_limit\n"
    "                frames kept for each block\n" TM_HELP_JSON_FILTERS TM_HELP_JSON_MINE
    "  statistics    the rows: traceback (frames with filename and lineno, oldest\n"
    "                first); filename and lineno (keys lineno, and filename with\n"
    "                lineno 0); size, count\n"
    "  other         the rows not shown: statistics (how many), size, count\n"
    "  total_size, total_count\n"
    "  in_flight     bytes in blocks that were being recorded or freed\n" TM_HELP_JSON_PRIVATE TM_HELP_JSON_HINTS
    "  missing       " TM_HELP_JSON_MISSING);

static struct tm_error *prepare(struct tm_request *request)
{
    struct tm_error *error = tm_request_check_words(request, 1);
    if (!error && request->words.count == 1)
        error = tm_request_set_key(request, request->words.items[0]);
    if (!error)
        error = tm_request_check_cumulative(request);
    return error;
}

// How many rows are shown, and the sum of the others.
struct top {
    size_t shown;
    uint64_t other_size;
    uint64_t other_count;
};

static struct top split(const struct tm_statistics *statistics, size_t limit)
{
    struct top top = {.shown = limit < statistics->count ? limit : statistics->count};
    for (size_t i = top.shown; i < statistics->count; i++) {
        const struct tm_statistic *statistic = statistics->items[i];
        top.other_size = tm_add_saturating(top.other_size, statistic->size);
        top.other_count = tm_add_saturating(top.other_count, statistic->count);
    }
    return top;
}

static struct tm_error *write_text(const struct tm_request *request, const struct tm_query *query, struct tm_text *out)
{
    const struct tm_host *host = &request->session->host;
    const struct tm_statistics *statistics = &query->statistics;
    struct top top = split(statistics, tm_request_limit(request));

    for (size_t i = 0; i < top.shown; i++) {
        const struct tm_statistic *statistic = statistics->items[i];
        struct tm_error *error = tm_host_check(host);
        if (error)
            return error;
        tm_format_statistic(out, statistic);
        tm_text_add(out, "\n");
        tm_report_detail(out, host, &statistic->place, request->key);
    }
    if (top.shown < statistics->count) {
        tm_text_printf(out, "%zu other: ", statistics->count - top.shown);
        tm_format_kib(out, false, top.other_size, false);
        tm_text_add(out, "\n");
    }
    if (query->unmatched.count > 0) {
        tm_text_add(out, "no frame matches");
        tm_format_amount(out, query->unmatched.size, query->unmatched.count);
        tm_text_add(out, "\n");
    }
    tm_text_add(out, "Total allocated size: ");
    tm_format_kib(out, false, statistics->total_size, false);
    tm_text_add(out, "\n");
    tm_report_footprint(out, &query->footprint);
    tm_report_filters(out, request);
    tm_hint(out, request, query);
    tm_report_in_flight(out, "", query->in_flight);
    tm_report_damage(out, &query->damage);
    return NULL;
}

static void write_rows_json(const struct tm_request *request, const struct tm_statistics *statistics,
                            const struct top *top, struct tm_json *json)
{
    tm_json_begin_array(json, "statistics");
    for (size_t i = 0; i < top->shown; i++) {
        const struct tm_statistic *statistic = statistics->items[i];
        tm_json_begin_object(json, NULL);
        tm_report_place_json(json, &statistic->place, request->key);
        tm_json_number(json, "size", statistic->size);
        tm_json_number(json, "count", statistic->count);
        tm_json_end_object(json);
    }
    tm_json_end_array(json);

    tm_json_begin_object(json, "other");
    tm_json_number(json, "statistics", statistics->count - top->shown);
    tm_json_number(json, "size", top->other_size);
    tm_json_number(json, "count", top->other_count);
    tm_json_end_object(json);
}

static void write_json(const struct tm_request *request, const struct tm_query *query, struct tm_text *out)
{
    struct tm_json json = {out, false};
    struct tm_text hints = TM_TEXT_EMPTY;
    struct top top = split(&query->statistics, tm_request_limit(request));

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", request->command->name);
    tm_json_word(&json, "key", tm_key_name(request->key));
    tm_json_bool(&json, "cumulative", request->settings.cumulative);
    tm_json_number(&json, "limit", tm_request_limit(request));
    tm_json_number(&json, "traceback_limit", query->frame_limit);
    tm_report_filters_json(&json, request);
    write_rows_json(request, &query->statistics, &top, &json);
    if (tm_mine_count(&request->settings.mine) > 0)
        tm_report_unmatched_json(&json, "unmatched", &query->unmatched);
    tm_json_number(&json, "total_size", query->statistics.total_size);
    tm_json_number(&json, "total_count", query->statistics.total_count);
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
    struct tm_query query;

    struct tm_error *error = tm_query_init(&query, request, current, pool);
    if (error)
        return error;
    error = tm_statistics_sort(&query.statistics, &request->session->host, tm_request_limit(request));
    if (!error && request->settings.json)
        write_json(request, &query, out);
    else if (!error)
        error = write_text(request, &query, out);
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

static void complete(const struct tm_session *session, const struct tm_words *before, struct tm_text *candidates)
{
    (void)session;
    if (before->count == 0)
        tm_complete_keys(candidates);
}

const struct tm_command tm_command_top = {
    .name = "tm-top",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .needs_target = true,
    .prepare = prepare,
    .run = run,
    .complete = complete,
};
