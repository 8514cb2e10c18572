// The roots of a collection, and when one is possible.

#include "collect.h"

#include "intern.h"
#include "map.h"
#include "stack.h"
#include "watched.h"

static unsigned paused;

void collect_pause(void)
{
    __atomic_fetch_add(&paused, 1, __ATOMIC_SEQ_CST);
}

void collect_resume(void)
{
    __atomic_fetch_sub(&paused, 1, __ATOMIC_SEQ_CST);
}

static void mark_place(void *context, const struct map_place *place)
{
    marks_set(context, place->block.site);
}

static void mark_tracked(struct marks *live_sites)
{
    for (uint32_t id = 1; id < table->tracked.count; id++)
        marks_set(live_sites, TABLE_TRACKED(id)->site);
}

static void mark_resizes(struct marks *live_sites)
{
    for (unsigned i = 0; i < TM_RESIZES; i++)
        if (table->resize[i].state != TM_RESIZE_FREE && table->resize[i].site < live_sites->count)
            marks_set(live_sites, table->resize[i].site);
}

/** False: another thread is inside an update. What it did meanwhile may have been missed. */
static bool mark_roots(struct marks *live_sites, struct marks *live_codes)
{
    map_walk(mark_place, live_sites);
    mark_tracked(live_sites);
    mark_resizes(live_sites);
    watched_mark(live_codes);
    return !counter_any_in_flight();
}

// Where other threads are hardly ever at rest, marking may be in vain again and again. So after each failure we wait for
// twice as many occasions.
enum { FIRST_WAIT = 1 << 10, LAST_WAIT = 1 << 24 };
static unsigned next_wait = FIRST_WAIT, waiting;

static void wait_after(bool collected)
{
    waiting = collected ? 0 : next_wait;
    next_wait = collected ? FIRST_WAIT : next_wait < LAST_WAIT ? 2 * next_wait : LAST_WAIT;
}

bool collect(void)
{
    // Without a global lock, the other threads would have to be held, and this one is inside an update.
    if (cpython.facts->free_threaded || __atomic_load_n(&paused, __ATOMIC_SEQ_CST) != 0)
        return false;
    if (waiting > 0) {
        waiting--;
        return false;
    }
    if (counter_any_in_flight())
        return false;
    table_lock();
    bool collected = intern_collect(mark_roots);
    table_unlock();
    wait_after(collected);
    if (collected)
        stack_forget_ids();
    return collected;
}
