/**
 * Whether what happens now is recorded: tracing is on, and this thread is not inside a hook already.
 */
#ifndef TRACEMORTEM_TRACER_RECORDING_H
#define TRACEMORTEM_TRACER_RECORDING_H

#include "cpython.h"
#include "selfcheck.h"
#include "writers.h"

/** The switch. The hooks stay installed where they cannot be removed, and then only pass on. */
extern bool recording_switch;
/** This thread is inside a hook, or paused. A call from there is not recorded: the outer hook records the block. */
extern __thread bool recording_inside;

static ALWAYS_INLINE bool tracing_on(void)
{
    return LIKELY(__atomic_load_n(&recording_switch, __ATOMIC_RELAXED));
}

/** Whether to record what happens now. If so, leave() ends it. */
static ALWAYS_INLINE bool enter(void)
{
    if (UNLIKELY(recording_inside) || !tracing_on())
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
static ALWAYS_INLINE bool begin_update(facts_t facts)
{
    if (!facts->free_threaded)
        return true;
    writer_begin();
    if (tracing_on())
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
