// The allocation path, from CPython's call to the stores in the trace table; and switching it on and off.

#define _GNU_SOURCE
#include "tracing.h"

#include <pthread.h>
#include <string.h>

#include "bind.h"
#include "counters.h"
#include "pages.h"
#include "birth_events.h"
#include "selfcheck.h"
#include "shadow.h"
#include "stack.h"
#include "tracked.h"
#include "writers.h"

// ---------------------------------------------------------------------------------------------------------------
// What the hooks share

struct hook {
    PyMemAllocatorEx inner; // whom we wrap
};
enum { HOOKED = 3 };              // the domains raw, mem and object, in CPython's order
static struct hook hooks[HOOKED]; // their addresses are the hooks' contexts

static bool tracing;                // the hooks record; else they only pass on
static __thread bool inside_a_hook; // a nested call: the outer one records the block
static __thread unsigned passed_on; // bits: the hooks which were called and did not record

/** Whether to record what happens now; then leave() ends it. */
static ALWAYS_INLINE bool enter(void)
{
    if (UNLIKELY(inside_a_hook) || UNLIKELY(!__atomic_load_n(&tracing, __ATOMIC_RELAXED)))
        return false;
    inside_a_hook = true;
    return true;
}

static ALWAYS_INLINE void leave(void)
{
    inside_a_hook = false;
    selfcheck_now_and_then();
}

/** Whether to change the table now; then end_update(). Only where there is no lock, tracing may have ended since enter(). */
static ALWAYS_INLINE bool begin_update(facts_t facts)
{
    if (!facts->free_threaded)
        return true;
    writer_begin();
    if (LIKELY(__atomic_load_n(&tracing, __ATOMIC_RELAXED)))
        return true;
    writer_end();
    return false;
}

static ALWAYS_INLINE void end_update(facts_t facts)
{
    if (facts->free_threaded)
        writer_end();
}

struct caller {
    const PyThreadState *thread; // the calling thread's own state, or NULL
    bool owns_lock;              // it holds the main interpreter's lock
};

static ALWAYS_INLINE bool in_main_interpreter(const PyThreadState *thread)
{
    PyInterpreterState *interpreter = FIELD(PyInterpreterState *, thread, THREAD_INTERPRETER);
    if (LIKELY(interpreter == cpython.main))
        return true;
    // Another interpreter's; or the main one is new: nobody else runs in that case.
    if (interpreter != PyInterpreterState_Main())
        return false;
    cpython.main = interpreter;
    return true;
}

/** Who calls. mem and object are only called with the lock, where there is one; raw by anybody. */
static ALWAYS_INLINE struct caller find_caller(facts_t facts, unsigned allocator)
{
    const PyThreadState *thread = cpython_current_thread();
    if (allocator == TM_ALLOCATOR_RAW) {
        // To 3.11 the current state is that of whoever holds the lock, from 3.12 on it is the calling thread's.
        const PyThreadState *own = thread;
        if (cpython.lock_is_global || thread == NULL)
            own = PyGILState_GetThisThreadState();
        if (own == NULL || own != thread)
            return (struct caller){.thread = cpython_own_frames_are_known() ? own : NULL};
    }
    if (UNLIKELY(thread == NULL))
        return (struct caller){0};
    if (facts->free_threaded)
        return (struct caller){.thread = thread};
    // With one lock for all, its holder is alone, whichever interpreter it runs.
    return (struct caller){.thread = thread, .owns_lock = cpython.lock_is_global || in_main_interpreter(thread)};
}

/** Put a block among the tracked ones, in the place of one with the same key. False: no memory. */
static __attribute__((noinline)) bool store_tracked(uint32_t domain, uintptr_t address, struct tracked_block block)
{
    struct tracked_block replaced;
    bool stored = tracked_put(domain, address, block, &replaced);
    if (replaced.site != 0)
        count_out_of_site(TABLE_SITE(replaced.site), replaced.size);
    return stored;
}

