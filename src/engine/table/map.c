/**
 * The map: from an address to its unit, and from there back to the nearest start of a block.
 *
 * A unit's grid leads to the slot by one division. Where the unit has no start at or before the address, the units below it
 * are looked at, as far as the largest block reaches. Reads of units begin with a few and grow.
 */
#include "engine/table/map.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/table/units.h"
#include "engine/target/target.h"
#include "layout/hash.h"

// What one search may read before it gives up: far more than a valid table needs.
#define READ_LIMIT (UINT64_C(64) << 20)
#define UNITS_FIRST 4u

// ---------------------------------------------------------------------------------------------------------------
// Words

bool tm_grid_decode(unsigned unit_shift, uint64_t unit, uint64_t word, struct tm_grid *grid)
{
    uint32_t stride = (uint32_t)(word & TM_GRID_STRIDE_MASK), phase = word >> TM_GRID_PHASE_SHIFT & TM_GRID_PHASE_MASK;
    *grid = (struct tm_grid){.unit = unit,
                             .start = unit << unit_shift,
                             .word = word,
                             .array = word >> TM_GRID_ADDRESS_SHIFT & TM_GRID_ADDRESS_MASK,
                             .stride = stride << TM_GRAIN_SHIFT,
                             .phase = phase << TM_GRAIN_SHIFT};
    if (stride == 0 || grid->stride > TM_GRID_SIZE_MOST || phase >= stride || grid->array == 0 ||
        (word >> TM_GRID_CHECK_SHIFT & TM_GRID_CHECK_MASK) != tm_grid_check(unit, word))
        return false;
    grid->slots = TM_GRID_SLOTS(unit_shift, grid->stride, grid->phase);
    return true;
}

bool tm_list_decode(uint64_t unit, uint64_t word, uint64_t *address, bool *buckets)
{
    *address = word >> TM_LIST_ADDRESS_SHIFT & TM_LIST_ADDRESS_MASK;
    *buckets = word & TM_LIST_BUCKETS;
    return *address != 0 && (word >> TM_LIST_CHECK_SHIFT & TM_LIST_CHECK_MASK) == tm_list_check(unit, word);
}

bool tm_entry_decode(unsigned unit_shift, uint64_t unit, unsigned part, uint64_t entry, struct tm_recorded_block *block)
{
    uint64_t start = (entry >> TM_ENTRY_START_SHIFT & TM_ENTRY_START_MASK) << TM_GRAIN_SHIFT;
    *block = (struct tm_recorded_block){.address = (unit << unit_shift) + start,
                                        .size = entry >> TM_ENTRY_SIZE_SHIFT & TM_ENTRY_SIZE_MASK,
                                        .site = (uint32_t)(entry & TM_ENTRY_SITE_MASK),
                                        .watched = (entry & TM_ENTRY_WATCHED) != 0};
    bool zero = (entry >> 62 & 1) == 0; // the only bit without a meaning
    bool in_part = part == TM_LIST_BUCKET_COUNT || start >> tm_part_shift(unit_shift) == part;
    return zero && start >> unit_shift == 0 && in_part &&
           block->size <= (UINT64_C(1) << TM_ADDRESS_BITS) - block->address;
}

// ---------------------------------------------------------------------------------------------------------------
// Leaves

const char *tm_leaf_check(uint64_t id, const struct tm_leaf *leaf, unsigned unit_shift)
{
    uint64_t range = (uint64_t)TM_LEAF_UNITS << unit_shift;
    if (leaf->hash != tm_leaf_hash(id, leaf))
        return "it changed after it was written";
    if (leaf->start % range || leaf->start >> TM_ADDRESS_BITS)
        return "no leaf can start there";
    if (leaf->units == 0 || leaf->units % sizeof(struct tm_unit) || leaf->units > UINT64_MAX - 2 * TM_UNITS_SIZE)
        return "no units can be there";
    return NULL;
}

static int compare_places(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_map_leaf *)a)->units, ((const struct tm_map_leaf *)b)->units);
}

static int compare_leaves(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_map_leaf *)a)->number, ((const struct tm_map_leaf *)b)->number);
}

