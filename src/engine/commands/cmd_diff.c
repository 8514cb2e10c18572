// tm-diff: what grew and what shrank between two cores or snapshot files, or between one and the current target.

#include "engine/commands/columns.h"
#include "engine/commands/command.h"
#include "engine/commands/estimates.h"
#include "engine/commands/hints.h"
#include "engine/commands/memory.h"
#include "engine/commands/query.h"
#include "engine/commands/report.h"
#include "engine/commands/shared.h"
#include "engine/model/diff.h"

#define DIFF_OPTIONS(X)      \
    TM_OPTIONS_LIMIT(X)      \
    TM_OPTIONS_ORDER(X)      \
    TM_OPTIONS_MEMORY(X)     \
    TM_OPTIONS_CUMULATIVE(X) \
    TM_OPTIONS_MINE(X) TM_OPTIONS_FILTERS(X) TM_OPTIONS_PLAIN(X) TM_OPTIONS_SAMPLES(X) TM_OPTIONS_JSON(X)

static const struct tm_option options[] = {DIFF_OPTIONS(TM_OPTION_AS_ENTRY)};

static const char help[] = TM_HELP(
    "Show what grew between two cores or snapshots, such as a memory leak.", "tm-diff OLD [NEW] [KEY] [OPTION]...",
    "This finds a memory leak: what grows from one core to the next is not freed.\n"
    "OLD and NEW are core files, or snapshot files written by tm-save or by\n"
    "tracemalloc's Snapshot.dump(). Without NEW, the current target is compared with\n"
    "OLD. OLD and NEW may be of different processes: places are compared by file name\n"
    "and line. If a file has the name of a key, write its directory too (./lineno).\n"
    "No code in a snapshot file is run: a file that holds more than traces is\n"
    "refused.\n"
    "\n" TM_HELP_COLUMNS "\n" TM_HELP_ESTIMATES
    "Then rows whose change is within two standard errors come last, and say so.\n"
    "\n"
    "Each row is str() of a tracemalloc.StatisticDiff, largest difference of sizes\n"
    "first. Below it is the source line, if the file can be read here. With key\n"
    "traceback, all frames are below it, with their functions. Then come the sum of\n"
    "the other rows and the total, each with its difference.\n"
    "\n" TM_HELP_KEYS("lineno") "\n" TM_HELP_MINE "\n" TM_HELP_FILTERS "\n" TM_HELP_PRIVATE,
    DIFF_OPTIONS,
    "Examples:\n"
    "  tm-diff before.core\n"
    "  tm-diff before.core after.core -n 5\n"
    "  tm-diff before.core --sort allocated\n"
    "  tm-diff before.core after.core --memory -n 3\n"
    "  tm-diff before.snapshot after.core filename\n"
    "  tm-diff before.core after.core traceback --include '*/views.py' --all-frames\n"
    "\n"
    "The JSON object has:\n"
    "  command, key, cumulative, limit, sort\n" TM_HELP_JSON_FILTERS TM_HELP_JSON_MINE
    "  unmatched_old the same for OLD\n"
    "  statistics    the rows: " TM_HELP_JSON_PLACES
    "                size, size_diff, count, count_diff;\n" TM_HELP_JSON_CHURN ",\n"
    "                each with its _diff\n" TM_HELP_JSON_ESTIMATES
    "                with their _diff; exceeds_noise: the change is more than two\n"
    "                standard errors. sample_period_old is OLD's; null: all blocks\n"
    "  other         the rows not shown: statistics (how many), size, size_diff,\n"
    "                count, count_diff (null if cumulative: rows overlap)\n"
    "  total_size, total_size_diff, total_count, total_count_diff\n"
    "                each block once\n" TM_HELP_JSON_LACKS "                of NEW\n"
    "  in_flight     bytes in blocks of NEW that were being recorded or freed\n"
    "  in_flight_old the same for OLD\n" TM_HELP_JSON_PRIVATE "  private_old   the same for OLD\n"
    "  memory        with --memory: residency and residency_old (as in tm-memory);\n"
    "                all, not_accounted and each row with size and size_diff, and\n"
    "                its parts likewise\n" TM_HELP_JSON_HINTS "  missing       for NEW:\n"
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
    struct tm_difference other;                  // these two have no place
    struct tm_difference unmatched;              // of --mine
    const struct tm_fits *fits;                  // of the patterns, in both
    bool sampled;                                // one side is, or both
    bool exact;                                  // NEW is not
    size_t few;                                  // rows shown that rest on few samples
    struct tm_process_memory old_memory, memory; // with --memory
};

