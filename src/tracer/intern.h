/**
 * Interning: each string, code, node and site is recorded once, and found again by its contents.
 *
 * All functions here are for the slow path and need table_lock. An id of 0 means that there was no memory or no room: a
 * program that never stops producing new stacks may fill the table only so far.
 */
#ifndef TRACEMORTEM_TRACER_INTERN_H
#define TRACEMORTEM_TRACER_INTERN_H

#include "table.h"

struct interned_code {
    uint32_t id;  // TM_CODE_UNKNOWN: it is no code object, or there is no memory
    bool watched; // we will notice its end, see code_forget(); else nothing may be remembered by its address
};
/**
 * The code record of a living code object. The shadow map remembers the record's id inside the block that holds the object,
 * so the id is forgotten when the block goes. An object whose block is not known is looked up by its contents each time.
 */
struct interned_code intern_code(const void *object);

/** The first instruction of the line that an instruction belongs to; the instruction itself if that is not known. */
int32_t code_line_start(uint32_t code, int32_t instruction);

/** The child of `parent` (0: none) in the tree of nodes. The last quarter of them is for those without a parent. */
uint32_t intern_node(uint32_t parent, uint32_t code, int32_t instruction);

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
 * The block at `address` is being freed: forget the code object in it, if the map knows one. Returns how many bytes from
 * `address` on the object may reach; 0: there is no object. The caller clears what caches keep by its address. Needs no
 * lock, only ownership of the block.
 */
size_t code_forget(uintptr_t address);

/** Our free() in the object domain. While it is the allocator's, free() is called with the address of the object. */
void code_set_free(void (*object_free)(void *context, void *block));

#endif
