// Columns: each number's text is made twice, to be measured and to be written. Output is ASCII but for what the target
// says, since a debugger may run in a locale that has nothing else, and for the signs of estimates.

#include "engine/commands/columns.h"

#include <inttypes.h>
#include <string.h>

#include "engine/base/utf8.h"
#include "engine/commands/estimates.h"
#include "engine/model/source_line.h"

enum kind { SIZE, SIZE_CHANGE, SHARE, COUNT, COUNT_CHANGE, AVERAGE, ALLOCATED, ALLOCATIONS, FREED, FREES, SAMPLES };
static const char *const headings[] = {"size",      "+/-",         "%",     "count", "+/-",    "average",
                                       "allocated", "allocations", "freed", "frees", "samples"};

enum { GAP = 2, LEAST_PLACE = 16, LEAST_FUNCTION = 12, DOTS = 3 };

// As gdb styles file names and functions.
#define STYLE_HEADER "\x1b[1m"
#define STYLE_FILE "\x1b[32m"
#define STYLE_FUNCTION "\x1b[33m"
#define STYLE_GROWN "\x1b[31m"
#define STYLE_SOURCE "\x1b[2m"
#define STYLE_END "\x1b[m"

bool tm_columns_wanted(const struct tm_request *request, struct tm_screen *screen)
{
    return !request->settings.plain && !request->settings.output && tm_host_screen(&request->session->host, screen);
}

void tm_columns_init(struct tm_columns *columns, const struct tm_request *request, const struct tm_screen *screen,
                     uint64_t total, bool difference, bool sampled)
{
    static const enum kind live[] = {SIZE, SHARE, COUNT, AVERAGE}, ever[] = {SIZE, SHARE, COUNT},
                           changes[] = {SIZE, SIZE_CHANGE, SHARE, COUNT, COUNT_CHANGE, AVERAGE},
                           ever_changes[] = {SIZE, SIZE_CHANGE, COUNT, COUNT_CHANGE},
                           churn[] = {ALLOCATED, ALLOCATIONS, FREED, FREES},
                           samples[] = {SIZE, SHARE, COUNT, AVERAGE, SAMPLES},
                           sampled_changes[] = {SIZE, SIZE_CHANGE, SHARE, COUNT, COUNT_CHANGE, SAMPLES};
    bool has_churn = tm_request_wants_history(request);
    const enum kind *kinds = difference ? (has_churn ? ever_changes : changes) : (has_churn ? ever : live);
    unsigned count = difference ? (has_churn ? 4 : 6) : (has_churn ? 3 : 4);
    if (sampled) { // which has no churn; an error beside each number would leave no room for the place
        kinds = difference ? sampled_changes : samples;
        count = difference ? 6 : 5;
    }

    *columns = (struct tm_columns){
        .request = request, .screen = *screen, .total = total, .sampled = sampled, .difference = difference};
    for (unsigned i = 0; i < count; i++)
        columns->kinds[columns->count++] = kinds[i];
    for (unsigned i = 0; has_churn && i < 4; i++)
        columns->kinds[columns->count++] = churn[i];
    for (unsigned i = 0; i < columns->count; i++)
        columns->widths[i] = (unsigned)strlen(headings[columns->kinds[i]]);
    columns->place_width = (unsigned)strlen("place");
}

// ---------------------------------------------------------------------------------------------------------------
// Widths

