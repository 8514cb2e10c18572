/**
 * glibc's main heap: which of its memory is free. What was freed keeps stale pointers, which would seem to hold objects.
 * Works by the shape of chunks alone. Knows no object and no table.
 */
#ifndef TRACEMORTEM_ENGINE_HEAP_GLIBC_H
#define TRACEMORTEM_ENGINE_HEAP_GLIBC_H

#include "engine/target/heap_cache.h"

/** Called for the memory [start, end) of each free chunk, in no order. */
typedef struct tm_error *(*tm_glibc_visitor)(void *context, uint64_t start, uint64_t end);
/**
 * Visit the free chunks of a heap that fills [start, end): those between chunks in use, the last one, and those that the
 * main thread keeps in its cache. If the chunks do not lead exactly from the beginning to the end it is no such heap, and
 * none is visited.
 */
struct tm_error *tm_glibc_visit_free(struct tm_heap_cache *heap, const struct tm_host *host, uint64_t start,
                                     uint64_t end, tm_glibc_visitor visit, void *context);

#endif