static bool rests_on_few(const struct tm_difference *difference)
{
    return difference->estimate.samples < TM_FEW_SAMPLES && difference->old_estimate.samples < TM_FEW_SAMPLES;
}

static void split(struct answer *answer, size_t limit)
{
    const struct tm_differences *differences = &answer->differences;
    struct tm_difference *other = &answer->other;

    answer->shown = limit < differences->count ? limit : differences->count;
    for (size_t i = answer->shown; i < differences->count; i++) {
        const struct tm_difference *difference = differences->items[i];
        tm_estimate_sum(&other->size, &other->count, &other->estimate, difference->size, difference->count,
                        &difference->estimate);
        tm_estimate_sum(&other->old_size, &other->old_count, &other->old_estimate, difference->old_size,
                        difference->old_count, &difference->old_estimate);
        other->variance.size += difference->variance.size;
        other->variance.count += difference->variance.count;
    }
    for (size_t i = 0; i < answer->shown; i++)
        answer->few += rests_on_few(differences->items[i]);
}

// ---------------------------------------------------------------------------------------------------------------
// Writing

static bool shows_errors(const struct tm_request *request, const struct answer *answer)
{
    return answer->sampled && !request->settings.plain;
}

// "531.5 KiB (+12.3 KiB)"
static void add_sum(struct tm_text *out, const struct tm_request *request, const struct answer *answer,
                    const struct tm_difference *sum)
{
    if (shows_errors(request, answer)) {
        tm_estimate_write_sum(out, sum, !answer->exact);
        return;
    }
    tm_format_kib(out, false, sum->size, false);
    tm_text_add(out, " (");
    tm_format_kib(out, sum->size < sum->old_size, tm_distance(sum->old_size, sum->size), true);
    tm_text_add(out, ")");
}

static void write_row(const struct tm_request *request, const struct answer *answer,
                      const struct tm_difference *difference, struct tm_text *out)
{
    if (shows_errors(request, answer)) {
        tm_format_place(out, &difference->place);
        tm_estimate_write_growth(out, difference, !answer->exact);
    } else {
        tm_format_difference(out, difference);
    }
    if (!request->settings.plain && tm_request_wants_history(request))
        tm_format_churn_difference(out, &difference->old_churn, &difference->churn);
    tm_text_add(out, "\n");
    tm_report_detail(out, request, &difference->place, difference->mixed);
}

static struct tm_error *write_rows(const struct tm_request *request, const struct answer *answer, struct tm_text *out)
{
    const struct tm_differences *differences = &answer->differences;
    struct tm_columns columns;
    struct tm_screen screen;
    bool in_columns = answer->shown > 0 && tm_columns_wanted(request, &screen);

    if (in_columns) {
        tm_columns_init(&columns, request, &screen, differences->total.size, true, answer->sampled);
        columns.exact = answer->exact;
        for (size_t i = 0; i < answer->shown; i++)
            tm_columns_measure(&columns, differences->items[i]);
        tm_columns_header(&columns, out);
    }
    for (size_t i = 0; i < answer->shown; i++) {
        const struct tm_difference *difference = differences->items[i];
        struct tm_error *error = tm_host_check(&request->session->host);
        if (error)
            return error;
        if (!in_columns) {
            write_row(request, answer, difference, out);
        } else {
            tm_columns_row(&columns, difference, out);
            if (tm_key_place(request->key) == TM_KEY_TRACEBACK)
                tm_report_detail(out, request, &difference->place, difference->mixed);
        }
        if (!request->settings.plain)
            tm_report_row_lacks(out, &difference->not_recorded, &difference->shortened);
    }
    return NULL;
}

// A pattern needs to fit one side only.
static void add_hints(const struct tm_request *request, const struct answer *answer, struct tm_text *hints)
{
    tm_hint_patterns(hints, request, answer->fits);
    tm_hint_frame_limit(hints, "OLD: ", &answer->before);
    tm_hint_frame_limit(hints, "NEW: ", &answer->after);
}

// A line for each side that is sampled.
static void write_notes(const struct answer *answer, struct tm_text *out,
                        void (*write)(struct tm_text *text, const char *who, uint64_t period, uint64_t samples))
{
    const struct tm_query *sides[] = {&answer->before, &answer->after};
    for (unsigned i = 0; i < 2; i++)
        if (sides[i]->sample_period)
            write(out, i == 0 ? "OLD: " : "NEW: ", sides[i]->sample_period,
                  sides[i]->statistics.total_estimate.samples);
}

