/**
 * Line tables: the source line of an instruction of a code object.
 *
 * The answers are those of PyCode_Addr2Line() of the CPython that made the table, for all three formats. Knows no target
 * and allocates nothing. The table may be any bytes.
 */
#ifndef TRACEMORTEM_LAYOUT_LINES_H
#define TRACEMORTEM_LAYOUT_LINES_H

#include <stdbool.h>
#include <stdint.h>

/** A line table, borrowed. */
struct tm_lines {
    const uint8_t *table;
    uint32_t length; // bytes
    uint32_t kind;   // enum tm_line_table
    int32_t first_line;
};

/** A place in a line table: the range [start, end) of bytecode offsets and its line. */
struct tm_line_cursor {
    uint64_t start;
    uint64_t end;      // UINT64_MAX: to the end of the code
    int64_t line;      // TM_LINE_NONE: the range has no line
    int64_t computed;  // the sum of all deltas so far
    uint32_t position; // of the first byte of the table that was not needed yet
};
#define TM_LINE_NONE (-1)

/** Before the first range: an empty range at 0. */
void tm_line_cursor_init(struct tm_line_cursor *cursor, const struct tm_lines *lines);

/** Go on to the next range, which may be empty. False: the table ends here. */
bool tm_line_cursor_next(struct tm_line_cursor *cursor, const struct tm_lines *lines);

/** Go on to the range that holds `offset`, which is not before the cursor's. False: there is none. */
bool tm_line_cursor_seek(struct tm_line_cursor *cursor, const struct tm_lines *lines, uint64_t offset);

/**
 * The line of an instruction; negative: it has none. A negative instruction has the first line. The line is not clipped: a
 * hostile table can give any number.
 */
int64_t tm_lines_at(const struct tm_lines *lines, int32_t instruction);

#endif
