// The hooks of each family and profile, and installing them. What is inlined into them is in the headers: who calls
// (caller.h), from where (stack.h), what becomes of the block (blocks.h, resize.h, births.h), and whether it is recorded
// (recording.h).

#include "hooks.h"

#include "births.h"
#include "recording.h"
#include "resize.h"
#include "stack.h"

struct hook {
    PyMemAllocatorEx inner; // the allocator that we wrap
};
enum { PROFILES = 2 };
// A thread may allocate while the allocators are being set: in the raw domain, in an interpreter with a lock of its own, or
// where there is no lock. It may call the function of one allocator with the context of another. So each of our functions
// knows which hook it is, and the context stays the inner allocator's.
static struct hook hooks[PROFILES][HOOKED];

static __thread unsigned passed_on; // bits: the hooks that were called and did not record

// ---------------------------------------------------------------------------------------------------------------
// realloc() while nothing is recorded

/**
 * The block's trace ends, since the block may move, and its address be given to another thread. Inside another hook the block
 * gets no trace here: that hook records it. With begin_update().
 */
static __attribute__((noinline)) void *resize_unrecorded(struct hook *hook, void *block, size_t size)
{
    struct resize resize = {.old = block_take((uintptr_t)block), .address = (uintptr_t)block};
    void *resized = hook->inner.realloc(hook->inner.ctx, block, size);
    if (resized != NULL)
        resize_commit(profile_now, &resize);
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
#define EACH_FAMILY(family) {HOOKS_IN(family, lean), HOOKS_IN(family, full)},
#include "families.h"
};

const struct family_hooks *hooks_now(void)
{
    return &hooks_of_families[cpython.family][profile_now->number - 1];
}

// ---------------------------------------------------------------------------------------------------------------
// Arenas, from which CPython's object allocator cuts its blocks

static PyObjectArenaAllocator inner_arenas;

static void *arena_alloc(void *context, size_t size)
{
    (void)context;
    // The interpreter maps memory, so what was in the C stack may be elsewhere now: see stack_compare().
    if (tracing_on() && find_caller(cpython.facts, TM_ALLOCATOR_OBJECT).owns_lock)
        stack_forget();
    return inner_arenas.alloc(inner_arenas.ctx, size);
}

/** An arena goes back to the system, and the slots of its blocks go with it: when the heap shrinks, so does the table. */
static void arena_free(void *context, void *arena, size_t size)
{
    (void)context;
    if (tracing_on())
        shadow_discard((uintptr_t)arena, size);
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
        PyMemAllocatorEx own = own_allocator(domain, &inner);
        own_hook(domain)->inner = inner;
        PyMem_SetAllocator((PyMemAllocatorDomain)domain, &own);
    }
    code_set_free(hooks_now()->allocators[PYMEM_DOMAIN_OBJ].free);
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