// Columns on a terminal: 2 for the wide characters of East Asia and for emoji, 0 for what combines with the one before.
static unsigned character_width(uint32_t character)
{
    static const struct {
        uint32_t first, last;
        unsigned width;
    } ranges[] = {
        {0x0300, 0x036f, 0}, {0x1100, 0x115f, 2},   {0x200b, 0x200f, 0},   {0x20d0, 0x20ff, 0},   {0x2e80, 0xa4cf, 2},
        {0xac00, 0xd7a3, 2}, {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},   {0xfe30, 0xfe6f, 2},   {0xff00, 0xff60, 2},
        {0xffe0, 0xffe6, 2}, {0x1f300, 0x1f64f, 2}, {0x1f680, 0x1f6ff, 2}, {0x1f900, 0x1faff, 2}, {0x20000, 0x3fffd, 2},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (character >= ranges[i].first && character <= ranges[i].last)
            return ranges[i].width;
    return 1;
}

static unsigned text_width(const char *bytes, size_t length)
{
    unsigned width = 0;
    for (size_t i = 0; i < length;) {
        uint32_t character;
        i += tm_utf8_decode(bytes + i, length - i, &character);
        width += character_width(character);
    }
    return width;
}

// Appends what fits into `most` columns: of a longer text its end, after three dots, or with `from_right` its beginning.
static unsigned add_cut(struct tm_text *out, const struct tm_text *text, unsigned most, bool from_right)
{
    const char *bytes = tm_text_string(text);
    size_t length = text->length;
    unsigned width = text_width(bytes, length);
    if (width <= most || most <= DOTS) {
        tm_text_bytes(out, bytes, length);
        return width;
    }
    size_t cut = 0;
    unsigned passed = 0, wanted = from_right ? most - DOTS : width - (most - DOTS);
    while (cut < length) {
        uint32_t character;
        size_t size = tm_utf8_decode(bytes + cut, length - cut, &character);
        unsigned next = passed + character_width(character);
        if (from_right ? next > wanted : passed >= wanted)
            break;
        passed = next;
        cut += size;
    }
    if (from_right)
        tm_text_bytes(out, bytes, cut);
    tm_text_add(out, "...");
    if (!from_right)
        tm_text_bytes(out, bytes + cut, length - cut);
    return DOTS + (from_right ? passed : width - passed);
}

static void pad(struct tm_text *out, unsigned width, unsigned to)
{
    if (width < to)
        tm_text_printf(out, "%*s", (int)(to - width), "");
}

// ---------------------------------------------------------------------------------------------------------------
// Cells

static void add_share(struct tm_text *text, uint64_t part, uint64_t whole)
{
    unsigned __int128 scaled = (unsigned __int128)part * 1000;
    uint64_t thousandths = whole ? (uint64_t)((scaled + whole / 2) / whole) : 0;
    tm_text_printf(text, "%" PRIu64 ".%" PRIu64 "%%", thousandths / 10, thousandths % 10);
}

static void add_count_change(struct tm_text *text, uint64_t old, uint64_t now)
{
    tm_text_printf(text, "%s%" PRIu64, now < old ? "-" : "+", tm_distance(old, now));
}

static void add_size_change(struct tm_text *text, uint64_t old, uint64_t now)
{
    tm_format_size(text, now < old, tm_distance(old, now), true);
}

// Of the churn of a difference only what changed is of interest; its old side is all zero for a statistic.
static void add_churn(const struct tm_columns *columns, enum kind kind, const struct tm_difference *row,
                      struct tm_text *text)
{
    const struct tm_churn *now = &row->churn, *old = &row->old_churn;
    bool size = kind == ALLOCATED || kind == FREED, allocated = kind == ALLOCATED || kind == ALLOCATIONS;
    uint64_t after = allocated ? (size ? now->allocated : now->allocations) : (size ? now->freed : now->frees);
    uint64_t before = allocated ? (size ? old->allocated : old->allocations) : (size ? old->freed : old->frees);
    bool change = columns->count > 1 && columns->kinds[1] == SIZE_CHANGE;

    if (change && size)
        add_size_change(text, before, after);
    else if (change)
        add_count_change(text, before, after);
    else if (size)
        tm_format_size(text, false, after, false);
    else
        tm_text_printf(text, "%" PRIu64, after);
}

// Of a difference the changes have their errors. What is within the noise is in parentheses.
static void add_estimate(const struct tm_columns *columns, enum kind kind, const struct tm_difference *row,
                         struct tm_text *text)
{
    struct tm_pair errors = tm_errors_of(&row->estimate.variance), changes = tm_errors_of(&row->variance);
    bool noise = columns->difference && row->size != row->old_size && !tm_difference_exceeds_noise(row);
    switch (kind) {
    case SIZE:
        if (columns->exact)
            tm_format_size(text, false, row->size, false);
        else
            tm_estimate_write_size(text, row->size, columns->difference ? 0 : errors.size);
        break;
    case SIZE_CHANGE:
        tm_text_add(text, noise ? "(" : "");
        tm_estimate_write_size_change(text, row->old_size, row->size, changes.size);
        tm_text_add(text, noise ? ")" : "");
        break;
    case SHARE:
        add_share(text, row->size, columns->total);
        break;
    case COUNT:
        if (columns->exact)
            tm_text_printf(text, "%" PRIu64, row->count);
        else
            tm_estimate_write_count(text, row->count, columns->difference ? 0 : errors.count);
        break;
    case COUNT_CHANGE:
        tm_estimate_write_count_change(text, row->old_count, row->count, 0);
        break;
    case AVERAGE:
        tm_format_average(text, row->size, row->count);
        break;
    case SAMPLES:
        tm_text_printf(text, "%" PRIu64, row->estimate.samples);
        break;
    default: // what was allocated and freed is not counted
        break;
    }
}

static void add_number(const struct tm_columns *columns, unsigned column, const struct tm_difference *row,
                       struct tm_text *text)
{
    enum kind kind = columns->kinds[column];
    if (columns->sampled) {
        add_estimate(columns, kind, row, text);
        return;
    }
    switch (kind) {
    case SIZE:
        tm_format_size(text, false, row->size, false);
        break;
    case SIZE_CHANGE:
        add_size_change(text, row->old_size, row->size);
        break;
    case SHARE:
        add_share(text, row->size, columns->total);
        break;
    case COUNT:
        tm_text_printf(text, "%" PRIu64, row->count);
        break;
    case COUNT_CHANGE:
        add_count_change(text, row->old_count, row->count);
        break;
    case AVERAGE:
        tm_format_average(text, row->size, row->count);
        break;
    case ALLOCATED:
    case ALLOCATIONS:
    case FREED:
    case FREES:
        add_churn(columns, kind, row, text);
        break;
    case SAMPLES:
        break;
    }
}

static void add_place(const struct tm_columns *columns, const struct tm_place *place, struct tm_text *text)
{
    const struct tm_frame *frame = tm_place_newest(place);
    enum tm_key key = tm_key_place(columns->request->key);
    if (place->type && !tm_place_is_type(place)) {
        tm_text_escape(text, place->type->bytes, place->type->length);
        tm_text_add(text, " at ");
    }
    tm_text_escape(text, frame->file_name->bytes, frame->file_name->length);
    if (key == TM_KEY_LINENO || key == TM_KEY_TRACEBACK)
        tm_text_printf(text, ":%" PRIu32, frame->line);
}

static void add_function(const struct tm_difference *row, struct tm_text *text)
{
    const struct tm_name *function = tm_place_newest(&row->place)->function;
    if (!function)
        return;
    tm_text_escape(text, function->bytes, function->length);
    if (row->mixed)
        tm_text_add(text, ", ...");
}

// ---------------------------------------------------------------------------------------------------------------
// Measuring

static void widen(unsigned *width, struct tm_text *text)
{
    unsigned own = text_width(tm_text_string(text), text->length);
    if (own > *width)
        *width = own;
    tm_text_clear(text);
}

void tm_columns_measure(struct tm_columns *columns, const struct tm_difference *row)
{
    struct tm_text text = TM_TEXT_EMPTY;
    for (unsigned i = 0; i < columns->count; i++) {
        add_number(columns, i, row, &text);
        widen(&columns->widths[i], &text);
    }
    add_place(columns, &row->place, &text);
    widen(&columns->place_width, &text);
    add_function(row, &text);
    widen(&columns->function_width, &text);
    tm_text_deinit(&text);
}

static unsigned numbers_width(const struct tm_columns *columns)
{
    unsigned width = 0;
    for (unsigned i = 0; i < columns->count; i++)
        width += columns->widths[i] + GAP;
    return width;
}

// The columns that are left for what follows the numbers. The last column of the terminal stays free: some debuggers
// begin a new line there.
static unsigned room_for_place(const struct tm_columns *columns)
{
    unsigned numbers = numbers_width(columns) + 1;
    if (columns->screen.width == 0)
        return UINT32_MAX;
    return columns->screen.width > numbers + LEAST_PLACE ? columns->screen.width - numbers : LEAST_PLACE;
}

static void cut(struct tm_columns *columns)
{
    unsigned room = room_for_place(columns), function = columns->function_width;
    if (function && function < (unsigned)strlen("function"))
        function = (unsigned)strlen("function");
    if (function && columns->place_width + GAP + function > room) {
        unsigned third = room / 3 > LEAST_FUNCTION ? room / 3 : LEAST_FUNCTION;
        unsigned left = room > columns->place_width + GAP ? room - columns->place_width - GAP : 0;
        if (left < third)
            left = third;
        function = function < left ? function : left;
        if (room < LEAST_PLACE + GAP + function)
            function = 0;
    }
    columns->function_width = function;
    unsigned place = function ? room - GAP - function : room;
    if (columns->place_width > place)
        columns->place_width = place;
}

// ---------------------------------------------------------------------------------------------------------------
// Writing

static void begin_style(const struct tm_columns *columns, struct tm_text *out, const char *style)
{
    if (columns->screen.styled)
        tm_text_add(out, style);
}

static void end_style(const struct tm_columns *columns, struct tm_text *out)
{
    begin_style(columns, out, STYLE_END);
}

void tm_columns_header(struct tm_columns *columns, struct tm_text *out)
{
    cut(columns);
    begin_style(columns, out, STYLE_HEADER);
    for (unsigned i = 0; i < columns->count; i++)
        tm_text_printf(out, "%*s%*s", (int)columns->widths[i], headings[columns->kinds[i]], GAP, "");
    tm_text_add(out, "place");
    if (columns->function_width) {
        pad(out, (unsigned)strlen("place"), columns->place_width + GAP);
        tm_text_add(out, "function");
    }
    end_style(columns, out);
    tm_text_add(out, "\n");
}

static const char *style_of_change(const struct tm_columns *columns, const struct tm_difference *row, unsigned kind)
{
    bool grown = kind == SIZE_CHANGE ? row->size > row->old_size : row->count > row->old_count;
    grown = grown && (!columns->sampled || tm_difference_exceeds_noise(row));
    return (kind == SIZE_CHANGE || kind == COUNT_CHANGE) && grown ? STYLE_GROWN : NULL;
}

static void write_numbers(const struct tm_columns *columns, const struct tm_difference *row, struct tm_text *scratch,
                          struct tm_text *out)
{
    for (unsigned i = 0; i < columns->count; i++) {
        const char *style = style_of_change(columns, row, columns->kinds[i]);
        add_number(columns, i, row, scratch);
        pad(out, text_width(tm_text_string(scratch), scratch->length), columns->widths[i]);
        if (style)
            begin_style(columns, out, style);
        tm_text_add(out, tm_text_string(scratch));
        if (style)
            end_style(columns, out);
        pad(out, 0, GAP);
        tm_text_clear(scratch);
    }
}

static void write_source(const struct tm_columns *columns, const struct tm_text *text, unsigned most,
                         struct tm_text *out)
{
    if (text->length == 0)
        return;
    pad(out, 0, numbers_width(columns) + GAP);
    begin_style(columns, out, STYLE_SOURCE);
    add_cut(out, text, most, true);
    end_style(columns, out);
    tm_text_add(out, "\n");
}

// The line is cut, and its mark never: that has a line of its own.
static void write_source_line(const struct tm_columns *columns, const struct tm_place *place, struct tm_text *scratch,
                              struct tm_text *out)
{
    struct tm_text mark = TM_TEXT_EMPTY;
    if (tm_key_place(columns->request->key) != TM_KEY_LINENO)
        return;
    tm_source_line_get(&columns->request->session->host, &place->frame, scratch, &mark);
    for (char *tab = scratch->bytes; scratch->length && (tab = strchr(tab, '\t'));)
        *tab = ' ';
    write_source(columns, scratch, room_for_place(columns) - GAP, out);
    write_source(columns, &mark, UINT32_MAX, out);
    out->failed = out->failed || mark.failed;
    tm_text_deinit(&mark);
}

void tm_columns_row(const struct tm_columns *columns, const struct tm_difference *row, struct tm_text *out)
{
    struct tm_text scratch = TM_TEXT_EMPTY;
    write_numbers(columns, row, &scratch, out);
    add_place(columns, &row->place, &scratch);
    begin_style(columns, out, STYLE_FILE);
    unsigned width = add_cut(out, &scratch, columns->place_width, false);
    end_style(columns, out);
    tm_text_clear(&scratch);
    add_function(row, &scratch);
    if (columns->function_width && scratch.length) {
        pad(out, width, columns->place_width + GAP);
        begin_style(columns, out, STYLE_FUNCTION);
        add_cut(out, &scratch, columns->function_width, false);
        end_style(columns, out);
    }
    tm_text_add(out, "\n");
    tm_text_clear(&scratch);
    write_source_line(columns, &row->place, &scratch, out);
    out->failed = out->failed || scratch.failed;
    tm_text_deinit(&scratch);
}
