/**
 * The walk: leaf after leaf. The units of a leaf are read as a whole, then its grids, then its lists, each together: they
 * are near each other in memory. What is missing or contradicts itself is left out.
 */
#include "engine/table/walk.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/table/units.h"
#include "engine/target/target.h"
#include "layout/hash.h"

#define PAGE ((uint64_t)4096)
_Static_assert(2 * TM_UNITS_SIZE <= TM_READ_LIMIT, "the units of a leaf and their copies are read at once");

// An entry of a list, while the leaf is sorted.
struct entry {
    uint32_t unit; // in the leaf
    uint32_t part; // of the unit, of a bucket; TM_LIST_BUCKET_COUNT: of no bucket
    uint64_t word;
};

struct tm_walk_leaf {
    uint64_t number;
    struct tm_unit units[2 * TM_LEAF_UNITS];   // the second half: their copies
    const unsigned char *slots[TM_LEAF_UNITS]; // of the unit's grid; NULL: it has none
    bool wanted[TM_LEAF_UNITS];                // the unit's grid is to be read
    struct tm_unit now[2 * TM_LEAF_UNITS];     // of a running process: the units as they were afterwards
    struct entry *entries;                     // sorted by address
    size_t entry_count, entry_capacity;
    struct tm_piece *pieces; // what is to be read at once
    struct tm_piece *later;  // the next level of lists
    size_t piece_count, piece_capacity, later_count, later_capacity;
    // The next block.
    uint32_t unit;
    uint32_t slot;
    size_t entry;
    bool has_grid; // `grid` is that of the unit
    struct tm_grid grid;
};

struct tm_error *tm_walk_init(struct tm_walk *walk, const struct tm_map *map, const struct tm_host *host,
                              struct tm_damage *damage)
{
    *walk = (struct tm_walk){.map = map, .host = host, .damage = damage};
    walk->gather = (struct tm_gather){.target = map->target, .host = host};
    walk->leaf = calloc(1, sizeof(*walk->leaf));
    if (!walk->leaf)
        return tm_error_no_memory();
    walk->leaf->unit = TM_LEAF_UNITS;
    return NULL;
}

void tm_walk_deinit(struct tm_walk *walk)
{
    if (walk->leaf) {
        free(walk->leaf->entries);
        free(walk->leaf->pieces);
        free(walk->leaf->later);
    }
    free(walk->leaf);
    walk->leaf = NULL;
    for (unsigned i = 0; i < TM_WALK_ROUNDS; i++)
        tm_gather_deinit(&walk->again[i]);
    tm_gather_deinit(&walk->gather);
}

static void report(struct tm_walk *walk, enum tm_walk_flaw kind, const struct tm_flaw *flaw, uint64_t records)
{
    tm_damage_add(walk->damage, flaw, records);
    if (walk->observer)
        walk->observer->flaw(walk->observer->context, kind, flaw, records);
}

static void report_corrupt(struct tm_walk *walk, enum tm_walk_flaw kind, uint64_t address)
{
    struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = address};
    report(walk, kind, &flaw, 1);
}

static uint64_t unit_number(const struct tm_walk_leaf *leaf, uint32_t unit)
{
    return leaf->number * TM_LEAF_UNITS + unit;
}

static uint64_t unit_start(const struct tm_walk *walk, uint32_t unit)
{
    return unit_number(walk->leaf, unit) << walk->map->unit_shift;
}

// Whether a piece that was read can be used. What is missing of it is reported as records of `width` bytes.
static bool accept(struct tm_walk *walk, const struct tm_piece *piece, const char *what, uint32_t width)
{
    if (piece->claimed) {
        report_corrupt(walk, TM_WALK_MET_BEFORE, piece->address);
        return false;
    }
    if (piece->missing) {
        struct tm_flaw flaw = {.kind = TM_FLAW_UNREADABLE, .address = piece->address, .bytes = piece->missing};
        report(walk, TM_WALK_UNREADABLE, &flaw, (piece->missing + width - 1) / width);
    }
    if (walk->observer)
        walk->observer->memory(walk->observer->context, what, piece->address, piece->size);
    return true;
}

