// Switching tracing on and off, and clearing traces. Knows all that takes part: hooks, births, writers, the table.

#include "tracing.h"

#include "bind.h"
#include "births.h"
#include "environment.h"
#include "filter.h"
#include "fork.h"
#include "hooks.h"
#include "intern.h"
#include "map.h"
#include "moments.h"
#include "recorder.h"
#include "recording.h"
#include "sample.h"
#include "stack.h"
#include "watched.h"

union recording_page recording_page __attribute__((aligned(4096)));
__thread bool recording_inside;

// ---------------------------------------------------------------------------------------------------------------
// An empty table

/** All counters to zero. Nobody records. */
static void reset_counters(void)
{
    for (uint32_t id = 1; id < table->counters.count; id++)
        *TABLE_COUNTERS(id) = (struct tm_counters){0};
    table->owned = table->shared = (struct tm_memory){0};
    table->lost_blocks = table->lost_frames = 0;
    table->cleared = 0;
}

/** Nobody records. */
static void reset_table(void)
{
    map_reset();
    tracked_reset();
    watched_reset();
    filter_reset();
    reset_counters();
}

// ---------------------------------------------------------------------------------------------------------------
// On

static void watch_births(void)
{
    cpython_find_current_thread();
    if (!profile_now->picks)
        births_watch(hooks_now()->on_birth);
}

/** Once a process. False: no memory. */
static bool prepare_process(void)
{
    static bool prepared;
    if (prepared)
        return true;
    if (!writers_create() || !fork_install())
        return false;
    selfcheck_install();
    return prepared = true;
}

/**
 * The root tells the profile of the trace. Atomically, because births.c changes another flag. The period is there while the flag
 * is. Counters of an earlier trace are no records of one that has none.
 */
static void set_root_profile(void)
{
    const uint32_t all = TM_ROOT_LEAN | TM_ROOT_SAMPLED;
    uint32_t flags = (profile_now->counts_sites ? 0 : TM_ROOT_LEAN) | (profile_now->picks ? TM_ROOT_SAMPLED : 0);
    if (!profile_now->counts_sites)
        table->counters.count = 1;
    __atomic_fetch_and(&table->flags, ~(all & ~flags), __ATOMIC_RELAXED);
    __atomic_store_n(&table->sample_period, profile_now->picks ? sample_period() : 0, __ATOMIC_RELEASE);
    __atomic_fetch_or(&table->flags, flags, __ATOMIC_RELEASE);
}

/** What can be seen before anything is changed. A forked child may have to take its table first. */
static const char *why_not_start(void)
{
    if (cpython_look_at_frames(cpython.current_thread()) == CPYTHON_FRAMES_STRANGE)
        return CPYTHON_STRANGE_FRAMES;
    recording_pass(0);
    if (recorder_is_cut())
        return "the file of the trace table was cut";
    return recorder_may_write() ? NULL
                                : "the file of the trace table is the parent's: this process was made without fork()";
}

/** With writers_lock(). */
static const char *start(unsigned frame_limit, profile_t profile)
{
    if (recording_switch != 0)
        return NULL;
    const char *problem = why_not_start();
    if (problem == NULL)
        problem = table_create();
    if (problem != NULL)
        return problem;
    recorder_begin();
    moments_begin();
    if (Py_IsInitialized())
        recorder_guard();
    profile_now = profile;
    if (profile->picks)
        sample_begin(environment_sample_period(), environment_seed());
    if (!map_create() || !intern_begin() || !stack_reset(frame_limit) || !prepare_process())
        return "no memory to begin tracing";
    hooks_install();
    writers_hold();
    reset_table();
    set_root_profile();
    table->frame_limit = frame_limit;
    table->started = table_now();
    table->starts++;
    table->state = TM_STATE_TRACING;
    __atomic_store_n(&recording_switch, profile->number, __ATOMIC_RELEASE);
    writers_release();
    return NULL;
}

