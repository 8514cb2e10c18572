// The map's leaves, and what is not on the allocation path.

#include "map.h"

#include "layout/hash.h"
#include "moments.h"
#include "recorder.h"

struct tm_unit **map_directory;

static size_t leaf_shift(void)
{
    return cpython.facts->pool_shift + (size_t)LEAF_BITS;
}

bool map_create(void)
{
    table_lock();
    if (map_directory == NULL)
        map_directory = table_map(sizeof *map_directory << (TM_ADDRESS_BITS - leaf_shift()), TM_OWN_PRIVATE);
    table_unlock();
    return map_directory != NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Units

static struct tm_unit *unit_at(uintptr_t address)
{
    return map_unit(cpython.facts->pool_shift, address);
}

/** Holding the lock. */
static bool create_leaf(uintptr_t address)
{
    struct tm_leaf *leaf = table_append(&table->leaves);
    struct tm_unit *units = leaf == NULL ? NULL : table_allocate(2 * TM_LEAF_UNITS * sizeof *units);
    if (units == NULL)
        return false;
    leaf->start = address >> leaf_shift() << leaf_shift();
    leaf->units = (uint64_t)(uintptr_t)units;
    leaf->hash = tm_leaf_hash(table->leaves.count, leaf);
    table_publish(&table->leaves);
    __atomic_store_n(&map_directory[address >> leaf_shift()], units, __ATOMIC_RELEASE);
    return true;
}

/** The unit of an address below 2^48, with its leaf. NULL: no memory. Holding the lock. */
static struct tm_unit *unit_create(uintptr_t address)
{
    struct tm_unit *unit = unit_at(address);
    if (unit == NULL && create_leaf(address))
        unit = unit_at(address);
    return unit;
}

// ---------------------------------------------------------------------------------------------------------------
// Storing

static struct map_block block_of_slot(uint64_t word, uint32_t value)
{
    return (struct map_block){
        .size = slot_size(word, value), .site = value & TM_SLOT_SITE_MASK, .watched = value & TM_SLOT_WATCHED};
}

static struct map_block block_of_entry(uint64_t entry)
{
    return (struct map_block){
        .size = entry_size(entry), .site = (uint32_t)(entry & TM_ENTRY_SITE_MASK), .watched = entry & TM_ENTRY_WATCHED};
}

/** The slot for a block in the grid of its unit, which changes if need be. NULL: its place is in the list. Holding the lock. */
static uint32_t *slot_for(struct tm_unit *unit, uintptr_t address, const struct map_block *block)
{
    const unsigned unit_shift = cpython.facts->pool_shift;
    uint32_t *slot = grid_slot(unit_shift, unit->grid, address);
    if (slot != NULL && grid_takes(unit->grid, block->size))
        return slot;
    // Blocks that keep to no grid are in the list. Once there are some, looking for a grid again and again is in vain. And
    // without a global lock, other threads use the grid that is there.
    if (unit->list != 0 || (unit->grid != 0 && cpython.facts->free_threaded))
        return NULL;
    return grid_fit(unit_shift, &unit->grid, address, block->size);
}

/** The place for a block, which is made if need be: the slot, if it is in a grid. False: no memory. */
static bool make_place(uintptr_t address, const struct map_block *block, bool gridded, struct tm_unit **unit,
                       uint32_t **slot)
{
    table_lock();
    *unit = unit_create(address);
    *slot = *unit == NULL || !gridded ? NULL : slot_for(*unit, address, block);
    table_unlock();
    return *unit != NULL;
}

bool map_store(uintptr_t address, struct map_block block, bool gridded, struct map_block *replaced)
{
    struct tm_unit *unit = unit_at(address);
    uint32_t *slot = NULL;
    gridded = gridded && block.size <= TM_GRID_SIZE_MOST;
    replaced->site = 0;
    if ((unit == NULL || gridded) && !make_place(address, &block, gridded, &unit, &slot))
        return false;
    if (slot != NULL) {
        uint32_t old = __atomic_exchange_n(slot, slot_value(block.size, block.site), __ATOMIC_ACQ_REL);
        *replaced = block_of_slot(unit->grid, old);
        return true;
    }
    moments_count(block.size);
    uint64_t entry = entry_value(cpython.facts->pool_shift, address, block.size, block.site), old;
    bool stored = list_put(cpython.facts->pool_shift, &unit->list, address, entry, &old);
    *replaced = block_of_entry(old);
    return stored;
}

// ---------------------------------------------------------------------------------------------------------------
// Finding

static bool find_in_grid(const struct tm_unit *unit, uintptr_t address, struct map_place *place)
{
    uint64_t word = __atomic_load_n(&unit->grid, __ATOMIC_ACQUIRE);
    uint32_t *slot = grid_slot(cpython.facts->pool_shift, word, address);
    uint32_t value = slot == NULL ? 0 : __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    *place = (struct map_place){.address = address, .block = block_of_slot(word, value), .slot = slot, .value = value};
    return value != 0;
}

static bool find_in_list(struct tm_unit *unit, uintptr_t address, struct map_place *place)
{
    uint64_t *entry = address % GRAIN != 0 ? NULL : list_find(cpython.facts->pool_shift, &unit->list, address);
    uint64_t value = entry == NULL ? 0 : __atomic_load_n(entry, __ATOMIC_ACQUIRE);
    *place = (struct map_place){.address = address, .block = block_of_entry(value), .entry = entry, .value = value};
    return value != 0;
}

bool map_find(uintptr_t address, struct map_place *place)
{
    struct tm_unit *unit = unit_at(address);
    return unit != NULL && (find_in_grid(unit, address, place) || find_in_list(unit, address, place));
}

bool map_find_holding(uintptr_t address, uintptr_t before, struct map_place *place)
{
    for (uintptr_t start = address & -(uintptr_t)GRAIN; address - start <= before; start -= GRAIN)
        if (map_find(start, place))
            return start == address || address - start < place->block.size;
    return false;
}

// ---------------------------------------------------------------------------------------------------------------
// Changing

static bool change(const struct map_place *place, uint64_t value)
{
    if (place->slot != NULL) {
        uint32_t expected = (uint32_t)place->value;
        return __atomic_compare_exchange_n(place->slot, &expected, (uint32_t)value, false, __ATOMIC_ACQ_REL,
                                           __ATOMIC_RELAXED);
    }
    uint64_t expected = place->value;
    return __atomic_compare_exchange_n(place->entry, &expected, value, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

bool map_remove(const struct map_place *place)
{
    return change(place, 0);
}

bool map_change(const struct map_place *place, uint32_t site, bool watched)
{
    if (place->slot != NULL)
        return change(place, (place->value & ~(uint64_t)(TM_SLOT_SITE_MASK | TM_SLOT_WATCHED)) | site |
                                 (watched ? TM_SLOT_WATCHED : 0));
    return change(place,
                  (place->value & ~(TM_ENTRY_SITE_MASK | TM_ENTRY_WATCHED)) | site | (watched ? TM_ENTRY_WATCHED : 0));
}

// ---------------------------------------------------------------------------------------------------------------
// All blocks

struct walk {
    void (*visit)(void *context, const struct map_place *place);
    void *context;
    uintptr_t unit; // address of the present one
};

static void visit_entry(void *context, uint64_t *entry)
{
    const struct walk *walk = context;
    uint64_t value = __atomic_load_n(entry, __ATOMIC_ACQUIRE);
    struct map_place place = {.address = walk->unit +
                                         ((value >> TM_ENTRY_START_SHIFT & TM_ENTRY_START_MASK) << TM_GRAIN_SHIFT),
                              .block = block_of_entry(value),
                              .entry = entry,
                              .value = value};
    if (value != 0)
        walk->visit(walk->context, &place);
}

static void walk_grid(const struct walk *walk, uint64_t word)
{
    uint32_t *slots = grid_slots(word);
    size_t count = TM_GRID_SLOTS(cpython.facts->pool_shift, grid_stride(word), grid_phase(word));
    for (size_t i = 0; i < count; i++) {
        uint32_t value = __atomic_load_n(&slots[i], __ATOMIC_ACQUIRE);
        struct map_place place = {.address = walk->unit + grid_phase(word) + i * grid_stride(word),
                                  .block = block_of_slot(word, value),
                                  .slot = &slots[i],
                                  .value = value};
        if (value != 0)
            walk->visit(walk->context, &place);
    }
}

static void walk_unit(struct walk *walk, const struct tm_unit *unit)
{
    uint64_t word = __atomic_load_n(&unit->grid, __ATOMIC_ACQUIRE);
    if (word != 0)
        walk_grid(walk, word);
    list_walk(__atomic_load_n(&unit->list, __ATOMIC_ACQUIRE), visit_entry, walk);
}

void map_walk(void (*visit)(void *context, const struct map_place *place), void *context)
{
    struct walk walk = {.visit = visit, .context = context};
    for (uint64_t id = 1; id < table->leaves.count; id++) {
        const struct tm_leaf *leaf = TABLE_LEAF(id);
        const struct tm_unit *units = (const struct tm_unit *)(uintptr_t)leaf->units;
        for (uintptr_t i = 0; units != NULL && i < TM_LEAF_UNITS; i++) {
            walk.unit = leaf->start + (i << cpython.facts->pool_shift);
            walk_unit(&walk, &units[i]);
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Forgetting

static void forget_entry(void *context, uint64_t *entry)
{
    (void)context;
    __atomic_store_n(entry, 0, __ATOMIC_RELEASE);
}

/** Holding the lock. Chunks stay: a thread without the lock may be about to put a block into one. */
static void forget_unit(struct tm_unit *unit)
{
    grid_drop(cpython.facts->pool_shift, &unit->grid);
    list_walk(unit->list, forget_entry, NULL);
}

void map_reset(void)
{
    table_lock();
    for (uint64_t id = 1; id < table->leaves.count; id++) {
        struct tm_unit *units = (struct tm_unit *)(uintptr_t)TABLE_LEAF(id)->units;
        for (uintptr_t i = 0; units != NULL && i < TM_LEAF_UNITS; i++)
            forget_unit(&units[i]);
    }
    table_unlock();
}

void map_discard(uintptr_t address, size_t size)
{
    const uintptr_t bytes = (uintptr_t)1 << cpython.facts->pool_shift;
    table_lock();
    uintptr_t end = recorder_is_cut() ? 0 : address + size;
    for (uintptr_t start = (address + bytes - 1) & -bytes; start + bytes <= end; start += bytes) {
        struct tm_unit *unit = unit_at(start);
        if (unit != NULL)
            forget_unit(unit);
    }
    table_unlock();
}
