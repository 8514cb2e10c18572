/**
 * Rows as aligned columns, for a terminal: sizes, shares, counts, the place and its function, cut to the width. Two
 * passes: measure every row, then write the header and every row. Knows no statistic's meaning.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_COLUMNS_H
#define TRACEMORTEM_ENGINE_COMMANDS_COLUMNS_H

#include "engine/commands/request.h"
#include "engine/model/diff.h"

enum { TM_COLUMNS_MOST = 9 };

struct tm_columns {
    const struct tm_request *request;
    struct tm_screen screen;
    uint64_t total; // bytes which are 100 %
    bool difference, sampled;
    bool exact; // of what is sampled only the old side is: the caller sets it
    unsigned kinds[TM_COLUMNS_MOST];
    unsigned widths[TM_COLUMNS_MOST];
    unsigned count;          // of the columns with numbers, which come first
    unsigned place_width;    // at first of the widest, then as it is cut
    unsigned function_width; // likewise; 0: no row has one
};

/** Whether the answer of this request goes to a terminal and is to be in columns. */
bool tm_columns_wanted(const struct tm_request *request, struct tm_screen *screen);

/**
 * `difference`: with columns for what has changed. A statistic is a difference whose old side is all zero. `sampled`:
 * numbers are estimates, and have their errors.
 */
void tm_columns_init(struct tm_columns *columns, const struct tm_request *request, const struct tm_screen *screen,
                     uint64_t total, bool difference, bool sampled);
void tm_columns_measure(struct tm_columns *columns, const struct tm_difference *row);
/** The header, after all rows are measured. */
void tm_columns_header(struct tm_columns *columns, struct tm_text *out);
/** A row, and below it the source line where the key is lineno. */
void tm_columns_row(const struct tm_columns *columns, const struct tm_difference *row, struct tm_text *out);

#endif
