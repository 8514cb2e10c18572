/**
 * Line tables: the three formats, as ranges of bytecode with a line each.
 *
 * Sums have 64 bits. A table of 4 GiB changes a line by less than 2^63, so no sum overflows.
 */
#include "lines.h"

#include "trace_table.h"

// ---------------------------------------------------------------------------------------------------------------
// CPython 3.8 and 3.9: pairs (u8 address delta, s8 line delta). A pair's address delta ends the range before it.

static uint64_t lnotab_end(const struct tm_line_cursor *cursor, const struct tm_lines *lines)
{
    if (lines->length - cursor->position < 2)
        return UINT64_MAX;
    return cursor->start + lines->table[cursor->position];
}

static bool lnotab_next(struct tm_line_cursor *cursor, const struct tm_lines *lines)
{
    if (lines->length - cursor->position < 2)
        return false;
    cursor->computed += (int8_t)lines->table[cursor->position + 1];
    cursor->line = cursor->computed;
    cursor->position += 2;
    cursor->start = cursor->end;
    cursor->end = lnotab_end(cursor, lines);
    return true;
}

// ---------------------------------------------------------------------------------------------------------------
// CPython 3.10: pairs (u8 length of the range, s8 line delta). A range without a line leaves the sum as it is.

#define NO_LINE_3_10 (-128)

static bool pairs_next(struct tm_line_cursor *cursor, const struct tm_lines *lines)
{
    if (lines->length - cursor->position < 2)
        return false;
    const uint8_t *pair = lines->table + cursor->position;
    cursor->position += 2;
    cursor->start = cursor->end;
    cursor->end += pair[0];
    int8_t delta = (int8_t)pair[1];
    if (delta == NO_LINE_3_10) {
        cursor->line = TM_LINE_NONE;
    } else {
        cursor->computed += delta;
        cursor->line = cursor->computed;
    }
    return true;
}

// ---------------------------------------------------------------------------------------------------------------
// CPython 3.11 and later: entries whose first byte alone has bit 7 set: 1 | code (4 bits) | code units - 1 (3 bits).

#define LOCATION_FIRST 0x80u
#define CODE_UNIT 2u // bytes
enum location_code {
    LOCATION_ONE_LINE_0 = 10, // 10, 11, 12: that many lines further, with columns
    LOCATION_ONE_LINE_2 = 12,
    LOCATION_NO_COLUMNS = 13, // a signed number of lines
    LOCATION_LONG = 14,       // likewise, with end line and columns
    LOCATION_NONE = 15        // no line
};

// Six bits a byte, the least first. Bit 6 says that more bytes follow. What does not fit in 32 bits is dropped.
static uint32_t read_number(const struct tm_lines *lines, uint32_t position)
{
    uint32_t number = 0;
    for (unsigned shift = 0; position < lines->length && shift < 32; shift += 6, position++) {
        uint8_t byte = lines->table[position];
        number |= (uint32_t)(byte & 0x3fu) << shift;
        if (!(byte & 0x40u))
            break;
    }
    return number;
}

static int64_t read_signed_number(const struct tm_lines *lines, uint32_t position)
{
    uint32_t number = read_number(lines, position);
    int64_t magnitude = number >> 1;
    return number & 1 ? -magnitude : magnitude;
}

static int64_t location_delta(const struct tm_lines *lines, uint32_t position, unsigned code)
{
    if (code == LOCATION_NO_COLUMNS || code == LOCATION_LONG)
        return read_signed_number(lines, position + 1);
    if (code >= LOCATION_ONE_LINE_0 && code <= LOCATION_ONE_LINE_2)
        return (int64_t)code - LOCATION_ONE_LINE_0;
    return 0;
}

static bool locations_next(struct tm_line_cursor *cursor, const struct tm_lines *lines)
{
    if (cursor->position >= lines->length)
        return false;
    uint8_t first = lines->table[cursor->position];
    unsigned code = first >> 3 & 15u;
    cursor->computed += location_delta(lines, cursor->position, code);
    cursor->line = code == LOCATION_NONE ? TM_LINE_NONE : cursor->computed;
    cursor->start = cursor->end;
    cursor->end += ((first & 7u) + 1) * CODE_UNIT;
    do
        cursor->position++;
    while (cursor->position < lines->length && !(lines->table[cursor->position] & LOCATION_FIRST));
    return true;
}

// ---------------------------------------------------------------------------------------------------------------
// All formats

void tm_line_cursor_init(struct tm_line_cursor *cursor, const struct tm_lines *lines)
{
    *cursor = (struct tm_line_cursor){.line = lines->first_line, .computed = lines->first_line};
    if (lines->kind == TM_LINES_NONE)
        cursor->end = UINT64_MAX;
    else if (lines->kind == TM_LINES_LNOTAB)
        cursor->end = lnotab_end(cursor, lines);
}

bool tm_line_cursor_next(struct tm_line_cursor *cursor, const struct tm_lines *lines)
{
    switch (lines->kind) {
    case TM_LINES_LNOTAB:
        return lnotab_next(cursor, lines);
    case TM_LINES_3_10:
        return pairs_next(cursor, lines);
    case TM_LINES_LOCATIONS:
        return locations_next(cursor, lines);
    default:
        return false;
    }
}

bool tm_line_cursor_seek(struct tm_line_cursor *cursor, const struct tm_lines *lines, uint64_t offset)
{
    while (cursor->end <= offset) {
        if (!tm_line_cursor_next(cursor, lines))
            return false;
    }
    return true;
}

int64_t tm_lines_at(const struct tm_lines *lines, int32_t instruction)
{
    if (instruction < 0)
        return lines->first_line;
    struct tm_line_cursor cursor;
    tm_line_cursor_init(&cursor, lines);
    if (!tm_line_cursor_seek(&cursor, lines, (uint64_t)instruction))
        return TM_LINE_NONE;
    return cursor.line;
}