static struct tm_error *add_piece(struct tm_piece **pieces, size_t *count, size_t *capacity, uint64_t address,
                                  uint32_t size, uint32_t owner)
{
    if (!TM_GROW(pieces, *count + 1, capacity))
        return tm_error_no_memory();
    (*pieces)[(*count)++] = (struct tm_piece){.address = address, .size = size, .owner = owner};
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Units and grids

// Page by page, as far as units or their copies are there.
static struct tm_error *read_units_piecewise(struct tm_walk *walk, const struct tm_map_leaf *place)
{
    struct tm_unit *units = walk->leaf->units;
    for (uint32_t first = 0, next; first < TM_LEAF_UNITS; first = next) {
        // Units need not be at a page's beginning.
        uint64_t address = place->units + first * sizeof(*units), page_end = (address / PAGE + 1) * PAGE;
        uint64_t whole = (page_end - address) / sizeof(*units);
        next = whole < TM_LEAF_UNITS - first ? first + (uint32_t)whole : TM_LEAF_UNITS;
        if (tm_host_should_stop(walk->host))
            return tm_host_stopped();
        if (!tm_gather_gave_up(&walk->gather) && tm_units_read(walk->map, place, first, next - first, &units[first]))
            continue;
        walk->gather.failures++;
        memset(&units[first], 0, (next - first) * sizeof(*units));
        struct tm_flaw flaw = {
            .kind = TM_FLAW_UNREADABLE, .address = address, .bytes = (next - first) * sizeof(*units)};
        report(walk, TM_WALK_UNREADABLE, &flaw, next - first);
    }
    return NULL;
}

static struct tm_error *read_units(struct tm_walk *walk, const struct tm_map_leaf *place)
{
    // Leaves were compared with each other when the map was opened.
    struct tm_unit *units = walk->leaf->units;
    if (walk->observer)
        walk->observer->memory(walk->observer->context, "units", place->units, 2 * TM_UNITS_SIZE);
    if (tm_gather_gave_up(&walk->gather) ||
        !tm_target_try_read(walk->map->target, place->units, units, 2 * TM_UNITS_SIZE))
        return read_units_piecewise(walk, place);
    uint32_t taken = tm_units_mend(walk->map->unit_shift, place->number * TM_LEAF_UNITS, units, units + TM_LEAF_UNITS,
                                   TM_LEAF_UNITS);
    struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = place->units};
    if (taken && walk->observer) // nothing is missing
        walk->observer->flaw(walk->observer->context, TM_WALK_MENDED, &flaw, taken);
    return tm_host_check(walk->host);
}

// Reads the grids that are wanted.
static struct tm_error *read_grids(struct tm_walk *walk, struct tm_gather *gather)
{
    struct tm_walk_leaf *leaf = walk->leaf;
    struct tm_grid grid;
    leaf->piece_count = 0;
    for (uint32_t unit = 0; unit < TM_LEAF_UNITS; unit++) {
        uint64_t word = leaf->units[unit].grid;
        if (word == 0 || !leaf->wanted[unit])
            continue;
        if (!tm_grid_decode(walk->map->unit_shift, unit_number(leaf, unit), word, &grid)) {
            report_corrupt(walk, TM_WALK_MISPLACED, unit_start(walk, unit));
            continue;
        }
        struct tm_error *error =
            add_piece(&leaf->pieces, &leaf->piece_count, &leaf->piece_capacity, grid.array, tm_grid_bytes(&grid), unit);
        if (error)
            return error;
    }
    struct tm_error *error = tm_gather_read(gather, leaf->pieces, leaf->piece_count);
    for (size_t i = 0; !error && i < leaf->piece_count; i++) {
        const struct tm_piece *piece = &leaf->pieces[i];
        if (!accept(walk, piece, "grid", sizeof(uint32_t)))
            continue;
        uint64_t word = leaf->units[piece->owner].grid, head = tm_load_u64(piece->bytes);
        if (head == tm_grid_head(unit_number(leaf, piece->owner), word))
            leaf->slots[piece->owner] = piece->bytes + TM_GRID_HEAD;
        else if (head || !piece->missing) // a missing head is reported already
            report_corrupt(walk, TM_WALK_STRAY, unit_start(walk, piece->owner));
    }
    return error;
}