/** Put a block into the table; without a site, or without memory, it is lost and counted. */
static ALWAYS_INLINE void publish(uintptr_t address, size_t size, uint32_t site)
{
    if (UNLIKELY(site == 0)) {
        table_lost_block();
        return;
    }
    struct tm_site *from = TABLE_SITE(site);
    bool stored;
    count_in_site(from, size);
    if (LIKELY(shadow_is_key(address)))
        stored = shadow_store(address, size, site);
    else
        stored = store_tracked(0, address, (struct tracked_block){.size = size, .site = site});
    if (LIKELY(stored)) {
        count_in_whole(from, size);
    } else {
        count_in_site_undo(from, size);
        table_lost_block();
    }
}

struct old_block {
    struct tm_site *counters; // its site's; NULL: the block is not in the table
    uint64_t size;
    uint32_t site;
    bool tracked; // it was not in the map
};

/** A code object dies, or moves, which is as much. */
static __attribute__((noinline)) void code_dies(uintptr_t address)
{
    size_t size = code_forget(address);
    if (size != 0 && find_caller(cpython.facts, TM_ALLOCATOR_OBJECT).owns_lock)
        stack_forget_code(address, size);
}

/** The block is none of the map's: take it from the tracked ones. */
static struct old_block take_tracked(uintptr_t address)
{
    struct tracked_block block = {0};
    if (!tracked_any_in_domain_0() || !tracked_take(0, address, &block))
        return (struct old_block){0};
    return (struct old_block){
        .counters = TABLE_SITE(block.site), .size = block.size, .site = block.site, .tracked = true};
}