static struct tm_error *write_text(const struct tm_request *request, const struct answer *answer, struct tm_text *out)
{
    if (request->settings.plain)
        write_notes(answer, out, tm_estimate_write_plain_note);
    struct tm_error *error = write_rows(request, answer, out);
    if (error)
        return error;
    if (answer->shown < answer->differences.count) {
        tm_text_printf(out, "%zu other", answer->differences.count - answer->shown);
        if (!request->settings.cumulative) { // whose rows overlap: their sum would mean nothing
            tm_text_add(out, ": ");
            add_sum(out, request, answer, &answer->other);
        }
        tm_text_add(out, "\n");
    }
    if (answer->unmatched.count > 0 || answer->unmatched.old_count > 0) {
        tm_text_add(out, "no frame matches");
        if (shows_errors(request, answer))
            tm_estimate_write_growth(out, &answer->unmatched, !answer->exact);
        else
            tm_format_growth(out, &answer->unmatched);
        tm_text_add(out, "\n");
    }
    tm_text_add(out, "Total allocated size: ");
    add_sum(out, request, answer, &answer->differences.total);
    tm_report_overlap(out, request);
    tm_text_add(out, "\n");
    if (shows_errors(request, answer)) {
        write_notes(answer, out, tm_estimate_write_note);
        tm_estimate_write_few(out, answer->few);
    }
    if (!request->settings.plain)
        tm_report_footprints(out, &answer->before.footprint, &answer->after.footprint, request->settings.memory);
    if (request->settings.memory)
        tm_memory_write_growth(&answer->old_memory, &answer->memory, out);
    tm_report_filters(out, request);
    if (!request->settings.plain)
        add_hints(request, answer, out);
    tm_report_lacks(out, "OLD: ", &answer->before.statistics, answer->before.codes_full);
    tm_report_lacks(out, "NEW: ", &answer->after.statistics, answer->after.codes_full);
    tm_report_in_flight(out, "OLD: ", answer->before.in_flight);
    tm_report_in_flight(out, "NEW: ", answer->after.in_flight);
    tm_report_damage_of_side(out, "OLD: ", &answer->before.damage,
                             "differences may be too large, and what seems to have grown may not have");
    tm_report_damage_of_side(out, "NEW: ", &answer->after.damage,
                             "sizes may be too small, and what seems to have shrunk may not have");
    return NULL;
}

static void write_change_json(struct tm_json *json, const char *key, const char *diff_key, uint64_t old, uint64_t now)
{
    tm_json_number(json, key, now);
    tm_json_signed(json, diff_key, now < old, tm_distance(old, now));
}

static void write_row_json(struct tm_json *json, const struct tm_difference *row)
{
    write_change_json(json, "size", "size_diff", row->old_size, row->size);
    write_change_json(json, "count", "count_diff", row->old_count, row->count);
}

static void write_churn_json(struct tm_json *json, const struct tm_difference *row)
{
    const struct tm_churn *old = &row->old_churn, *now = &row->churn;
    write_change_json(json, "allocated", "allocated_diff", old->allocated, now->allocated);
    write_change_json(json, "allocations", "allocations_diff", old->allocations, now->allocations);
    write_change_json(json, "freed", "freed_diff", old->freed, now->freed);
    write_change_json(json, "frees", "frees_diff", old->frees, now->frees);
}

static void write_other_json(const struct tm_request *request, const struct answer *answer, struct tm_json *json)
{
    const struct tm_difference *other = &answer->other;

    if (!request->settings.cumulative) {
        write_row_json(json, other);
        if (answer->sampled)
            tm_estimate_write_change_json(json, "", other, NULL);
        return;
    }
    tm_json_null(json, "size");
    tm_json_null(json, "size_diff");
    tm_json_null(json, "count");
    tm_json_null(json, "count_diff");
}

static void write_rows_json(const struct tm_request *request, const struct answer *answer, struct tm_json *json)
{
    tm_json_begin_array(json, "statistics");
    for (size_t i = 0; i < answer->shown; i++) {
        const struct tm_difference *difference = answer->differences.items[i];
        tm_json_begin_object(json, NULL);
        tm_report_place_json(json, &difference->place, request->key, difference->mixed);
        write_row_json(json, difference);
        bool exceeds = tm_difference_exceeds_noise(difference);
        if (answer->sampled)
            tm_estimate_write_change_json(json, "", difference, &exceeds);
        if (tm_request_wants_history(request))
            write_churn_json(json, difference);
        tm_report_row_lacks_json(json, &difference->not_recorded, &difference->shortened);
        tm_json_end_object(json);
    }
    tm_json_end_array(json);

    tm_json_begin_object(json, "other");
    tm_json_number(json, "statistics", answer->differences.count - answer->shown);
    write_other_json(request, answer, json);
    tm_json_end_object(json);
}

