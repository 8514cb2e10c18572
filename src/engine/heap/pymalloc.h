/**
 * pymalloc: the pools in which CPython keeps blocks of up to 512 bytes, and which of their blocks are in use. Works by the
 * shape of pools alone: a pool is recognized by a block that is known to be in it, or by its neighbour. Knows no object and
 * no table.
 */
#ifndef TRACEMORTEM_ENGINE_HEAP_PYMALLOC_H
#define TRACEMORTEM_ENGINE_HEAP_PYMALLOC_H

#include "engine/target/heap_cache.h"

#define TM_PYMALLOC_LARGEST 512u

struct tm_pymalloc {
    struct tm_heap_cache *heap;
    uint64_t pool_size;  // 4 KiB up to 3.9, then 16 KiB
    uint64_t arena_size; // 256 KiB, then 1 MiB
};

/** `minor`: of CPython 3.minor. */
void tm_pymalloc_init(struct tm_pymalloc *pymalloc, struct tm_heap_cache *heap, unsigned minor);

/** A pool that makes sense. */
struct tm_pymalloc_pool {
    uint64_t address;
    uint32_t block_size;
    uint32_t count;       // blocks in use, as the pool says
    uint32_t next_offset; // blocks from here on were never in use
    uint32_t arena;       // the number of its arena
    uint64_t free_block;  // the first of a chain
};

/** The pool at this address. False: there is none, or it does not make sense. */
bool tm_pymalloc_pool_read(const struct tm_pymalloc *pymalloc, uint64_t address, struct tm_pymalloc_pool *pool);
/** The pool of a block, if a block of this size can be in it. */
bool tm_pymalloc_pool_of(const struct tm_pymalloc *pymalloc, uint64_t block, uint64_t size,
                         struct tm_pymalloc_pool *pool);

/** Called for each block that is in use. */
typedef struct tm_error *(*tm_pymalloc_visitor)(void *context, uint64_t block, uint64_t size);
/**
 * Visit the blocks in use. If the chain of free blocks does not make sense, or the number of blocks does not agree with
 * what the pool says, none is visited and *sound is false.
 */
struct tm_error *tm_pymalloc_pool_visit(const struct tm_pymalloc *pymalloc, const struct tm_pymalloc_pool *pool,
                                        tm_pymalloc_visitor visit, void *context, bool *sound);

#endif