// The writer makes one leaf for a range, and never puts two into the same memory. `same`: whether a leaf collides with the
// one before it.
static void drop(struct tm_map *map, const struct tm_records *leaves,
                 bool (*same)(const struct tm_map_leaf *before, const struct tm_map_leaf *leaf))
{
    size_t kept = 0;
    for (size_t i = 0; i < map->leaf_count; i++) {
        if (kept && same(&map->leaves[kept - 1], &map->leaves[i])) {
            struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = tm_records_address(leaves, map->leaves[i].id)};
            tm_damage_add(&map->damage, &flaw, 1);
        } else {
            map->leaves[kept++] = map->leaves[i];
        }
    }
    map->leaf_count = kept;
}

static bool overlap(const struct tm_map_leaf *before, const struct tm_map_leaf *leaf)
{
    return leaf->units - before->units < 2 * TM_UNITS_SIZE;
}

static bool same_range(const struct tm_map_leaf *before, const struct tm_map_leaf *leaf)
{
    return leaf->number == before->number;
}

struct tm_error *tm_map_init(struct tm_map *map, struct tm_target *target, unsigned unit_shift,
                             const struct tm_records *leaves)
{
    *map = (struct tm_map){.target = target, .unit_shift = unit_shift};
    size_t count = 0;
    for (uint64_t id = 1; (id = tm_records_skip(leaves, id)) < leaves->count; id++)
        count += tm_records_peek(leaves, id) != NULL;
    map->leaf_records = count;
    if (count == 0)
        return NULL;
    map->leaves = malloc(count * sizeof(*map->leaves));
    if (!map->leaves)
        return tm_error_no_memory();
    for (uint64_t id = 1; (id = tm_records_skip(leaves, id)) < leaves->count; id++) {
        const void *bytes = tm_records_peek(leaves, id);
        struct tm_leaf leaf;
        if (!bytes)
            continue;
        memcpy(&leaf, bytes, sizeof(leaf));
        struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
        if (tm_leaf_check(id, &leaf, unit_shift))
            tm_flaw_corrupt(&flaw, tm_records_address(leaves, id));
        else
            map->leaves[map->leaf_count++] =
                (struct tm_map_leaf){leaf.start / ((uint64_t)TM_LEAF_UNITS << unit_shift), leaf.units, id};
        tm_damage_add(&map->damage, &flaw, 1);
    }
    qsort(map->leaves, map->leaf_count, sizeof(*map->leaves), compare_places);
    drop(map, leaves, overlap);
    qsort(map->leaves, map->leaf_count, sizeof(*map->leaves), compare_leaves);
    drop(map, leaves, same_range);
    return NULL;
}

void tm_map_deinit(struct tm_map *map)
{
    free(map->leaves);
    *map = (struct tm_map){.leaves = NULL};
}

struct tm_error *tm_map_grid_bytes(const struct tm_map *map, const struct tm_host *host, uint64_t *result)
{
    struct tm_unit units[TM_UNITS_MOST];
    *result = 0;
    for (size_t i = 0; i < map->leaf_count; i++) {
        struct tm_error *error = tm_host_check(host);
        if (error)
            return error;
        for (uint32_t first = 0; first < TM_LEAF_UNITS; first += TM_UNITS_MOST) {
            if (!tm_units_read(map, &map->leaves[i], first, TM_UNITS_MOST, units))
                continue;
            for (uint32_t j = 0; j < TM_UNITS_MOST; j++) {
                struct tm_grid grid;
                uint64_t unit = map->leaves[i].number * TM_LEAF_UNITS + first + j;
                if (units[j].grid && tm_grid_decode(map->unit_shift, unit, units[j].grid, &grid))
                    *result += tm_grid_bytes(&grid);
            }
        }
    }
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// The nearest start

struct search {
    const struct tm_map *map;
    const struct tm_host *host;
    struct tm_damage *damage;
    uint64_t address; // at or before which a block has to start
    uint64_t left;    // bytes that may still be read
    bool found;       // `block` is the nearest one of the unit
    struct tm_recorded_block block;
};

static void note_corrupt(struct search *search, uint64_t address)
{
    struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = address};
    tm_damage_add(search->damage, &flaw, 1);
}