static void write_period_json(struct tm_json *json, const char *key, uint64_t period)
{
    if (period)
        tm_json_number(json, key, period);
    else
        tm_json_null(json, key);
}

// Null: this side is exact.
static void write_periods_json(const struct answer *answer, struct tm_json *json)
{
    tm_json_bool(json, "estimated", true);
    write_period_json(json, "sample_period", answer->after.sample_period);
    write_period_json(json, "sample_period_old", answer->before.sample_period);
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
    tm_json_word(&json, "sort", tm_order_name(request->settings.order));
    if (answer->sampled)
        write_periods_json(answer, &json);
    tm_report_filters_json(&json, request);
    write_rows_json(request, answer, &json);
    if (tm_mine_count(&request->settings.mine) > 0) {
        tm_report_unmatched_json(&json, "unmatched", &answer->after.unmatched);
        tm_report_unmatched_json(&json, "unmatched_old", &answer->before.unmatched);
    }
    write_change_json(&json, "total_size", "total_size_diff", total->old_size, total->size);
    write_change_json(&json, "total_count", "total_count_diff", total->old_count, total->count);
    bool exceeds = tm_difference_exceeds_noise(total);
    if (answer->sampled)
        tm_estimate_write_change_json(&json, "total_", total, &exceeds);
    tm_report_lacks_json(&json, &answer->after.statistics);
    tm_json_number(&json, "in_flight", answer->after.in_flight);
    tm_json_number(&json, "in_flight_old", answer->before.in_flight);
    tm_report_footprint_json(&json, "private", &answer->after.footprint);
    tm_report_footprint_json(&json, "private_old", &answer->before.footprint);
    if (request->settings.memory)
        tm_memory_write_growth_json(&answer->old_memory, &answer->memory, &json);
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

static struct tm_error *compare(struct tm_request *request, struct tm_target *current, struct tm_pool *pool,
                                struct answer *answer)
{
    const struct tm_host *host = &request->session->host;
    struct tm_target *after = request->unresolved[1].kind == TM_OPERAND_CORE ? request->unresolved[1].target : current;

    struct tm_error *error =
        tm_query_name_operand(request, 0, tm_query_init(&answer->before, request, request->unresolved[0].target, pool));
    if (!error)
        error = tm_query_name_operand(request, 1, tm_query_init(&answer->after, request, after, pool));
    const struct tm_side old = {request->unresolved[0].target, &answer->before}, now = {after, &answer->after};
    if (!error)
        error = tm_shared_find(request, pool, &old, &now);
    if (!error)
        error = tm_differences_init(&answer->differences, host, &answer->before.statistics, &answer->after.statistics);
    if (!error)
        error = tm_differences_sort(&answer->differences, host, request->settings.order, tm_request_limit(request));
    if (!error)
        split(answer, tm_request_limit(request));
    if (!error && request->settings.memory)
        error = tm_query_name_operand(request, 0,
                                      tm_memory_init(&answer->old_memory, request->unresolved[0].target, host, pool));
    if (!error && request->settings.memory)
        error = tm_query_name_operand(request, 1, tm_memory_init(&answer->memory, after, host, pool));
    tm_fits_merge(&answer->after.fits, &answer->before.fits);
    answer->fits = &answer->after.fits;
    answer->unmatched.size = answer->after.unmatched.size;
    answer->unmatched.count = answer->after.unmatched.count;
    answer->unmatched.old_size = answer->before.unmatched.size;
    answer->unmatched.old_count = answer->before.unmatched.count;
    answer->unmatched.estimate = answer->after.unmatched.estimate;
    answer->unmatched.old_estimate = answer->before.unmatched.estimate;
    tm_difference_find_variance(&answer->unmatched, answer->before.sample_period, answer->after.sample_period);
    answer->sampled = answer->before.sample_period || answer->after.sample_period;
    answer->exact = !answer->after.sample_period;
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
    tm_memory_deinit(&answer.old_memory);
    tm_memory_deinit(&answer.memory);
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
