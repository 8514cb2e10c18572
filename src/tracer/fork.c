// A forked child has only the thread that forked. The others may have been anywhere, except inside what they do under the
// table's lock, and do not end what they began. Knows the table, no hook.

#include "fork.h"

#include <pthread.h>

#include "counters.h"
#include "shadow.h"
#include "writers.h"

/** Put back the blocks that were inside realloc(), unless another block has the address meanwhile. True: there were some. */
static bool undo_resizes(void)
{
    bool undone = false;
    for (unsigned i = 0; i < TM_RESIZES; i++) {
        struct tm_resize *resize = &table->resize[i];
        const uint32_t *slot = shadow_slot(resize->address);
        if (resize->state == TM_RESIZE_BUSY && (slot == NULL || !(*slot & TM_SLOT_START)))
            shadow_store(resize->address, resize->size, resize->site);
        undone = undone || resize->state == TM_RESIZE_BUSY;
        resize->state = TM_RESIZE_FREE;
    }
    return undone;
}

/** Whether the sites together count other bytes than the whole, which they do while an update is in flight. */
static bool updates_in_flight(void)
{
    uint64_t live = 0;
    for (uint32_t id = 1; id < table->sites.count; id++)
        live += TABLE_SITE(id)->allocated - TABLE_SITE(id)->freed;
    return live != table->owned.traced + table->shared.traced;
}

static void recount_block(uint32_t site, uint64_t size)
{
    struct tm_site *counters = TABLE_SITE(site);
    counters->frees--;
    counters->freed -= size;
    *(counters_are_shared(counters) ? &table->shared.traced : &table->owned.traced) += size;
}

static void recount_leaf(void *context, uintptr_t base, uint32_t *leaf, uint64_t *entry)
{
    (void)context;
    for (uint32_t i = 0; i < TM_LEAF_SLOTS; i++) {
        uintptr_t address = base + (uintptr_t)i * SLOT_BYTES;
        if (leaf[i] & TM_SLOT_START && *entry & shadow_part_bit(address))
            recount_block(leaf[i] & TM_SLOT_SITE_MASK, shadow_size(&leaf[i], leaf[i], address));
    }
}

/** Count the blocks that are published, and no others. */
static void recount(void)
{
    table->owned.traced = table->shared.traced = 0;
    for (uint32_t id = 1; id < table->sites.count; id++) {
        struct tm_site *site = TABLE_SITE(id);
        site->frees = site->allocations;
        site->freed = site->allocated;
    }
    shadow_walk(recount_leaf, NULL);
    for (uint32_t id = 1; id < table->tracked.count; id++) {
        const struct tm_tracked *tracked = TABLE_TRACKED(id);
        if (tracked->site != 0)
            recount_block(tracked->site, tracked->size);
    }
    uint64_t whole = table->owned.traced + table->shared.traced;
    if (whole > table->owned.peak)
        table->owned.peak = whole;
}

static void after_fork_in_child(void)
{
    // Mostly nothing was in flight, and the table's pages stay shared with the parent.
    if (undo_resizes() || updates_in_flight())
        recount();
    writers_after_fork_in_child();
}

bool fork_install(void)
{
    return pthread_atfork(writers_before_fork, writers_after_fork_in_parent, after_fork_in_child) == 0;
}
