/**
 * Finding the tables of CPython's own tracemalloc, and which CPython it is. Nothing is guessed: what a symbol or a
 * search leads to must have the shape of all the tables there are, each in its place.
 */
#ifndef TRACEMORTEM_ENGINE_STOCK_FIND_H
#define TRACEMORTEM_ENGINE_STOCK_FIND_H

#include "engine/stock/table.h"

struct tm_stock_place {
    const struct tm_stock_layout *layout;
    const char *found_by;
    uint64_t variable; // the variable that has the address of the table of traces
    struct tm_stock_table traces;
    uint64_t domains;        // address of the table of the other domains' tables; 0: no such table
    uint32_t python_version; // PY_VERSION_HEX, as far as it is known; of 3.9 to 3.11 the lowest
    char version_text[64];   // "3.11.7", or "3.9 to 3.11" where no more is known; printable
    bool has_config;
    bool tracing;         // if has_config
    uint32_t frame_limit; // if has_config; 0: not known
    enum tm_lock lock;
    bool has_memory;
    uint64_t traced, peak; // if has_memory
    bool was_started;      // true only where it is certain
    uint64_t unknown_name; // the address of "<unknown>", where that is not a str object
};

/**
 * Fails with TM_ERROR_NOT_TRACING where there can be no table yet, _UNSUPPORTED for tables of an unknown CPython,
 * _CORRUPT where there are several, _FAULT where this is a CPython whose tables cannot be found, and _NO_TABLE where
 * nothing shows that this is CPython.
 */
struct tm_error *tm_stock_find(struct tm_target *target, const struct tm_host *host, struct tm_stock_place *result);

/**
 * The same, where our tracer's table is there too: only where symbols say that tracemalloc records now, so that nothing is
 * searched in vain. Fails with TM_ERROR_NO_TABLE where it does not, or nothing says so.
 */
struct tm_error *tm_stock_find_beside(struct tm_target *target, const struct tm_host *host,
                                      struct tm_stock_place *result);

/** Tracemalloc was never started; `version` may be "". */
struct tm_error *tm_stock_never_started(const char *version);

/** How to record something the next time, as lines before TM_HOW_TO_TRACE. */
#define TM_HOW_TO_START_TRACEMALLOC                                                       \
    "Start the program with tracemalloc: python3 -X tracemalloc=25 SCRIPT ..., or with\n" \
    "PYTHONTRACEMALLOC=25 in its environment; or with tracemortem's tracer, which costs less.\n"

#endif
