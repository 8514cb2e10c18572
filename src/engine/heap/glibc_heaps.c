// Where heaps are: the main one fills a region, and up to 2.41 it begins with the main thread's cache; the others begin at multiples of
// 64 MiB with a head that leads to their arena. An arena's head has 127 lists of free chunks, which lead to themselves
// where they are empty.

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/heap/glibc_parts.h"

enum {
    PAGE = 4096,
    FEWEST = 8, // chunks of a heap
    // In an arena's head, from `top` on: the rest of the last chunk that was split, then the lists.
    LISTS = 127,
    FIRST_LIST = 16,
    // In a thread's heap.
    ARENA = 0,
    PREVIOUS = 8,
    SIZE = 16,
    WRITABLE_SIZE = 24,
    OLD_HEAD = 32, // up to 2.34
    NEW_HEAD = 48,
    TOP_OF_OLDEST = 88, // in 2.26: how far into an arena's head `top` is
    TOP = 96,
};
#define HEAP_LIMIT (UINT64_C(64) << 20)
#define MOST_HEAPS ((size_t)1 << 20)
#define FEW_STEPS (UINT64_C(1) << 20) // for what looks like a heap or a list by chance

bool tm_glibc_is_state(struct tm_heap_cache *cache, uint64_t top)
{
    unsigned char bytes[16 * LISTS];
    unsigned empty = 0;
    if (!tm_heap_cache_read(cache, top + FIRST_LIST, bytes, sizeof(bytes)))
        return false;
    for (unsigned i = 0; i < LISTS; i++) {
        uint64_t self = top + 16 * (uint64_t)i; // as if it were a chunk
        uint64_t first = tm_load_u64(bytes + 16 * (size_t)i), last = tm_load_u64(bytes + 16 * (size_t)i + 8);
        if (first == 0 || first % 8 || last == 0 || last % 8 || (first == self) != (last == self))
            return false;
        empty += first == self;
    }
    return empty > 0;
}

