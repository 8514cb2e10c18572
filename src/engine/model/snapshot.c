// The growing array of a snapshot's groups.

#include "engine/model/snapshot.h"

#include <stdlib.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"

void tm_churn_add(struct tm_churn *churn, const struct tm_churn *more)
{
    churn->allocated = tm_add_saturating(churn->allocated, more->allocated);
    churn->allocations = tm_add_saturating(churn->allocations, more->allocations);
    churn->freed = tm_add_saturating(churn->freed, more->freed);
    churn->frees = tm_add_saturating(churn->frees, more->frees);
}

void tm_snapshot_deinit(struct tm_snapshot *snapshot)
{
    free(snapshot->groups);
    tm_arena_deinit(&snapshot->arena);
    *snapshot = (struct tm_snapshot){0};
}

const struct tm_churn *tm_snapshot_churn(struct tm_snapshot *snapshot, const struct tm_churn *churn)
{
    struct tm_churn *copy = tm_arena_allocate(&snapshot->arena, sizeof(*copy));
    if (copy)
        *copy = *churn;
    return copy;
}

struct tm_estimate *tm_snapshot_estimate(struct tm_snapshot *snapshot, const struct tm_estimate *estimate)
{
    struct tm_estimate *copy = tm_arena_allocate(&snapshot->arena, sizeof(*copy));
    if (copy)
        *copy = estimate ? *estimate : (struct tm_estimate){0};
    return copy;
}

struct tm_error *tm_snapshot_add(struct tm_snapshot *snapshot, const struct tm_group *group)
{
    if (!TM_GROW(&snapshot->groups, snapshot->count + 1, &snapshot->capacity))
        return tm_error_no_memory();
    snapshot->groups[snapshot->count++] = *group;
    return NULL;
}
