/**
 * Heap cache: for many small reads all over a few large ranges. It reads large pieces whole and serves the reads from
 * them.
 *
 * A piece is read once, as far as possible, and kept while there is room: for at most TM_HEAP_CACHE_LIMIT bytes. A
 * reader that asks for addresses in ascending order needs no more than that for any heap. Knows what is mapped, and
 * nothing of what is there.
 */
#ifndef TRACEMORTEM_ENGINE_TARGET_HEAP_CACHE_H
#define TRACEMORTEM_ENGINE_TARGET_HEAP_CACHE_H

#include "engine/target/target.h"

#define TM_HEAP_CACHE_LIMIT (UINT64_C(256) << 20)

struct tm_heap_cache;

/** Both must outlive the cache. */
struct tm_error *tm_heap_cache_create(struct tm_target *target, const struct tm_host *host,
                                      struct tm_heap_cache **result);
void tm_heap_cache_destroy(struct tm_heap_cache *cache);

/**
 * Copy `length` bytes. False: not all of them can be read; or there is an error, which tm_heap_cache_error() returns,
 * and from then on every read fails.
 */
bool tm_heap_cache_read(struct tm_heap_cache *cache, uint64_t address, void *buffer, uint64_t length);
/** The error of a read (interrupted, no memory), which the caller now owns, or NULL. */
struct tm_error *tm_heap_cache_error(struct tm_heap_cache *cache);

#endif
