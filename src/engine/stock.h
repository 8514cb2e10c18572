/**
 * The stock source: the tables of CPython's own tracemalloc, in a process which needs no tracer of ours.
 */
#ifndef TRACEMORTEM_ENGINE_STOCK_H
#define TRACEMORTEM_ENGINE_STOCK_H

#include "source.h"

/**
 * Fails as tm_source_open() does; with TM_ERROR_NO_TABLE only where nothing tells that this is a Python at all, and with
 * TM_ERROR_FAULT where it is one of which no table can be found.
 */
struct tm_error *tm_stock_open(struct tm_target *target, const struct tm_host *host, struct tm_source **result);

#endif
