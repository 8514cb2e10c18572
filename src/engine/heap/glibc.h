/**
 * glibc's malloc, from 2.26 to 2.43: where its heaps are, and which of their chunks are in use.
 *
 *   chunk    what one call of malloc() returned, or what was freed; chunks lie one behind the other
 *   heap     memory full of chunks: the main one, which brk() makes grow, and those of at most 64 MiB that threads use
 *   arena    one or more heaps with one head (struct malloc_state), which has lists of freed chunks
 *   mmapped  a large chunk with a mapping of its own, in no heap
 *   cached   a chunk that was freed and looks as if in use: threads keep such (tcache), and arenas (fastbins)
 *
 * Everything is recognized by its shape alone: no symbol is needed, and no version. Every size and every link is doubted,
 * and every loop is bounded. Knows no object and no table.
 *
 *     tm_glibc_find()  ▶  tm_glibc_add_mapped() for memory that may have mmapped chunks  ▶  tm_glibc_visit()
 */
#ifndef TRACEMORTEM_ENGINE_HEAP_GLIBC_H
#define TRACEMORTEM_ENGINE_HEAP_GLIBC_H

#include "engine/base/set.h"
#include "engine/target/heap_cache.h"
#include "engine/target/range.h"

struct tm_glibc_heap {
    uint64_t start; // of its memory
    uint64_t first; // chunk
    uint64_t end;   // of its memory
    uint64_t known; // up to here its chunks make sense: `end`, if nothing is damaged
    uint64_t last;  // the last chunk that makes sense; 0: none does
    uint64_t state; // where the arena's head begins with `top`; 0: not found, so its fastbins are not known
    bool is_main;
};

struct tm_glibc {
    struct tm_heap_cache *cache;
    const struct tm_host *host;
    struct tm_glibc_heap *heaps; // ascending
    size_t heap_count;
    size_t heap_capacity;
    struct tm_range *mapped; // mmapped chunks, with their heads, as they were added
    size_t mapped_count;
    size_t mapped_capacity;
    struct tm_set cached; // the addresses of cached chunks' memory
    struct tm_set own;    // of the threads' caches themselves
    uint64_t caches;      // how many of these were found
    uint64_t steps_left;  // chunks that may still be looked at to find out what is a heap or a list
    struct tm_error *stopped;
};

enum tm_glibc_state {
    TM_GLIBC_IN_USE,
    TM_GLIBC_FREE,
    TM_GLIBC_CACHED, // free, too
    TM_GLIBC_TOP,    // free: what the heap has left
    TM_GLIBC_OWN,    // malloc's own: a thread's cache, the end of a heap
};

struct tm_glibc_chunk {
    uint64_t address; // what malloc() returned
    uint64_t size;    // bytes that can be used, more than were asked for. The chunk begins 8 bytes earlier
    enum tm_glibc_state state;
};
/** An error ends the visit and is passed on. */
typedef struct tm_error *(*tm_glibc_chunk_visitor)(void *context, const struct tm_glibc_chunk *chunk);

/**
 * Find the heaps in these regions, which are ascending, and what is cached. `data`: where modules have their data, among it the head of the main
 * arena. All must outlive the result. Call tm_glibc_deinit() in any case.
 */
struct tm_error *tm_glibc_find(struct tm_glibc *glibc, struct tm_heap_cache *cache, const struct tm_host *host,
                               const struct tm_region *regions, size_t region_count, const struct tm_range *data,
                               size_t data_count);
void tm_glibc_deinit(struct tm_glibc *glibc);

/**
 * Look for mmapped chunks that begin in [start, end), anonymous memory that belongs to nothing else, and that end at `limit`
 * at most. Each that is found is added. `is_block` says whether a block is known to begin at an address; without one a
 * chunk counts only if it has the size from which on malloc() maps them.
 */
struct tm_error *tm_glibc_add_mapped(struct tm_glibc *glibc, uint64_t start, uint64_t end, uint64_t limit,
                                     bool (*is_block)(const void *context, uint64_t address), const void *context);

/** Visit all chunks of a heap in ascending order, up to the first that makes no sense. */
struct tm_error *tm_glibc_visit(const struct tm_glibc *glibc, const struct tm_glibc_heap *heap,
                                tm_glibc_chunk_visitor visit, void *context);

/** Called for the memory [start, end) of each free chunk. */
typedef struct tm_error *(*tm_glibc_visitor)(void *context, uint64_t start, uint64_t end);
/** Visit the free chunks of all heaps whose chunks all make sense. */
struct tm_error *tm_glibc_visit_free(const struct tm_glibc *glibc, tm_glibc_visitor visit, void *context);

#endif
