// The hooks of each family and profile, and installing them. What is inlined into them is in the headers: who calls
// (caller.h), from where (stack.h), what becomes of the block (blocks.h, resize.h, births.h), and whether it is recorded
// (recording.h).

#include "hooks.h"

#include "arenas.h"
#include "births.h"
#include "collect.h"
#include "filter.h"
#include "moments.h"
#include "recorder.h"
#include "recording.h"
#include "resize.h"
#include "sample.h"
#include "stack.h"
#include "stock.h"
#include "watched.h"

struct hook {
    PyMemAllocatorEx inner; // the allocator that we wrap
};
enum { PROFILES = 3 };
// A thread may allocate while the allocators are being set: in the raw domain, in an interpreter with a lock of its own, or
// where there is no lock. It may call the function of one allocator with the context of another. So each of our functions
// knows which hook it is, and the context stays the inner allocator's.
static struct hook hooks[PROFILES][HOOKED];

static __thread unsigned passed_on; // bits: the hooks that were called and did not record
/** A block that is out of the table, while the allocator frees or resizes it. The object allocator calls the raw one for a
 * large block, whose hook has nothing to do then. */
static __thread const void *taken_out;

/** The object allocator calls the raw one for blocks of more than 512 bytes, and a debugging allocator between us and it adds
 * a few to each block. Our hook of the raw one must not pick those that the hook above has passed. */
enum { NESTED_ABOVE = 448 };

// ---------------------------------------------------------------------------------------------------------------
// realloc() while nothing is recorded

/**
 * The block's trace ends, since the block may move, and its address be given to another thread. Inside another hook the block
 * gets no trace here: that hook records it. With begin_update().
 */
static __attribute__((noinline)) void *resize_unrecorded(struct hook *hook, unsigned allocator, void *block,
                                                         size_t size)
{
    struct resize resize = {.gridded = allocator != TM_ALLOCATOR_RAW,
                            .old = block_take_slowly((uintptr_t)block, true),
                            .address = (uintptr_t)block};
    void *resized = hook->inner.realloc(hook->inner.ctx, block, size);
    if (resized != NULL)
        resize_commit(profile_now, &resize, (uintptr_t)resized);
    else
        resize_undo(&resize);
    return resized;
}

// ---------------------------------------------------------------------------------------------------------------
// The hooks of each family and profile

#define COMPILE_HOOKS
#include "families.h"

#define HOOKS_IN(family, profile)                                                                        \
    {                                                                                                    \
        allocators_##family##_##profile, on_birth_##family##_##profile, walked_site_##family##_##profile \
    }
static const struct family_hooks hooks_of_families[][PROFILES] = {
#define EACH_FAMILY(family) {HOOKS_IN(family, lean), HOOKS_IN(family, full), HOOKS_IN(family, sampled)},
#include "families.h"
};

const struct family_hooks *hooks_now(void)
{
    return &hooks_of_families[cpython.family][profile_now->number - 1];
}

// ---------------------------------------------------------------------------------------------------------------
// Arenas, from which CPython's object allocator cuts its blocks

static PyObjectArenaAllocator inner_arenas;

/** Whether the table may get to know of an arena. Other hooks may not have been called since a fork, or all are off. */
static bool may_note_arenas(void)
{
    recording_pass(0);
    return recorder_may_write();
}

static void *arena_alloc(void *context, size_t size)
{
    (void)context;
    // The interpreter maps memory, so what was in the C stack may be elsewhere now: see stack_compare().
    if (tracing_on() && find_caller(cpython.facts, TM_ALLOCATOR_OBJECT).owns_lock)
        stack_forget();
    void *arena = inner_arenas.alloc(inner_arenas.ctx, size);
    if (arena != NULL && may_note_arenas()) {
        moments_count(size);
        map_discard((uintptr_t)arena, size);
        arena_add((uintptr_t)arena, size);
    }
    return arena;
}

/** An arena goes back to the system, and the grids of its blocks serve others. */
static void arena_free(void *context, void *arena, size_t size)
{
    (void)context;
    if (may_note_arenas()) {
        arena_remove((uintptr_t)arena);
        map_discard((uintptr_t)arena, size);
    }
    inner_arenas.free(inner_arenas.ctx, arena, size);
}