static struct tm_error *add_heap(struct tm_glibc *glibc, const struct tm_glibc_heap *heap)
{
    if (glibc->heap_count >= MOST_HEAPS)
        return NULL;
    if (!TM_GROW(&glibc->heaps, glibc->heap_count + 1, &glibc->heap_capacity))
        return tm_error_no_memory();
    glibc->heaps[glibc->heap_count++] = *heap;
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// The main heap

// Whether chunks lead from the first one exactly to the end, and are more than a few.
static bool leads_to_end(struct tm_glibc *glibc, uint64_t chunk, uint64_t end)
{
    uint64_t size, flags, count = 0;
    for (; chunk < end; chunk += size, count++) // each step is at least 32 bytes
        if (!tm_glibc_step(glibc) || !tm_glibc_size(glibc->cache, chunk, &size, &flags) || size < TM_CHUNK_SMALLEST ||
            size % TM_CHUNK_ALIGNMENT || size > end - chunk || flags > TM_CHUNK_PREVIOUS_IN_USE)
            return false;
    return count >= FEWEST;
}

// (Looks at the first chunk only, in nearly all places.) From 2.42 on a cache is made when something is first freed.
static struct tm_error *add_main(struct tm_glibc *glibc, uint64_t start, uint64_t end)
{
    uint64_t size, flags;
    struct tm_glibc_heap heap = {.start = start, .first = start, .end = end, .is_main = true};
    if (start >= end || end - start < PAGE || !tm_glibc_size(glibc->cache, start, &size, &flags) ||
        flags != TM_CHUNK_PREVIOUS_IN_USE || !(tm_glibc_may_be_cache(size) || leads_to_end(glibc, start, end)))
        return tm_glibc_stopped(glibc);
    return add_heap(glibc, &heap);
}

// Where addresses are not random, as in a debugger, the heap begins behind the program's data, in one region with it.
static struct tm_error *add_behind_data(struct tm_glibc *glibc, const struct tm_range *region,
                                        const struct tm_range *data, size_t data_count)
{
    struct tm_error *error = NULL;
    size_t low = 0, high = data_count;
    while (low < high) { // the first that ends behind the beginning
        size_t middle = low + (high - low) / 2;
        if (data[middle].end > region->start)
            high = middle;
        else
            low = middle + 1;
    }
    for (size_t i = low; !error && i < data_count && data[i].end < region->end && tm_glibc_step(glibc); i++) {
        uint64_t near = (data[i].end + TM_CHUNK_ALIGNMENT - 1) & ~(uint64_t)(TM_CHUNK_ALIGNMENT - 1);
        uint64_t page = (data[i].end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
        error = add_main(glibc, page, region->end);
        if (!error && near != page)
            error = add_main(glibc, near, region->end);
    }
    return error ? error : tm_glibc_stopped(glibc);
}

// The main arena's head is in glibc's data. It has the address of the last chunk.
static struct tm_error *find_main_state(struct tm_glibc *glibc, struct tm_glibc_heap *heap, const struct tm_range *data,
                                        size_t data_count)
{
    unsigned char bytes[PAGE];
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < data_count && !heap->state && heap->last; i++) {
        uint64_t at = (data[i].start + 7) & ~UINT64_C(7);
        for (; !heap->state && at + 8 <= data[i].end && tm_glibc_step(glibc); at += sizeof(bytes) - at % PAGE) {
            uint64_t length = PAGE - at % PAGE < data[i].end - at ? PAGE - at % PAGE : data[i].end - at;
            if (!tm_heap_cache_read(glibc->cache, at, bytes, length))
                continue;
            for (uint64_t j = 0; !heap->state && j + 8 <= length; j += 8)
                if (tm_load_u64(bytes + j) == heap->last && tm_glibc_is_state(glibc->cache, at + j))
                    heap->state = at + j;
        }
        error = tm_glibc_stopped(glibc);
        if (!error)
            error = tm_host_check(glibc->host);
    }
    return error ? error : tm_heap_cache_error(glibc->cache);
}

// ---------------------------------------------------------------------------------------------------------------
// Heaps of threads

static struct tm_error *add_thread_heap(struct tm_glibc *glibc, uint64_t start, uint64_t region_end)
{
    unsigned char head[OLD_HEAD];
    if (!tm_heap_cache_read(glibc->cache, start, head, sizeof(head)))
        return NULL;
    uint64_t arena = tm_load_u64(head + ARENA), previous = tm_load_u64(head + PREVIOUS);
    uint64_t size = tm_load_u64(head + SIZE), writable = tm_load_u64(head + WRITABLE_SIZE);
    uint64_t own_head = arena % HEAP_LIMIT, first_heap = arena - own_head;
    if ((own_head != OLD_HEAD && own_head != NEW_HEAD) || size < PAGE || size % PAGE || size > writable ||
        writable > HEAP_LIMIT || size > region_end - start || previous % HEAP_LIMIT ||
        (previous == 0) != (first_heap == start))
        return NULL;
    struct tm_glibc_heap heap = {.start = start, .first = start + own_head, .end = start + size};
    if (previous == 0) {
        uint64_t top = arena + TOP;
        if (!tm_glibc_is_state(glibc->cache, top))
            top = arena + TOP_OF_OLDEST;
        if (!tm_glibc_is_state(glibc->cache, top))
            return NULL;
        heap.state = top;
        heap.first = (top + TM_ARENA_AFTER_TOP + TM_CHUNK_ALIGNMENT - 1) & ~(uint64_t)(TM_CHUNK_ALIGNMENT - 1);
    }
    return add_heap(glibc, &heap);
}

static struct tm_error *add_thread_heaps(struct tm_glibc *glibc, const struct tm_range *region)
{
    struct tm_error *error = NULL;
    uint64_t start = (region->start + HEAP_LIMIT - 1) & ~(HEAP_LIMIT - 1);
    for (; !error && start >= region->start && start < region->end && tm_glibc_step(glibc); start += HEAP_LIMIT)
        error = add_thread_heap(glibc, start, region->end);
    return error ? error : tm_glibc_stopped(glibc);
}

// ---------------------------------------------------------------------------------------------------------------
// All

static int compare_heaps(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_glibc_heap *)a)->start, ((const struct tm_glibc_heap *)b)->start);
}

