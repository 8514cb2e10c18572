// The allocation path, compiled once for each family and profile: families.h defines FAMILY, family.inc.h defines PROFILE and
// includes this file. FACTS are the family's facts and OWN_PROFILE is the profile, both as constants. HOOK(name) is the name
// of a function for this family and profile.
//
// A debugger sees an update in flight in the order of the stores, which docs/layout.md explains.

#define PASTE(name, suffix) name##_##suffix
#define PASTE_EXPANDED(name, suffix) PASTE(name, suffix)
#define HOOK(name) PASTE_EXPANDED(PASTE_EXPANDED(name, FAMILY), PROFILE)
#define FACTS (&PASTE_EXPANDED(cpython, FAMILY))
#define OWN_PROFILE (&PASTE_EXPANDED(profile, PROFILE))
#define OWN_HOOKS (hooks[OWN_PROFILE->number - 1])

// ---------------------------------------------------------------------------------------------------------------
// The site of what is allocated now

static __attribute__((noinline)) struct transition *HOOK(follow)(uintptr_t newest, uint32_t lowest)
{
    // Here the lock's holder has no id in hand.
    if (collect_if_due())
        lowest = STACK_BROKEN;
    return stack_follow(FACTS, OWN_PROFILE, newest, lowest);
}

/** stack_here(), compiled once: this keeps the hooks' own code small. */
static __attribute__((noinline)) struct transition *HOOK(here)(const PyThreadState *thread)
{
    return stack_here(FACTS, OWN_PROFILE, thread, HOOK(follow));
}

/** The shared site of what a thread without the lock allocates now, by walking its frames; 0: no room. */
static __attribute__((noinline)) uint32_t HOOK(walked_site)(const PyThreadState *thread, unsigned allocator,
                                                            uint32_t domain)
{
    table_lock();
    struct stack_trace trace = stack_walk(FACTS, OWN_PROFILE, thread);
    struct site_key key = {.node = trace.node,
                           .total_frames = (uint16_t)trace.total_frames,
                           .allocator = (uint8_t)allocator,
                           .flags = (uint8_t)(TM_SITE_SHARED | trace.flags),
                           .domain = domain};
    uint32_t site = intern_site(&key);
    table_unlock();
    return site;
}

/** stack_newest_site(), out of line. */
static __attribute__((noinline)) uint32_t HOOK(newest_site)(const PyThreadState *thread, unsigned allocator)
{
    // As in HOOK(follow).
    collect_if_due();
    uint32_t site = stack_newest_site(FACTS, OWN_PROFILE, thread, allocator);
    births_check();
    return site;
}

/** The site of what the calling thread allocates now; 0: no room. */
static ALWAYS_INLINE uint32_t HOOK(site)(unsigned allocator, struct caller caller)
{
    if (!OWN_PROFILE->counts_frames && !FACTS->free_threaded && LIKELY(caller.owns_lock) && stack.newest_only) {
        uint32_t found = allocator == TM_ALLOCATOR_RAW ? 0 : stack_site_here(FACTS, caller.thread, allocator);
        return LIKELY(found != 0) ? found : HOOK(newest_site)(caller.thread, allocator);
    }
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
    collect_hold(caller);
    struct block published = {.size = size, .site = HOOK(site)(allocator, caller)};
    block_publish(FACTS, OWN_PROFILE, allocator, (uintptr_t)block, published, caller_is_shared(caller, allocator));
    collect_release(caller);
    if (allocator == TM_ALLOCATOR_OBJECT && !OWN_PROFILE->picks) {
        fresh_block.address = (uintptr_t)block;
        fresh_block.size = size;
    }
}

static ALWAYS_INLINE void *HOOK(allocate)(struct hook *hook, unsigned allocator, bool zeroed, size_t count, size_t size)
{
    bool traced = enter(OWN_PROFILE);
    void *block = zeroed ? hook->inner.calloc(hook->inner.ctx, count, size) : hook->inner.malloc(hook->inner.ctx, size);
    if (UNLIKELY(!traced)) {
        passed_on |= 1u << (hook - hooks[0]);
        return block;
    }
    if (LIKELY(block != NULL) && LIKELY(begin_update(FACTS, OWN_PROFILE))) {
        HOOK(record)(allocator, find_caller(FACTS, allocator), block, zeroed ? count * size : size);
        end_update(FACTS);
    } else if (block == NULL) {
        moments_allocation_failed(zeroed ? count * size : size);
    }
    leave();
    return block;
}