static void wrap_arenas(void)
{
    PyObjectArenaAllocator arenas;
    PyObject_GetArenaAllocator(&arenas);
    if (arenas.free == arena_free)
        return;
    inner_arenas = arenas;
    PyObject_SetArenaAllocator(&(PyObjectArenaAllocator){NULL, arena_alloc, arena_free});
}

// ---------------------------------------------------------------------------------------------------------------
// Installing

static struct hook *own_hook(int domain)
{
    return &hooks[profile_now->number - 1][domain];
}

/** Our hook of another profile that this allocator is; NULL: it is not one. Without a global lock such hooks stay. */
static const struct hook *hook_of_other_profile(const PyMemAllocatorEx *allocator, int domain)
{
    for (int profile = 0; profile < PROFILES; profile++)
        if (allocator->malloc == hooks_of_families[cpython.family][profile].allocators[domain].malloc)
            return &hooks[profile][domain];
    return NULL;
}

static bool same_allocator(const PyMemAllocatorEx *a, const PyMemAllocatorEx *b)
{
    return a->ctx == b->ctx && a->malloc == b->malloc && a->calloc == b->calloc && a->realloc == b->realloc &&
           a->free == b->free;
}

/**
 * Remember what our hook wraps. Other threads may be inside the hooks that are installed, of one profile or the other, so
 * what they read is not written again: a hook that was never installed gets it, too.
 */
static void wrap(int domain, const PyMemAllocatorEx *inner)
{
    for (int profile = 0; profile < PROFILES; profile++)
        if (hooks[profile][domain].inner.malloc == NULL)
            hooks[profile][domain].inner = *inner;
    if (!same_allocator(&own_hook(domain)->inner, inner))
        own_hook(domain)->inner = *inner;
}

/** Our hook of a domain, which is to wrap `inner`. */
static PyMemAllocatorEx own_allocator(int domain, const PyMemAllocatorEx *inner)
{
    PyMemAllocatorEx own = hooks_now()->allocators[domain];
    own.ctx = inner->ctx;
    return own;
}

static bool is_ours(const PyMemAllocatorEx *allocator, int domain)
{
    return allocator->malloc == hooks_now()->allocators[domain].malloc;
}

/** Whether an allocator that is not our hook ends in it, because the program has wrapped the hook since. */
static bool ends_in_hook(const PyMemAllocatorEx *allocator, int domain)
{
    if (own_hook(domain)->inner.malloc == NULL)
        return false;
    bool was_paused = tracing_pause();
    passed_on = 0;
    sample_stop_next(); // a block that passes would not be noted
    void *block = allocator->malloc(allocator->ctx, 1);
    if (block != NULL)
        allocator->free(allocator->ctx, block);
    tracing_resume(was_paused);
    return passed_on & 1u << (own_hook(domain) - hooks[0]);
}

void hooks_install(void)
{
    for (int domain = 0; domain < HOOKED; domain++) {
        PyMemAllocatorEx inner;
        PyMem_GetAllocator((PyMemAllocatorDomain)domain, &inner);
        if (is_ours(&inner, domain) || ends_in_hook(&inner, domain))
            continue;
        // Above the stock tracer's hook, ours would be gone when that stops. So ours goes below.
        PyMemAllocatorEx *below_stock = stock_wrapped_by(&inner);
        if (below_stock != NULL)
            inner = *below_stock;
        const struct hook *other = hook_of_other_profile(&inner, domain);
        if (other != NULL)
            inner = other->inner;
        PyMemAllocatorEx own = own_allocator(domain, &inner);
        wrap(domain, &inner);
        if (below_stock != NULL)
            *below_stock = own;
        else
            PyMem_SetAllocator((PyMemAllocatorDomain)domain, &own);
    }
    watched_set_free(hooks_now()->allocators[PYMEM_DOMAIN_OBJ].free);
    wrap_arenas();
}

void hooks_remove(void)
{
    if (cpython.facts->free_threaded)
        return;
    for (int domain = 0; domain < HOOKED; domain++) {
        PyMemAllocatorEx allocator;
        PyMem_GetAllocator((PyMemAllocatorDomain)domain, &allocator);
        if (is_ours(&allocator, domain))
            PyMem_SetAllocator((PyMemAllocatorDomain)domain, &own_hook(domain)->inner);
    }
}
