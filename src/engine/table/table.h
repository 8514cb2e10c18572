/**
 * The native source: the trace table which our own tracer writes (src/layout/trace_table.h).
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_TABLE_H
#define TRACEMORTEM_ENGINE_TABLE_TABLE_H

#include "engine/model/source.h"

/** Finds the table and checks its root; the errors are those of tm_source_open(). */
struct tm_error *tm_native_open(struct tm_target *target, const struct tm_host *host, struct tm_source **result);

#endif
