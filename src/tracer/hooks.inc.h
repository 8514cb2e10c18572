// The allocator hooks, compiled once for each family of CPython versions: hooks.c defines FACTS (the interpreter's
// facts) and HOOK(name) (this family's name for a function), then includes this file.
//
// The order of the stores, which is what a debugger sees of an update in flight, is told in docs/layout.md.

static __attribute__((noinline)) struct transition *HOOK(follow)(uintptr_t newest, uint32_t lowest)
{
    return stack_follow(FACTS, newest, lowest);
}

/** stack_here(), once: the hooks' own code stays small. */
static __attribute__((noinline)) struct transition *HOOK(here)(const PyThreadState *thread)
{
    return stack_here(FACTS, thread, HOOK(follow));
}

/** The site, shared, of what any thread allocates now, by walking its frames; 0: not to be had. */
static __attribute__((noinline)) uint32_t HOOK(walked_site)(const PyThreadState *thread, unsigned allocator,
                                                            uint32_t domain)
{
    table_lock();
    struct stack_trace trace = stack_walk(FACTS, thread);
    struct site_key key = {.node = trace.node,
                           .total_frames = (uint16_t)trace.total_frames,
                           .allocator = (uint8_t)allocator,
                           .flags = TM_SITE_SHARED | (trace.shortened ? TM_SITE_SHORTENED : 0),
                           .domain = domain};
    uint32_t site = intern_site(&key);
    table_unlock();
    return site;
}

/** The site of what the calling thread allocates now; 0: not to be had. */
static ALWAYS_INLINE uint32_t HOOK(site)(unsigned allocator, struct caller caller)
{
    struct transition *transition = LIKELY(caller.owns_lock) ? HOOK(here)(caller.thread) : NULL;
    uint32_t site = 0;
    if (LIKELY(transition != NULL) && LIKELY(allocator != TM_ALLOCATOR_RAW))
        site = transition->site[allocator - TM_ALLOCATOR_MEM];
    if (LIKELY(site != 0))
        return site;
    site = transition == NULL ? HOOK(walked_site)(caller.thread, allocator, 0) : stack_find_site(transition, allocator);
    if (caller.owns_lock || allocator != TM_ALLOCATOR_RAW)
        look_at_births();
    return site;
}

/** Record a block which the calling thread has just been given. */
static ALWAYS_INLINE void HOOK(record)(unsigned allocator, struct caller caller, void *block, size_t size)
{
    uint32_t site = HOOK(site)(allocator, caller);
    publish((uintptr_t)block, size, site);
    if (allocator == TM_ALLOCATOR_OBJECT) {
        fresh_block.address = (uintptr_t)block;
        fresh_block.size = size;
    }
}

/** The same for an object whose block is none of the map's. */
static __attribute__((noinline)) void HOOK(reborn_elsewhere)(uintptr_t object, struct caller caller)
{
    uintptr_t block = find_born_elsewhere(object);
    uint32_t site = block == 0 ? 0 : HOOK(site)(TM_ALLOCATOR_OBJECT, caller);
    if (site != 0)
        move_tracked(block, site);
}

/** An object comes to life: if its block is an old one, out of a free list, it was allocated here and now. To 3.13 also
 * while allocations are not recorded: a block which is in the table already has its new place told. */
static void HOOK(reborn)(uintptr_t object)
{
    bool is_fresh = object - fresh_block.address < fresh_block.size;
    fresh_block.size = 0;
    if (is_fresh || UNLIKELY(!__atomic_load_n(&tracing, __ATOMIC_RELAXED)) ||
        (FACTS->answers_unrecorded && inside_a_hook))
        return;
    if (UNLIKELY(!begin_update(FACTS)))
        return;
    struct born born = FACTS->free_threaded ? find_born_without_lock(object) : find_born(object, OWN_HEADERS);
    struct caller caller = find_caller(FACTS, TM_ALLOCATOR_OBJECT);
    if (LIKELY(born.slot != NULL)) {
        uint32_t site = HOOK(site)(TM_ALLOCATOR_OBJECT, caller);
        if (LIKELY(site != 0))
            move_block(born, site, caller.owns_lock);
    } else {
        HOOK(reborn_elsewhere)(object, caller);
    }
    end_update(FACTS);
}

static ALWAYS_INLINE void *HOOK(allocate)(struct hook *hook, unsigned allocator, bool zeroed, size_t count, size_t size)
{
    bool traced = enter();
    void *block = zeroed ? hook->inner.calloc(hook->inner.ctx, count, size) : hook->inner.malloc(hook->inner.ctx, size);
    if (UNLIKELY(!traced)) {
        passed_on |= 1u << (hook - hooks);
        return block;
    }
    if (LIKELY(block != NULL) && LIKELY(begin_update(FACTS))) {
        HOOK(record)(allocator, find_caller(FACTS, allocator), block, zeroed ? count * size : size);
        end_update(FACTS);
    }
    leave();
    return block;
}

static ALWAYS_INLINE void *HOOK(reallocate)(struct hook *hook, unsigned allocator, void *block, size_t size)
{
    if (block == NULL)
        return HOOK(allocate)(hook, allocator, false, 1, size);
    if (UNLIKELY(!__atomic_load_n(&tracing, __ATOMIC_RELAXED)) || UNLIKELY(!begin_update(FACTS)))
        return hook->inner.realloc(hook->inner.ctx, block, size);
    if (UNLIKELY(!enter())) {
        void *unrecorded = resize_unrecorded(hook, block, size);
        end_update(FACTS);
        return unrecorded;
    }
    struct caller caller = find_caller(FACTS, allocator);
    struct resize resize = resize_begin((uintptr_t)block, caller);
    void *resized = hook->inner.realloc(hook->inner.ctx, block, size);
    if (LIKELY(resized != NULL)) {
        resize_commit(&resize);
        HOOK(record)(allocator, caller, resized, size);
    } else {
        resize_undo(&resize);
    }
    resize_end(&resize);
    end_update(FACTS);
    leave();
    return resized;
}

#define OWN_HOOK(allocator) (FACTS->free_threaded ? &hooks[(allocator)-TM_ALLOCATOR_RAW] : context)
#define HOOKS_OF(name, allocator)                                                 \
    static void *HOOK(name##_malloc)(void *context, size_t size)                  \
    {                                                                             \
        return HOOK(allocate)(OWN_HOOK(allocator), allocator, false, 1, size);    \
    }                                                                             \
    static void *HOOK(name##_calloc)(void *context, size_t count, size_t size)    \
    {                                                                             \
        return HOOK(allocate)(OWN_HOOK(allocator), allocator, true, count, size); \
    }                                                                             \
    static void *HOOK(name##_realloc)(void *context, void *block, size_t size)    \
    {                                                                             \
        return HOOK(reallocate)(OWN_HOOK(allocator), allocator, block, size);     \
    }

HOOKS_OF(raw, TM_ALLOCATOR_RAW)
HOOKS_OF(mem, TM_ALLOCATOR_MEM)
HOOKS_OF(object, TM_ALLOCATOR_OBJECT)

#define ALLOCATOR(name)                                                                  \
    {                                                                                    \
        NULL, HOOK(name##_malloc), HOOK(name##_calloc), HOOK(name##_realloc), FREE(name) \
    }
static const PyMemAllocatorEx HOOK(allocators)[HOOKED] = {ALLOCATOR(raw), ALLOCATOR(mem), ALLOCATOR(object)};

#undef ALLOCATOR
#undef HOOKS_OF
#undef OWN_HOOK
#undef HOOK
#undef FACTS
