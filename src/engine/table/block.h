/**
 * A live block as the table records it, wherever that is: in the map, in the array `tracked`, or in a resize record.
 * It has a site and no traceback yet. (With a traceback it is a struct tm_block or tm_trace of model/source.h.)
 */
#ifndef TRACEMORTEM_ENGINE_TABLE_BLOCK_H
#define TRACEMORTEM_ENGINE_TABLE_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "layout/trace_table.h"

struct tm_recorded_block {
    uint64_t address;
    uint64_t size;
    uint32_t domain;
    uint32_t site; // id, not checked
    bool watched;  // it holds a code object that the tracer knows
    bool resizing; // it is inside realloc(): this is what it was before
};

static inline struct tm_recorded_block tm_tracked_block(const struct tm_tracked *record)
{
    return (struct tm_recorded_block){
        .address = record->address, .size = record->size, .domain = record->domain, .site = record->site};
}

static inline struct tm_recorded_block tm_resize_block(const struct tm_resize *record)
{
    // Where it is now, once realloc() has returned: a block that is recorded there makes the record void.
    uint64_t address = record->moved ? record->moved : record->address;
    return (struct tm_recorded_block){.address = address, .size = record->size, .site = record->site, .resizing = true};
}

/** Whether the block contains the address; a block of 0 bytes contains its own. */
static inline bool tm_recorded_block_contains(const struct tm_recorded_block *block, uint64_t address)
{
    return address == block->address || (address > block->address && address - block->address < block->size);
}

#endif
