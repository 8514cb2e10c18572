// A forked child has only the thread that forked. The others may have been anywhere, except inside what they do under the
// table's lock, and do not end what they began. Knows the table, no hook.

#include "fork.h"

#include <pthread.h>

#include "caller.h"
#include "counters.h"
#include "shadow.h"
#include "writers.h"

// Whether the forking thread, between our handlers, has the main interpreter's lock. Then what the lock protects is at rest.
static __thread bool has_lock;

static void before_fork(void)
{
    has_lock = find_caller(cpython.facts, TM_ALLOCATOR_RAW).owns_lock;
    writers_before_fork();
}

/** Put back the blocks that were inside realloc(), unless another block has the address meanwhile. True: there were some. */
static bool undo_resizes(void)
{
    bool undone = false;
    for (unsigned i = has_lock ? 1 : 0; i < TM_RESIZES; i++) {
        struct tm_resize *resize = &table->resize[i];
        if (resize->state == TM_RESIZE_FREE)
            continue;
        const uint32_t *slot = shadow_slot(resize->address);
        if (resize->state == TM_RESIZE_BUSY && (slot == NULL || !(*slot & TM_SLOT_START)))
            shadow_store(resize->address, resize->size, resize->site);
        undone = undone || resize->state == TM_RESIZE_BUSY;
        resize->state = TM_RESIZE_FREE;
    }
    return undone;
}

/** Whether updates of shared counters were in flight. The threads whose updates they were are gone. */
static bool forget_notes(void)
{
    bool in_flight = false;
    for (unsigned i = 0; i < COUNTER_NOTES; i++)
        if (counter_notes[i].in_flight != 0) {
            counter_notes[i].in_flight = 0;
            in_flight = true;
        }
    return in_flight;
}

/** Whether the sites together count other bytes than the whole, which they do while an update is in flight. */
static bool sites_differ_from_whole(void)
{
    uint64_t live = 0;
    for (uint32_t id = 1; id < table->sites.count; id++)
        live += TABLE_SITE(id)->allocated - TABLE_SITE(id)->freed;
    return live != table->owned.traced + table->shared.traced;
}

/** Whether another thread was inside an update. Without a global lock none was, since the writers were held. */
static bool updates_in_flight(void)
{
    if (cpython.facts->free_threaded)
        return false;
    // Only a thread that forks without the lock must look at all sites: the holder of the lock is not there to ask.
    return forget_notes() || (!has_lock && sites_differ_from_whole());
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
    // Mostly nothing was in flight. Then the table's pages stay shared with the parent, but for the one with the process id.
    bool resizes = undo_resizes(), updates = updates_in_flight();
    if (resizes || updates)
        recount();
    writers_after_fork_in_child();
}

bool fork_install(void)
{
    return pthread_atfork(before_fork, writers_after_fork_in_parent, after_fork_in_child) == 0;
}
