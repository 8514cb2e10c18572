// Chunks: 8 bytes before a block are its size and three flags. Whether a chunk is in use is a flag of the next one.

#include "engine/heap/glibc.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/heap/glibc_parts.h"

enum {
    FENCE = 16, // the size of what ends a heap that is full
    BETWEEN_CHECKS = 65536,
    PAGE = 4096,
};
#define SMALLEST_MAPPED (UINT64_C(1) << 17) // where nobody has changed it

bool tm_glibc_word(struct tm_heap_cache *cache, uint64_t address, uint64_t *result)
{
    unsigned char bytes[8];
    if (!tm_heap_cache_read(cache, address, bytes, sizeof(bytes)))
        return false;
    *result = tm_load_u64(bytes);
    return true;
}

bool tm_glibc_size(struct tm_heap_cache *cache, uint64_t chunk, uint64_t *size, uint64_t *flags)
{
    uint64_t word;
    if (!tm_glibc_word(cache, chunk + TM_CHUNK_SIZE, &word))
        return false;
    *size = word & ~(uint64_t)TM_CHUNK_FLAGS;
    *flags = word & TM_CHUNK_FLAGS;
    return true;
}

bool tm_glibc_step(struct tm_glibc *glibc)
{
    if (glibc->steps_left == 0)
        return false;
    if (--glibc->steps_left % BETWEEN_CHECKS == 0)
        glibc->stopped = tm_host_check(glibc->host);
    if (glibc->stopped)
        glibc->steps_left = 0;
    return !glibc->stopped;
}

