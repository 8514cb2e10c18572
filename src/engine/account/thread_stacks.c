// By the shape of the thread's record; else by the threads' stack pointers.

#include "engine/account/thread_stacks.h"

#include <stdlib.h>

#include "engine/base/number.h"

enum {
    PAGE = 4096,
    ALIGNMENT = 64,  // of the record
    SELF = 16,       // it begins with its own address, and has it here again
    VECTOR = 8,      // between them, the address of its thread-local storage
    RECORD = 0x900,  // its size, nearly: a page at most is wrong
    CHUNK_MAPPED = 2 // the flags of a chunk of malloc(), which has a mapping of its own
};
#define LARGEST_STACK (UINT64_C(64) << 20)

struct search {
    struct tm_memory_map *map;
    struct tm_heap_cache *cache;
    const struct tm_residency *residency;
    const struct tm_host *host;
    const struct tm_thread *threads;
    size_t thread_count;
    size_t cursor;
};

static int compare_start(const void *address, const void *region)
{
    return tm_compare_numbers(*(const uint64_t *)address, ((const struct tm_region *)region)->start);
}

static bool is_region_start(const struct tm_memory_map *map, uint64_t address)
{
    return map->region_count &&
           bsearch(&address, map->regions, map->region_count, sizeof(*map->regions), compare_start);
}

// The end of the stack whose thread's record is in this page, or 0.
static uint64_t end_in_page(const unsigned char *bytes, uint64_t page)
{
    for (unsigned offset = 0; offset + SELF + 8 <= PAGE; offset += ALIGNMENT) {
        uint64_t self = page + offset;
        if (tm_load_u64(bytes + offset) == self && tm_load_u64(bytes + offset + SELF) == self &&
            tm_load_u64(bytes + offset + VECTOR) != 0 && tm_load_u64(bytes + offset + VECTOR) != self)
            return (self + RECORD + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    }
    return 0;
}

static bool is_mapped_chunk(struct tm_heap_cache *cache, uint64_t start)
{
    unsigned char head[16];
    return tm_heap_cache_read(cache, start, head, sizeof(head)) && tm_load_u64(head) == 0 &&
           tm_load_u64(head + 8) % PAGE == CHUNK_MAPPED;
}

static uint64_t find_end(struct search *search, uint64_t start, uint64_t end)
{
    unsigned char bytes[PAGE];
    if (end - start > LARGEST_STACK)
        end = start + LARGEST_STACK;
    for (uint64_t page = start; page + PAGE <= end; page += PAGE) {
        if (tm_residency_of(search->residency, &search->cursor, page, page + PAGE).size == 0 ||
            !tm_heap_cache_read(search->cache, page, bytes, PAGE))
            continue;
        uint64_t found = end_in_page(bytes, page);
        if (found)
            return found < end ? found : end;
    }
    return 0;
}

static bool has_stack_pointer(const struct search *search, uint64_t start, uint64_t end)
{
    for (size_t i = 0; i < search->thread_count; i++)
        if (search->threads[i].stack_pointer >= start && search->threads[i].stack_pointer < end)
            return true;
    return false;
}

static struct tm_error *look_at(void *context, uint64_t start, uint64_t end)
{
    struct search *search = context;
    struct tm_error *error = tm_host_check(search->host);
    if (error || !is_region_start(search->map, start))
        return error;
    bool has_chunk = tm_residency_of(search->residency, &search->cursor, start, start + PAGE).size > 0 &&
                     is_mapped_chunk(search->cache, start);
    uint64_t found = has_chunk ? 0 : find_end(search, start, end);
    if (!found && has_stack_pointer(search, start, end)) // of the main thread, or of another C library
        found = end;
    error = found ? tm_memory_map_add(search->map, start, found, TM_PLACE_STACK, 0) : NULL;
    return error ? error : tm_heap_cache_error(search->cache);
}

struct tm_error *tm_thread_stacks_add(struct tm_memory_map *map, struct tm_target *target, struct tm_heap_cache *cache,
                                      const struct tm_residency *residency, const struct tm_host *host)
{
    struct search search = {.map = map, .cache = cache, .residency = residency, .host = host};
    struct tm_thread *threads;
    struct tm_error *error = tm_target_threads(target, &threads, &search.thread_count);
    search.threads = threads;
    if (!error)
        error = tm_memory_map_visit_gaps(map, look_at, &search);
    free(threads);
    return error;
}
