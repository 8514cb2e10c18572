// Tables for spreadsheets and scripts: RFC 4180.

#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/export/formats.h"
#include "engine/export/frame_texts.h"

// A cell in quotes. Spreadsheets compute what begins with one of these characters, and names come from the target.
static void add_cell(struct tm_text *text, const char *bytes, size_t length)
{
    const char *end = bytes + length;

    tm_text_add(text, ",\"");
    if (length > 0 && strchr("=+-@", bytes[0]))
        tm_text_add(text, "'");
    while (bytes < end) {
        const char *quote = memchr(bytes, '"', (size_t)(end - bytes));
        tm_text_bytes(text, bytes, (size_t)((quote ? quote : end) - bytes));
        if (quote)
            tm_text_add(text, "\"\"");
        bytes = quote ? quote + 1 : end;
    }
    tm_text_add(text, "\"");
}

static void add_name(struct tm_text *text, const struct tm_name *name)
{
    struct tm_text escaped = TM_TEXT_EMPTY;

    if (name)
        tm_text_escape(&escaped, name->bytes, name->length);
    add_cell(text, tm_text_string(&escaped), escaped.length);
    text->failed = text->failed || escaped.failed;
    tm_text_deinit(&escaped);
}

static void add_number(struct tm_text *text, uint64_t number)
{
    tm_text_add(text, ",");
    tm_text_number(text, number);
}

static void add_difference(struct tm_text *text, uint64_t old, uint64_t now)
{
    tm_text_add(text, now < old ? ",-" : ",");
    tm_text_number(text, tm_distance(old, now));
}

static void add_amount(struct tm_text *text, const struct tm_amount *amount, bool compared)
{
    uint64_t size = amount->size[TM_SIDE_NEW], count = amount->count[TM_SIDE_NEW];

    tm_text_number(text, size);
    if (compared)
        add_difference(text, amount->size[TM_SIDE_OLD], size);
    add_number(text, count);
    if (compared)
        add_difference(text, amount->count[TM_SIDE_OLD], count);
}

static void add_place(struct tm_text *text, const struct tm_frame *frame)
{
    add_name(text, frame->file_name);
    add_number(text, frame->line);
    add_name(text, frame->function);
}

static void add_head(struct tm_text *text, bool compared, bool sampled)
{
    tm_text_add(text, compared ? "size,size_diff,count,count_diff" : "size,count");
    if (sampled)
        tm_text_add(text, compared ? ",size_error,size_diff_error,count_error,count_diff_error,samples,samples_diff"
                                   : ",size_error,count_error,samples");
}

// The standard errors.
static void add_errors(struct tm_text *text, const struct tm_estimate *estimates, bool compared)
{
    static const struct tm_estimate none[TM_SIDES];
    estimates = estimates ? estimates : none;
    const struct tm_estimate *now = &estimates[TM_SIDE_NEW], *old = &estimates[TM_SIDE_OLD];
    struct tm_pair change = tm_estimate_change_variance(old, now);
    struct tm_pair errors = tm_errors_of(&now->variance), changes = tm_errors_of(&change);

    add_number(text, tm_estimate_round_error(errors.size));
    if (compared)
        add_number(text, tm_estimate_round_error(changes.size));
    add_number(text, tm_estimate_round_error(errors.count));
    if (compared)
        add_number(text, tm_estimate_round_error(changes.count));
    add_number(text, now->samples);
    if (compared)
        add_difference(text, old->samples, now->samples);
}

void tm_csv_places_head(struct tm_text *text, const struct tm_csv_cells *cells)
{
    add_head(text, cells->compared, cells->sampled);
    tm_text_add(text, cells->typed ? ",type,filename,lineno,name\r\n" : ",filename,lineno,name\r\n");
}

void tm_csv_place(struct tm_text *text, const struct tm_csv_cells *cells, const struct tm_name *type,
                  const struct tm_frame *frame, const struct tm_amount *amount, const struct tm_estimate *estimates)
{
    add_amount(text, amount, cells->compared);
    if (cells->sampled)
        add_errors(text, estimates, cells->compared);
    if (cells->typed)
        add_name(text, type);
    if (frame)
        add_place(text, frame);
    else
        tm_text_add(text, ",\"\",,\"\"");
    tm_text_add(text, "\r\n");
}

// The newest frame has cells of its own; then come all frames, oldest first, in one cell.
static void add_stack(struct tm_text *text, const struct tm_export *export, const struct tm_stack *stack,
                      struct tm_frame_texts *texts, struct tm_text *buffer)
{
    uint32_t depth;
    const uint32_t *frames = tm_stack_frames(export->stacks, stack, &depth);

    add_amount(text, &stack->amount, export->compared);
    if (export->sampled)
        add_errors(text, stack->estimates, export->compared);
    add_number(text, stack->domain);
    add_place(text, export->stacks->frames.items[tm_stack_newest(export->stacks, stack)]);
    tm_text_clear(buffer);
    for (uint32_t i = 0; i < depth; i++) {
        tm_text_add(buffer, i > 0 ? ";" : "");
        tm_frame_texts_add(texts, frames[i], buffer);
    }
    add_cell(text, tm_text_string(buffer), buffer->length);
    text->failed = text->failed || buffer->failed;
    tm_text_add(text, "\r\n");
}

struct tm_error *tm_export_csv(const struct tm_export *export, struct tm_sink *sink)
{
    struct tm_text buffer = TM_TEXT_EMPTY;
    struct tm_frame_texts texts;
    uint32_t *order;

    struct tm_error *error = tm_export_rank(export, &order);
    if (error)
        return error;
    error = tm_frame_texts_init(&texts, &export->stacks->frames, tm_export_frame_text);
    add_head(&sink->text, export->compared, export->sampled);
    tm_text_add(&sink->text, ",domain,filename,lineno,name,traceback\r\n");
    for (size_t i = 0; i < export->stacks->count && !error; i++) {
        add_stack(&sink->text, export, &export->stacks->items[order[i]], &texts, &buffer);
        if (tm_sink_pass(sink))
            break;
        error = tm_host_check(export->host);
    }
    tm_frame_texts_deinit(&texts);
    tm_text_deinit(&buffer);
    free(order);
    return error;
}
