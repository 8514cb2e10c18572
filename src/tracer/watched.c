// A hash table from blocks to the code objects in them: open addressing, linear probing, grown by doubling.

#include "watched.h"

#include <string.h>

#include "filter.h"
#include "profile.h"

struct watched {
    uintptr_t block; // that holds the object; 0: the place is free
    uint32_t before; // bytes of the block before the object
    uint32_t code;
};

static struct watched *places;
static size_t mask, used; // of the places, which are a power of two; at most two thirds are used
size_t watched_unrecorded;

enum { FIRST_PLACES = 512, MOST_BEFORE = 64 }; // bytes of the block before the object

static size_t home_of(uintptr_t block)
{
    return (size_t)((block >> TM_GRAIN_SHIFT) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static struct watched *find(uintptr_t block)
{
    for (size_t i = home_of(block); places != NULL; i++) {
        struct watched *place = &places[i & mask];
        if (place->block == block)
            return place;
        if (place->block == 0)
            return NULL;
    }
    return NULL;
}

static void put(struct watched *into, size_t into_mask, struct watched watched)
{
    size_t i = home_of(watched.block);
    while (into[i & into_mask].block != 0)
        i++;
    into[i & into_mask] = watched;
}

static bool reserve(void)
{
    if (places != NULL && used * 3 < mask * 2)
        return true;
    size_t old_count = places == NULL ? 0 : mask + 1, count = places == NULL ? FIRST_PLACES : old_count * 2;
    struct watched *grown = table_map(count * sizeof *grown, TM_OWN_PRIVATE);
    if (grown == NULL)
        return false;
    for (size_t i = 0; i < old_count; i++)
        if (places[i].block != 0)
            put(grown, count - 1, places[i]);
    if (places != NULL)
        table_unmap(places, old_count * sizeof *places);
    places = grown;
    mask = count - 1;
    return true;
}

/** Free a place, and move up those behind it that are not where their search would find them then. */
static void take_out(struct watched *place)
{
    size_t hole = (size_t)(place - places);
    for (size_t i = hole + 1; places[i & mask].block != 0; i++) {
        size_t distance = (i - home_of(places[i & mask].block)) & mask;
        if (distance < ((i - hole) & mask))
            continue;
        places[hole & mask] = places[i & mask];
        hole = i;
    }
    places[hole & mask].block = 0;
    used--;
}

static void count_unrecorded(size_t change)
{
    __atomic_store_n(&watched_unrecorded, watched_unrecorded + change, __ATOMIC_RELAXED);
}

// ---------------------------------------------------------------------------------------------------------------
// Blocks of code objects

static void (*hooked_free)(void *context, void *block);

void watched_set_free(void (*object_free)(void *context, void *block))
{
    hooked_free = object_free;
}

static bool free_names_object(void)
{
    PyMemAllocatorEx allocator;
    PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &allocator);
    return allocator.free == hooked_free;
}

/** The least length of a code object. */
static size_t object_length(const void *object)
{
    const struct cpython_facts *facts = cpython.facts;
    if (facts->code_first_traceable == 0)
        return facts->code_lines + sizeof(PyObject *);
    return facts->code_bytecode + (size_t)cpython_items_of(object) * CODE_UNIT;
}

/** The block of the map that holds this code object, and no room for a second one. */
static bool find_block(const void *object, struct map_place *place)
{
    uintptr_t first = (uintptr_t)object, length = object_length(object);
    if (!map_find_holding(first, MOST_BEFORE, place))
        return false;
    uintptr_t end = place->address + place->block.size;
    return end >= first + length && end < first + 2 * length;
}

uint32_t watched_find(const void *object)
{
    struct map_place place;
    bool recorded = map_find_holding((uintptr_t)object, MOST_BEFORE, &place);
    const struct watched *watched = find(recorded ? place.address : (uintptr_t)object);
    bool same = watched != NULL && watched->block + watched->before == (uintptr_t)object;
    // Without its mark, the end of a block in the map is not noticed.
    return same && (!recorded || place.block.watched) ? watched->code : 0;
}

bool watched_add(const void *object, uint32_t code)
{
    struct map_place place;
    bool recorded = find_block(object, &place);
    uintptr_t block = recorded ? place.address : (uintptr_t)object;
    if ((!recorded && !free_names_object()) || !reserve())
        return false;
    // Another thread that clears all traces may have changed the block's place meanwhile.
    if (recorded && !map_change(&place, place.block.site, true))
        return false;
    struct watched *stale = find(block), new = {block, (uint32_t)((uintptr_t)object - block), code};
    if (stale != NULL) {
        *stale = new;
        return true;
    }
    if (profile_now->picks)
        filter_add(block);
    put(places, mask, new);
    used++;
    count_unrecorded(!recorded);
    return true;
}

void watched_lose_block(void)
{
    table_lock();
    count_unrecorded(1);
    table_unlock();
}

struct watched_range watched_end(uintptr_t block, bool recorded)
{
    struct watched_range range = {0};
    table_lock();
    struct watched *watched = find(block);
    if (watched != NULL) {
        // The object itself may be overwritten already, by an allocator that wraps ours.
        const struct cpython_facts *facts = cpython.facts;
        size_t bytecode = facts->code_first_traceable == 0 ? 0 : TABLE_CODE(watched->code)->code_length + CODE_UNIT;
        range = (struct watched_range){block + watched->before, facts->code_bytecode + bytecode};
        take_out(watched);
        if (profile_now->picks)
            filter_remove(block);
        count_unrecorded(recorded ? 0 : (size_t)-1);
    }
    table_unlock();
    return range;
}

void watched_mark(struct marks *codes)
{
    for (size_t i = 0; places != NULL && i <= mask; i++)
        if (places[i].block != 0)
            marks_set(codes, places[i].code);
}

void watched_reset(void)
{
    table_lock();
    if (places != NULL)
        memset(places, 0, (mask + 1) * sizeof *places);
    used = watched_unrecorded = 0;
    table_unlock();
}
