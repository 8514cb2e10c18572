// Asks the front end, or adds up the regions.

#include "engine/target/private.h"

#include <stdlib.h>

#include "engine/base/number.h"
#include "engine/target/backing.h"

static struct tm_error *add_regions(const struct tm_target *target, struct tm_private *result)
{
    struct tm_region *regions;
    size_t count;

    struct tm_error *error = tm_target_regions(target, &regions, &count);
    if (error)
        return error;
    for (size_t i = 0; i < count; i++) {
        const struct tm_region *region = &regions[i];
        if (!(region->flags & TM_REGION_WRITABLE) || (region->flags & (TM_REGION_FILE | TM_REGION_ABSENT)) ||
            region->start >= region->end)
            continue;
        result->kind = TM_PRIVATE_MAPPED;
        result->size = tm_add_saturating(result->size, region->end - region->start);
    }
    free(regions);
    return NULL;
}

struct tm_error *tm_target_private(const struct tm_target *target, struct tm_private *result)
{
    *result = (struct tm_private){TM_PRIVATE_UNKNOWN, 0};
    if (tm_target_is_file(target))
        return NULL;
    struct tm_backing backing;
    tm_target_backing(target, &backing);
    uint32_t kind;
    uint64_t size = tm_target_private_memory(target, &kind);
    if (kind != TM_PRIVATE_RESIDENT && kind != TM_PRIVATE_IN_CORE && kind != TM_PRIVATE_MAPPED)
        return tm_backing_is_table_alone(&backing) ? NULL : add_regions(target, result);
    *result = (struct tm_private){(enum tm_private_kind)kind, size};
    return NULL;
}
