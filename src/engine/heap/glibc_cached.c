// What is cached. A thread's cache (tcache) has a number and a list of chunks for each size; an arena's fastbins are lists
// alone. From 2.32 on the links are hidden by the address at which they are.

#include <stdlib.h>

#include "engine/heap/glibc_parts.h"

enum {
    BINS = 64,
    MOST_BINS = 76, // from 2.42 on: the last 12 are for large chunks, which are not cached unless somebody asks for it
    OLD_CACHE = 0x250,    // up to 2.29: numbers are bytes
    NEW_CACHE = 0x290,    // up to 2.41: of two bytes
    NEWEST_CACHE = 0x300, // then: how many more there is room for
    LINK_SHIFT = 12,
};
#define MOST_FAST (UINT64_C(1) << 28) // chunks in one list

bool tm_glibc_may_be_cache(uint64_t size)
{
    return size == OLD_CACHE || size == NEW_CACHE || size == NEWEST_CACHE;
}

// Whether a chunk of this size has its memory there.
static bool is_chunk(const struct tm_glibc *glibc, uint64_t address, uint64_t size)
{
    uint64_t found, flags;
    return address % TM_CHUNK_ALIGNMENT == 0 && address >= TM_CHUNK_HEAD &&
           tm_glibc_size(glibc->cache, address - TM_CHUNK_HEAD, &found, &flags) && found == size &&
           !(flags & TM_CHUNK_MAPPED);
}

// The next of a list; false: it does not lead to a chunk of this size, nor to the end, which is 0. A list does not change
// from hidden links to plain ones, but a plain reading that fits is as good.
static bool follow(const struct tm_glibc *glibc, uint64_t place, uint64_t offset, uint64_t size, uint64_t *next)
{
    uint64_t link, hidden = place >> LINK_SHIFT;
    if (!tm_glibc_word(glibc->cache, place, &link))
        return false;
    if (link == 0 || link == hidden) {
        *next = 0;
        return true;
    }
    *next = link ^ hidden;
    if (is_chunk(glibc, *next + offset, size))
        return true;
    *next = link;
    return is_chunk(glibc, *next + offset, size);
}

// Whether a bin's list has exactly so many chunks of its size.
static bool is_bin(struct tm_glibc *glibc, uint64_t address, uint64_t count, uint64_t size)
{
    if (count == 0 || address == 0)
        return count == 0 && address == 0;
    if (!is_chunk(glibc, address, size))
        return false;
    for (uint64_t i = 0; i < count && address; i++)
        if (!tm_glibc_step(glibc) || !follow(glibc, address, 0, size, &address) || (address == 0) != (i + 1 == count))
            return false;
    return address == 0;
}

static struct tm_error *add_bin(struct tm_glibc *glibc, uint64_t address, uint64_t count, uint64_t size)
{
    for (uint64_t i = 0; i < count && address; i++) {
        if (!tm_set_add_number(&glibc->cached, address))
            return tm_error_no_memory();
        if (!follow(glibc, address, 0, size, &address))
            break;
    }
    return NULL;
}

static uint64_t size_of_bin(unsigned bin)
{
    return TM_CHUNK_SMALLEST + TM_CHUNK_ALIGNMENT * (uint64_t)bin;
}

// Room that is left becomes the number of those that are there: bins that are empty have room for all.
static void count_down(uint64_t *counts, unsigned bins)
{
    uint64_t most = 0;
    for (unsigned i = 0; i < bins; i++)
        most = counts[i] > most ? counts[i] : most;
    for (unsigned i = 0; i < bins; i++)
        counts[i] = most - counts[i];
}

struct tm_error *tm_glibc_add_cache(struct tm_glibc *glibc, uint64_t address)
{
    unsigned char bytes[NEWEST_CACHE];
    uint64_t size, flags;
    if (!tm_glibc_size(glibc->cache, address - TM_CHUNK_HEAD, &size, &flags) || !tm_glibc_may_be_cache(size) ||
        !tm_heap_cache_read(glibc->cache, address, bytes, size - TM_CHUNK_SIZE))
        return NULL;
    unsigned width = size == OLD_CACHE ? 1 : 2, bins = size == NEWEST_CACHE ? MOST_BINS : BINS;
    uint64_t counts[MOST_BINS], firsts[MOST_BINS], all = 0;
    for (unsigned i = 0; i < bins; i++) {
        counts[i] = tm_load_number(bytes + (size_t)i * width, width);
        firsts[i] = tm_load_u64(bytes + (size_t)bins * width + 8 * (size_t)i);
    }
    if (size == NEWEST_CACHE)
        count_down(counts, bins);
    for (unsigned i = 0; i < bins; i++) {
        all += counts[i];
        if ((counts[i] == 0) != (firsts[i] == 0) || (i >= BINS && counts[i] != 0))
            return NULL;
    }
    // One that is all zero may be anything, and matters to nobody.
    for (unsigned i = 0; i < BINS; i++)
        if (!is_bin(glibc, firsts[i], counts[i], size_of_bin(i)))
            return tm_glibc_stopped(glibc);
    struct tm_error *error = NULL;
    for (unsigned i = 0; !error && i < BINS; i++)
        error = add_bin(glibc, firsts[i], counts[i], size_of_bin(i));
    if (!error && all > 0) {
        glibc->caches++;
        if (!tm_set_add_number(&glibc->own, address))
            error = tm_error_no_memory();
    }
    return error;
}

// The lists of an arena have chunks, where those of a thread's cache have their memory.
static struct tm_error *add_fastbin(struct tm_glibc *glibc, uint64_t chunk, uint64_t size)
{
    if (chunk && !is_chunk(glibc, chunk + TM_CHUNK_HEAD, size))
        return NULL;
    for (uint64_t i = 0; i < MOST_FAST && chunk; i++) {
        size_t before = glibc->cached.count;
        if (!tm_set_add_number(&glibc->cached, chunk + TM_CHUNK_HEAD))
            return tm_error_no_memory();
        if (glibc->cached.count == before) // the list is a circle
            break;
        if (!follow(glibc, chunk + TM_CHUNK_HEAD, TM_CHUNK_HEAD, size, &chunk))
            break;
        struct tm_error *error = i % 65536 == 65535 ? tm_host_check(glibc->host) : NULL;
        if (error)
            return error;
    }
    return NULL;
}

struct tm_error *tm_glibc_add_fastbins(struct tm_glibc *glibc)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; !error && i < glibc->heap_count; i++) {
        uint64_t state = glibc->heaps[i].state, chunk;
        for (unsigned bin = 0; !error && state && bin < TM_ARENA_FASTBINS; bin++)
            if (tm_glibc_word(glibc->cache, state - 8 * (uint64_t)(TM_ARENA_FASTBINS - bin), &chunk))
                error = add_fastbin(glibc, chunk, size_of_bin(bin));
    }
    return error ? error : tm_heap_cache_error(glibc->cache);
}