static bool may_have_heap(const struct tm_region *region)
{
    const uint32_t wanted = TM_REGION_READABLE | TM_REGION_WRITABLE;
    const uint32_t unwanted = TM_REGION_FILE | TM_REGION_ABSENT;
    return (region->flags & (wanted | unwanted)) == wanted && region->start < region->end && region->end <= TM_USER_END;
}

// A heap that grows after a fork is several regions, one behind the other. (They are ascending, where it matters.)
static size_t end_of_run(const struct tm_region *regions, size_t count, size_t index)
{
    uint64_t end = regions[index].end;
    while (++index < count && regions[index].start == end && may_have_heap(&regions[index]))
        end = regions[index].end;
    return index;
}

// Each chunk of a heap is looked at once to find the heap, and once more in a list.
static uint64_t steps_for(const struct tm_region *regions, size_t count)
{
    uint64_t bytes = 0, end = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t start = regions[i].start > end ? regions[i].start : end; // they may overlap in a damaged core
        if (!may_have_heap(&regions[i]) || regions[i].end <= start)
            continue;
        end = regions[i].end;
        bytes += end - start;
    }
    return tm_add_saturating(FEW_STEPS, bytes / TM_CHUNK_SMALLEST * 2);
}

static struct tm_error *find_heaps(struct tm_glibc *glibc, const struct tm_region *regions, size_t count,
                                   const struct tm_range *data, size_t data_count)
{
    struct tm_error *error = NULL;
    size_t run_end = 0; // behind the last region of the run
    for (size_t i = 0; !error && i < count; i++) {
        if (!may_have_heap(&regions[i]))
            continue;
        bool is_first = i >= run_end;
        if (is_first)
            run_end = end_of_run(regions, count, i);
        const struct tm_range rest = {regions[i].start, regions[run_end - 1].end}; // of the run
        error = add_main(glibc, rest.start, rest.end);
        if (!error && is_first)
            error = add_behind_data(glibc, &rest, data, data_count);
        if (!error && is_first)
            error = add_thread_heaps(glibc, &rest);
        if (!error && i % 256 == 0)
            error = tm_host_check(glibc->host);
    }
    if (glibc->heap_count > 0)
        qsort(glibc->heaps, glibc->heap_count, sizeof(*glibc->heaps), compare_heaps);
    return error ? error : tm_heap_cache_error(glibc->cache);
}

// Regions of a hostile core may overlap, and so may what was found in them: the first counts.
static void drop_overlaps(struct tm_glibc *glibc)
{
    size_t kept = 0;
    for (size_t i = 0; i < glibc->heap_count; i++)
        if (kept == 0 || glibc->heaps[i].start >= glibc->heaps[kept - 1].end)
            glibc->heaps[kept++] = glibc->heaps[i];
    glibc->heap_count = kept;
}

struct tm_error *tm_glibc_find(struct tm_glibc *glibc, struct tm_heap_cache *cache, const struct tm_host *host,
                               const struct tm_region *regions, size_t region_count, const struct tm_range *data,
                               size_t data_count)
{
    *glibc = (struct tm_glibc){.cache = cache, .host = host, .steps_left = steps_for(regions, region_count)};
    struct tm_error *error = find_heaps(glibc, regions, region_count, data, data_count);
    drop_overlaps(glibc);
    for (size_t i = 0; !error && i < glibc->heap_count; i++) {
        tm_host_progress(host, "C heaps", i, glibc->heap_count);
        error = tm_glibc_check(glibc, &glibc->heaps[i]);
    }
    for (size_t i = 0; !error && i < glibc->heap_count; i++)
        if (glibc->heaps[i].is_main)
            error = find_main_state(glibc, &glibc->heaps[i], data, data_count);
    return error ? error : tm_glibc_add_fastbins(glibc);
}

void tm_glibc_deinit(struct tm_glibc *glibc)
{
    tm_error_destroy(glibc->stopped);
    free(glibc->heaps);
    free(glibc->mapped);
    tm_set_deinit(&glibc->cached);
    tm_set_deinit(&glibc->own);
    *glibc = (struct tm_glibc){0};
}