/** take() for all that is not plain: code objects, blocks outside of the map, those of threads without the lock. */
static __attribute__((noinline)) struct old_block take_slowly(uintptr_t address)
{
    if (!shadow_is_key(address)) {
        code_dies(address);
        return take_tracked(address);
    }
    uint32_t *slot = shadow_slot(address), value = slot == NULL ? 0 : __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (value & TM_SLOT_WATCHED) {
        code_dies(address);
        value &= ~TM_SLOT_WATCHED;
    }
    if (!(value & TM_SLOT_START))
        return take_tracked(address);
    struct old_block old = {.site = value & TM_SLOT_SITE_MASK, .size = shadow_size(slot, value, address)};
    old.counters = TABLE_SITE(old.site);
    count_out_of_whole(old.counters, old.size);
    // Whoever clears all traces may be faster.
    if (!__atomic_compare_exchange_n(slot, &value, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        count_out_of_whole(old.counters, -old.size);
        return (struct old_block){0};
    }
    if (old.size > TM_SIZE_MASK)
        shadow_erase_escape(address);
    return old;
}

/** Take a block out of the table, and out of the whole; its site still counts it. */
static ALWAYS_INLINE struct old_block take(uintptr_t address)
{
    uint32_t *slot = LIKELY(shadow_is_key(address)) ? shadow_slot(address) : NULL;
    uint32_t value = LIKELY(slot != NULL) ? __atomic_load_n(slot, __ATOMIC_RELAXED) : 0;
    if (UNLIKELY((value & (TM_SLOT_START | TM_SLOT_WATCHED)) != TM_SLOT_START))
        return take_slowly(address);
    struct old_block old = {.site = value & TM_SLOT_SITE_MASK, .size = shadow_size(slot, value, address)};
    old.counters = TABLE_SITE(old.site);
    if (count_is_shared(old.counters) || UNLIKELY(old.size > TM_SIZE_MASK))
        return take_slowly(address);
    count_out_of_whole(old.counters, old.size);
    __atomic_store_n(slot, 0, __ATOMIC_RELEASE);
    return old;
}

static void hook_free(void *context, void *block)
{
    struct hook *hook = context;
    if (LIKELY(block != NULL) && LIKELY(__atomic_load_n(&tracing, __ATOMIC_RELAXED))) {
        struct old_block old = take((uintptr_t)block);
        if (LIKELY(old.counters != NULL))
            count_out_of_site(old.counters, old.size);
    }
    hook->inner.free(hook->inner.ctx, block);
}

// Where there is no lock, CPython may be asked for a block while its allocators are being set, and call the function of one
// with the context of the other. So our functions know by themselves which hook they are, and their context is the inner
// allocator's, as it was before.

static void free_without_lock(struct hook *hook, void *block)
{
    if (LIKELY(block != NULL) && LIKELY(__atomic_load_n(&tracing, __ATOMIC_RELAXED)) && begin_update(cpython.facts)) {
        struct old_block old = take((uintptr_t)block);
        if (LIKELY(old.counters != NULL))
            count_out_of_site(old.counters, old.size);
        end_update(cpython.facts);
    }
    hook->inner.free(hook->inner.ctx, block);
}

#define FREE_WITHOUT_LOCK(name, domain)                 \
    static void free_##name(void *context, void *block) \
    {                                                   \
        (void)context;                                  \
        free_without_lock(&hooks[domain], block);       \
    }
FREE_WITHOUT_LOCK(raw, PYMEM_DOMAIN_RAW)
FREE_WITHOUT_LOCK(mem, PYMEM_DOMAIN_MEM)
FREE_WITHOUT_LOCK(object, PYMEM_DOMAIN_OBJ)

// A block inside realloc() belongs to the allocator, which may give its address to another thread before we hear of
// it. So it leaves the map before, and the resize record tells of it meanwhile.

struct resize {
    struct tm_resize *record; // NULL: none was to be had, or the block is not in the table
    struct old_block old;
    uintptr_t address;
};

static struct tm_resize *resize_claim(struct caller caller)
{
    if (caller.owns_lock)
        return &table->resize[0];
    for (unsigned i = 1; i < TM_RESIZES; i++) {
        uint32_t expected = TM_RESIZE_FREE;
        if (__atomic_compare_exchange_n(&table->resize[i].state, &expected, TM_RESIZE_CLAIMED, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return &table->resize[i];
    }
    return NULL;
}

static ALWAYS_INLINE struct resize resize_begin(uintptr_t address, struct caller caller)
{
    struct resize resize = {.address = address};
    uint32_t *slot = shadow_slot(address);
    uint32_t value = slot == NULL || address % SLOT_BYTES != 0 ? 0 : __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (LIKELY(value & TM_SLOT_START) && (resize.record = resize_claim(caller)) != NULL) {
        resize.record->address = address;
        resize.record->size = shadow_size(slot, value, address);
        resize.record->site = value & TM_SLOT_SITE_MASK;
        __atomic_store_n(&resize.record->state, TM_RESIZE_BUSY, __ATOMIC_RELEASE);
    }
    resize.old = take(address);
    return resize;
}

static ALWAYS_INLINE void resize_commit(struct resize *resize)
{
    if (LIKELY(resize->old.counters != NULL))
        count_out_of_site(resize->old.counters, resize->old.size);
}

static void resize_undo(struct resize *resize)
{
    const struct old_block *old = &resize->old;
    bool stored;
    if (old->counters == NULL)
        return;
    if (old->tracked)
        stored = store_tracked(0, resize->address, (struct tracked_block){.size = old->size, .site = old->site});
    else
        stored = shadow_store(resize->address, old->size, old->site);
    if (stored) {
        count_in_whole(old->counters, old->size);
    } else {
        count_out_of_site(old->counters, old->size);
        table_lost_block();
    }
}

static ALWAYS_INLINE void resize_end(struct resize *resize)
{
    if (LIKELY(resize->record != NULL))
        __atomic_store_n(&resize->record->state, TM_RESIZE_FREE, __ATOMIC_RELEASE);
}

/** Resize a block while nothing is recorded: its trace ends, for it may move, and whoever is given its address has another.
 * Inside of another hook it has none, which is that hook's to tell. With begin_update(). */
static __attribute__((noinline)) void *resize_unrecorded(struct hook *hook, void *block, size_t size)
{
    struct resize resize = {.old = take((uintptr_t)block), .address = (uintptr_t)block};
    void *resized = hook->inner.realloc(hook->inner.ctx, block, size);
    if (resized != NULL)
        resize_commit(&resize);
    else
        resize_undo(&resize);
    return resized;
}

// An object out of one of CPython's free lists has an old block, which no allocator is asked for. Where CPython tells
// of each object's birth (birth_events.h), such a block moves to the site of the birth.

// The thread's last block, whose object is not born yet: what it is born into has its place already.
static __thread struct {
    uintptr_t address;
    size_t size;
} fresh_block;

struct born {
    uintptr_t block;
    uint32_t *slot; // NULL: the object's block is not in the map
};

enum { OWN_HEADERS = 2 * SLOT_BYTES }; // which CPython has before an object: its GC header, or more before that

/** The block of an object, which begins at most so many bytes before it. */
static ALWAYS_INLINE struct born find_born(uintptr_t object, uintptr_t headers)
{
    struct born born;
    born.slot = shadow_find_start(object, headers, &born.block);
    bool holds = born.slot != NULL && object - born.block < shadow_size(born.slot, *born.slot, born.block);
    return holds ? born : (struct born){0};
}

/** By the object's type, and by no look at what is before the object: that may be another thread's. */
static struct born find_born_without_lock(uintptr_t object)
{
    enum { TYPE_FLAGS_PRE_HEADER = 3 << 3 }; // weak references or a dict, in two words before the object
    unsigned long flags = PyType_GetFlags(cpython_type_of((const void *)object));
    uintptr_t block = object - (flags & TYPE_FLAGS_PRE_HEADER ? 2 * sizeof(void *) : 0);
    uint32_t *slot = shadow_is_key(block) ? shadow_slot(block) : NULL;
    return slot != NULL && *slot & TM_SLOT_START ? (struct born){block, slot} : (struct born){0};
}

static bool births_missed; // since traces were cleared, or the interpreter began

/** It is not known any more of each block whether its place is the latest. */
static void births_are_missed(void)
{
    __atomic_store_n(&births_missed, true, __ATOMIC_RELAXED);
    __atomic_fetch_and(&table->flags, ~TM_ROOT_REUSE_EXACT, __ATOMIC_RELAXED);
}

/** Where there is a new site, which is seldom: whether births are still told to us. Whoever calls has an interpreter's lock,
 * where there is one. */
static void look_at_births(void)
{
    static uint64_t looked_at; // how many sites there were
    uint64_t sites = __atomic_load_n(&table->sites.count, __ATOMIC_RELAXED);
    if (LIKELY(__atomic_load_n(&looked_at, __ATOMIC_RELAXED) == sites))
        return;
    __atomic_store_n(&looked_at, sites, __ATOMIC_RELAXED);
    if (__atomic_load_n(&table->flags, __ATOMIC_RELAXED) & TM_ROOT_REUSE_EXACT && !reuse_is_told())
        births_are_missed();
}

/** Whoever has the lock counts for himself; others' blocks go from one shared site to another. */
static ALWAYS_INLINE void move_block(struct born born, uint32_t site, bool owns_lock)
{
    uint32_t value = *born.slot;
    struct tm_site *old = TABLE_SITE(value & TM_SLOT_SITE_MASK), *new = TABLE_SITE(site);
    if (old == new)
        return;
    if (UNLIKELY(!owns_lock) && !count_is_shared(old)) {
        births_are_missed(); // it came from another interpreter, which counts it without us
        return;
    }
    size_t size = shadow_size(born.slot, value, born.block);
    uint32_t moved = (value & ~TM_SLOT_SITE_MASK) | site;
    count_in_site(new, size);
    if (LIKELY(owns_lock)) {
        __atomic_store_n(born.slot, moved, __ATOMIC_RELEASE);
    } else if (!__atomic_compare_exchange_n(born.slot, &value, moved, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
        count_in_site_undo(new, size); // whoever clears all traces was faster
        return;
    }
    count_out_of_site(old, size);
    if (UNLIKELY(count_is_shared(old) != count_is_shared(new))) {
        count_out_of_whole(old, size);
        count_in_whole(new, size);
    }
}

/** The block of an object which is not in the map, or not where it should be. 0: it is older than tracing. */
static uintptr_t find_born_elsewhere(uintptr_t object)
{
    enum { HEADERS = 256 }; // which somebody may put before our blocks
    for (uintptr_t before = 0; before <= OWN_HEADERS && tracked_any_in_domain_0(); before += SLOT_BYTES)
        if (!shadow_is_key(object) && tracked_site(0, object - before) != 0)
            return object - before;
    // With so much before the object it may as well be part of something larger.
    if (find_born(object, HEADERS).slot != NULL)
        births_are_missed();
    return 0;
}

static void move_tracked(uintptr_t block, uint32_t site)
{
    struct old_block old = take_tracked(block);
    if (old.counters == NULL)
        return;
    publish(block, old.size, site);
    count_out_of_site(old.counters, old.size);
}

// ---------------------------------------------------------------------------------------------------------------
// The hooks of each version

#define FREE(name) hook_free

#define FACTS (&cpython_3_8)
#define HOOK(name) name##_3_8
#include "hooks.inc.h"

#define FACTS (&cpython_3_10)
#define HOOK(name) name##_3_10
#include "hooks.inc.h"

#define FACTS (&cpython_3_11)
#define HOOK(name) name##_3_11
#include "hooks.inc.h"

#define FACTS (&cpython_3_12)
#define HOOK(name) name##_3_12
#include "hooks.inc.h"

#define FACTS (&cpython_3_13)
#define HOOK(name) name##_3_13
#include "hooks.inc.h"

#define FACTS (&cpython_3_14)
#define HOOK(name) name##_3_14
#include "hooks.inc.h"

#undef FREE
#define FREE(name) free_##name

#define FACTS (&cpython_3_13t)
#define HOOK(name) name##_3_13t
#include "hooks.inc.h"

#define FACTS (&cpython_3_14t)
#define HOOK(name) name##_3_14t
#include "hooks.inc.h"

static const struct family {
    facts_t facts;
    const PyMemAllocatorEx *allocators;
    reuse_callback reborn;
    uint32_t (*walked_site)(const PyThreadState *thread, unsigned allocator, uint32_t domain);
} families[] = {
    {&cpython_3_8, allocators_3_8, reborn_3_8, walked_site_3_8},
    {&cpython_3_10, allocators_3_10, reborn_3_10, walked_site_3_10},
    {&cpython_3_11, allocators_3_11, reborn_3_11, walked_site_3_11},
    {&cpython_3_12, allocators_3_12, reborn_3_12, walked_site_3_12},
    {&cpython_3_13, allocators_3_13, reborn_3_13, walked_site_3_13},
    {&cpython_3_14, allocators_3_14, reborn_3_14, walked_site_3_14},
    {&cpython_3_13t, allocators_3_13t, reborn_3_13t, walked_site_3_13t},
    {&cpython_3_14t, allocators_3_14t, reborn_3_14t, walked_site_3_14t},
};

/** That of the running interpreter, which cpython_attach() knows. */
static const struct family *family_now(void)
{
    const struct family *family = families;
    while (family->facts->version != cpython.facts->version ||
           family->facts->free_threaded != cpython.facts->free_threaded)
        family++;
    return family;
}

// ---------------------------------------------------------------------------------------------------------------
// In a forked child there is only the thread which forked. The others stood anywhere, but for what they do under the lock.

/** What they were resizing is as it was, if its place was not given to another block meanwhile. True: there was some. */
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

/** Whether the sites together count other bytes than the whole: so they do while an update is in flight. */
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
    *(count_is_shared(counters) ? &table->shared.traced : &table->owned.traced) += size;
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

/** The blocks which are published are there, and no others. */
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
    // Most often nothing is amiss, and the table's pages stay shared with the parent.
    if (undo_resizes() || updates_in_flight())
        recount();
    writers_after_fork_in_child();
}

// ---------------------------------------------------------------------------------------------------------------
// On and off

static PyObjectArenaAllocator inner_arenas;

static void *arena_alloc(void *context, size_t size)
{
    (void)context;
    if (__atomic_load_n(&tracing, __ATOMIC_RELAXED) && find_caller(cpython.facts, TM_ALLOCATOR_OBJECT).owns_lock)
        stack_forget();
    return inner_arenas.alloc(inner_arenas.ctx, size);
}

/** An arena goes back to the system, and the slots of its blocks with it: a heap which shrinks, shrinks us. */
static void arena_free(void *context, void *arena, size_t size)
{
    (void)context;
    if (__atomic_load_n(&tracing, __ATOMIC_RELAXED))
        shadow_discard((uintptr_t)arena, size);
    inner_arenas.free(inner_arenas.ctx, arena, size);
}

/** Whether an allocator which is not our hook ends in it, because somebody has wrapped us since. */
static bool ends_in_hook(const PyMemAllocatorEx *allocator, int domain)
{
    if (hooks[domain].inner.malloc == NULL)
        return false;
    bool was_paused = tracing_pause();
    passed_on = 0;
    void *block = allocator->malloc(allocator->ctx, 1);
    if (block != NULL)
        allocator->free(allocator->ctx, block);
    tracing_resume(was_paused);
    return passed_on & 1u << domain;
}

void tracing_rehook(void)
{
    const PyMemAllocatorEx *ours = family_now()->allocators;
    for (int domain = 0; domain < HOOKED; domain++) {
        PyMemAllocatorEx allocator;
        PyMem_GetAllocator((PyMemAllocatorDomain)domain, &allocator);
        if (allocator.malloc == ours[domain].malloc || ends_in_hook(&allocator, domain))
            continue;
        void *context = cpython.facts->free_threaded ? allocator.ctx : &hooks[domain];
        hooks[domain].inner = allocator;
        allocator = ours[domain];
        allocator.ctx = context;
        PyMem_SetAllocator((PyMemAllocatorDomain)domain, &allocator);
    }
    code_set_free(ours[PYMEM_DOMAIN_OBJ].free);
    PyObjectArenaAllocator arenas;
    PyObject_GetArenaAllocator(&arenas);
    if (arenas.free != arena_free) {
        inner_arenas = arenas;
        PyObject_SetArenaAllocator(&(PyObjectArenaAllocator){NULL, arena_alloc, arena_free});
    }
}

/** Where somebody has wrapped us since, we stay, and pass on; also where other threads are allocating just now. */
static void unhook(void)
{
    if (cpython.facts->free_threaded)
        return;
    const PyMemAllocatorEx *ours = family_now()->allocators;
    for (int domain = 0; domain < HOOKED; domain++) {
        PyMemAllocatorEx allocator;
        PyMem_GetAllocator((PyMemAllocatorDomain)domain, &allocator);
        if (allocator.malloc == ours[domain].malloc)
            PyMem_SetAllocator((PyMemAllocatorDomain)domain, &hooks[domain].inner);
    }
}

/** Every counter to zero; nobody records. */
static void reset_counters(void)
{
    for (uint32_t id = 1; id < table->sites.count; id++) {
        struct tm_site *site = TABLE_SITE(id);
        site->allocations = site->allocated = site->frees = site->freed = 0;
    }
    table->owned = table->shared = (struct tm_memory){0};
    table->lost_blocks = table->lost_frames = 0;
    table->cleared = 0;
}

/** An empty table; nobody records. */
static void reset_table(void)
{
    shadow_reset();
    tracked_reset();
    reset_counters();
}

void tracing_watch_births(void)
{
    cpython_find_current_thread();
    if (!Py_IsInitialized())
        births_missed = false; // an interpreter begins, be it the process's second
    if (!tracing || !reuse_wanted() || births_missed)
        return;
    // What it takes to hear of them is not the program's.
    bool was_paused = tracing_pause();
    if (reuse_watch(family_now()->reborn))
        __atomic_fetch_or(&table->flags, TM_ROOT_REUSE_EXACT, __ATOMIC_RELAXED);
    else
        births_are_missed(); // as when -X tracemalloc has taken our place
    tracing_resume(was_paused);
}

/** Once a process. False: no memory. */
static bool prepare_process(void)
{
    static bool prepared;
    if (prepared)
        return true;
    if (!writers_create() ||
        pthread_atfork(writers_before_fork, writers_after_fork_in_parent, after_fork_in_child) != 0)
        return false;
    selfcheck_install();
    return prepared = true;
}

/** With writers_lock(). */
static const char *start(unsigned frame_limit)
{
    if (tracing)
        return NULL;
    if (cpython_look_at_frames(cpython.current_thread()) == CPYTHON_FRAMES_STRANGE)
        return CPYTHON_STRANGE_FRAMES;
    const char *problem = table_create();
    if (problem != NULL)
        return problem;
    if (!stack_reset() || !prepare_process())
        return "no memory to begin tracing";
    tracing_rehook();
    writers_hold();
    reset_table();
    table->frame_limit = frame_limit;
    table->started = table_now();
    table->starts++;
    table->state = TM_STATE_TRACING;
    __atomic_store_n(&tracing, true, __ATOMIC_RELEASE);
    writers_release();
    return NULL;
}

const char *tracing_start(unsigned frame_limit)
{
    bool was_on = tracing_on();
    writers_lock();
    const char *problem = start(frame_limit);
    writers_unlock();
    if (problem == NULL && !was_on) {
        births_missed = false;
        tracing_watch_births();
        bind_modules();
    }
    return problem;
}

/** With writers_lock(). */
static void stop(void)
{
    if (!tracing)
        return;
    selfcheck("before tracing stops");
    __atomic_store_n(&tracing, false, __ATOMIC_SEQ_CST);
    table->state = TM_STATE_CLEARING;
    reuse_unwatch();
    unhook();
    writers_hold();
    births_are_missed();
    reset_table();
    table->started = 0;
    table->state = TM_STATE_STOPPED;
    writers_release();
    selfcheck("after tracing stopped");
}

void tracing_stop(void)
{
    writers_lock();
    stop();
    writers_unlock();
}

bool tracing_on(void)
{
    return __atomic_load_n(&tracing, __ATOMIC_RELAXED);
}

// ---------------------------------------------------------------------------------------------------------------
// Blocks of others, told by PyTraceMalloc_Track

static void forget_tracked(uint32_t domain, uintptr_t address)
{
    // In domain 0 it may be a block which a hook has seen.
    struct old_block old = {0};
    struct tracked_block block;
    if (domain == 0)
        old = take(address);
    else if (tracked_take(domain, address, &block))
        old = (struct old_block){.counters = TABLE_SITE(block.site), .size = block.size};
    if (old.counters != NULL)
        count_out_of_site(old.counters, old.size);
}

/** With enter() and begin_update(). */
static bool track(uint32_t domain, uintptr_t address, size_t size)
{
    struct caller caller = find_caller(cpython.facts, TM_ALLOCATOR_RAW);
    struct tracked_block block = {.size = size};
    forget_tracked(domain, address);
    block.site = family_now()->walked_site(caller.thread, TM_ALLOCATOR_TRACKED, domain);
    bool stored = false;
    if (block.site != 0) {
        struct tm_site *from = TABLE_SITE(block.site);
        count_in_site(from, size);
        stored = store_tracked(domain, address, block);
        if (stored)
            count_in_whole(from, size);
        else
            count_in_site_undo(from, size);
    }
    if (!stored)
        table_lost_block();
    return stored;
}

bool tracing_track(uint32_t domain, uintptr_t address, size_t size)
{
    bool stored = true;
    if (!enter())
        return true;
    if (begin_update(cpython.facts)) {
        stored = track(domain, address, size);
        end_update(cpython.facts);
    }
    leave();
    return stored;
}

void tracing_untrack(uint32_t domain, uintptr_t address)
{
    if (!enter())
        return;
    if (begin_update(cpython.facts)) {
        forget_tracked(domain, address);
        end_update(cpython.facts);
    }
    leave();
}

// ---------------------------------------------------------------------------------------------------------------
// Clearing while others go on

/** Blocks go one by one, as if freed: whoever frees one meanwhile, in a thread without the lock, or we. */
static void clear_leaf(void *context, uintptr_t base, uint32_t *leaf, uint64_t *entry)
{
    (void)context;
    (void)entry;
    for (uint32_t i = 0; i < TM_LEAF_SLOTS; i++) {
        uint32_t value = __atomic_load_n(&leaf[i], __ATOMIC_RELAXED);
        if (!(value & TM_SLOT_START))
            continue;
        struct tm_site *site = TABLE_SITE(value & TM_SLOT_SITE_MASK);
        uintptr_t address = base + (uintptr_t)i * SLOT_BYTES;
        size_t size = shadow_size(&leaf[i], value, address);
        // The mark of a code object outlives its block's trace.
        if (!__atomic_compare_exchange_n(&leaf[i], &value, value & TM_SLOT_WATCHED, false, __ATOMIC_RELAXED,
                                         __ATOMIC_RELAXED))
            continue;
        if (size > TM_SIZE_MASK)
            shadow_erase_escape(address);
        count_out_of_whole(site, size);
        count_out_of_site(site, size);
    }
}

static void clear_tracked(void)
{
    for (uint32_t id = 1; id < table->tracked.count; id++) {
        struct tracked_block block;
        if (tracked_take_record(id, &block))
            count_out_of_site(TABLE_SITE(block.site), block.size);
    }
}

/** Totals start anew, without disturbing what threads without the lock are counting. */
static void clear_totals(void)
{
    for (uint32_t id = 1; id < table->sites.count; id++) {
        struct tm_site *site = TABLE_SITE(id);
        uint64_t allocations = __atomic_exchange_n(&site->allocations, 0, __ATOMIC_RELAXED);
        uint64_t allocated = __atomic_exchange_n(&site->allocated, 0, __ATOMIC_RELAXED);
        atomic_add(&site->frees, -allocations);
        atomic_add(&site->freed, -allocated);
    }
}

void tracing_memory(uint64_t *traced, uint64_t *peak)
{
    if (table == NULL || !tracing) {
        *traced = *peak = 0;
        return;
    }
    uint64_t owned = atomic_load(&table->owned.peak), shared = atomic_load(&table->shared.peak);
    *traced = atomic_load(&table->owned.traced) + atomic_load(&table->shared.traced);
    *peak = owned > shared ? owned : shared;
}

static void reset_peak(void)
{
    uint64_t traced, peak;
    tracing_memory(&traced, &peak);
    table->owned.peak = table->shared.peak = traced;
}

/** With writers_lock(). */
static void clear(void)
{
    if (!tracing)
        return;
    selfcheck("before traces are cleared");
    writers_hold();
    table->state = TM_STATE_CLEARING;
    shadow_walk(clear_leaf, NULL);
    clear_tracked();
    clear_totals();
    reset_peak();
    table->lost_blocks = table->lost_frames = 0;
    table->cleared = table_now();
    table->state = TM_STATE_TRACING;
    writers_release();
    selfcheck("after traces were cleared");
}

void tracing_clear(void)
{
    // What was missed of births is forgotten with the blocks: if our place is free again, all is exact from here on.
    births_missed = false;
    tracing_watch_births();
    writers_lock();
    clear();
    writers_unlock();
}

bool tracing_pause(void)
{
    bool was_paused = inside_a_hook;
    inside_a_hook = true;
    return was_paused;
}

void tracing_resume(bool was_paused)
{
    inside_a_hook = was_paused;
}

void tracing_reset_peak(void)
{
    writers_lock();
    writers_hold();
    reset_peak();
    writers_release();
    writers_unlock();
}