bool tracing_would_start(profile_t profile)
{
    return !tracing_on() || (tracing_in(&profile_sampled) && !profile->picks);
}

const char *tracing_start(unsigned frame_limit, profile_t profile)
{
    // Samples give way to a trace of all blocks, which begins here.
    if (tracing_on() && tracing_would_start(profile)) {
        const char *reason = why_not_start();
        if (reason != NULL)
            return reason;
        tracing_stop();
    }
    bool was_on = tracing_on();
    writers_lock();
    const char *problem = start(frame_limit, profile);
    writers_unlock();
    if (problem == NULL && !was_on) {
        births_forget_missed();
        watch_births();
        bind_modules();
    }
    return problem;
}

void tracing_catch_up(void)
{
    hooks_install();
    watch_births();
}

// ---------------------------------------------------------------------------------------------------------------
// Off

/** With writers_lock(). */
static void stop(void)
{
    if (!tracing_on())
        return;
    selfcheck("before tracing stops");
    __atomic_store_n(&recording_switch, 0, __ATOMIC_SEQ_CST);
    table->state = TM_STATE_CLEARING;
    birth_events_end();
    hooks_remove();
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

// ---------------------------------------------------------------------------------------------------------------
// Traced memory

void tracing_memory(uint64_t *traced, uint64_t *peak)
{
    if (table == NULL || !tracing_on()) {
        *traced = *peak = 0;
        return;
    }
    uint64_t owned = counter_read(&table->owned.peak), shared = counter_read(&table->shared.peak);
    *traced = counter_read(&table->owned.traced) + counter_read(&table->shared.traced);
    *peak = owned > shared ? owned : shared;
}

static void reset_peak(void)
{
    uint64_t traced, peak;
    tracing_memory(&traced, &peak);
    table->owned.peak = table->shared.peak = traced;
}

void tracing_reset_peak(void)
{
    writers_lock();
    writers_hold();
    if (tracing_on())
        reset_peak();
    writers_release();
    writers_unlock();
}

// ---------------------------------------------------------------------------------------------------------------
// Clearing while threads without the lock go on

/** Blocks go one by one, as if freed. A thread without the lock may free one meanwhile: then it is that thread or we. */
static void clear_place(void *context, const struct map_place *place)
{
    (void)context;
    if (!map_remove(place))
        return;
    if (profile_now->picks)
        filter_remove(place->address);
    // The code object in a block outlives the block's trace.
    if (place->block.watched)
        watched_lose_block();
    count_out_of_whole(place->block.size, true);
    count_out_of_site(profile_now, place->block.site, place->block.size, true);
}

static void clear_tracked(void)
{
    for (uint32_t id = 1; id < table->tracked.count; id++) {
        struct tracked_block block;
        uintptr_t address;
        if (!tracked_take_record(id, true, &block, &address))
            continue;
        if (profile_now->picks)
            filter_remove(address);
        count_out_of_site(profile_now, block.site, block.size, true);
    }
}

/** Totals begin at zero again, and what threads without the lock count meanwhile is not lost. */
static void clear_totals(void)
{
    for (uint32_t id = 1; id < table->counters.count; id++) {
        struct tm_counters *counters = TABLE_COUNTERS(id);
        uint64_t allocations = __atomic_exchange_n(&counters->allocations, 0, __ATOMIC_RELAXED);
        uint64_t allocated = __atomic_exchange_n(&counters->allocated, 0, __ATOMIC_RELAXED);
        counter_add(&counters->frees, -allocations);
        counter_add(&counters->freed, -allocated);
    }
}

/** With writers_lock(). */
static void clear(void)
{
    if (!tracing_on())
        return;
    selfcheck("before traces are cleared");
    writers_hold();
    table->state = TM_STATE_CLEARING;
    map_walk(clear_place, NULL);
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
    // The births missed until now are forgotten with the blocks. If births can be reported again, all is exact from here on.
    births_forget_missed();
    watch_births();
    writers_lock();
    clear();
    writers_unlock();
}
