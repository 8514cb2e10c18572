// Rows are those of tm-top and tm-diff, but all of them; with the key traceback each has one domain.

#include "engine/commands/export_rows.h"

#include <stdlib.h>

#include "engine/commands/command.h"
#include "engine/commands/estimates.h"
#include "engine/commands/hints.h"
#include "engine/commands/report.h"
#include "engine/export/frame_texts.h"

// ---------------------------------------------------------------------------------------------------------------
// Places

static struct tm_amount amount_of(const struct tm_difference *row)
{
    return (struct tm_amount){{row->size, row->old_size}, {row->count, row->old_count}};
}

struct row_writer {
    const struct tm_request *request;
    struct tm_sink *sink;
    struct tm_json json;
    bool compared, sampled;
    uint64_t period, old_period; // of the samples
    uint64_t rows;               // written so far
    void (*write)(struct row_writer *writer, const struct tm_difference *row);
};

static struct tm_error *write_differences(struct row_writer *writer, const struct tm_statistics *old,
                                          const struct tm_statistics *now)
{
    const struct tm_host *host = &writer->request->session->host;
    struct tm_differences differences;

    struct tm_error *error = tm_differences_init(&differences, host, old, now);
    if (error)
        return error;
    error = tm_differences_sort(&differences, host, TM_ORDER_SIZE, differences.count);
    for (size_t i = 0; i < differences.count && !error; i++) {
        error = tm_host_check(host);
        writer->write(writer, differences.items[i]);
        writer->rows++;
        if (tm_sink_pass(writer->sink))
            break;
    }
    tm_differences_deinit(&differences);
    return error;
}

// Without a comparison each row is what differs from nothing, in the same order.
static struct tm_error *write_places(struct row_writer *writer, const struct tm_export_sides *sides)
{
    const struct tm_request *request = writer->request;
    const struct tm_host *host = &request->session->host;
    struct tm_statistics now, old;

    struct tm_error *error =
        tm_statistics_init(&now, host, &sides->now_groups, request->key, request->settings.cumulative);
    if (error)
        return error;
    error = tm_statistics_init(&old, host, &sides->old_groups, request->key, request->settings.cumulative);
    if (!error)
        error = write_differences(writer, &old, &now);
    tm_statistics_deinit(&old);
    tm_statistics_deinit(&now);
    return error;
}

static struct tm_csv_cells cells_of(const struct row_writer *writer)
{
    return (struct tm_csv_cells){tm_key_has_type(writer->request->key), writer->compared, writer->sampled};
}

static bool is_sampled(const struct tm_export_sides *sides)
{
    return sides->now.sample_period || sides->old.sample_period;
}

// Of a traceback the newest frame.
static void write_csv_row(struct row_writer *writer, const struct tm_difference *row)
{
    const struct tm_amount amount = amount_of(row);
    const struct tm_estimate estimates[TM_SIDES] = {row->estimate, row->old_estimate};
    const struct tm_csv_cells cells = cells_of(writer);
    const struct tm_frame *frame = NULL;

    if (!tm_place_is_type(&row->place))
        frame = tm_place_newest(&row->place);
    tm_csv_place(&writer->sink->text, &cells, row->place.type, frame, &amount, estimates);
}

struct tm_error *tm_export_places_csv(const struct tm_request *request, const struct tm_export_sides *sides,
                                      struct tm_sink *sink, uint64_t *rows)
{
    struct row_writer writer = {.request = request,
                                .sink = sink,
                                .compared = request->settings.base,
                                .sampled = is_sampled(sides),
                                .write = write_csv_row};
    const struct tm_csv_cells cells = cells_of(&writer);

    tm_csv_places_head(&sink->text, &cells);
    struct tm_error *error = write_places(&writer, sides);
    *rows = writer.rows;
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// JSON

static void write_change(struct tm_json *json, bool compared, const char *key, const char *diff_key,
                         const uint64_t sides[TM_SIDES])
{
    tm_json_number(json, key, sides[TM_SIDE_NEW]);
    if (compared)
        tm_json_signed(json, diff_key, sides[TM_SIDE_NEW] < sides[TM_SIDE_OLD],
                       tm_distance(sides[TM_SIDE_OLD], sides[TM_SIDE_NEW]));
}

static void write_amount(struct tm_json *json, bool compared, const struct tm_amount *amount)
{
    write_change(json, compared, "size", "size_diff", amount->size);
    write_change(json, compared, "count", "count_diff", amount->count);
}

static void write_errors(struct row_writer *writer, const struct tm_difference *row)
{
    bool exceeds = tm_difference_exceeds_noise(row);
    if (writer->sampled && writer->compared)
        tm_estimate_write_change_json(&writer->json, "", row, &exceeds);
    else if (writer->sampled)
        tm_estimate_write_json(&writer->json, "", &row->estimate);
}

static void write_json_row(struct row_writer *writer, const struct tm_difference *row)
{
    const struct tm_amount amount = amount_of(row);

    tm_json_begin_object(&writer->json, NULL);
    tm_report_place_json(&writer->json, &row->place, writer->request->key, row->mixed);
    write_amount(&writer->json, writer->compared, &amount);
    write_errors(writer, row);
    tm_report_row_lacks_json(&writer->json, &row->not_recorded, &row->shortened);
    tm_json_end_object(&writer->json);
}

static void write_frame(struct tm_text *text, const struct tm_frame *frame)
{
    struct tm_json json = {text, false};

    tm_json_begin_object(&json, NULL);
    tm_report_frame_json(&json, frame);
    tm_json_end_object(&json);
}

// A stack as a row; it has no place.
static struct tm_difference difference_of(const struct tm_stack *stack)
{
    const struct tm_amount *amount = &stack->amount;
    struct tm_difference row = {.size = amount->size[TM_SIDE_NEW],
                                .old_size = amount->size[TM_SIDE_OLD],
                                .count = amount->count[TM_SIDE_NEW],
                                .old_count = amount->count[TM_SIDE_OLD]};
    if (stack->estimates) {
        row.estimate = stack->estimates[TM_SIDE_NEW];
        row.old_estimate = stack->estimates[TM_SIDE_OLD];
    }
    return row;
}

static void write_stack(struct row_writer *writer, const struct tm_export *export, const struct tm_stack *stack,
                        struct tm_frame_texts *texts)
{
    struct tm_text *text = &writer->sink->text;
    struct tm_difference row = difference_of(stack);
    uint32_t depth;
    const uint32_t *frames = tm_stack_frames(export->stacks, stack, &depth);

