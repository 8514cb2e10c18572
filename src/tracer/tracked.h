/**
 * Tracked blocks: those that the map has no room for. They are of other domains (PyTraceMalloc_Track), or at
 * addresses that are not multiples of 16, or have 1 GiB or more. All functions take table_lock. `shared` is the side of the
 * calling thread (counters.h).
 */
#ifndef TRACEMORTEM_TRACER_TRACKED_H
#define TRACEMORTEM_TRACER_TRACKED_H

#include "table.h"

struct tracked_block {
    uint64_t size;
    uint32_t site;
};

/** Add a block, or replace the one with the same domain and address; *replaced was that one. False: no memory. */
bool tracked_put(uint32_t domain, uint64_t address, struct tracked_block block, bool shared,
                 struct tracked_block *replaced);
/** Remove a block. False: it was not there. */
bool tracked_take(uint32_t domain, uint64_t address, bool shared, struct tracked_block *block);
/** The site of a block, or 0. */
uint32_t tracked_site(uint32_t domain, uint64_t address);
/** Remove all. */
void tracked_reset(void);
/** Remove the block of a record. False: the record is free. */
bool tracked_take_record(uint32_t id, bool shared, struct tracked_block *block, uintptr_t *address);

extern uint64_t tracked_in_domain_0; // changed under the lock
/** Whether there are tracked blocks in domain 0. */
static inline bool tracked_any_in_domain_0(void)
{
    return __atomic_load_n(&tracked_in_domain_0, __ATOMIC_RELAXED) != 0;
}

#endif
