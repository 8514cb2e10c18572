// What births need beside the fast path, and whether all of them are seen. Knows the table and birth_events.h; no hook.

#include "births.h"

#include "recording.h"

__thread struct fresh_block fresh_block;

struct born find_born_without_lock(uintptr_t object)
{
    enum { TYPE_FLAGS_PRE_HEADER = 3 << 3 }; // weak references or a dict, in two words before the object
    unsigned long flags = PyType_GetFlags(cpython_type_of((const void *)object));
    uintptr_t block = object - (flags & TYPE_FLAGS_PRE_HEADER ? 2 * sizeof(void *) : 0);
    const struct tm_unit *unit = map_unit(cpython.facts->pool_shift, block);
    struct born born = {.word = unit == NULL ? 0 : unit->grid};
    born.slot = grid_slot(cpython.facts->pool_shift, born.word, block);
    born.value = born.slot == NULL ? 0 : __atomic_load_n(born.slot, __ATOMIC_RELAXED);
    return born.value != 0 ? born : (struct born){0};
}

uintptr_t find_born_elsewhere(uintptr_t object)
{
    enum { HEADERS = 256 }; // which another allocator may put before our blocks
    struct map_place place;
    for (uintptr_t before = 0; before <= OWN_HEADERS && tracked_any_in_domain_0(); before += GRAIN)
        if (tracked_site(0, object - before) != 0)
            return object - before;
    if (!map_find_holding(object, HEADERS, &place))
        return 0;
    if (object - place.address <= OWN_HEADERS)
        return place.address;
    // A block that begins so far before the object may be something larger which holds it.
    births_are_missed();
    return 0;
}

static void move_tracked(uintptr_t block, uint32_t site, bool shared)
{
    struct taken_block old = block_take_tracked(0, block, shared);
    if (old.block.site == 0)
        return;
    struct block moved = {old.block.size, site};
    count_in_site(profile_now, site, moved.size, shared);
    if (block_store_tracked(0, block, moved, shared)) {
        count_in_whole(moved.size, shared);
    } else {
        count_in_site_undo(profile_now, site, moved.size, shared);
        table_lost_block();
    }
    block_end(profile_now, &old);
}

void move_elsewhere(uintptr_t block, uint32_t site, bool shared)
{
    struct map_place place;
    if (!map_find(block, &place)) {
        move_tracked(block, site, shared);
        return;
    }
    struct map_block old = place.block;
    if (old.site == site)
        return;
    if (shared && profile_now->counts_sites && !site_is_shared(old.site)) {
        births_are_missed();
        return;
    }
    count_in_site(profile_now, site, old.size, shared);
    if (map_change(&place, site, old.watched))
        count_out_of_site(profile_now, old.site, old.size, shared);
    else
        count_in_site_undo(profile_now, site, old.size, shared);
}

// ---------------------------------------------------------------------------------------------------------------
// Whether all births are seen

static bool missed; // since traces were cleared, or the interpreter began

void births_are_missed(void)
{
    __atomic_store_n(&missed, true, __ATOMIC_RELAXED);
    __atomic_fetch_and(&table->flags, ~(TM_ROOT_REUSE_EXACT | TM_ROOT_REUSE_WAY), __ATOMIC_RELAXED);
}

void births_check(void)
{
    static uint64_t checked_at; // the number of sites
    uint64_t sites = __atomic_load_n(&table->sites.count, __ATOMIC_RELAXED);
    if (LIKELY(__atomic_load_n(&checked_at, __ATOMIC_RELAXED) == sites))
        return;
    __atomic_store_n(&checked_at, sites, __ATOMIC_RELAXED);
    if (__atomic_load_n(&table->flags, __ATOMIC_RELAXED) & TM_ROOT_REUSE_EXACT && !birth_events_arrive())
        births_are_missed();
}

static void say_how(enum birth_way way)
{
    static const uint32_t flags[] = {[BIRTHS_BY_TABLE] = TM_ROOT_REUSE_BY_TABLE,
                                     [BIRTHS_BY_SLOTS] = TM_ROOT_REUSE_BY_SLOTS,
                                     [BIRTHS_BY_ENTRY] = TM_ROOT_REUSE_BY_ENTRY,
                                     [BIRTHS_BY_EVENTS] = 0};
    __atomic_fetch_and(&table->flags, ~TM_ROOT_REUSE_WAY, __ATOMIC_RELAXED);
    __atomic_fetch_or(&table->flags, TM_ROOT_REUSE_EXACT | flags[way], __ATOMIC_RELAXED);
}

void births_watch(birth_callback on_birth)
{
    if (!Py_IsInitialized())
        missed = false; // an interpreter begins, perhaps the second one of the process
    if (!tracing_on() || !birth_events_wanted() || missed)
        return;
    // What this allocates is not the program's.
    bool was_paused = tracing_pause();
    enum birth_way way = birth_events_begin(on_birth);
    if (way == BIRTHS_MISSED)
        births_are_missed(); // for example because -X tracemalloc came first
    else
        say_how(way);
    tracing_resume(was_paused);
}

void births_forget_missed(void)
{
    missed = false;
}
