/**
 * Tracked blocks: reading the array for addresses inside blocks, and searching the index for exact ones.
 */
#include "engine/table/tracked.h"

#include <stdlib.h>
#include <string.h>

#include "engine/target/target.h"
#include "layout/hash.h"

// An array of up to so many records (16 KiB) is read whole; of a larger one, so many are read at both ends.
#define SMALL_ARRAY 512u
#define LARGE_ARRAY_END 128u
// The thorough search of a large array stops after so many records (256 MiB).
#define THOROUGH_LIMIT (UINT64_C(8) << 20)
#define SMALL_WINDOW ((size_t)16384)
#define LARGE_WINDOW ((size_t)TM_READ_LIMIT)
#define PAGE ((uint64_t)4096)

// Domains to search in: one for the core and one for each kind of memory that an extension tracks.
#define DOMAINS 64u

#define PROBE_WINDOW 16u   // slots
#define PROBE_LIMIT 16384u // slots; a valid index never has so long a run
#define INDEX_SHIFT_LIMIT 40u

struct search {
    struct tm_target *target;
    const struct tm_host *host;
    const struct tm_records *tracked;
    uint64_t address;
    struct tm_tracked_blocks *result;
    struct tm_damage *damage;
    uint32_t domains[DOMAINS];
    size_t domain_count;
    unsigned char *buffer;
    size_t window; // bytes of the buffer
};

static void add_corrupt(struct search *search, uint64_t id)
{
    struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = tm_records_address(search->tracked, id)};
    tm_damage_add(search->damage, &flaw, 1);
}

static void note_domain(struct search *search, uint32_t domain)
{
    for (size_t i = 0; i < search->domain_count; i++) {
        if (search->domains[i] == domain)
            return;
    }
    if (search->domain_count < DOMAINS)
        search->domains[search->domain_count++] = domain;
}

// Of two blocks of a domain that contain the address, the one that begins there counts, or else the nearer one: in a
// domain whose addresses are only numbers, blocks may overlap.
static void add(struct tm_tracked_blocks *result, const struct tm_recorded_block *block)
{
    for (size_t i = 0; i < result->count; i++) {
        if (result->blocks[i].domain != block->domain)
            continue;
        if (block->address > result->blocks[i].address)
            result->blocks[i] = *block;
        return;
    }
    if (result->count < result->capacity)
        result->blocks[result->count++] = *block;
}

static void consider(struct search *search, uint64_t id, const struct tm_tracked *block)
{
    if (block->site == 0)
        return;
    if (block->hash != tm_tracked_hash(id, block)) {
        add_corrupt(search, id);
        return;
    }
    note_domain(search, block->domain);
    struct tm_recorded_block found = tm_tracked_block(block);
    if (tm_recorded_block_contains(&found, search->address))
        add(search->result, &found);
}

// How many of `count` records are on one page with the first byte of the first, which may extend further.
static uint64_t on_one_page(uint64_t address, uint64_t stride, uint64_t count)
{
    uint64_t there = (PAGE - address % PAGE) / stride;
    there = there ? there : 1;
    return there < count ? there : count;
}

// Read `*count` records from `first` on, or fewer where a page is missing. False: the remaining *count cannot be
// read.
static bool read_some(struct search *search, uint64_t first, uint64_t *count)
{
    uint64_t stride = search->tracked->array.record_size;
    uint64_t address = tm_records_address(search->tracked, first);
    if (tm_target_try_read(search->target, address, search->buffer, *count * stride))
        return true;
    *count = on_one_page(address, stride, *count);
    if (tm_target_try_read(search->target, address, search->buffer, *count * stride))
        return true;
    struct tm_flaw flaw = {.kind = TM_FLAW_UNREADABLE, .address = address, .bytes = *count * stride};
    tm_damage_add(search->damage, &flaw, *count);
    return false;
}

// Reads the records [from, to).
static struct tm_error *scan(struct search *search, uint64_t from, uint64_t to)
{
    uint64_t stride = search->tracked->array.record_size;
    while (from < to) {
        struct tm_error *error = tm_host_check(search->host);
        if (error)
            return error;
        uint64_t count = tm_records_run(search->tracked, from);
        if (count == 0) { // the chunk is missing
            struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = search->tracked->array_address};
            tm_damage_add(search->damage, &flaw, to - from);
            return NULL;
        }
        count = count < to - from ? count : to - from;
        count = count < search->window / stride ? count : search->window / stride;
        bool there = read_some(search, from, &count);
        for (uint64_t i = 0; there && i < count; i++) {
            struct tm_tracked block;
            memcpy(&block, search->buffer + i * stride, sizeof(block));
            consider(search, from + i, &block);
        }
        from += count;
    }
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// The index

struct index {
    uint64_t slots; // address
    uint64_t mask;
};

