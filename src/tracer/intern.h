/**
 * Interning: each string, code, node and site is recorded once, and found again by its contents.
 *
 * All functions here are for the slow path and want table_lock held. An id of 0 says that there was no memory, or no
 * room left in the table: a program which never stops to make new tracebacks may fill it only so far.
 */
#ifndef TRACEMORTEM_TRACER_INTERN_H
#define TRACEMORTEM_TRACER_INTERN_H

#include "table.h"

struct interned_code {
    uint32_t id;  // TM_CODE_UNKNOWN: it is no code object, or there is no memory
    bool watched; // its end will be noticed, see code_forget(); else nothing may be remembered by its address
};
/**
 * The code record of a living code object. The shadow map remembers it inside the block which holds the object, so that
 * the memory of it dies with the block. An object whose block is not known is looked at anew each time.
 */
struct interned_code intern_code(const void *object);

/** The first instruction of the line which an instruction belongs to; itself where that is not known. */
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
/** Where there is no room for it, that of its newest frame alone, or of TM_NODE_UNKNOWN, marked as shortened. */
uint32_t intern_site(const struct site_key *key);

/**
 * The block at `address` is being freed: forget the code object in it, if the map knows one. How many bytes from `address` on
 * may be the object's; 0: there is none. What caches keep by its address is the caller's business. Wants no lock but the
 * block's ownership.
 */
size_t code_forget(uintptr_t address);

/** Our free() in the object domain: as long as it is the allocator's, a free names the object, whatever the map knows. */
void code_set_free(void (*object_free)(void *context, void *block));

#endif