// The heads of all grids that were read, as they are now: a head is overwritten when its array is given up.
static struct tm_error *read_heads(struct tm_walk *walk, struct tm_gather *gather)
{
    struct tm_walk_leaf *leaf = walk->leaf;
    struct tm_grid grid;
    leaf->piece_count = 0;
    for (uint32_t unit = 0; unit < TM_LEAF_UNITS; unit++) {
        struct tm_error *error = NULL;
        if (leaf->slots[unit] &&
            tm_grid_decode(walk->map->unit_shift, unit_number(leaf, unit), leaf->units[unit].grid, &grid))
            error = add_piece(&leaf->pieces, &leaf->piece_count, &leaf->piece_capacity, grid.array, TM_GRID_HEAD, unit);
        if (error)
            return error;
    }
    return tm_gather_read(gather, leaf->pieces, leaf->piece_count);
}

// Finds the grids that were replaced while they were read, and wants them read again. The slots of all others are those of
// their units: each of them was there at its moment.
static struct tm_error *find_replaced(struct tm_walk *walk, const struct tm_map_leaf *place, size_t *count)
{
    struct tm_walk_leaf *leaf = walk->leaf;
    struct tm_gather heads = {.target = walk->map->target, .host = walk->host};
    *count = 0;
    memset(leaf->wanted, 0, sizeof(leaf->wanted));
    struct tm_error *error = read_heads(walk, &heads);
    for (size_t i = 0; !error && i < leaf->piece_count; i++) {
        const struct tm_piece *piece = &leaf->pieces[i];
        uint64_t word = leaf->units[piece->owner].grid;
        leaf->wanted[piece->owner] = piece->claimed || piece->missing ||
                                     tm_load_u64(piece->bytes) != tm_grid_head(unit_number(leaf, piece->owner), word);
    }
    tm_gather_deinit(&heads);
    if (error || !tm_target_try_read(walk->map->target, place->units, leaf->now, 2 * TM_UNITS_SIZE))
        return error;
    tm_units_mend(walk->map->unit_shift, place->number * TM_LEAF_UNITS, leaf->now, leaf->now + TM_LEAF_UNITS,
                  TM_LEAF_UNITS);
    for (uint32_t unit = 0; unit < TM_LEAF_UNITS; unit++) {
        leaf->wanted[unit] = leaf->wanted[unit] || leaf->units[unit].grid != leaf->now[unit].grid;
        if (!leaf->wanted[unit])
            continue;
        leaf->slots[unit] = NULL;
        leaf->units[unit].grid = leaf->now[unit].grid;
        ++*count;
    }
    return NULL;
}

static struct tm_error *read_replaced(struct tm_walk *walk, const struct tm_map_leaf *place)
{
    size_t count = 0;
    for (unsigned round = 0;; round++) {
        struct tm_error *error = find_replaced(walk, place, &count);
        if (error || count == 0)
            return error;
        if (round == TM_WALK_ROUNDS)
            break;
        walk->again[round] = (struct tm_gather){.target = walk->map->target, .host = walk->host};
        error = read_grids(walk, &walk->again[round]);
        if (error)
            return error;
    }
    struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = place->units};
    report(walk, TM_WALK_STRAY, &flaw, count);
    return NULL;
}

// What was read of the leaf before. An array of that leaf may belong to this one now, if the process runs.
static void clear_gathers(struct tm_walk *walk)
{
    tm_gather_clear(&walk->gather);
    if (!walk->running)
        return;
    for (unsigned i = 0; i < TM_WALK_ROUNDS; i++)
        tm_gather_deinit(&walk->again[i]);
    const struct tm_gather gather = {.target = walk->map->target,
                                     .host = walk->host,
                                     .failures = walk->gather.failures,
                                     .bytes = walk->gather.bytes};
    tm_gather_deinit(&walk->gather);
    walk->gather = gather;
}

// ---------------------------------------------------------------------------------------------------------------
// Lists, level by level: the first chunks of all units, then the second ones, and so on; then those of the buckets

// A piece's owner: the unit, the part of it that a bucket is for, and how many chunks the list has before this one.
#define OWNER(unit, part, before) ((unit) << 16 | (part) << 8 | (before))
#define UNIT_OF(owner) ((owner) >> 16)
#define PART_OF(owner) ((owner) >> 8 & 0xffu)
#define BEFORE(owner) ((owner)&0xffu)
_Static_assert(TM_LIST_BUCKET_COUNT < 1u << 8, "a part fits into an owner");

