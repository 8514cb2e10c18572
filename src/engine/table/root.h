/**
 * The root of a trace table: finding it in a target and deciding whether it is one.
 *
 * Knows the root record and where it may be in a target. Follows none of its links.
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_ROOT_H
#define TRACEMORTEM_ENGINE_TABLE_ROOT_H

#include "engine/base/host.h"
#include "engine/model/damage.h"
#include "layout/trace_table.h"

struct tm_root_place {
    uint64_t address;
    const char *found_by; // "symbol", "mapping name", "search"
    struct tm_root root;
    struct tm_damage damage; // resize records that cannot be read; they are zeros in `root`
};

/**
 * Find the root: by its symbol, by the name of its mapping, by searching memory. Errors: TM_ERROR_NO_TABLE;
 * TM_ERROR_INCOMPLETE where memory is missing that may hold a root; TM_ERROR_NOT_TRACING where the tracer is there
 * without a table; TM_ERROR_UNSUPPORTED, TM_ERROR_CORRUPT, TM_ERROR_FAULT for a root that is there but cannot be
 * used; TM_ERROR_INTERRUPTED.
 */
struct tm_error *tm_root_find(struct tm_target *target, const struct tm_host *host, struct tm_root_place *result);

/**
 * Of a running process: read the root again. False: it cannot be read, or is no root any more; then nothing is changed. Records
 * of blocks inside realloc() that are not what they were become zeros: their fields may be those of two blocks.
 */
bool tm_root_read_again(struct tm_target *target, struct tm_root_place *place);

#endif
