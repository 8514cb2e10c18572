// The rest of a process's private memory.

#include "engine/model/footprint.h"

// Traced memory that was never written to is not resident, so the parts can be more than the whole.
static uint64_t rest(uint64_t whole, uint64_t part)
{
    return part < whole ? whole - part : 0;
}

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
    footprint->other = rest(rest(memory.size, traced), tracer);
    return NULL;
}
