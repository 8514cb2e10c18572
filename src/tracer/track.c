// Blocks of extension modules: PyTraceMalloc_Track and its kin, in place of CPython's own. Modules reach them by their public
// names where preloading puts those first, and otherwise by bind.h.

#include "track.h"

#include "blocks.h"
#include "caller.h"
#include "collect.h"
#include "filter.h"
#include "hooks.h"
#include "interpreter.h"
#include "recording.h"
#include "sample.h"
#include "traces.h"

enum { NO_MEMORY = -1, NOT_TRACING = -2 };

// ---------------------------------------------------------------------------------------------------------------
// In the table

static void forget(uint32_t domain, uintptr_t address)
{
    // In domain 0 it may be a block that a hook has recorded.
    struct taken_block taken =
        domain == 0 ? block_take_slowly(address, true) : block_take_tracked(domain, address, true);
    block_end(profile_now, &taken);
}

/** Put a block into the tracked ones. False: no memory. */
static bool store(uint32_t domain, uintptr_t address, struct block block)
{
    count_in_site(profile_now, block.site, block.size, true);
    bool stored = block_store_tracked(domain, address, block, true);
    if (stored)
        count_in_whole(block.size, true);
    else
        count_in_site_undo(profile_now, block.site, block.size, true);
    return stored;
}

/** With enter() and begin_update(). */
static bool record(uint32_t domain, uintptr_t address, size_t size)
{
    struct caller caller = find_caller(cpython.facts, TM_ALLOCATOR_RAW);
    forget(domain, address);
    collect_hold(caller);
    uint32_t site = hooks_now()->walked_site(caller.thread, TM_ALLOCATOR_TRACKED, domain);
    bool stored = site != 0 && store(domain, address, (struct block){size, site});
    collect_release(caller);
    if (!stored)
        table_lost_block();
    return stored;
}

/** False: no memory. */
static bool track(uint32_t domain, uintptr_t address, size_t size)
{
    bool stored = true;
    if (enter(profile_now)) {
        if (begin_update(cpython.facts, profile_now)) {
            stored = record(domain, address, size);
            end_update(cpython.facts);
        }
        leave();
    }
    return stored;
}

static void untrack(uint32_t domain, uintptr_t address)
{
    if (enter(profile_now)) {
        if (begin_update(cpython.facts, profile_now)) {
            forget(domain, address);
            end_update(cpython.facts);
        }
        leave();
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The functions. While nothing is traced they call CPython's own, and also in the sampled profile, which leaves the program's
// tracemalloc as it is.

static bool passes_on(void)
{
    return !tracing_on() || profile_now->picks;
}

static int stock_track(unsigned domain, uintptr_t address, size_t size)
{
    int (*stock)(unsigned, uintptr_t, size_t);
    *(void **)&stock = interpreter_function("PyTraceMalloc_Track");
    return stock == NULL ? NOT_TRACING : stock(domain, address, size);
}

static int stock_untrack(unsigned domain, uintptr_t address)
{
    int (*stock)(unsigned, uintptr_t);
    *(void **)&stock = interpreter_function("PyTraceMalloc_Untrack");
    return stock == NULL ? NOT_TRACING : stock(domain, address);
}

int track_block(unsigned domain, uintptr_t address, size_t size)
{
    if (!passes_on())
        return track(domain, address, size) ? 0 : NO_MEMORY;
    if (tracing_on()) {
        if (!sample_passes(size) && sample_picks(size))
            track(domain, address, size);
        else if (filter_has(address))
            untrack(domain, address);
    }
    return stock_track(domain, address, size);
}

int untrack_block(unsigned domain, uintptr_t address)
{
    if (tracing_on() && (!profile_now->picks || filter_has(address)))
        untrack(domain, address);
    return passes_on() ? stock_untrack(domain, address) : 0;
}

PyObject *tracked_traceback(unsigned domain, uintptr_t address)
{
    PyObject *(*stock)(unsigned, uintptr_t);
    if (!passes_on())
        return traces_of_block(domain, address);
    *(void **)&stock = interpreter_function("_PyTraceMalloc_GetTraceback");
    if (stock != NULL)
        return stock(domain, address);
    Py_IncRef(Py_None);
    return Py_None;
}

#define PUBLIC_NAME_OF(function) __attribute__((visibility("default"), alias(#function)))

PUBLIC_NAME_OF(track_block) int PyTraceMalloc_Track(unsigned domain, uintptr_t address, size_t size);
PUBLIC_NAME_OF(untrack_block) int PyTraceMalloc_Untrack(unsigned domain, uintptr_t address);
PUBLIC_NAME_OF(tracked_traceback) PyObject *_PyTraceMalloc_GetTraceback(unsigned domain, uintptr_t address);
