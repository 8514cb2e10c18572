// tracemalloc's texts. Debuggers set a locale, and the decimal point of printf's %f depends on it: numbers are
// formatted without %f.

#include "engine/commands/format.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/source_line.h"

typedef unsigned __int128 wide;

// ---------------------------------------------------------------------------------------------------------------
// Numbers

// value / 2^shift, rounded to nearest, ties to even. `more`: the exact value is slightly above `value`.
static wide shift_rounded(wide value, unsigned shift, bool more)
{
    if (shift == 0)
        return value;
    if (shift > 127)
        return 0;
    wide quotient = value >> shift;
    wide rest = value & (((wide)1 << shift) - 1);
    wide half = (wide)1 << (shift - 1);
    if (rest > half || (rest == half && (more || (quotient & 1))))
        quotient++;
    return quotient;
}

double tm_divide(uint64_t a, uint64_t b)
{
    const uint64_t exact = UINT64_C(1) << DBL_MANT_DIG;
    if (a <= exact && b <= exact)
        return (double)a / (double)b;
    if (a == 0)
        return 0.0;

    // With the numerator shifted up to bit 127 the quotient has at least 63 bits. They are rounded once.
    unsigned moved = 64 + (unsigned)__builtin_clzll(a);
    wide numerator = (wide)a << moved;
    wide quotient = numerator / b;
    uint64_t high = (uint64_t)(quotient >> 64);
    unsigned bits = high ? 128 - (unsigned)__builtin_clzll(high) : 64 - (unsigned)__builtin_clzll((uint64_t)quotient);
    unsigned drop = bits - DBL_MANT_DIG;
    uint64_t mantissa = (uint64_t)shift_rounded(quotient, drop, numerator % b != 0);
    return ldexp((double)mantissa, (int)drop - (int)moved);
}

// A value in [0, 2^64) with 0 or 1 digits after the point, correctly rounded like "%.0f" and "%.1f".
static void append_decimal(struct tm_text *text, double value, bool one_digit)
{
    int exponent;
    double fraction = frexp(value, &exponent);
    wide mantissa = (wide)(uint64_t)ldexp(fraction, DBL_MANT_DIG);

    exponent -= DBL_MANT_DIG;
    if (one_digit)
        mantissa *= 10;
    wide scaled = exponent >= 0 ? mantissa << exponent : shift_rounded(mantissa, (unsigned)-exponent, false);
    if (one_digit)
        tm_text_printf(text, "%" PRIu64 ".%u", (uint64_t)(scaled / 10), (unsigned)(scaled % 10));
    else
        tm_text_printf(text, "%" PRIu64, (uint64_t)scaled);
}

static void append_sign(struct tm_text *text, bool negative, bool sign)
{
    if (negative || sign)
        tm_text_add(text, negative ? "-" : "+");
}

static void append_in_unit(struct tm_text *text, double size, unsigned unit)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    append_decimal(text, size, size < 100 && unit > 0);
    tm_text_printf(text, " %s", units[unit]);
}

// The loop of tracemalloc's _format_size(), for a size that is not negative: its unit. *size is then counted in it.
static unsigned scale(double *size)
{
    unsigned unit = 0;

    while (!(*size < 100 && unit > 0) && !(*size < 10 * 1024 || unit == 4)) {
        *size /= 1024;
        unit++;
    }
    return unit;
}

static void append_scaled(struct tm_text *text, double size)
{
    unsigned unit = scale(&size);
    append_in_unit(text, size, unit);
}

void tm_format_size_like(struct tm_text *text, uint64_t size, uint64_t other)
{
    double own = (double)size, others = (double)other, shown = own;
    unsigned own_unit = scale(&own), unit = scale(&others);

    for (unsigned i = 0; i < unit; i++)
        shown /= 1024;
    if (unit > own_unit && shown < 0.05) // which would be 0.0
        append_in_unit(text, own, own_unit);
    else
        append_in_unit(text, unit < own_unit ? own : shown, unit < own_unit ? own_unit : unit);
}

void tm_format_size(struct tm_text *text, bool negative, uint64_t magnitude, bool sign)
{
    append_sign(text, negative && magnitude, sign);
    append_scaled(text, (double)magnitude);
}

void tm_format_kib(struct tm_text *text, bool negative, uint64_t magnitude, bool sign)
{
    append_sign(text, negative && magnitude, sign);
    append_decimal(text, (double)magnitude / 1024, true);
    tm_text_add(text, " KiB");
}

// ---------------------------------------------------------------------------------------------------------------
// Rows

