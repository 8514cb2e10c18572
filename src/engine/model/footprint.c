// The rest of a process's private memory.

#include "engine/model/footprint.h"

#include "engine/base/number.h"

struct tm_error *tm_footprint_init(struct tm_footprint *footprint, const struct tm_target *target, uint64_t traced,
                                   uint64_t tracer)
{
    struct tm_private memory;

    *footprint = (struct tm_footprint){.kind = TM_PRIVATE_UNKNOWN};
    struct tm_error *error = tm_target_private(target, &memory);
    if (error || memory.kind == TM_PRIVATE_UNKNOWN)
        return error;
    footprint->kind = memory.kind;
    footprint->size = memory.size;
    footprint->traced = traced;
    footprint->tracer = tracer;
    // Traced memory that was never written to, or that is shared with a parent, is not counted, so the parts can be more
    // than the whole.
    uint64_t parts = tm_add_saturating(traced, tracer);
    footprint->has_other = parts <= memory.size;
    footprint->other = footprint->has_other ? memory.size - parts : 0;
    return NULL;
}
