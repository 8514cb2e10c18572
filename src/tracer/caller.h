/**
 * Who calls an allocator: the thread's state, and whether it holds the main interpreter's lock.
 */
#ifndef TRACEMORTEM_TRACER_CALLER_H
#define TRACEMORTEM_TRACER_CALLER_H

#include "cpython.h"

struct caller {
    const PyThreadState *thread; // the calling thread's own state, or NULL
    bool owns_lock;              // it holds the main interpreter's lock
};

static ALWAYS_INLINE bool in_main_interpreter(const PyThreadState *thread)
{
    PyInterpreterState *interpreter = FIELD(PyInterpreterState *, thread, THREAD_INTERPRETER);
    if (LIKELY(interpreter == cpython.main))
        return true;
    // It is another interpreter, or the main one is new, and then no other thread runs.
    if (interpreter != PyInterpreterState_Main())
        return false;
    cpython.main = interpreter;
    return true;
}

/** The raw allocator may be called by any thread. The others are only called with the lock, where there is one. */
static ALWAYS_INLINE struct caller find_caller(facts_t facts, unsigned allocator)
{
    const PyThreadState *thread = cpython_current_thread();
    if (allocator == TM_ALLOCATOR_RAW) {
        // With one lock for all, the current state is that of the lock's holder; else it is the calling thread's.
        const PyThreadState *own = thread;
        if (facts->lock_is_global || thread == NULL)
            own = PyGILState_GetThisThreadState();
        if (own == NULL || own != thread)
            return (struct caller){.thread = cpython_own_frames_are_known() ? own : NULL};
    }
    if (UNLIKELY(thread == NULL))
        return (struct caller){0};
    if (facts->free_threaded)
        return (struct caller){.thread = thread};
    // With one lock for all, its holder is alone, whichever interpreter it runs.
    return (struct caller){.thread = thread, .owns_lock = facts->lock_is_global || in_main_interpreter(thread)};
}

/** Whether the caller counts on the side of threads without the main interpreter's lock. */
static ALWAYS_INLINE bool caller_is_shared(struct caller caller, unsigned allocator)
{
    return allocator == TM_ALLOCATOR_RAW || !caller.owns_lock;
}

/** The same for a caller of free(), who is not looked at more than that takes. */
static ALWAYS_INLINE bool free_is_shared(facts_t facts, unsigned allocator)
{
    if (allocator == TM_ALLOCATOR_RAW || facts->free_threaded)
        return true;
    // With one lock for all, only its holder calls the other allocators.
    return !facts->lock_is_global && !find_caller(facts, allocator).owns_lock;
}

#endif
