/**
 * Living code objects that the tracer knows: which record each has, found by its address, and noticing its end.
 *
 * The map marks the block that holds such an object as watched. A free reads the block's slot or entry anyway, so noticing
 * the end of a code object costs nothing there. The block need not begin with the object: an allocator that wraps ours, such
 * as that of PyMem_SetupDebugHooks(), may keep something of its own before it. free() is then called with the start that we
 * have seen, not with the object.
 *
 * If the map has no block there and no allocator wraps ours, the block is the object, and a free of a block that the map does
 * not have looks for it here. In all other cases we would not notice the object's end, and nothing is remembered of it.
 */
#ifndef TRACEMORTEM_TRACER_WATCHED_H
#define TRACEMORTEM_TRACER_WATCHED_H

#include "kind.h"
#include "map.h"

/** The code id of a living code object; 0: it is not watched. Holding the lock. */
uint32_t watched_find(const void *object);
/** Watch an object. False: we would not notice its end, or there is no memory. Holding the lock. */
bool watched_add(const void *object, uint32_t code);

/** Where a code object was. */
struct watched_range {
    uintptr_t address;
    size_t size; // 0: there was none
};
/** The block at an address is being freed: forget the code object in it. `recorded`: the map had the block. The caller clears
 * what caches keep by the object's address. Needs no lock, only ownership of the block. */
struct watched_range watched_end(uintptr_t block, bool recorded);
/** A block that is marked as watched leaves the map, and lives on. */
void watched_lose_block(void);
/** Mark the codes of all objects. Holding the lock. */
void watched_mark(struct marks *codes);
/** Forget all, because their ends will not be noticed from now on. */
void watched_reset(void);

/** Our free() in the object domain. While it is the allocator's, free() is called with the address of the object. */
void watched_set_free(void (*object_free)(void *context, void *block));

extern size_t watched_unrecorded; // objects whose blocks are not in the map; changed under the lock
/** Whether blocks that are not in the map may hold watched objects. */
static inline bool watched_any_unrecorded(void)
{
    return __atomic_load_n(&watched_unrecorded, __ATOMIC_RELAXED) != 0;
}

#endif
