/**
 * Opening: which source a target has. The commands ask here; from then on they know a `struct tm_source` and no kind of
 * table.
 */
#ifndef TRACEMORTEM_ENGINE_OPEN_H
#define TRACEMORTEM_ENGINE_OPEN_H

#include "engine/model/source.h"

/**
 * The target's source: found at the first call, then remembered until tm_target_changed(). The target owns it.
 *
 * Our tracer's table comes first, then the tables of CPython's own tracemalloc. Where memory is missing that may hold
 * ours, CPython's count only if they have traces; and where ours has samples only, they come first if they have any. A target that is a file is a snapshot. A table whose tracing is off
 * opens too, for tm-info; tm_source_require_tracing() then gives the error for the other commands.
 *
 * Fails with TM_ERROR_NO_TABLE, _INCOMPLETE, _UNSUPPORTED, _CORRUPT, _FAULT or _INTERRUPTED, and with _NOT_TRACING where
 * the tracer is there but never made a table.
 */
struct tm_error *tm_source_open(struct tm_target *target, const struct tm_host *host, struct tm_source **result);

/**
 * Whether samples are wanted even where CPython's tables have all traces; false at first. To be called before
 * tm_source_open(), which then remembers another source.
 */
void tm_source_want_samples(struct tm_target *target, bool wanted);
/** Whether the target's source is CPython's tables, and our tracer has samples beside them. */
bool tm_source_has_samples_beside(const struct tm_target *target);

#endif