// Note the chunk, or the buckets, that a word leads to.
static struct tm_error *follow(struct tm_walk *walk, uint32_t owner, uint64_t word)
{
    struct tm_walk_leaf *leaf = walk->leaf;
    uint64_t address;
    bool buckets;
    uint32_t unit = UNIT_OF(owner);
    if (word == 0)
        return NULL;
    if (!tm_list_decode(unit_number(leaf, unit), word, &address, &buckets)) {
        report_corrupt(walk, TM_WALK_MISPLACED, unit_start(walk, unit));
        return NULL;
    }
    bool in_bucket = PART_OF(owner) != TM_LIST_BUCKET_COUNT;
    if (buckets ? in_bucket : BEFORE(owner) == TM_LIST_CHUNKS) {
        report_corrupt(walk, TM_WALK_TOO_LONG, unit_start(walk, unit));
        return NULL;
    }
    uint32_t size = buckets ? TM_LIST_BUCKET_COUNT * sizeof(uint64_t) : sizeof(struct tm_list_chunk);
    return add_piece(&leaf->later, &leaf->later_count, &leaf->later_capacity, address, size, owner);
}

static struct tm_error *take_chunk(struct tm_walk *walk, const struct tm_piece *piece)
{
    struct tm_walk_leaf *leaf = walk->leaf;
    if (!accept(walk, piece, "list", sizeof(uint64_t)))
        return NULL;
    for (unsigned i = 0; i < TM_LIST_ENTRIES; i++) {
        uint64_t word = tm_load_u64(piece->bytes + i * sizeof(word));
        if (word == 0)
            continue;
        if (!TM_GROW(&leaf->entries, leaf->entry_count + 1, &leaf->entry_capacity))
            return tm_error_no_memory();
        leaf->entries[leaf->entry_count++] = (struct entry){UNIT_OF(piece->owner), PART_OF(piece->owner), word};
    }
    uint64_t next = tm_load_u64(piece->bytes + offsetof(struct tm_list_chunk, next));
    return follow(walk, piece->owner + OWNER(0u, 0u, 1u), next);
}

static struct tm_error *take_buckets(struct tm_walk *walk, const struct tm_piece *piece)
{
    struct tm_error *error = NULL;
    if (!accept(walk, piece, "buckets", sizeof(uint64_t)))
        return NULL;
    for (uint32_t part = 0; part < TM_LIST_BUCKET_COUNT && !error; part++) {
        uint64_t word = tm_load_u64(piece->bytes + part * sizeof(word));
        error = follow(walk, OWNER(UNIT_OF(piece->owner), part, 0u), word);
    }
    return error;
}

// Reads what follow() has noted, while it notes what comes after that.
static struct tm_error *read_level(struct tm_walk *walk)
{
    struct tm_walk_leaf *leaf = walk->leaf;
    struct tm_piece *pieces = leaf->later;
    size_t count = leaf->later_count, capacity = leaf->later_capacity;
    leaf->later = leaf->pieces;
    leaf->later_capacity = leaf->piece_capacity;
    leaf->later_count = 0;
    leaf->pieces = pieces;
    leaf->piece_count = count;
    leaf->piece_capacity = capacity;
    struct tm_error *error = tm_gather_read(&walk->gather, pieces, count);
    for (size_t i = 0; !error && i < count; i++) {
        bool is_chunk = pieces[i].size == sizeof(struct tm_list_chunk);
        error = is_chunk ? take_chunk(walk, &pieces[i]) : take_buckets(walk, &pieces[i]);
    }
    return error;
}

static uint64_t entry_place(const struct entry *entry)
{
    return (uint64_t)entry->unit << 10 | (entry->word >> TM_ENTRY_START_SHIFT & TM_ENTRY_START_MASK);
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int order = tm_compare_numbers(entry_place(left), entry_place(right));
    return order ? order : tm_compare_numbers(left->word, right->word);
}

static struct tm_error *read_lists(struct tm_walk *walk)
{
    struct tm_walk_leaf *leaf = walk->leaf;
    struct tm_error *error = NULL;
    leaf->entry_count = leaf->later_count = 0;
    for (uint32_t unit = 0; unit < TM_LEAF_UNITS && !error; unit++)
        error = follow(walk, OWNER(unit, TM_LIST_BUCKET_COUNT, 0u), leaf->units[unit].list);
    while (leaf->later_count && !error) // which ends, since every list does
        error = read_level(walk);
    if (!error && leaf->entry_count)
        qsort(leaf->entries, leaf->entry_count, sizeof(*leaf->entries), compare_entries);
    return error;
}