/** `recorded`: the resized block goes into the table. */
static ALWAYS_INLINE void *HOOK(reallocate)(struct hook *hook, unsigned allocator, void *block, size_t size,
                                            bool recorded)
{
    if (!tracing_in(OWN_PROFILE) || (allocator == TM_ALLOCATOR_RAW && block == taken_out) ||
        UNLIKELY(!begin_update(FACTS, OWN_PROFILE)))
        return hook->inner.realloc(hook->inner.ctx, block, size);
    if (UNLIKELY(!enter(OWN_PROFILE))) {
        void *unrecorded = resize_unrecorded(hook, allocator, block, size);
        end_update(FACTS);
        return unrecorded;
    }
    struct caller caller = find_caller(FACTS, allocator);
    struct resize resize = resize_begin(FACTS, allocator, (uintptr_t)block, caller);
    taken_out = block;
    void *resized = hook->inner.realloc(hook->inner.ctx, block, size);
    taken_out = NULL;
    if (LIKELY(resized != NULL)) {
        resize_commit(OWN_PROFILE, &resize, (uintptr_t)resized);
        if (recorded)
            HOOK(record)(allocator, caller, resized, size);
    } else {
        resize_undo(&resize);
        moments_allocation_failed(size);
    }
    resize_end(&resize);
    end_update(FACTS);
    leave();
    return resized;
}

// ---------------------------------------------------------------------------------------------------------------
// free()

/** The object allocator may call the raw one for a block that is in no grid. */
static __attribute__((noinline)) void HOOK(free_taken)(struct hook *hook, void *block)
{
    taken_out = block;
    hook->inner.free(hook->inner.ctx, block);
    taken_out = NULL;
}

static ALWAYS_INLINE void HOOK(deallocate)(struct hook *hook, unsigned allocator, void *block)
{
    const bool raw = allocator == TM_ALLOCATOR_RAW;
    bool in_grid = true;
    if (LIKELY(block != NULL) && tracing_in(OWN_PROFILE) && (!raw || block != taken_out) &&
        LIKELY(begin_update(FACTS, OWN_PROFILE))) {
        struct taken_block taken = block_take(FACTS, allocator, (uintptr_t)block, free_is_shared(FACTS, allocator));
        block_end(OWN_PROFILE, &taken);
        end_update(FACTS);
        in_grid = taken.in_grid;
    }
    if (raw || LIKELY(in_grid))
        hook->inner.free(hook->inner.ctx, block);
    else
        HOOK(free_taken)(hook, block);
}

// ---------------------------------------------------------------------------------------------------------------
// In the sampled profile: mostly there is nothing to do but to count, and to look at one byte before a free

/** Allocate what has not passed, or is large. */
static __attribute__((noinline, unused)) void *HOOK(allocate_rarely)(struct hook *hook, unsigned allocator, bool zeroed,
                                                                     size_t count, size_t size)
{
    if (sample_picks(zeroed ? count * size : size))
        return HOOK(allocate)(hook, allocator, zeroed, count, size);
    bool was_paused = tracing_pause();
    passed_on |= 1u << (hook - hooks[0]);
    void *block = zeroed ? hook->inner.calloc(hook->inner.ctx, count, size) : hook->inner.malloc(hook->inner.ctx, size);
    if (UNLIKELY(block == NULL) && !was_paused && tracing_in(OWN_PROFILE))
        moments_allocation_failed(zeroed ? count * size : size);
    tracing_resume(was_paused);
    return block;
}

static ALWAYS_INLINE void *HOOK(allocate_or_pass)(struct hook *hook, unsigned allocator, bool zeroed, size_t count,
                                                  size_t size)
{
    size_t bytes = zeroed ? count * size : size;
    if (!sample_passes(bytes) || (allocator != TM_ALLOCATOR_RAW && UNLIKELY(bytes > NESTED_ABOVE)))
        return HOOK(allocate_rarely)(hook, allocator, zeroed, count, size);
    return zeroed ? hook->inner.calloc(hook->inner.ctx, count, size) : hook->inner.malloc(hook->inner.ctx, size);
}

/** Resize what is perhaps recorded, or is to be. */
static __attribute__((noinline, unused)) void *HOOK(reallocate_rarely)(struct hook *hook, unsigned allocator,
                                                                       void *block, size_t size)
{
    if (block == NULL)
        return HOOK(allocate_rarely)(hook, allocator, false, 1, size);
    return HOOK(reallocate)(hook, allocator, block, size, sample_picks(size));
}

/** A resized block is a new one: it is picked or not, whatever it was before. */
static ALWAYS_INLINE void *HOOK(reallocate_or_pass)(struct hook *hook, unsigned allocator, void *block, size_t size)
{
    if (!sample_passes(size) || UNLIKELY(block == NULL) || filter_has((uintptr_t)block))
        return HOOK(reallocate_rarely)(hook, allocator, block, size);
    bool was_paused = tracing_pause();
    void *resized = hook->inner.realloc(hook->inner.ctx, block, size);
    if (UNLIKELY(resized == NULL) && !was_paused && tracing_in(OWN_PROFILE))
        moments_allocation_failed(size);
    tracing_resume(was_paused);
    return resized;
}

static __attribute__((noinline, unused)) void HOOK(deallocate_rarely)(struct hook *hook, unsigned allocator,
                                                                      void *block)
{
    HOOK(deallocate)(hook, allocator, block);
}

static ALWAYS_INLINE void HOOK(deallocate_or_pass)(struct hook *hook, unsigned allocator, void *block)
{
    if (filter_has((uintptr_t)block))
        HOOK(deallocate_rarely)(hook, allocator, block);
    else
        hook->inner.free(hook->inner.ctx, block);
}

