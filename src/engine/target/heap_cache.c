// The heap cache: pieces of 1 MiB by their number; a new piece replaces the oldest. Where a piece cannot be read at
// once, only its mapped parts are tried, by halves down to pages.

#include "engine/target/heap_cache.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/base/set.h"

#define PIECE_SHIFT 20u
#define PIECE_SIZE (UINT64_C(1) << PIECE_SHIFT)
#define PAGE_SHIFT 12u
#define PAGE_SIZE (UINT64_C(1) << PAGE_SHIFT)
#define PIECE_PAGES (PIECE_SIZE / PAGE_SIZE)
#define MOST_PIECES (TM_HEAP_CACHE_LIMIT / PIECE_SIZE)
_Static_assert(PIECE_SIZE <= TM_READ_LIMIT, "a piece is read by one call");

struct piece {
    unsigned char *bytes; // NULL: replaced
    bool whole;
    uint64_t pages[PIECE_PAGES / 64]; // which can be read, unless it is whole
};

struct tm_heap_cache {
    struct tm_target *target;
    const struct tm_host *host;
    struct tm_region *regions; // ascending; no two touch
    size_t region_count;
    struct tm_set pieces;                // by number; a set cannot remove, so neither does this
    struct piece *resident[MOST_PIECES]; // a ring: the oldest is replaced
    size_t resident_count;
    size_t oldest;
    uint64_t last_number; // of the piece asked for last, plus 1
    struct piece *last;
    struct tm_error *error;
    bool failed;
};

static int compare_regions(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_region *)a)->start, ((const struct tm_region *)b)->start);
}

// Sorts the regions and joins those which touch.
static void tidy_regions(struct tm_heap_cache *cache)
{
    size_t kept = 0;
    qsort(cache->regions, cache->region_count, sizeof(*cache->regions), compare_regions);
    for (size_t i = 0; i < cache->region_count; i++) {
        const struct tm_region *region = &cache->regions[i];
        if (region->start >= region->end || !(region->flags & TM_REGION_READABLE))
            continue;
        if (kept > 0 && region->start <= cache->regions[kept - 1].end) {
            if (region->end > cache->regions[kept - 1].end)
                cache->regions[kept - 1].end = region->end;
        } else {
            cache->regions[kept++] = *region;
        }
    }
    cache->region_count = kept;
}

struct tm_error *tm_heap_cache_create(struct tm_target *target, const struct tm_host *host,
                                      struct tm_heap_cache **result)
{
    struct tm_heap_cache *cache = calloc(1, sizeof(*cache));
    if (!cache)
        return tm_error_no_memory();
    cache->target = target;
    cache->host = host;
    struct tm_error *error = tm_target_regions(target, &cache->regions, &cache->region_count);
    if (error) {
        free(cache);
        return error;
    }
    if (cache->region_count)
        tidy_regions(cache);
    *result = cache;
    return NULL;
}

void tm_heap_cache_destroy(struct tm_heap_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < cache->pieces.capacity; i++) {
        struct piece *piece = cache->pieces.entries[i].item;
        if (piece)
            free(piece->bytes);
        free(piece);
    }
    tm_set_deinit(&cache->pieces);
    tm_error_destroy(cache->error);
    free(cache->regions);
    free(cache);
}

struct tm_error *tm_heap_cache_error(struct tm_heap_cache *cache)
{
    struct tm_error *error = cache->error;
    cache->error = NULL;
    return error;
}

static bool fail(struct tm_heap_cache *cache, struct tm_error *error)
{
    if (cache->failed)
        tm_error_destroy(error);
    else
        cache->error = error;
    cache->failed = true;
    return false;
}

// ---------------------------------------------------------------------------------------------------------------
// Pieces

// The first mapped part of [start, end); false: nothing there is mapped. Without regions, all of it.
static bool next_mapped(const struct tm_heap_cache *cache, uint64_t *start, uint64_t *end)
{
    size_t low = 0, high = cache->region_count;
    if (high == 0)
        return true;
    while (low < high) { // the first region that ends after the start
        size_t middle = low + (high - low) / 2;
        if (cache->regions[middle].end > *start)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == cache->region_count || cache->regions[low].start >= *end)
        return false;
    if (cache->regions[low].start > *start)
        *start = cache->regions[low].start;
    if (cache->regions[low].end < *end)
        *end = cache->regions[low].end;
    return true;
}

