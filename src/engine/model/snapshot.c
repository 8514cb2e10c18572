// The growing array of a snapshot's groups.

#include "engine/model/snapshot.h"

#include <stdlib.h>

#include "engine/base/grow.h"

void tm_snapshot_deinit(struct tm_snapshot *snapshot)
{
    free(snapshot->groups);
    *snapshot = (struct tm_snapshot){0};
}

struct tm_error *tm_snapshot_add(struct tm_snapshot *snapshot, const struct tm_group *group)
{
    if (!TM_GROW(&snapshot->groups, snapshot->count + 1, &snapshot->capacity))
        return tm_error_no_memory();
    snapshot->groups[snapshot->count++] = *group;
    return NULL;
}
