/**
 * Whether what happens now is recorded: tracing is on, in this profile, and this thread is not inside a hook already.
 */
#ifndef TRACEMORTEM_TRACER_RECORDING_H
#define TRACEMORTEM_TRACER_RECORDING_H

#include "cpython.h"
#include "profile.h"
#include "selfcheck.h"
#include "writers.h"

/** The switch: the number of the profile that is recorded; 0: tracing is off; less: the same, during a fork (handoff.h). Where
 * hooks cannot be removed they stay installed; those of another profile only pass on. It has a page of its own, which is zeros
 * in a child if the table is in a file: so a child that is made without fork()'s handlers records nothing. */
extern union recording_page {
    int number;
    char page[4096];
} recording_page;
#define recording_switch recording_page.number
/** This thread is inside a hook, or paused. A call from there is not recorded: the outer hook records the block. */
extern __thread bool recording_inside;

/** While the switch is negative: wait until it is not, or, in a forked child, take the table. Whether tracing is on then, in
 * the profile of this number; at 0, in any. */
bool recording_pass(int number);

static ALWAYS_INLINE bool tracing_on(void)
{
    int now = __atomic_load_n(&recording_switch, __ATOMIC_RELAXED);
    return UNLIKELY(now < 0) ? recording_pass(0) : LIKELY(now != 0);
}

static ALWAYS_INLINE bool tracing_in(profile_t profile)
{
    int now = __atomic_load_n(&recording_switch, __ATOMIC_RELAXED);
    return LIKELY(now == profile->number) || (UNLIKELY(now < 0) && recording_pass(profile->number));
}

/** Whether to record what happens now. If so, leave() ends it. */
static ALWAYS_INLINE bool enter(profile_t profile)
{
    if (UNLIKELY(recording_inside) || !tracing_in(profile))
        return false;
    recording_inside = true;
    return true;
}

static ALWAYS_INLINE void leave(void)
{
    recording_inside = false;
    selfcheck_now_and_then();
}

/** Whether to change the table now. If so, end_update() ends it. No only without a global lock: tracing has just ended. */
static ALWAYS_INLINE bool begin_update(facts_t facts, profile_t profile)
{
    if (!facts->free_threaded)
        return true;
    writer_begin();
    if (tracing_in(profile))
        return true;
    writer_end();
    return false;
}

static ALWAYS_INLINE void end_update(facts_t facts)
{
    if (facts->free_threaded)
        writer_end();
}

/** Record nothing of the calling thread's until tracing_resume() is given what this returned. */
static inline bool tracing_pause(void)
{
    bool was_paused = recording_inside;
    recording_inside = true;
    return was_paused;
}

static inline void tracing_resume(bool was_paused)
{
    recording_inside = was_paused;
}

#endif
