// Tracked blocks: records, which are used again, and the published index that finds them by (domain, address).

#include "tracked.h"

#include <string.h>

#include "counters.h"
#include "layout/hash.h"
#include "recorder.h"

uint64_t tracked_in_domain_0;

static uint32_t free_records; // chained through `size`
static uint64_t used;         // slots of the index that are not 0, removed ones included

static struct tm_tracked_index *index_now(void)
{
    return (struct tm_tracked_index *)(uintptr_t)table->tracked_index;
}

static size_t index_bytes(uint32_t shift)
{
    return sizeof(struct tm_tracked_index) + (sizeof(uint32_t) << shift);
}

/** The slot with this key, or NULL. An index is never full. */
static uint32_t *find(uint32_t domain, uint64_t address)
{
    struct tm_tracked_index *index = index_now();
    if (index == NULL)
        return NULL;
    uint32_t mask = (UINT32_C(1) << index->shift) - 1;
    for (uint64_t i = tm_tracked_key_hash(domain, address);; i++) {
        uint32_t id = index->slot[i & mask];
        if (id == 0)
            return NULL;
        if (id == TM_TRACKED_REMOVED)
            continue;
        const struct tm_tracked *record = TABLE_TRACKED(id);
        if (record->domain == domain && record->address == address)
            return &index->slot[i & mask];
    }
}

static void put(struct tm_tracked_index *index, uint32_t id)
{
    const struct tm_tracked *record = TABLE_TRACKED(id);
    uint32_t mask = (UINT32_C(1) << index->shift) - 1;
    uint64_t i = tm_tracked_key_hash(record->domain, record->address);
    while (index->slot[i & mask] != 0)
        i++;
    __atomic_store_n(&index->slot[i & mask], id, __ATOMIC_RELEASE);
}

/** Make room for one more in the index. It is at most half used; else there will be a new one without the removed slots. */
static bool reserve(void)
{
    struct tm_tracked_index *old = index_now();
    if (old != NULL && used * 2 < UINT64_C(1) << old->shift)
        return true;
    uint64_t live = 0;
    for (uint64_t i = 0; old != NULL && i < UINT64_C(1) << old->shift; i++)
        live += old->slot[i] != 0 && old->slot[i] != TM_TRACKED_REMOVED;
    uint32_t shift = 10;
    while (live * 4 >= UINT64_C(1) << shift)
        shift++;
    struct tm_tracked_index *grown = table_map(index_bytes(shift), TM_OWN_TABLE);
    if (grown == NULL)
        return false;
    grown->shift = shift;
    for (uint64_t i = 0; old != NULL && i < UINT64_C(1) << old->shift; i++)
        if (old->slot[i] != 0 && old->slot[i] != TM_TRACKED_REMOVED)
            put(grown, old->slot[i]);
    used = live;
    __atomic_store_n(&table->tracked_index, (uint64_t)(uintptr_t)grown, __ATOMIC_RELEASE);
    recorder_keep_root();
    if (old != NULL)
        table_unmap(old, index_bytes(old->shift));
    return true;
}

/** A record that is not live, to be filled in. 0: no memory. */
static uint32_t take_record(void)
{
    if (free_records == 0)
        return table_append(&table->tracked) == NULL ? 0 : table_publish(&table->tracked);
    uint32_t id = free_records;
    free_records = (uint32_t)TABLE_TRACKED(id)->size;
    return id;
}

static void free_record(uint32_t id)
{
    struct tm_tracked *record = TABLE_TRACKED(id);
    __atomic_store_n(&record->site, 0, __ATOMIC_RELEASE);
    record->size = free_records;
    free_records = id;
}

static void count_in_domain_0(uint64_t change)
{
    __atomic_store_n(&tracked_in_domain_0, tracked_in_domain_0 + change, __ATOMIC_RELAXED);
}

static bool take(uint32_t domain, uint64_t address, bool shared, struct tracked_block *block)
{
    uint32_t *slot = find(domain, address);
    if (slot == NULL)
        return false;
    uint32_t id = *slot;
    const struct tm_tracked *record = TABLE_TRACKED(id);
    *block = (struct tracked_block){.size = record->size, .site = record->site};
    count_out_of_whole(block->size, shared);
    free_record(id);
    __atomic_store_n(slot, TM_TRACKED_REMOVED, __ATOMIC_RELEASE);
    count_in_domain_0(domain == 0 ? (uint64_t)-1 : 0);
    return true;
}

bool tracked_put(uint32_t domain, uint64_t address, struct tracked_block block, bool shared,
                 struct tracked_block *replaced)
{
    *replaced = (struct tracked_block){0};
    table_lock();
    take(domain, address, shared, replaced);
    uint32_t id = reserve() ? take_record() : 0;
    if (id != 0) {
        struct tm_tracked *record = TABLE_TRACKED(id);
        record->address = address;
        record->size = block.size;
        record->domain = domain;
        record->hash = tm_tracked_hash(id, &(struct tm_tracked){address, block.size, domain, block.site, 0});
        __atomic_store_n(&record->site, block.site, __ATOMIC_RELEASE);
        put(index_now(), id);
        used++;
        count_in_domain_0(domain == 0);
    }
    table_unlock();
    return id != 0;
}

bool tracked_take(uint32_t domain, uint64_t address, bool shared, struct tracked_block *block)
{
    table_lock();
    bool there = take(domain, address, shared, block);
    table_unlock();
    return there;
}

bool tracked_take_record(uint32_t id, bool shared, struct tracked_block *block, uintptr_t *address)
{
    table_lock();
    const struct tm_tracked *record = TABLE_TRACKED(id);
    *address = record->address;
    bool there = record->site != 0 && take(record->domain, record->address, shared, block);
    table_unlock();
    return there;
}

uint32_t tracked_site(uint32_t domain, uint64_t address)
{
    table_lock();
    const uint32_t *slot = find(domain, address);
    uint32_t site = slot == NULL ? 0 : TABLE_TRACKED(*slot)->site;
    table_unlock();
    return site;
}

void tracked_reset(void)
{
    table_lock();
    struct tm_tracked_index *index = index_now();
    for (uint64_t i = 0; index != NULL && i < UINT64_C(1) << index->shift; i++) {
        if (index->slot[i] != 0 && index->slot[i] != TM_TRACKED_REMOVED)
            free_record(index->slot[i]);
        index->slot[i] = 0;
    }
    used = 0;
    count_in_domain_0(-tracked_in_domain_0);
    table_unlock();
}