    tm_difference_find_variance(&row, writer->old_period, writer->period);
    tm_json_begin_object(&writer->json, NULL);
    tm_json_begin_array(&writer->json, "traceback");
    for (uint32_t i = 0; i < depth; i++) {
        tm_text_add(text, i > 0 ? ", " : "");
        tm_frame_texts_add(texts, frames[i], text);
    }
    tm_json_end_array(&writer->json);
    tm_json_number(&writer->json, "domain", stack->domain);
    write_amount(&writer->json, export->compared, &stack->amount);
    write_errors(writer, &row);
    tm_json_end_object(&writer->json);
}

static struct tm_error *write_stacks(struct row_writer *writer, const struct tm_export *export)
{
    struct tm_frame_texts texts;
    uint32_t *order;

    struct tm_error *error = tm_export_rank(export, &order);
    if (error)
        return error;
    error = tm_frame_texts_init(&texts, &export->stacks->frames, write_frame);
    for (size_t i = 0; i < export->stacks->count && !error; i++) {
        write_stack(writer, export, &export->stacks->items[order[i]], &texts);
        writer->rows++;
        if (tm_sink_pass(writer->sink))
            break;
        error = tm_host_check(export->host);
    }
    tm_frame_texts_deinit(&texts);
    free(order);
    return error;
}

static void write_side(struct tm_json *json, const struct tm_query *query, bool old)
{
    tm_json_number(json, old ? "in_flight_old" : "in_flight", query->in_flight);
    tm_report_footprint_json(json, old ? "private_old" : "private", &query->footprint);
    tm_report_damage_json(json, old ? "missing_old" : "missing", &query->damage);
}

static void write_end(struct row_writer *writer, const struct tm_export_sides *sides)
{
    const struct tm_query *now = &sides->now, *old = &sides->old;
    const uint64_t sizes[TM_SIDES] = {now->statistics.total_size, old->statistics.total_size};
    const uint64_t counts[TM_SIDES] = {now->statistics.total_count, old->statistics.total_count};
    struct tm_json *json = &writer->json;

    if (tm_mine_count(&writer->request->settings.mine) > 0) {
        tm_report_unmatched_json(json, "unmatched", &now->unmatched);
        if (writer->compared)
            tm_report_unmatched_json(json, "unmatched_old", &old->unmatched);
    }
    write_change(json, writer->compared, "total_size", "total_size_diff", sizes);
    write_change(json, writer->compared, "total_count", "total_count_diff", counts);
    if (now->sample_period)
        tm_estimate_write_json(json, "total_", &now->statistics.total_estimate);
    tm_report_lacks_json(json, &now->statistics);
    write_side(json, now, false);
    if (writer->compared)
        write_side(json, old, true);
}

struct tm_error *tm_export_json(const struct tm_request *request, const struct tm_export_sides *sides,
                                const struct tm_export *export, struct tm_sink *sink, uint64_t *rows)
{
    struct row_writer writer = {.request = request,
                                .sink = sink,
                                .json = {&sink->text, false},
                                .compared = request->settings.base,
                                .sampled = is_sampled(sides),
                                .period = sides->now.sample_period,
                                .old_period = sides->old.sample_period,
                                .write = write_json_row};
    struct tm_json *json = &writer.json;

    tm_json_begin_object(json, NULL);
    tm_json_word(json, "command", request->command->name);
    tm_json_number(json, "json_version", TM_JSON_VERSION);
    tm_json_word(json, "key", tm_key_name(request->key));
    tm_json_bool(json, "cumulative", request->settings.cumulative);
    tm_json_number(json, "traceback_limit", sides->now.frame_limit);
    if (writer.sampled)
        tm_estimate_write_period_json(json, writer.period ? writer.period : writer.old_period);
    tm_report_filters_json(json, request);
    tm_json_begin_array(json, "statistics");
    struct tm_error *error =
        request->key == TM_KEY_TRACEBACK ? write_stacks(&writer, export) : write_places(&writer, sides);
    tm_json_end_array(json);
    write_end(&writer, sides);
    tm_json_end_object(json);
    tm_text_add(&sink->text, "\n");
    *rows = writer.rows;
    return error;
}