static struct tm_error *open_leaf(struct tm_walk *walk, const struct tm_map_leaf *place)
{
    struct tm_walk_leaf *leaf = walk->leaf;
    clear_gathers(walk);
    leaf->number = place->number;
    leaf->unit = leaf->slot = 0;
    leaf->entry = 0;
    leaf->has_grid = false;
    tm_host_progress(walk->host, "reading blocks", walk->leaf_next, walk->map->leaf_count);
    memset(leaf->slots, 0, sizeof(leaf->slots));
    memset(leaf->wanted, true, sizeof(leaf->wanted));
    struct tm_error *error = read_units(walk, place);
    if (!error)
        error = read_grids(walk, &walk->gather);
    if (!error && walk->running)
        error = read_replaced(walk, place);
    if (!error)
        error = read_lists(walk);
    return !error && walk->leaf_read ? walk->leaf_read(walk->context) : error;
}

// ---------------------------------------------------------------------------------------------------------------
// Blocks

// Goes on to the next unit with a grid or with entries; *found false: there is none in any leaf.
static struct tm_error *next_unit(struct tm_walk *walk, bool *found)
{
    struct tm_walk_leaf *leaf = walk->leaf;
    *found = true;
    for (;;) {
        for (; leaf->unit < TM_LEAF_UNITS; leaf->unit++) {
            bool has_entries = leaf->entry < leaf->entry_count && leaf->entries[leaf->entry].unit == leaf->unit;
            if (!leaf->slots[leaf->unit] && !has_entries)
                continue;
            leaf->slot = 0;
            leaf->has_grid =
                leaf->slots[leaf->unit] && tm_grid_decode(walk->map->unit_shift, unit_number(leaf, leaf->unit),
                                                          leaf->units[leaf->unit].grid, &leaf->grid);
            return NULL;
        }
        if (walk->leaf_next == walk->map->leaf_count) {
            *found = false;
            return NULL;
        }
        struct tm_error *error = open_leaf(walk, &walk->map->leaves[walk->leaf_next++]);
        if (error)
            return error;
    }
}

static uint32_t load_slot(const struct tm_walk_leaf *leaf, uint32_t index)
{
    return tm_load_u32(leaf->slots[leaf->unit] + index * sizeof(uint32_t));
}

// The next live slot of the unit's grid.
static bool peek_slot(struct tm_walk *walk, struct tm_recorded_block *block)
{
    struct tm_walk_leaf *leaf = walk->leaf;
    for (; leaf->has_grid && leaf->slot < leaf->grid.slots; leaf->slot++) {
        uint32_t slot = load_slot(leaf, leaf->slot);
        if (slot == 0)
            continue;
        if (tm_slot_decode(&leaf->grid, leaf->slot, slot, block))
            return true;
        report_corrupt(walk, TM_WALK_BAD_SLOT, block->address);
    }
    return false;
}

// The next entry of the unit's list.
static bool peek_entry(struct tm_walk *walk, struct tm_recorded_block *block)
{
    struct tm_walk_leaf *leaf = walk->leaf;
    for (; leaf->entry < leaf->entry_count && leaf->entries[leaf->entry].unit == leaf->unit; leaf->entry++) {
        const struct entry *entry = &leaf->entries[leaf->entry];
        if (tm_entry_decode(walk->map->unit_shift, unit_number(leaf, leaf->unit), entry->part, entry->word, block))
            return true;
        report_corrupt(walk, TM_WALK_BAD_ENTRY, block->address);
    }
    return false;
}

// The next block of the current unit, or false.
static bool next_in_unit(struct tm_walk *walk, struct tm_recorded_block *block)
{
    struct tm_walk_leaf *leaf = walk->leaf;
    struct tm_recorded_block entry;
    if (leaf->unit == TM_LEAF_UNITS)
        return false;
    bool has_slot = peek_slot(walk, block), has_entry = peek_entry(walk, &entry);
    if (has_entry && (!has_slot || entry.address <= block->address)) {
        *block = entry;
        leaf->entry++;
        return true;
    }
    leaf->slot += has_slot;
    return has_slot;
}

