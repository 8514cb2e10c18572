// A forked child has only the thread that forked. The others may have been anywhere, except inside what they do under the
// table's lock, and do not end what they began. Knows the table, no hook.

#include "fork.h"

#include <pthread.h>

#include "blocks.h"
#include "caller.h"
#include "handoff.h"
#include "moments.h"
#include "recorder.h"
#include "sample.h"
#include "stack.h"
#include "writers.h"

// Whether the forking thread, between our handlers, has the main interpreter's lock. Then what the lock protects is at rest.
static __thread bool has_lock;

static void before_fork(void)
{
    has_lock = find_caller(cpython.facts, TM_ALLOCATOR_RAW).owns_lock;
    sample_before_fork();
    writers_before_fork();
}

/** Put back a block that was inside realloc(), where it is now, unless the table has a block there already. */
static void undo_resize(const struct tm_resize *resize)
{
    uintptr_t address = resize->moved != 0 ? resize->moved : resize->address;
    bool shared = site_is_shared(resize->site);
    struct map_place place;
    if (!map_find(address, &place))
        block_store(address, (struct block){resize->size, resize->site}, !shared, true);
}

/** Put back the blocks that other threads were resizing. True: there were some. */
static bool undo_resizes(void)
{
    bool undone = false;
    for (unsigned i = has_lock ? 1 : 0; i < TM_RESIZES; i++) {
        struct tm_resize *resize = &table->resize[i];
        if (resize->state == TM_RESIZE_BUSY) {
            undo_resize(resize);
            undone = true;
        }
        if (resize->state != TM_RESIZE_FREE)
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

/** Whether another thread was inside an update. Without a global lock none was, since the writers were held. */
static bool updates_in_flight(void)
{
    // The holder of the lock is not there to ask, so a thread that forks without the lock counts anyway.
    return !cpython.facts->free_threaded && (forget_notes() || !has_lock);
}

static void recount_block(uint32_t site, uint64_t size)
{
    table->shared.traced += size;
    if (!profile_now->counts_sites)
        return;
    struct tm_counters *counters = TABLE_COUNTERS(site);
    counters->frees--;
    counters->freed -= size;
}

static void recount_place(void *context, const struct map_place *place)
{
    (void)context;
    recount_block(place->block.site, place->block.size);
}

/** Count the blocks that are published, and no others. */
static void recount(void)
{
    table->owned.traced = table->shared.traced = 0;
    for (uint32_t id = 1; profile_now->counts_sites && id < table->sites.count; id++) {
        struct tm_counters *counters = TABLE_COUNTERS(id);
        counters->frees = counters->allocations;
        counters->freed = counters->allocated;
    }
    map_walk(recount_place, NULL);
    for (uint32_t id = 1; id < table->tracked.count; id++) {
        const struct tm_tracked *tracked = TABLE_TRACKED(id);
        if (tracked->site != 0)
            recount_block(tracked->site, tracked->size);
    }
    uint64_t whole = table->owned.traced + table->shared.traced;
    if (whole > table->owned.peak)
        table->owned.peak = whole;
}

void fork_repair(bool others)
{
    if (recorder_is_cut())
        return;
    // Mostly nothing was in flight. Then the table's pages stay shared with the parent, but for the one with the process id.
    bool resizes = undo_resizes(), updates = updates_in_flight();
    if (resizes || updates || (others && !cpython.facts->free_threaded))
        recount();
}

static void after_fork_in_child(void)
{
    moments_after_fork();
    // A table in a file becomes the child's only when the child records.
    if (!handoff_is_due())
        fork_repair(false);
    stack_after_fork_in_child();
    intern_after_fork_in_child();
    sample_after_fork_in_child();
    writers_after_fork_in_child();
}

bool fork_install(void)
{
    return pthread_atfork(before_fork, writers_after_fork_in_parent, after_fork_in_child) == 0;
}
