/**
 * What would be freed if all blocks of a row went, for the rows of tm-top.
 */
#ifndef TRACEMORTEM_ENGINE_COMMANDS_RETAINED_ROWS_H
#define TRACEMORTEM_ENGINE_COMMANDS_RETAINED_ROWS_H

#include "engine/base/json.h"
#include "engine/commands/query.h"

/** By the number of the row. All zero: not asked for. */
struct tm_retained_rows {
    struct tm_lack *items;
    size_t count;
    bool suspect; // memory is missing that may hold references
};

/** For prepare(): TM_ERROR_USAGE if the request has --retained beside what makes no sense with it. */
struct tm_error *tm_retained_rows_check(const struct tm_request *request);
/** Of the first `shown` statistics, in their order. Nothing if the request does not ask for it. */
struct tm_error *tm_retained_rows_init(struct tm_retained_rows *rows, const struct tm_request *request,
                                       struct tm_target *target, struct tm_pool *pool, const struct tm_query *query,
                                       size_t shown);
void tm_retained_rows_deinit(struct tm_retained_rows *rows);

/** A line below row `index`, and members of its object; nothing if it was not asked for. */
void tm_retained_rows_write(const struct tm_retained_rows *rows, size_t index, struct tm_text *out);
void tm_retained_rows_write_json(const struct tm_retained_rows *rows, size_t index, struct tm_json *json);

#endif
