/**
 * Footprint: how much of a process's private memory is traced, and how much is not. Knows no table and no text.
 */
#ifndef TRACEMORTEM_ENGINE_MODEL_FOOTPRINT_H
#define TRACEMORTEM_ENGINE_MODEL_FOOTPRINT_H

#include "engine/target/private.h"

/** Bytes. With kind TM_PRIVATE_UNKNOWN nothing else is known. */
struct tm_footprint {
    enum tm_private_kind kind;
    uint64_t size;   // private memory of the process
    uint64_t traced; // live traced blocks
    bool estimated;  // `traced`, and so `other`, is an estimate
    uint64_t tracer; // the table itself, at most; 0: not known
    bool has_other;
    uint64_t other; // if has_other, the rest: other allocators' memory, free memory that allocators keep, stacks
};

struct tm_error *tm_footprint_init(struct tm_footprint *footprint, const struct tm_target *target, uint64_t traced,
                                   uint64_t tracer);

#endif