static void note_unreadable(struct search *search, uint64_t address, uint64_t length, uint64_t records)
{
    struct tm_flaw flaw = {.kind = TM_FLAW_UNREADABLE, .address = address, .bytes = length};
    tm_damage_add(search->damage, &flaw, records);
}

static bool read(struct search *search, uint64_t address, void *buffer, uint64_t length, uint64_t records)
{
    search->left -= search->left < length ? search->left : length;
    if (tm_target_try_read(search->map->target, address, buffer, length))
        return true;
    note_unreadable(search, address, length, records);
    return false;
}

// Whether it starts at or before the address; then it is the nearest one, if it is nearer than the one known.
static bool consider(struct search *search, const struct tm_recorded_block *block)
{
    if (block->address > search->address)
        return false;
    if (!search->found || block->address >= search->block.address)
        search->block = *block;
    search->found = true;
    return true;
}

// The last live slot of the grid at or before the address. Reads the array in two pieces: most blocks are found in the
// page of the slot itself.
static void search_grid(struct search *search, uint64_t unit, uint64_t word)
{
    struct tm_grid grid;
    uint64_t head;
    if (word == 0)
        return;
    if (!tm_grid_decode(search->map->unit_shift, unit, word, &grid)) {
        note_corrupt(search, unit << search->map->unit_shift);
        return;
    }
    if (search->address < grid.start + grid.phase)
        return;
    if (!read(search, grid.array, &head, sizeof(head), grid.slots))
        return;
    if (head != tm_grid_head(unit, word)) {
        note_corrupt(search, grid.array);
        return;
    }
    uint32_t slots[256];
    uint64_t last = (search->address - grid.start - grid.phase) / grid.stride;
    uint32_t end = last < grid.slots ? (uint32_t)last + 1 : grid.slots, count = 16;
    for (uint32_t first; end; end = first, count = sizeof(slots) / sizeof(slots[0])) {
        first = end > count ? end - count : 0;
        if (!read(search, grid.array + TM_GRID_HEAD + first * sizeof(slots[0]), slots, (end - first) * sizeof(slots[0]),
                  end - first))
            continue;
        for (uint32_t i = end; i-- > first;) {
            struct tm_recorded_block block;
            if (slots[i - first] == 0)
                continue;
            if (tm_slot_decode(&grid, i, slots[i - first], &block)) {
                consider(search, &block);
                return;
            }
            note_corrupt(search, block.address);
        }
    }
}

// A list without its buckets, of a unit or of one bucket: at most TM_LIST_CHUNKS chunks. *buckets: where the buckets are,
// or 0.
static void search_chunks(struct search *search, uint64_t unit, unsigned part, uint64_t word, uint64_t *buckets)
{
    *buckets = 0;
    for (unsigned chunks = 0; word; chunks++) {
        struct tm_list_chunk chunk;
        uint64_t address;
        bool is_buckets;
        if (!tm_list_decode(unit, word, &address, &is_buckets) || (chunks == TM_LIST_CHUNKS && !is_buckets)) {
            note_corrupt(search, unit << search->map->unit_shift);
            return;
        }
        if (is_buckets) {
            *buckets = address;
            return;
        }
        if (!read(search, address, &chunk, sizeof(chunk), TM_LIST_ENTRIES))
            return;
        for (unsigned i = 0; i < TM_LIST_ENTRIES; i++) {
            struct tm_recorded_block block;
            if (chunk.entry[i] == 0)
                continue;
            if (tm_entry_decode(search->map->unit_shift, unit, part, chunk.entry[i], &block))
                consider(search, &block);
            else
                note_corrupt(search, address + i * sizeof(chunk.entry[i]));
        }
        word = chunk.next;
    }
}

