// Growing, walking and shrinking the shadow map, and sizes that are not on the fast path.

#include "shadow.h"

#include <string.h>

#include "pages.h"

static uint64_t *entry_create(uint64_t *entry, size_t size)
{
    if (*entry == 0) {
        void *memory = table_allocate(size);
        if (memory != NULL)
            __atomic_store_n(entry, (uint64_t)(uintptr_t)memory, __ATOMIC_RELEASE);
    }
    return (uint64_t *)(uintptr_t)*entry;
}

// Leaves are aligned to their size, so that a slot's address shows its place in the leaf. A few are mapped at a time.
enum { LEAVES_AT_ONCE = 4 };
static char *spare_leaf, *spare_leaves_end;

static void *leaf_create(void)
{
    if (spare_leaf == spare_leaves_end) {
        size_t size = LEAVES_AT_ONCE * sizeof(tm_leaf);
        char *leaves = pages_map_aligned(size, sizeof(tm_leaf), NULL);
        if (leaves == NULL)
            return NULL;
        table_account((int64_t)size);
        spare_leaf = leaves;
        spare_leaves_end = leaves + size;
    }
    char *leaf = spare_leaf;
    spare_leaf += sizeof(tm_leaf);
    table->leaves++;
    return leaf;
}

uint32_t *shadow_slot_create_locked(uintptr_t address)
{
    if (address >> TM_ADDRESS_BITS != 0)
        return NULL;
    uint64_t *directory = (uint64_t *)(uintptr_t)table->directory;
    if (entry_create(&directory[address >> TM_BRANCH_SHIFT], sizeof(tm_branch)) == NULL)
        return NULL;
    uint64_t *entry = shadow_entry(address), leaf = __atomic_load_n(entry, __ATOMIC_RELAXED);
    if (leaf == 0) {
        leaf = (uint64_t)(uintptr_t)leaf_create();
        if (leaf == 0)
            return NULL;
        __atomic_store_n(entry, leaf, __ATOMIC_RELEASE);
    }
    __atomic_fetch_or(entry, shadow_part_bit(address), __ATOMIC_RELEASE);
    return shadow_slot_of(leaf, address);
}

uint32_t *shadow_slot_create(uintptr_t address)
{
    table_lock();
    uint32_t *slot = shadow_slot_create_locked(address);
    table_unlock();
    return slot;
}

static uint32_t *slot_after(uintptr_t address, unsigned slots)
{
    address += (uintptr_t)slots * SLOT_BYTES;
    uint32_t *slot = shadow_slot(address);
    return slot != NULL ? slot : shadow_slot_create(address);
}

static bool store_size(uintptr_t address, size_t size)
{
    uint32_t *low = slot_after(address, 1);
    if (low == NULL)
        return false;
    if (size <= TM_SIZE_MASK) {
        *low = (uint32_t)size;
        return true;
    }
    uint32_t *high = slot_after(address, 2);
    if (high == NULL)
        return false;
    *high = (uint32_t)(size >> TM_SIZE_BITS);
    *low = TM_SIZE_ESCAPE | (uint32_t)(size & TM_SIZE_MASK);
    return true;
}

size_t shadow_size_far(uintptr_t address)
{
    size_t size = *shadow_slot(address + SLOT_BYTES);
    if (size & TM_SIZE_ESCAPE)
        size = (size & TM_SIZE_MASK) | (size_t)*shadow_slot(address + 2 * SLOT_BYTES) << TM_SIZE_BITS;
    return size;
}

void shadow_erase_escape(uintptr_t address)
{
    uint32_t *low = shadow_slot(address + SLOT_BYTES);
    if (low != NULL)
        *low = 0;
}

void shadow_walk(void (*visit)(void *context, uintptr_t address, uint32_t *leaf, uint64_t *entry), void *context)
{
    const uint64_t *directory = (const uint64_t *)(uintptr_t)table->directory;
    for (uintptr_t d = 0; d < TM_DIRECTORY_ENTRIES; d++) {
        uint64_t *branch = (uint64_t *)(uintptr_t)directory[d];
        for (uintptr_t b = 0; branch != NULL && b < TM_BRANCH_ENTRIES; b++)
            if (branch[b] != 0)
                visit(context, d << TM_BRANCH_SHIFT | b << TM_LEAF_SHIFT, shadow_slot_of(branch[b], 0), &branch[b]);
    }
}

static void reset_leaf(void *context, uintptr_t address, uint32_t *leaf, uint64_t *entry)
{
    (void)context;
    (void)address;
    __atomic_fetch_and(entry, ~TM_LEAF_PARTS_MASK, __ATOMIC_RELEASE);
    pages_discard(leaf, sizeof(tm_leaf));
}

void shadow_reset(void)
{
    shadow_walk(reset_leaf, NULL);
}

/** Forget the parts of one leaf that cover [start, end); both are multiples of what a part covers. */
static void forget_parts(uintptr_t start, uintptr_t end)
{
    uint64_t *entry = shadow_entry(start);
    uint64_t leaf = entry == NULL ? 0 : __atomic_load_n(entry, __ATOMIC_RELAXED);
    if (leaf == 0)
        return;
    uint64_t bits = shadow_part_bit(start) * ((UINT64_C(1) << ((end - start) >> TM_LEAF_PART_SHIFT)) - 1);
    if ((leaf & bits) == 0)
        return;
    __atomic_fetch_and(entry, ~bits, __ATOMIC_RELEASE);
    pages_discard(shadow_slot_of(leaf, start), (end - start) / SLOT_BYTES * sizeof(uint32_t));
}

static void forget_range(uintptr_t start, uintptr_t end)
{
    const uintptr_t part = (uintptr_t)1 << TM_LEAF_PART_SHIFT, leaf = (uintptr_t)1 << TM_LEAF_SHIFT;
    start = (start + part - 1) & ~(part - 1);
    end &= ~(part - 1);
    while (start < end) {
        uintptr_t leaf_end = (start | (leaf - 1)) + 1, until = leaf_end < end ? leaf_end : end;
        forget_parts(start, until);
        start = until;
    }
}

bool shadow_store_slowly(uintptr_t address, size_t size, uint32_t site)
{
    uint32_t *start = shadow_slot_create(address), value = TM_SLOT_START | site;
    if (start == NULL || size >> (2 * TM_SIZE_BITS) != 0)
        return false;
    // Forget what a large block covers, except the first slots, which have its own start and size.
    if (size >= SHADOW_LARGE)
        forget_range(address + 3 * SLOT_BYTES, address + size);
    if (size <= TM_SLOT_SMALL_LIMIT)
        value |= (uint32_t)(size + 1) << TM_SLOT_SMALL_SHIFT;
    else if (!store_size(address, size))
        return false;
    __atomic_store_n(start, value, __ATOMIC_RELEASE);
    return true;
}

void shadow_discard(uintptr_t address, size_t size)
{
    forget_range(address, address + size);
}