// Whether the pending block is a good one, now that this is the next start.
static bool settle(struct tm_walk *walk, uint64_t address)
{
    bool overlap = walk->has_pending && tm_recorded_block_contains(&walk->pending, address);
    if (overlap)
        report_corrupt(walk, TM_WALK_OVERLAP, walk->pending.address);
    return walk->has_pending && !overlap;
}

struct tm_error *tm_walk_next(struct tm_walk *walk, bool *found, struct tm_recorded_block *block)
{
    for (;;) {
        struct tm_recorded_block next;
        if (next_in_unit(walk, &next)) {
            *found = settle(walk, next.address);
            *block = walk->pending;
            walk->has_pending = true;
            walk->pending = next;
            if (*found)
                return NULL;
            continue;
        }
        bool more;
        walk->leaf->unit += walk->leaf->unit < TM_LEAF_UNITS;
        struct tm_error *error = next_unit(walk, &more);
        if (error)
            return error;
        if (!more) {
            *found = walk->has_pending;
            *block = walk->pending;
            walk->has_pending = false;
            return NULL;
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Counting

static inline void count(const struct tm_counts *counts, uint32_t site, uint64_t size)
{
    struct tm_count *at = tm_counts_of(counts, site);
    at->blocks++;
    at->bytes += size;
}

// Counts all blocks of the current unit's grid but the last, which becomes the pending one. The blocks of a grid do not
// reach into each other.
static void count_grid(struct tm_walk *walk, const struct tm_counts *counts)
{
    struct tm_walk_leaf *leaf = walk->leaf;
    const struct tm_grid *grid = &leaf->grid;
    const unsigned char *slots = leaf->slots[leaf->unit];
    uint32_t most = grid->stride == TM_GRID_SIZE_MOST ? TM_GRID_SIZE_MOST : 0;
    struct tm_recorded_block last;
    uint32_t end = grid->slots;
    for (; end > leaf->slot; end--) {
        uint32_t slot = load_slot(leaf, end - 1);
        if (slot && tm_slot_decode(grid, end - 1, slot, &last))
            break;
        if (slot)
            report_corrupt(walk, TM_WALK_BAD_SLOT, last.address);
    }
    if (end == leaf->slot)
        return; // all are 0
    for (uint32_t i = leaf->slot; i + 1 < end; i++) {
        uint32_t slot = tm_load_u32(slots + i * sizeof(slot)), size = slot >> TM_SLOT_SIZE_SHIFT & TM_SLOT_SIZE_MASK;
        if (slot == 0)
            continue;
        if (size > grid->stride) {
            struct tm_recorded_block bad;
            tm_slot_decode(grid, i, slot, &bad);
            report_corrupt(walk, TM_WALK_BAD_SLOT, bad.address);
            continue;
        }
        count(counts, slot & TM_SLOT_SITE_MASK, size ? size : most);
    }
    if (walk->has_pending)
        count(counts, walk->pending.site, walk->pending.size);
    walk->has_pending = true;
    walk->pending = last;
    leaf->slot = grid->slots;
}

// Whether nothing but the grid has blocks in the unit, and no block before it reaches into it.
static bool is_grid_alone(const struct tm_walk *walk)
{
    const struct tm_walk_leaf *leaf = walk->leaf;
    bool has_entries = leaf->entry < leaf->entry_count && leaf->entries[leaf->entry].unit == leaf->unit;
    uint64_t end = walk->pending.address + walk->pending.size;
    return leaf->has_grid && !has_entries && (!walk->has_pending || end <= leaf->grid.start);
}

static void count_unit(struct tm_walk *walk, const struct tm_counts *counts)
{
    struct tm_recorded_block next;
    if (is_grid_alone(walk)) {
        count_grid(walk, counts);
        return;
    }
    while (next_in_unit(walk, &next)) {
        if (settle(walk, next.address))
            count(counts, walk->pending.site, walk->pending.size);
        walk->has_pending = true;
        walk->pending = next;
    }
}

struct tm_error *tm_walk_count(struct tm_walk *walk, const struct tm_counts *counts)
{
    for (;;) {
        bool more;
        struct tm_error *error = next_unit(walk, &more);
        if (error)
            return error;
        if (!more)
            break;
        count_unit(walk, counts);
        walk->leaf->unit++;
    }
    if (walk->has_pending)
        count(counts, walk->pending.site, walk->pending.size);
    walk->has_pending = false;
    return NULL;
}
