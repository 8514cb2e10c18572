// Growing, walking and shrinking the shadow map, and the sizes which do not fit the fast path.

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

// Leaves are aligned to their size, so that a slot knows its place in the leaf; they are mapped a few at a time.
enum { LEAVES_AT_ONCE = 4 };
static char *spare_leaf, *spare_leaves_end;

static void *leaf_create(void)
{
    if (spare_leaf == spare_leaves_end) {
        size_t size = LEAVES_AT_ONCE * sizeof(tm_leaf);
        char *leaves = pages_map_aligned(size, sizeof(tm_leaf), TM_MAPPING_NAME " leaves");
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
    uint64_t *branch = entry_create(&directory[address >> TM_BRANCH_SHIFT], sizeof(tm_branch));
    if (branch != NULL) {
        uint64_t *entry = &branch[address >> TM_LEAF_SHIFT & (TM_BRANCH_ENTRIES - 1)];
        if (*entry == 0)
            __atomic_store_n(entry, (uint64_t)(uintptr_t)leaf_create(), __ATOMIC_RELEASE);
    }
    return shadow_slot(address);
}

uint32_t *shadow_slot_create(uintptr_t address)
{
    pthread_mutex_lock(&table_lock);
    uint32_t *slot = shadow_slot_create_locked(address);
    pthread_mutex_unlock(&table_lock);
    return slot;
}

static uint32_t *slot_after(uintptr_t address, unsigned slots)
{
    address += (uintptr_t)slots * SLOT_BYTES;
    uint32_t *slot = shadow_slot(address);
    return slot != NULL ? slot : shadow_slot_create(address);
}

bool shadow_store_far(uintptr_t address, size_t size, uint32_t site)
{
    uint32_t *start = slot_after(address, 0), *low = slot_after(address, 1);
    if (start == NULL || low == NULL || size >> (2 * TM_SIZE_BITS) != 0)
        return false;
    if (size <= TM_SIZE_MASK) {
        *low = (uint32_t)size;
    } else {
        uint32_t *high = slot_after(address, 2);
        if (high == NULL)
            return false;
        *high = (uint32_t)(size >> TM_SIZE_BITS);
        *low = TM_SIZE_ESCAPE | (uint32_t)(size & TM_SIZE_MASK);
    }
    __atomic_store_n(start, TM_SLOT_START | site, __ATOMIC_RELEASE);
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

void shadow_walk(void (*visit)(void *context, uintptr_t address, uint32_t *leaf), void *context)
{
    const uint64_t *directory = (const uint64_t *)(uintptr_t)table->directory;
    for (uintptr_t d = 0; d < TM_DIRECTORY_ENTRIES; d++) {
        const uint64_t *branch = (const uint64_t *)(uintptr_t)directory[d];
        for (uintptr_t b = 0; branch != NULL && b < TM_BRANCH_ENTRIES; b++)
            if (branch[b] != 0)
                visit(context, d << TM_BRANCH_SHIFT | b << TM_LEAF_SHIFT, (uint32_t *)(uintptr_t)branch[b]);
    }
}

static void discard_leaf(void *context, uintptr_t address, uint32_t *leaf)
{
    (void)context;
    (void)address;
    pages_discard(leaf, sizeof(tm_leaf));
}

void shadow_reset(void)
{
    shadow_walk(discard_leaf, NULL);
}

void shadow_discard(uintptr_t address, size_t size)
{
    // A page of slots stands for so many addresses; pages which stand for others too are left alone.
    const uintptr_t page_covers = PAGE_BYTES / sizeof(uint32_t) * SLOT_BYTES;
    const uintptr_t leaf_covers = (uintptr_t)1 << TM_LEAF_SHIFT;
    uintptr_t at = (address + page_covers - 1) & ~(page_covers - 1);
    uintptr_t end = (address + size) & ~(page_covers - 1);
    while (at < end) {
        uintptr_t leaf_end = (at | (leaf_covers - 1)) + 1;
        uintptr_t until = leaf_end < end ? leaf_end : end;
        uint32_t *slot = shadow_slot(at);
        if (slot != NULL)
            pages_discard(slot, (until - at) / SLOT_BYTES * sizeof *slot);
        at = until;
    }
}