void tm_format_place(struct tm_text *text, const struct tm_place *place)
{
    const struct tm_frame *frame = place->traceback ? tm_traceback_oldest(place->traceback, 1)->newest : &place->frame;

    if (place->type) {
        tm_text_escape(text, place->type->bytes, place->type->length);
        if (tm_place_is_type(place))
            return;
        tm_text_add(text, " at ");
    }
    tm_text_escape(text, frame->file_name->bytes, frame->file_name->length);
    if (!place->by_function) {
        tm_text_printf(text, ":%" PRIu32, frame->line);
    } else if (frame->function) {
        tm_text_add(text, " in ");
        tm_text_escape(text, frame->function->bytes, frame->function->length);
    }
}

void tm_format_average(struct tm_text *text, uint64_t size, uint64_t count)
{
    if (count)
        append_scaled(text, tm_divide(size, count));
}

static void append_average(struct tm_text *text, uint64_t size, uint64_t count)
{
    if (count == 0)
        return;
    tm_text_add(text, ", average=");
    tm_format_average(text, size, count);
}

void tm_format_amount(struct tm_text *text, uint64_t size, uint64_t count)
{
    tm_text_add(text, ": size=");
    tm_format_size(text, false, size, false);
    tm_text_printf(text, ", count=%" PRIu64, count);
    append_average(text, size, count);
}

void tm_format_statistic(struct tm_text *text, const struct tm_statistic *statistic)
{
    tm_format_place(text, &statistic->place);
    tm_format_amount(text, statistic->size, statistic->count);
}

void tm_format_growth(struct tm_text *text, const struct tm_difference *difference)
{
    tm_text_add(text, ": size=");
    tm_format_size(text, false, difference->size, false);
    tm_text_add(text, " (");
    tm_format_size(text, difference->size < difference->old_size, tm_distance(difference->old_size, difference->size),
                   true);
    tm_text_printf(text, "), count=%" PRIu64 " (%s%" PRIu64 ")", difference->count,
                   difference->count < difference->old_count ? "-" : "+",
                   tm_distance(difference->old_count, difference->count));
    append_average(text, difference->size, difference->count);
}

void tm_format_churn(struct tm_text *text, const struct tm_churn *churn)
{
    tm_text_add(text, ", allocated=");
    tm_format_size(text, false, churn->allocated, false);
    tm_text_printf(text, " (%" PRIu64 "), freed=", churn->allocations);
    tm_format_size(text, false, churn->freed, false);
    tm_text_printf(text, " (%" PRIu64 ")", churn->frees);
}

static void append_change(struct tm_text *text, uint64_t old_size, uint64_t size, uint64_t old_count, uint64_t count)
{
    tm_format_size(text, size < old_size, tm_distance(old_size, size), true);
    tm_text_printf(text, " (%s%" PRIu64 ")", count < old_count ? "-" : "+", tm_distance(old_count, count));
}

void tm_format_churn_difference(struct tm_text *text, const struct tm_churn *old, const struct tm_churn *now)
{
    tm_text_add(text, ", allocated=");
    append_change(text, old->allocated, now->allocated, old->allocations, now->allocations);
    tm_text_add(text, ", freed=");
    append_change(text, old->freed, now->freed, old->frees, now->frees);
}

void tm_format_difference(struct tm_text *text, const struct tm_difference *difference)
{
    tm_format_place(text, &difference->place);
    tm_format_growth(text, difference);
}

// ---------------------------------------------------------------------------------------------------------------
// Frames

void tm_format_function(struct tm_text *text, const struct tm_frame *frame)
{
    if (frame->not_recorded)
        tm_text_add(text, " (its code object is not recorded)");
    if (!frame->function)
        return;
    tm_text_add(text, ", in ");
    tm_text_escape(text, frame->function->bytes, frame->function->length);
}

void tm_format_frames(struct tm_text *text, const struct tm_host *host, const struct tm_traceback *traceback,
                      uint32_t first, uint32_t end, bool plain)
{
    const struct tm_frame **frames = tm_traceback_frames(traceback);
    text->failed = text->failed || !frames;
    for (uint32_t i = first; i < end && frames; i++) {
        tm_text_add(text, "  File \"");
        tm_text_escape(text, frames[i]->file_name->bytes, frames[i]->file_name->length);
        tm_text_printf(text, "\", line %" PRIu32, frames[i]->line);
        if (!plain)
            tm_format_function(text, frames[i]);
        tm_text_add(text, "\n");
        tm_source_line_add(text, host, frames[i], plain, "    ");
    }
    free(frames);
}

void tm_format_limit(uint32_t count, int64_t limit, uint32_t *first, uint32_t *end)
{
    *first = 0;
    *end = count;
    if (limit > 0 && (uint64_t)limit < count)
        *first = count - (uint32_t)limit;
    else if (limit <= 0 && (limit == 0 || limit <= -(int64_t)count))
        *end = 0;
    else if (limit < 0)
        *end = count - (uint32_t)-limit;
}