struct tm_error *tm_glibc_stopped(struct tm_glibc *glibc)
{
    struct tm_error *error = glibc->stopped;
    glibc->stopped = NULL;
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Going through a heap

/** A place in a heap. */
struct walk {
    struct tm_heap_cache *cache;
    uint64_t chunk, size; // this one
    uint64_t end;         // of the heap
    bool in_use;          // whether this one is; known once the next one is read
    bool at_end;          // this one is the last: `top`, or what ends a heap that is full
};

// A heap that is full ends in one chunk of 16 bytes, and then in one of none.
static bool is_fence(const struct walk *walk, uint64_t chunk, uint64_t size)
{
    return (chunk == walk->end - FENCE && size == 0) || (chunk == walk->end - 2 * FENCE && size == FENCE);
}

// Reads the head of `chunk`, which becomes this one. False: it makes no sense.
static bool enter(struct walk *walk, uint64_t chunk, bool *previous_in_use)
{
    uint64_t flags;
    walk->chunk = chunk;
    if (chunk > walk->end - FENCE || !tm_glibc_size(walk->cache, chunk, &walk->size, &flags))
        return false;
    *previous_in_use = flags & TM_CHUNK_PREVIOUS_IN_USE;
    if (is_fence(walk, chunk, walk->size)) {
        walk->at_end = true;
        return true;
    }
    walk->at_end = walk->size == walk->end - chunk;
    return walk->size >= TM_CHUNK_SMALLEST && walk->size % TM_CHUNK_ALIGNMENT == 0 && walk->size <= walk->end - chunk &&
           !(flags & TM_CHUNK_MAPPED);
}

// Called for each chunk; `in_use` as its neighbour says.
typedef struct tm_error *(*raw_visitor)(void *context, const struct walk *chunk);

/** Visits the chunks up to the last that makes sense, and says where that ends. */
static struct tm_error *go_through(const struct tm_glibc *glibc, uint64_t first, uint64_t end, raw_visitor visit,
                                   void *context, uint64_t *known)
{
    struct walk walk = {.cache = glibc->cache, .end = end}, next = walk;
    struct tm_error *error = NULL;
    bool previous_in_use;

    *known = first;
    if (end < first + FENCE || !enter(&walk, first, &previous_in_use))
        return NULL;
    for (uint64_t i = 0; !error; i++) {
        // (Each step is at least 32 bytes, so the loop ends.)
        if (walk.at_end) {
            *known = end;
            // cppcheck-suppress returnDanglingLifetime ; the visitor returns an error and no chunk
            return visit(context, &walk);
        }
        next.at_end = false;
        if (!enter(&next, walk.chunk + walk.size, &previous_in_use))
            return NULL;
        walk.in_use = previous_in_use;
        *known = next.chunk;
        error = visit(context, &walk);
        if (!error && i % BETWEEN_CHECKS == 0)
            error = tm_host_check(glibc->host);
        walk.chunk = next.chunk;
        walk.size = next.size;
        walk.at_end = next.at_end;
    }
    return error;
}

struct check {
    struct tm_glibc *glibc;
    struct tm_glibc_heap *heap;
};

static struct tm_error *check_chunk(void *context, const struct walk *chunk)
{
    const struct check *check = context;
    check->heap->last = chunk->chunk;
    return chunk->in_use && tm_glibc_may_be_cache(chunk->size)
               ? tm_glibc_add_cache(check->glibc, chunk->chunk + TM_CHUNK_HEAD)
               : NULL;
}

struct tm_error *tm_glibc_check(struct tm_glibc *glibc, struct tm_glibc_heap *heap)
{
    struct check check = {glibc, heap};
    struct tm_error *error = go_through(glibc, heap->first, heap->end, check_chunk, &check, &heap->known);
    return error ? error : tm_heap_cache_error(glibc->cache);
}

// ---------------------------------------------------------------------------------------------------------------
// Visiting

struct chunk_pass {
    const struct tm_glibc *glibc;
    tm_glibc_chunk_visitor visitor;
    void *context;
};

static bool is_in(const struct tm_set *set, uint64_t address)
{
    return set->count && tm_set_find_number(set, address)->item;
}

static enum tm_glibc_state state_of(const struct tm_glibc *glibc, const struct walk *chunk)
{
    uint64_t address = chunk->chunk + TM_CHUNK_HEAD;
    if (chunk->at_end)
        return chunk->size <= FENCE ? TM_GLIBC_OWN : TM_GLIBC_TOP;
    if (!chunk->in_use)
        return TM_GLIBC_FREE;
    if (is_in(&glibc->cached, address))
        return TM_GLIBC_CACHED;
    return is_in(&glibc->own, address) ? TM_GLIBC_OWN : TM_GLIBC_IN_USE;
}

static struct tm_error *pass_on(void *context, const struct walk *chunk)
{
    const struct chunk_pass *pass = context;
    const struct tm_glibc_chunk found = {
        .address = chunk->chunk + TM_CHUNK_HEAD,
        // A chunk may use the first 8 bytes of the next one. The last has no next one.
        .size = chunk->at_end ? chunk->end - chunk->chunk - TM_CHUNK_HEAD : chunk->size - TM_CHUNK_SIZE,
        .state = state_of(pass->glibc, chunk),
    };
    // cppcheck-suppress returnDanglingLifetime ; the visitor returns an error and no chunk
    return pass->visitor(pass->context, &found);
}

struct tm_error *tm_glibc_visit(const struct tm_glibc *glibc, const struct tm_glibc_heap *heap,
                                tm_glibc_chunk_visitor visitor, void *context)
{
    struct chunk_pass pass = {glibc, visitor, context};
    uint64_t known;
    struct tm_error *error = go_through(glibc, heap->first, heap->end, pass_on, &pass, &known);
    return error ? error : tm_heap_cache_error(glibc->cache);
}

struct free_visit {
    tm_glibc_visitor visitor;
    void *context;
};

static struct tm_error *pass_on_free(void *context, const struct tm_glibc_chunk *chunk)
{
    const struct free_visit *visit = context;
    bool is_free = chunk->state == TM_GLIBC_FREE || chunk->state == TM_GLIBC_CACHED || chunk->state == TM_GLIBC_TOP;
    return is_free ? visit->visitor(visit->context, chunk->address, chunk->address + chunk->size) : NULL;
}

struct tm_error *tm_glibc_visit_free(const struct tm_glibc *glibc, tm_glibc_visitor visitor, void *context)
{
    struct free_visit visit = {visitor, context};
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < glibc->heap_count; i++)
        if (glibc->heaps[i].known == glibc->heaps[i].end)
            error = tm_glibc_visit(glibc, &glibc->heaps[i], pass_on_free, &visit);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Mmapped chunks

// A mapping of whole pages. An aligned block (memalign()) may begin some way into it, and says how far.
static bool is_mapped_chunk(const struct tm_glibc *glibc, uint64_t page, uint64_t end, uint64_t *length)
{
    uint64_t before, size, flags;
    if (!tm_glibc_word(glibc->cache, page, &before) || !tm_glibc_size(glibc->cache, page, &size, &flags))
        return false;
    *length = size;
    return before == 0 && flags == TM_CHUNK_MAPPED && size >= PAGE && size % PAGE == 0 && size <= end - page;
}

struct tm_error *tm_glibc_add_mapped(struct tm_glibc *glibc, uint64_t start, uint64_t end, uint64_t limit,
                                     bool (*is_block)(const void *context, uint64_t address), const void *context)
{
    struct tm_error *error = NULL;
    uint64_t length;
    end = end < TM_USER_END ? end : TM_USER_END; // so no address wraps
    if (start >= end)
        return NULL;
    start = (start + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    for (uint64_t page = start, i = 0; !error && page < end; page += length, i++) {
        if (!is_mapped_chunk(glibc, page, limit, &length) ||
            (length < SMALLEST_MAPPED && !is_block(context, page + TM_CHUNK_HEAD))) {
            length = PAGE;
        } else {
            if (!TM_GROW(&glibc->mapped, glibc->mapped_count + 1, &glibc->mapped_capacity))
                return tm_error_no_memory();
            glibc->mapped[glibc->mapped_count++] = (struct tm_range){page, page + length};
        }
        if (i % BETWEEN_CHECKS == 0)
            error = tm_host_check(glibc->host);
    }
    return error ? error : tm_heap_cache_error(glibc->cache);
}
