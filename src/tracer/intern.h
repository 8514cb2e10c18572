/**
 * Interning: each string, code, node and site is recorded once, and found again by its contents.
 *
 * All functions here are for the slow path and need table_lock. An id of 0 means that there was no memory or no room: a
 * program that never stops producing new stacks may fill the table only so far.
 */
#ifndef TRACEMORTEM_TRACER_INTERN_H
#define TRACEMORTEM_TRACER_INTERN_H

#include "kind.h"

struct interned_code {
    uint32_t id;  // TM_CODE_UNKNOWN: it is no code object, or there is no memory
    bool watched; // we will notice its end, see watched.h; else nothing may be remembered by its address
};
/** The code record of a living code object. An object that is not watched is looked up by its contents each time. */
struct interned_code intern_code(const void *object);

/** The first instruction of the line that an instruction belongs to; the instruction itself if that is not known. */
int32_t code_line_start(uint32_t code, int32_t instruction);

/** The child of `parent` (0: none) in the tree of nodes. The last quarter of them is for those without a parent. */
uint32_t intern_node(uint32_t parent, uint32_t code, int32_t instruction);

/** When tracing starts: sites of earlier traces get what the present profile needs. False: no memory. Takes the lock. */
bool intern_begin(void);

/** In a forked child, leave its parent's indexes as they are: see index.h. */
void intern_after_fork_in_child(void);

struct site_key {
    uint32_t node;
    uint16_t total_frames;
    uint8_t allocator;
    uint8_t flags;
    uint32_t domain;
};
/** Without room for the site: that of its newest frame alone, or of TM_NODE_UNKNOWN, flagged as shortened. */
uint32_t intern_site(const struct site_key *key);

/**
 * Free all sites, nodes, codes and strings that no live block refers to, to be used again. `mark_roots` marks the sites of live
 * blocks and the codes of watched objects; if it returns false, nothing happens. False: nothing happened. Holding the lock.
 */
bool intern_collect(bool (*mark_roots)(struct marks *live_sites, struct marks *live_codes));

#endif
