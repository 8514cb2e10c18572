// Chunks: 8 bytes before a block are its size and three flags. Whether a chunk is in use is a flag of the next one. The first
// chunk of the main heap is the main thread's cache (glibc 2.26 and later): lists of freed chunks, which look as if in use.

#include "engine/heap/glibc.h"

#include <string.h>

#include "engine/base/number.h"

enum {
    SIZE = 8, // in a chunk
    HEAD = 16,
    SMALLEST = 32,
    ALIGNMENT = 16,
    FLAGS = 7,
    PREVIOUS_IN_USE = 1,
    CACHE_BINS = 64,
    CACHE_OLD = 0x250,   // up to 2.29: counts are bytes
    CACHE_NEW = 0x290,   // then numbers of two bytes
    MOST_CACHED = 65535, // chunks of a bin
    POINTER_SHIFT = 12,  // from 2.32 on links are hidden by their own address
    BETWEEN_CHECKS = 65536,
};

static bool read_size(struct tm_heap_cache *heap, uint64_t chunk, uint64_t *size, bool *previous_in_use)
{
    unsigned char bytes[8];
    if (!tm_heap_cache_read(heap, chunk + SIZE, bytes, sizeof(bytes)))
        return false;
    uint64_t word = tm_load_u64(bytes);
    *size = word & ~(uint64_t)FLAGS;
    *previous_in_use = word & PREVIOUS_IN_USE;
    return *size >= SMALLEST && *size % ALIGNMENT == 0;
}

// Goes through all chunks. With `visit` NULL it only checks that they lead to the end.
static struct tm_error *walk(struct tm_heap_cache *heap, const struct tm_host *host, uint64_t start, uint64_t end,
                             tm_glibc_visitor visit, void *context, bool *sound)
{
    uint64_t chunk = start, last = 0, size;
    bool previous_in_use;
    struct tm_error *error = NULL;
    *sound = false;
    for (uint64_t i = 0; !error && chunk < end; i++) {
        if (!read_size(heap, chunk, &size, &previous_in_use) || size > end - chunk)
            return NULL;
        if (visit && i > 0 && !previous_in_use)
            error = visit(context, last + HEAD, chunk + SIZE);
        last = chunk;
        chunk += size;
        if (!error && i % BETWEEN_CHECKS == 0)
            error = tm_host_check(host);
    }
    *sound = chunk == end;
    // The last chunk is what the heap has left.
    return !error && visit && *sound ? visit(context, last + HEAD, end) : error;
}

static bool is_in(uint64_t block, uint64_t start, uint64_t end)
{
    return block % ALIGNMENT == 0 && block >= start + HEAD && block < end;
}

static struct tm_error *visit_bin(struct tm_heap_cache *heap, uint64_t block, uint32_t count, uint64_t start,
                                  uint64_t end, tm_glibc_visitor visit, void *context)
{
    unsigned char bytes[8];
    uint64_t size;
    bool previous_in_use;
    struct tm_error *error = NULL;
    for (uint32_t i = 0; !error && i < count && i < MOST_CACHED && is_in(block, start, end); i++) {
        if (!read_size(heap, block - HEAD, &size, &previous_in_use) || size > end - block ||
            !tm_heap_cache_read(heap, block, bytes, sizeof(bytes)))
            break;
        error = visit(context, block, block - HEAD + size + SIZE);
        uint64_t link = tm_load_u64(bytes), shown = link ^ block >> POINTER_SHIFT;
        block = is_in(shown, start, end) ? shown : link;
    }
    return error;
}

static struct tm_error *visit_cache(struct tm_heap_cache *heap, uint64_t start, uint64_t end, tm_glibc_visitor visit,
                                    void *context)
{
    unsigned char bytes[CACHE_NEW];
    uint64_t size;
    bool previous_in_use;
    if (!read_size(heap, start, &size, &previous_in_use) || (size != CACHE_NEW && size != CACHE_OLD) ||
        !tm_heap_cache_read(heap, start + HEAD, bytes, size - HEAD))
        return NULL;
    unsigned width = size == CACHE_NEW ? 2 : 1;
    struct tm_error *error = NULL;
    for (unsigned i = 0; !error && i < CACHE_BINS; i++) {
        uint32_t count = (uint32_t)tm_load_number(bytes + (size_t)i * width, width);
        uint64_t block = tm_load_u64(bytes + (size_t)CACHE_BINS * width + 8 * (size_t)i);
        error = visit_bin(heap, block, count, start, end, visit, context);
    }
    return error;
}

struct tm_error *tm_glibc_visit_free(struct tm_heap_cache *heap, const struct tm_host *host, uint64_t start,
                                     uint64_t end, tm_glibc_visitor visit, void *context)
{
    uint64_t size;
    bool previous_in_use, sound;
    // Looks at the first chunk only, in nearly all regions.
    if (!read_size(heap, start, &size, &previous_in_use) || (size != CACHE_NEW && size != CACHE_OLD))
        return NULL;
    struct tm_error *error = walk(heap, host, start, end, NULL, NULL, &sound);
    if (!error && sound)
        error = walk(heap, host, start, end, visit, context, &sound);
    if (!error && sound)
        error = visit_cache(heap, start, end, visit, context);
    return error;
}