static bool open_index(struct search *search, uint64_t address, struct index *index)
{
    struct tm_tracked_index head;
    struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
    bool good = tm_target_try_read(search->target, address, &head, sizeof(head)) ||
                tm_flaw_unreadable(&flaw, address, sizeof(head));
    good = good && (head.shift <= INDEX_SHIFT_LIMIT || tm_flaw_corrupt(&flaw, address));
    tm_damage_add(search->damage, &flaw, 1);
    if (good)
        *index = (struct index){address + sizeof(head), (UINT64_C(1) << head.shift) - 1};
    return good;
}

// True: the search is over.
static bool probe_slot(struct search *search, uint32_t slot, uint32_t domain)
{
    struct tm_tracked block;
    struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
    if (slot == 0)
        return true;
    if (slot == TM_TRACKED_REMOVED)
        return false;
    bool good = tm_records_get(search->tracked, slot, &block, sizeof(block), &flaw);
    tm_damage_add(search->damage, &flaw, 1);
    if (!good || block.site == 0 || block.domain != domain || block.address != search->address)
        return false;
    if (block.hash != tm_tracked_hash(slot, &block)) {
        add_corrupt(search, slot);
        return false;
    }
    struct tm_recorded_block found = tm_tracked_block(&block);
    add(search->result, &found);
    return true;
}

static struct tm_error *probe(struct search *search, const struct index *index, uint32_t domain)
{
    uint64_t slots = index->mask + 1, left = slots < PROBE_LIMIT ? slots : PROBE_LIMIT;
    uint64_t position = tm_tracked_key_hash(domain, search->address) & index->mask;
    while (left) {
        struct tm_error *error = tm_host_check(search->host);
        if (error)
            return error;
        uint32_t window[PROBE_WINDOW];
        uint64_t count = PROBE_WINDOW < left ? PROBE_WINDOW : left;
        count = count < slots - position ? count : slots - position;
        uint64_t address = index->slots + position * sizeof(window[0]);
        if (!tm_target_try_read(search->target, address, window, count * sizeof(window[0]))) {
            struct tm_flaw flaw = {.kind = TM_FLAW_UNREADABLE, .address = address, .bytes = sizeof(window)};
            tm_damage_add(search->damage, &flaw, 1);
            return NULL;
        }
        for (uint64_t i = 0; i < count; i++) {
            if (probe_slot(search, window[i], domain))
                return NULL;
        }
        left -= count;
        position = (position + count) & index->mask;
    }
    return NULL;
}

static struct tm_error *probe_domains(struct search *search, uint64_t index_address)
{
    struct index index;
    struct tm_error *error = NULL;
    if (index_address == 0 || !open_index(search, index_address, &index))
        return NULL;
    for (size_t i = 0; i < search->domain_count && !error; i++)
        error = probe(search, &index, search->domains[i]);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------

static struct tm_error *find_in_large(struct search *search, uint64_t index, bool thorough)
{
    uint64_t count = search->tracked->count;
    note_domain(search, 0);
    struct tm_error *error = scan(search, 1, LARGE_ARRAY_END);
    if (!error)
        error = scan(search, count - LARGE_ARRAY_END, count);
    if (!error)
        error = probe_domains(search, index);
    if (error || !thorough || search->result->count)
        return error;
    uint64_t end = count - LARGE_ARRAY_END;
    if (end > THOROUGH_LIMIT) {
        struct tm_flaw flaw = {.kind = TM_FLAW_UNREADABLE,
                               .address = tm_records_address(search->tracked, THOROUGH_LIMIT)};
        tm_damage_add(search->damage, &flaw, end - THOROUGH_LIMIT);
        end = THOROUGH_LIMIT;
    }
    unsigned char *large = realloc(search->buffer, LARGE_WINDOW);
    if (!large)
        return tm_error_no_memory();
    search->buffer = large;
    search->window = LARGE_WINDOW;
    return scan(search, LARGE_ARRAY_END, end);
}

struct tm_error *tm_tracked_find(struct tm_target *target, const struct tm_host *host, const struct tm_records *tracked,
                                 uint64_t index, uint64_t address, bool thorough, struct tm_tracked_blocks *result,
                                 struct tm_damage *damage)
{
    if (tracked->count <= 1)
        return NULL;
    struct search search = {
        .target = target, .host = host, .tracked = tracked, .address = address, .result = result, .damage = damage};
    search.window = SMALL_WINDOW;
    search.buffer = malloc(SMALL_WINDOW);
    if (!search.buffer)
        return tm_error_no_memory();
    struct tm_error *error =
        tracked->count <= SMALL_ARRAY ? scan(&search, 1, tracked->count) : find_in_large(&search, index, thorough);
    free(search.buffer);
    return error;
}
