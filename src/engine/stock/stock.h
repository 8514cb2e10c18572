/**
 * The stock source: the tables of CPython's own tracemalloc, in a process that needs no tracer of ours.
 */
#ifndef TRACEMORTEM_ENGINE_STOCK_STOCK_H
#define TRACEMORTEM_ENGINE_STOCK_STOCK_H

#include "engine/model/source.h"

/**
 * Fails as tm_source_open() does; with TM_ERROR_FAULT where this is a Python whose tables cannot be found, and with
 * TM_ERROR_NO_TABLE where nothing shows that it is Python; or, if `only_with_traces`, where the tables are empty.
 */
struct tm_error *tm_stock_open(struct tm_target *target, const struct tm_host *host, bool only_with_traces,
                               struct tm_source **result);
/** The same beside our tracer's table: with TM_ERROR_NO_TABLE also where no symbol says that there are traces. */
struct tm_error *tm_stock_open_beside(struct tm_target *target, const struct tm_host *host, struct tm_source **result);

#endif
