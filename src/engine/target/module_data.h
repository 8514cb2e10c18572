/**
 * Module data: where programs and libraries have their writable data, by their own headers. The mappings do not say it: what
 * is not initialized follows a file's pages in anonymous memory, which may be one with other memory.
 */
#ifndef TRACEMORTEM_ENGINE_TARGET_MODULE_DATA_H
#define TRACEMORTEM_ENGINE_TARGET_MODULE_DATA_H

#include "engine/target/heap_cache.h"
#include "engine/target/range.h"

/** In ascending order, in a new array that the caller frees; *count 0: not known. What cannot be read is left out. */
struct tm_error *tm_module_data_find(const struct tm_target *target, const struct tm_host *host,
                                     struct tm_heap_cache *cache, struct tm_range **result, size_t *count);

#endif
