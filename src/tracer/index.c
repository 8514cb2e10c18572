// Indexes as they grow.

#include "index.h"

#include <string.h>

enum { FIRST_INDEX = 1024 };

static void put(uint32_t *ids, uint64_t mask, uint64_t hash, uint32_t id)
{
    uint64_t i = hash & mask;
    while (ids[i] != 0)
        i = (i + 1) & mask;
    ids[i] = id;
}

bool index_reserve(struct index *index)
{
    if (index->ids != NULL && index->used * 3 < index->mask * 2)
        return true;
    uint64_t size = index->ids == NULL ? FIRST_INDEX : (index->mask + 1) * 2;
    uint32_t *ids = table_map(size * sizeof *ids, TM_OWN_PRIVATE);
    if (ids == NULL)
        return false;
    for (uint64_t i = 0; index->ids != NULL && i <= index->mask; i++)
        if (index->ids[i] != 0)
            put(ids, size - 1, index->hash_of(index->ids[i]), index->ids[i]);
    if (index->ids != NULL)
        table_unmap(index->ids, size / 2 * sizeof *ids);
    index->ids = ids;
    index->mask = size - 1;
    return true;
}

void index_add(struct index *index, uint64_t hash, uint32_t id)
{
    put(index->ids, index->mask, hash, id);
    index->used++;
}

void index_clear(struct index *index)
{
    if (index->ids != NULL)
        memset(index->ids, 0, (index->mask + 1) * sizeof *index->ids);
    index->used = 0;
}
