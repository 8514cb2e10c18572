// Indexes as they grow, and as they are sealed.

#include "index.h"

#include <string.h>

enum { FIRST_INDEX = 1024, LEAST_SEALED = 4096 };

static void put(struct index_table *to, uint64_t hash, uint32_t id)
{
    uint64_t i = hash & to->mask;
    while (to->ids[i] != 0)
        i = (i + 1) & to->mask;
    to->ids[i] = id;
    to->used++;
}

static uint64_t size_of(const struct index_table *of)
{
    return of->ids == NULL ? 0 : of->mask + 1;
}

/** Put the ids of a table into another one with enough room, and give up its memory. */
static void move_ids(const struct index *index, struct index_table *from, struct index_table *to)
{
    for (uint64_t i = 0; i < size_of(from); i++)
        if (from->ids[i] != 0)
            put(to, index->hash_of(from->ids[i]), from->ids[i]);
    if (from->ids != NULL)
        table_unmap(from->ids, size_of(from) * sizeof *from->ids);
    *from = (struct index_table){0};
}

bool index_reserve(struct index *index)
{
    if (index->own.ids != NULL && index->own.used * 3 < index->own.mask * 2)
        return true;
    uint64_t size = index->own.ids == NULL ? FIRST_INDEX : 2 * size_of(&index->own);
    // A table of one's own that is no longer small against the sealed one takes its ids.
    bool joins = index->sealed.ids != NULL && size * 4 > size_of(&index->sealed);
    if (joins)
        size = 2 * size_of(&index->sealed);
    struct index_table grown = {.ids = table_map(size * sizeof *grown.ids, TM_OWN_PRIVATE), .mask = size - 1};
    if (grown.ids == NULL)
        return false;
    move_ids(index, &index->own, &grown);
    if (joins)
        move_ids(index, &index->sealed, &grown);
    index->own = grown;
    return true;
}

void index_add(struct index *index, uint64_t hash, uint32_t id)
{
    put(&index->own, hash, id);
}

void index_clear(struct index *index)
{
    if (index->sealed.ids != NULL) {
        // The larger one has room for all: it is at most two thirds full, and the other one has at most a sixth of its size.
        if (index->own.ids != NULL)
            table_unmap(index->own.ids, size_of(&index->own) * sizeof *index->own.ids);
        index->own = index->sealed;
        index->sealed = (struct index_table){0};
    }
    if (index->own.ids != NULL)
        memset(index->own.ids, 0, size_of(&index->own) * sizeof *index->own.ids);
    index->own.used = 0;
}

void index_seal(struct index *index)
{
    if (index->sealed.ids != NULL || size_of(&index->own) < LEAST_SEALED)
        return;
    index->sealed = index->own;
    index->own = (struct index_table){0};
}
