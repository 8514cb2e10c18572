// The allocation path, compiled once for each family: families.h defines FAMILY, then includes this file. FACTS are the
// family's facts, as constants, and HOOK(name) is the family's name for a function.
//
// A debugger sees an update in flight in the order of the stores, which docs/layout.md explains.

#define PASTE(name, family) name##_##family
#define PASTE_EXPANDED(name, family) PASTE(name, family)
#define HOOK(name) PASTE_EXPANDED(name, FAMILY)
#define FACTS (&HOOK(cpython))

// ---------------------------------------------------------------------------------------------------------------
// The site of what is allocated now

static __attribute__((noinline)) struct transition *HOOK(follow)(uintptr_t newest, uint32_t lowest)
{
    return stack_follow(FACTS, newest, lowest);
}

/** stack_here(), compiled once: this keeps the hooks' own code small. */
static __attribute__((noinline)) struct transition *HOOK(here)(const PyThreadState *thread)
{
    return stack_here(FACTS, thread, HOOK(follow));
}

/** The shared site of what a thread without the lock allocates now, by walking its frames; 0: no room. */
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

/** The site of what the calling thread allocates now; 0: no room. */
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
        births_check();
    return site;
}

// ---------------------------------------------------------------------------------------------------------------
// malloc(), calloc(), realloc()

/** Record a block that the calling thread has just been given. */
static ALWAYS_INLINE void HOOK(record)(unsigned allocator, struct caller caller, void *block, size_t size)
{
    uint32_t site = HOOK(site)(allocator, caller);
    block_publish((uintptr_t)block, size, site);
    if (allocator == TM_ALLOCATOR_OBJECT) {
        fresh_block.address = (uintptr_t)block;
        fresh_block.size = size;
    }
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
    if (!tracing_on() || UNLIKELY(!begin_update(FACTS)))
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

// ---------------------------------------------------------------------------------------------------------------
// Births

/** A birth whose block is not in the map. */
static __attribute__((noinline)) void HOOK(birth_elsewhere)(uintptr_t object, struct caller caller)
{
    uintptr_t block = find_born_elsewhere(object);
    uint32_t site = block == 0 ? 0 : HOOK(site)(TM_ALLOCATOR_OBJECT, caller);
    if (site != 0)
        move_tracked(block, site);
}

/**
 * An object is created. If its block is an old one, from a free list, it moves to the site of here and now. Up to 3.13 this
 * holds also while allocations are not recorded, for blocks that are in the table already.
 */
static void HOOK(on_birth)(uintptr_t object)
{
    bool is_fresh = object - fresh_block.address < fresh_block.size;
    fresh_block.size = 0;
    if (is_fresh || !tracing_on() || (FACTS->answers_unrecorded && recording_inside))
        return;
    if (UNLIKELY(!begin_update(FACTS)))
        return;
    struct born born = FACTS->free_threaded ? find_born_without_lock(object) : find_born(object, OWN_HEADERS);
    struct caller caller = find_caller(FACTS, TM_ALLOCATOR_OBJECT);
    if (LIKELY(born.slot != NULL)) {
        uint32_t site = HOOK(site)(TM_ALLOCATOR_OBJECT, caller);
        if (LIKELY(site != 0))
            move_born(born, site, caller.owns_lock);
    } else {
        HOOK(birth_elsewhere)(object, caller);
    }
    end_update(FACTS);
}

// ---------------------------------------------------------------------------------------------------------------
// As allocators

#define OWN_HOOK(allocator) (&hooks[(allocator)-TM_ALLOCATOR_RAW])
#define HOOKS_OF(name, allocator)                                                 \
    static void *HOOK(name##_malloc)(void *context, size_t size)                  \
    {                                                                             \
        (void)context;                                                            \
        return HOOK(allocate)(OWN_HOOK(allocator), allocator, false, 1, size);    \
    }                                                                             \
    static void *HOOK(name##_calloc)(void *context, size_t count, size_t size)    \
    {                                                                             \
        (void)context;                                                            \
        return HOOK(allocate)(OWN_HOOK(allocator), allocator, true, count, size); \
    }                                                                             \
    static void *HOOK(name##_realloc)(void *context, void *block, size_t size)    \
    {                                                                             \
        (void)context;                                                            \
        return HOOK(reallocate)(OWN_HOOK(allocator), allocator, block, size);     \
    }

HOOKS_OF(raw, TM_ALLOCATOR_RAW)
HOOKS_OF(mem, TM_ALLOCATOR_MEM)
HOOKS_OF(object, TM_ALLOCATOR_OBJECT)

#define ALLOCATOR(name)                                                                               \
    {                                                                                                 \
        .malloc = HOOK(name##_malloc), .calloc = HOOK(name##_calloc), .realloc = HOOK(name##_realloc) \
    }
static const PyMemAllocatorEx HOOK(allocators)[HOOKED] = {ALLOCATOR(raw), ALLOCATOR(mem), ALLOCATOR(object)};

#undef ALLOCATOR
#undef HOOKS_OF
#undef OWN_HOOK
#undef FACTS
#undef HOOK
#undef PASTE_EXPANDED
#undef PASTE