// Pages [first, last) of a piece.
static void read_pages(struct tm_heap_cache *cache, uint64_t number, struct piece *piece, uint64_t first, uint64_t last)
{
    uint64_t address = (number << PIECE_SHIFT) + first * PAGE_SIZE;
    if (first >= last || cache->failed)
        return;
    if (tm_target_try_read(cache->target, address, piece->bytes + first * PAGE_SIZE, (last - first) * PAGE_SIZE)) {
        for (uint64_t page = first; page < last; page++)
            piece->pages[page / 64] |= UINT64_C(1) << page % 64;
        return;
    }
    if (tm_host_should_stop(cache->host)) {
        fail(cache, tm_host_stopped());
        return;
    }
    if (last - first == 1)
        return;
    uint64_t middle = first + (last - first) / 2;
    read_pages(cache, number, piece, first, middle);
    read_pages(cache, number, piece, middle, last);
}

static bool fill(struct tm_heap_cache *cache, uint64_t number, struct piece *piece)
{
    uint64_t base = number << PIECE_SHIFT, limit = base + PIECE_SIZE;
    memset(piece->pages, 0, sizeof(piece->pages));
    for (uint64_t start = base, end = limit; start < limit && next_mapped(cache, &start, &end);
         start = end, end = limit)
        read_pages(cache, number, piece, (start - base) / PAGE_SIZE, (end - base + PAGE_SIZE - 1) / PAGE_SIZE);
    piece->whole = true;
    for (size_t i = 0; i < PIECE_PAGES / 64; i++)
        piece->whole = piece->whole && piece->pages[i] == UINT64_MAX;
    return !cache->failed;
}

// Memory for the bytes of a piece: new, or the oldest piece's.
static bool give_room(struct tm_heap_cache *cache, struct piece *piece)
{
    if (cache->resident_count < MOST_PIECES) {
        piece->bytes = malloc(PIECE_SIZE);
        if (piece->bytes) {
            cache->resident[cache->resident_count++] = piece;
            return true;
        }
        if (cache->resident_count == 0)
            return fail(cache, tm_error_no_memory());
    }
    size_t at = cache->oldest++ % cache->resident_count;
    piece->bytes = cache->resident[at]->bytes;
    cache->resident[at]->bytes = NULL;
    cache->resident[at] = piece;
    return true;
}

static struct piece *get_piece(struct tm_heap_cache *cache, uint64_t number)
{
    if (cache->last_number == number + 1)
        return cache->last;
    if (tm_host_should_stop(cache->host)) {
        fail(cache, tm_host_stopped());
        return NULL;
    }
    if (!tm_set_reserve(&cache->pieces)) {
        fail(cache, tm_error_no_memory());
        return NULL;
    }
    struct tm_set_entry *entry = tm_set_find_number(&cache->pieces, number);
    struct piece *piece = entry->item;
    if (!piece) {
        piece = calloc(1, sizeof(*piece));
        if (!piece) {
            fail(cache, tm_error_no_memory());
            return NULL;
        }
        tm_set_put_number(&cache->pieces, entry, number, piece);
    }
    cache->last_number = 0; // its bytes may belong to another piece now
    if (!piece->bytes && (!give_room(cache, piece) || !fill(cache, number, piece)))
        return NULL;
    cache->last_number = number + 1;
    cache->last = piece;
    return piece;
}

static bool holds(const struct piece *piece, uint64_t offset, uint64_t length)
{
    if (piece->whole)
        return true;
    for (uint64_t page = offset / PAGE_SIZE; page <= (offset + length - 1) / PAGE_SIZE; page++) {
        if (!(piece->pages[page / 64] >> page % 64 & 1))
            return false;
    }
    return true;
}

bool tm_heap_cache_read(struct tm_heap_cache *cache, uint64_t address, void *buffer, uint64_t length)
{
    unsigned char *to = buffer;
    if (cache->failed || address > UINT64_MAX - length || address + length > UINT64_MAX - PIECE_SIZE)
        return false;
    while (length > 0) {
        const struct piece *piece = get_piece(cache, address >> PIECE_SHIFT);
        uint64_t offset = address % PIECE_SIZE;
        uint64_t part = length < PIECE_SIZE - offset ? length : PIECE_SIZE - offset;
        if (!piece || !holds(piece, offset, part))
            return false;
        memcpy(to, piece->bytes + offset, part);
        to += part;
        address += part;
        length -= part;
    }
    return true;
}
