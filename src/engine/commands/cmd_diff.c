// tm-diff: what grew and what shrank between two cores or snapshot files, or between one and the current target.

#include <string.h>

#include "engine/commands/command.h"
#include "engine/commands/hints.h"
#include "engine/commands/query.h"
#include "engine/commands/report.h"
#include "engine/model/diff.h"

#define DIFF_OPTIONS(X) \
    TM_OPTIONS_LIMIT(X) TM_OPTIONS_CUMULATIVE(X) TM_OPTIONS_MINE(X) TM_OPTIONS_FILTERS(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {DIFF_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] = TM_HELP(
    "Show what grew and what shrank between two cores or snapshots.", "tm-diff OLD [NEW] [KEY] [OPTION]...",
    "OLD and NEW are core files, or snapshot files written by tm-save or by\n"
    "tracemalloc's Snapshot.dump(). Without NEW, the current target is compared with\n"
    "OLD. OLD and NEW may be of different processes: places are compared by file name\n"
    "and line. If a file has the name of a key, write its directory too (./lineno).\n"
    "No code in a snapshot file is run: a file that holds more than traces is\n"
    "refused.\n"
    "\n"
    "Each row is str() of a tracemalloc.StatisticDiff, largest difference of sizes\n"
    "first. Below it is the source line, if the file can be read here. With key\n"
    "traceback, all frames are below it. Then come the sum of the other rows and the\n"
    "total, each with its difference.\n"
    "\n" TM_HELP_KEYS "\n" TM_HELP_MINE "\n" TM_HELP_FILTERS "\n" TM_HELP_PRIVATE,
    DIFF_OPTIONS,
    "Examples:\n"
    "  tm-diff before.core\n"
    "  tm-diff before.core after.core -n 5\n"
    "  tm-diff before.snapshot after.core filename\n"
    "  tm-diff before.core after.core traceback --include '*/views.py' --all-frames\n"
    "\n"
    "The JSON object has:\n"
    "  command, key, cumulative, limit\n" TM_HELP_JSON_FILTERS TM_HELP_JSON_MINE "  unmatched_old the same for OLD\n"
    "  statistics    the rows: traceback (frames with filename and lineno, oldest\n"
    "                first); filename and lineno (keys lineno, and filename with\n"
    "                lineno 0); size, size_diff, count, count_diff\n"
    "  other         the rows not shown: statistics (how many), size, size_diff,\n"
    "                count, count_diff\n"
    "  total_size, total_size_diff, total_count, total_count_diff\n"
    "  in_flight     bytes in blocks of NEW that were being recorded or freed\n"
    "  in_flight_old the same for OLD\n" TM_HELP_JSON_PRIVATE "  private_old   the same for OLD\n" TM_HELP_JSON_HINTS
    "  missing       for NEW:\n"
    "                " TM_HELP_JSON_MISSING "  missing_old   the same for OLD\n");

static struct tm_error *prepare(struct tm_request *request)
{
    const struct tm_words *words = &request->words;
    size_t cores = words->count;
    enum tm_key key;

    struct tm_error *error = tm_request_check_words(request, 3);
    if (error)
        return error;
    if (cores > 0 && (cores == 3 || tm_key_from_name(words->items[cores - 1], &key))) {
        error = tm_request_set_key(request, words->items[cores - 1]);
        if (error)
            return error;
        cores--;
    }
    if (cores == 0)
        return tm_usage_error(request->command->name, "missing file name. Usage: ", "tm-diff OLD [NEW] [KEY]",
                              ", where OLD and NEW are cores or snapshots");
    for (size_t i = 0; i < cores; i++)
        tm_request_add_unresolved(request, TM_OPERAND_CORE, words->items[i]);
    request->needs_target = cores == 1;
    return tm_request_check_cumulative(request);
}

// Both sides, their differences, and the sum of the rows that are not shown.
struct answer {
    struct tm_query before, after;
    struct tm_differences differences;
    size_t shown;
    struct tm_difference other;     // these two have no place
    struct tm_difference unmatched; // of --mine
    const struct tm_fits *fits;     // of the patterns, in both
};

static void split(struct answer *answer, size_t limit)
{
    const struct tm_differences *differences = &answer->differences;
    struct tm_difference *other = &answer->other;

    answer->shown = limit < differences->count ? limit : differences->count;
    for (size_t i = answer->shown; i < differences->count; i++) {
        const struct tm_difference *difference = differences->items[i];
        other->size = tm_add_saturating(other->size, difference->size);
        other->old_size = tm_add_saturating(other->old_size, difference->old_size);
        other->count = tm_add_saturating(other->count, difference->count);
        other->old_count = tm_add_saturating(other->old_count, difference->old_count);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Writing

// "531.5 KiB (+12.3 KiB)"
static void add_sum(struct tm_text *out, const struct tm_difference *sum)
{
    tm_format_kib(out, false, sum->size, false);
    tm_text_add(out, " (");
    tm_format_kib(out, sum->size < sum->old_size, tm_distance(sum->old_size, sum->size), true);
    tm_text_add(out, ")\n");
}

// A pattern needs to fit one side only.
static void add_hints(const struct tm_request *request, const struct answer *answer, struct tm_text *hints)
{
    tm_hint_patterns(hints, request, answer->fits);
    tm_hint_frame_limit(hints, "OLD: ", &answer->before);
    tm_hint_frame_limit(hints, "NEW: ", &answer->after);
}

static struct tm_error *write_text(const struct tm_request *request, const struct answer *answer, struct tm_text *out)
{
    const struct tm_host *host = &request->session->host;

    for (size_t i = 0; i < answer->shown; i++) {
        const struct tm_difference *difference = answer->differences.items[i];
        struct tm_error *error = tm_host_check(host);
        if (error)
            return error;
        tm_format_difference(out, difference);
        tm_text_add(out, "\n");
        tm_report_detail(out, host, &difference->place, request->key);
    }
    if (answer->shown < answer->differences.count) {
        tm_text_printf(out, "%zu other: ", answer->differences.count - answer->shown);
        add_sum(out, &answer->other);
    }
    if (answer->unmatched.count > 0 || answer->unmatched.old_count > 0) {
        tm_text_add(out, "no frame matches");
        tm_format_growth(out, &answer->unmatched);
        tm_text_add(out, "\n");
    }
    tm_text_add(out, "Total allocated size: ");
    add_sum(out, &answer->differences.total);
    tm_report_footprints(out, &answer->before.footprint, &answer->after.footprint);
    tm_report_filters(out, request);
    add_hints(request, answer, out);
    tm_report_in_flight(out, "OLD: ", answer->before.in_flight);
    tm_report_in_flight(out, "NEW: ", answer->after.in_flight);
    tm_report_damage_of_side(out, "OLD: ", &answer->before.damage,
                             "differences may be too large, and what seems to have grown may not have");
    tm_report_damage_of_side(out, "NEW: ", &answer->after.damage,
                             "sizes may be too small, and what seems to have shrunk may not have");
    return NULL;
}

static void write_row_json(struct tm_json *json, const struct tm_difference *row)
{
    tm_json_number(json, "size", row->size);
    tm_json_signed(json, "size_diff", row->size < row->old_size, tm_distance(row->old_size, row->size));
    tm_json_number(json, "count", row->count);
    tm_json_signed(json, "count_diff", row->count < row->old_count, tm_distance(row->old_count, row->count));
}

static void write_rows_json(const struct tm_request *request, const struct answer *answer, struct tm_json *json)
{
    tm_json_begin_array(json, "statistics");
    for (size_t i = 0; i < answer->shown; i++) {
        const struct tm_difference *difference = answer->differences.items[i];
        tm_json_begin_object(json, NULL);
        tm_report_place_json(json, &difference->place, request->key);
        write_row_json(json, difference);
        tm_json_end_object(json);
    }
    tm_json_end_array(json);

    tm_json_begin_object(json, "other");
    tm_json_number(json, "statistics", answer->differences.count - answer->shown);
    write_row_json(json, &answer->other);
    tm_json_end_object(json);
}

static void write_json(const struct tm_request *request, const struct answer *answer, struct tm_text *out)
{
    const struct tm_difference *total = &answer->differences.total;
    struct tm_json json = {out, false};
    struct tm_text hints = TM_TEXT_EMPTY;

    tm_json_begin_object(&json, NULL);
    tm_json_word(&json, "command", request->command->name);
    tm_json_word(&json, "key", tm_key_name(request->key));
    tm_json_bool(&json, "cumulative", request->settings.cumulative);
    tm_json_number(&json, "limit", tm_request_limit(request));
    tm_report_filters_json(&json, request);
    write_rows_json(request, answer, &json);
    if (tm_mine_count(&request->settings.mine) > 0) {
        tm_report_unmatched_json(&json, "unmatched", &answer->after.unmatched);
        tm_report_unmatched_json(&json, "unmatched_old", &answer->before.unmatched);
    }
    tm_json_number(&json, "total_size", total->size);
    tm_json_signed(&json, "total_size_diff", total->size < total->old_size, tm_distance(total->old_size, total->size));
    tm_json_number(&json, "total_count", total->count);
    tm_json_signed(&json, "total_count_diff", total->count < total->old_count,
                   tm_distance(total->old_count, total->count));
    tm_json_number(&json, "in_flight", answer->after.in_flight);
    tm_json_number(&json, "in_flight_old", answer->before.in_flight);
    tm_report_footprint_json(&json, "private", &answer->after.footprint);
    tm_report_footprint_json(&json, "private_old", &answer->before.footprint);
    add_hints(request, answer, &hints);
    tm_hints_write_json(&json, &hints);
    tm_text_deinit(&hints);
    tm_report_damage_json(&json, "missing", &answer->after.damage);
    tm_report_damage_json(&json, "missing_old", &answer->before.damage);
    tm_json_end_object(&json);
    tm_text_add(out, "\n");
}

// ---------------------------------------------------------------------------------------------------------------
// Running

// Adds the name of the file to an error.
static struct tm_error *name_core(const struct tm_request *request, size_t index, struct tm_error *error)
{
    if (!error || index >= request->unresolved_count || tm_error_code(error) == TM_ERROR_INTERRUPTED ||
        tm_error_code(error) == TM_ERROR_NO_MEMORY)
        return error;

    struct tm_text name = TM_TEXT_EMPTY;
    const char *text = request->unresolved[index].text;
    tm_text_escape(&name, text, strlen(text));
    struct tm_error *named =
        tm_error_create(tm_error_code(error), "%s: %s", tm_text_string(&name), tm_error_message(error));
    tm_text_deinit(&name);
    tm_error_destroy(error);
    return named;
}

static struct tm_error *compare(struct tm_request *request, struct tm_target *current, struct tm_pool *pool,
                                struct answer *answer)
{
    const struct tm_host *host = &request->session->host;
    struct tm_target *after = request->unresolved_count == 2 ? request->unresolved[1].target : current;

    struct tm_error *error =
        name_core(request, 0, tm_query_init(&answer->before, request, request->unresolved[0].target, pool));
    if (!error)
        error = name_core(request, 1, tm_query_init(&answer->after, request, after, pool));
    if (!error)
        error = tm_differences_init(&answer->differences, host, &answer->before.statistics, &answer->after.statistics);
    if (!error)
        error = tm_differences_sort(&answer->differences, host, tm_request_limit(request));
    if (!error)
        split(answer, tm_request_limit(request));
    tm_fits_merge(&answer->after.fits, &answer->before.fits);
    answer->fits = &answer->after.fits;
    answer->unmatched.size = answer->after.unmatched.size;
    answer->unmatched.count = answer->after.unmatched.count;
    answer->unmatched.old_size = answer->before.unmatched.size;
    answer->unmatched.old_count = answer->before.unmatched.count;
    return error;
}

static struct tm_error *run(struct tm_request *request, struct tm_target *current, struct tm_text *out)
{
    struct answer answer = {0};
    struct tm_pool *pool;

    struct tm_error *error = tm_pool_create(&pool);
    if (error)
        return error;
    error = compare(request, current, pool, &answer);
    if (!error && request->settings.json)
        write_json(request, &answer, out);
    else if (!error)
        error = write_text(request, &answer, out);
    tm_differences_deinit(&answer.differences);
    tm_query_deinit(&answer.before);
    tm_query_deinit(&answer.after);
    tm_pool_destroy(pool);
    return error;
}

static void complete(const struct tm_session *session, const struct tm_words *before, struct tm_text *candidates)
{
    (void)session;
    if (before->count == 1 || before->count == 2)
        tm_complete_keys(candidates);
}

const struct tm_command tm_command_diff = {
    .name = "tm-diff",
    .help = help,
    .options = TM_OPTION_TABLE(options),
    .needs_target = true,
    .prepare = prepare,
    .run = run,
    .complete = complete,
};