// ---------------------------------------------------------------------------------------------------------------
// Births

/** A birth whose block is in no grid. */
static __attribute__((noinline)) void HOOK(birth_elsewhere)(uintptr_t object, struct caller caller)
{
    uintptr_t block = find_born_elsewhere(object);
    uint32_t site = block == 0 ? 0 : HOOK(site)(TM_ALLOCATOR_OBJECT, caller);
    if (site != 0)
        move_elsewhere(block, site, !caller.owns_lock);
}

/**
 * An object is created. If its block is an old one, from a free list, it moves to the site of here and now. Up to 3.13 this
 * holds also while allocations are not recorded, for blocks that are in the table already.
 */
static void HOOK(on_birth)(uintptr_t object)
{
    if (OWN_PROFILE->picks)
        return; // and is never called
    bool is_fresh = object - fresh_block.address < fresh_block.size;
    fresh_block.size = 0;
    if (is_fresh || !tracing_in(OWN_PROFILE) || (FACTS->answers_unrecorded && recording_inside))
        return;
    if (UNLIKELY(!begin_update(FACTS, OWN_PROFILE)))
        return;
    struct born born = FACTS->free_threaded ? find_born_without_lock(object) : find_born(FACTS, object);
    struct caller caller = find_caller(FACTS, TM_ALLOCATOR_OBJECT);
    collect_hold(caller);
    if (LIKELY(born.slot != NULL)) {
        uint32_t site = HOOK(site)(TM_ALLOCATOR_OBJECT, caller);
        if (LIKELY(site != 0))
            move_born(OWN_PROFILE, born, site, !caller.owns_lock);
    } else {
        HOOK(birth_elsewhere)(object, caller);
    }
    collect_release(caller);
    end_update(FACTS);
}

// ---------------------------------------------------------------------------------------------------------------
// As allocators

static ALWAYS_INLINE void *HOOK(any_allocate)(struct hook *hook, unsigned allocator, bool zeroed, size_t count,
                                              size_t size)
{
    if (OWN_PROFILE->picks)
        return HOOK(allocate_or_pass)(hook, allocator, zeroed, count, size);
    return HOOK(allocate)(hook, allocator, zeroed, count, size);
}

static ALWAYS_INLINE void *HOOK(any_reallocate)(struct hook *hook, unsigned allocator, void *block, size_t size)
{
    if (OWN_PROFILE->picks)
        return HOOK(reallocate_or_pass)(hook, allocator, block, size);
    if (block == NULL)
        return HOOK(allocate)(hook, allocator, false, 1, size);
    return HOOK(reallocate)(hook, allocator, block, size, true);
}

static ALWAYS_INLINE void HOOK(any_deallocate)(struct hook *hook, unsigned allocator, void *block)
{
    if (OWN_PROFILE->picks)
        HOOK(deallocate_or_pass)(hook, allocator, block);
    else
        HOOK(deallocate)(hook, allocator, block);
}

#define OWN_HOOK(allocator) (&OWN_HOOKS[(allocator)-TM_ALLOCATOR_RAW])
#define HOOKS_OF(name, allocator)                                                     \
    static void *HOOK(name##_malloc)(void *context, size_t size)                      \
    {                                                                                 \
        (void)context;                                                                \
        return HOOK(any_allocate)(OWN_HOOK(allocator), allocator, false, 1, size);    \
    }                                                                                 \
    static void *HOOK(name##_calloc)(void *context, size_t count, size_t size)        \
    {                                                                                 \
        (void)context;                                                                \
        return HOOK(any_allocate)(OWN_HOOK(allocator), allocator, true, count, size); \
    }                                                                                 \
    static void *HOOK(name##_realloc)(void *context, void *block, size_t size)        \
    {                                                                                 \
        (void)context;                                                                \
        return HOOK(any_reallocate)(OWN_HOOK(allocator), allocator, block, size);     \
    }                                                                                 \
    static void HOOK(name##_free)(void *context, void *block)                         \
    {                                                                                 \
        (void)context;                                                                \
        HOOK(any_deallocate)(OWN_HOOK(allocator), allocator, block);                  \
    }

HOOKS_OF(raw, TM_ALLOCATOR_RAW)
HOOKS_OF(mem, TM_ALLOCATOR_MEM)
HOOKS_OF(object, TM_ALLOCATOR_OBJECT)

#define ALLOCATOR(name)                                                                                \
    {                                                                                                  \
        .malloc = HOOK(name##_malloc), .calloc = HOOK(name##_calloc), .realloc = HOOK(name##_realloc), \
        .free = HOOK(name##_free),                                                                     \
    }
static const PyMemAllocatorEx HOOK(allocators)[HOOKED] = {ALLOCATOR(raw), ALLOCATOR(mem), ALLOCATOR(object)};

#undef ALLOCATOR
#undef HOOKS_OF
#undef OWN_HOOK
#undef OWN_HOOKS
#undef OWN_PROFILE
#undef FACTS
#undef HOOK
#undef PASTE_EXPANDED
#undef PASTE
#undef PROFILE