// A bucket has the blocks that start in its part of the unit. So the nearest one is in the last bucket with any.
static struct tm_error *search_list(struct search *search, uint64_t unit, uint64_t word)
{
    uint64_t words[TM_LIST_BUCKET_COUNT], buckets, none;
    search_chunks(search, unit, TM_LIST_BUCKET_COUNT, word, &buckets);
    if (!buckets || !read(search, buckets, words, sizeof(words), TM_LIST_BUCKET_COUNT))
        return NULL;
    unsigned part_shift = tm_part_shift(search->map->unit_shift);
    uint64_t start = unit << search->map->unit_shift, part = (search->address - start) >> part_shift;
    for (unsigned i = part < TM_LIST_BUCKET_COUNT ? (unsigned)part + 1 : TM_LIST_BUCKET_COUNT; i-- > 0;) {
        struct tm_error *error = tm_host_check(search->host);
        if (error)
            return error;
        if (search->found && search->block.address >= start + ((uint64_t)(i + 1) << part_shift))
            return NULL;
        search_chunks(search, unit, i, words[i], &none);
        if (none)
            note_corrupt(search, buckets + i * sizeof(words[0])); // a bucket has no buckets
    }
    return NULL;
}

static struct tm_error *search_unit(struct search *search, uint64_t unit, const struct tm_unit *words)
{
    search_grid(search, unit, words->grid);
    return words->list ? search_list(search, unit, words->list) : NULL;
}

static bool read_units(struct search *search, const struct tm_map_leaf *leaf, uint32_t first, uint32_t count,
                       struct tm_unit *units)
{
    uint64_t length = 2 * count * sizeof(*units);
    search->left -= search->left < length ? search->left : length;
    if (tm_units_read(search->map, leaf, first, count, units))
        return true;
    note_unreadable(search, leaf->units + first * sizeof(*units), length / 2, count);
    return false;
}

// The last unit of one leaf with a start, from `last` back to `lowest`, both counted in the leaf.
static struct tm_error *search_leaf(struct search *search, const struct tm_map_leaf *leaf, uint32_t last,
                                    uint32_t lowest)
{
    struct tm_unit units[TM_UNITS_MOST];
    uint32_t window = UNITS_FIRST;
    for (uint32_t end = last + 1, first; end > lowest && search->left && !search->found; end = first) {
        struct tm_error *error = tm_host_check(search->host);
        if (error)
            return error;
        first = end - lowest > window ? end - window : lowest;
        bool there = read_units(search, leaf, first, end - first, units);
        for (uint32_t i = end; there && i-- > first && !search->found && search->left;) {
            error = search_unit(search, leaf->number * TM_LEAF_UNITS + i, &units[i - first]);
            if (error)
                return error;
        }
        window = window * 4 < TM_UNITS_MOST ? window * 4 : TM_UNITS_MOST;
    }
    return NULL;
}

// How many leaves begin at or before the one with this number.
static size_t leaves_up_to(const struct tm_map *map, uint64_t number)
{
    size_t low = 0, high = map->leaf_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (map->leaves[middle].number <= number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct tm_error *tm_map_find(const struct tm_map *map, const struct tm_host *host, uint64_t address,
                             struct tm_map_answer *answer, struct tm_damage *damage)
{
    *answer = (struct tm_map_answer){.found = false};
    if (address >> TM_ADDRESS_BITS)
        return NULL;
    struct search search = {.map = map, .host = host, .damage = damage, .address = address, .left = READ_LIMIT};
    uint64_t unit = address >> map->unit_shift;
    uint64_t lowest = (address > TM_MAP_LARGEST ? address - TM_MAP_LARGEST : 0) >> map->unit_shift;
    for (size_t i = leaves_up_to(map, unit / TM_LEAF_UNITS); i-- > 0 && !search.found && search.left;) {
        uint64_t first = map->leaves[i].number * TM_LEAF_UNITS;
        if (first + TM_LEAF_UNITS <= lowest)
            break;
        uint64_t last = unit - first < TM_LEAF_UNITS ? unit - first : TM_LEAF_UNITS - 1;
        struct tm_error *error =
            search_leaf(&search, &map->leaves[i], (uint32_t)last, lowest > first ? (uint32_t)(lowest - first) : 0);
        if (error)
            return error;
    }
    answer->gave_up = !search.found && search.left == 0;
    answer->block = search.block;
    answer->found = search.found && tm_recorded_block_contains(&search.block, address);
    return NULL;
}
