/**
 * Finding records by their contents: open addressing over ids, linear probing, grown by doubling. Private to the tracer.
 */
#ifndef TRACEMORTEM_TRACER_INDEX_H
#define TRACEMORTEM_TRACER_INDEX_H

#include "table.h"

struct index {
    uint32_t *ids; // 0: free
    uint64_t mask;
    uint64_t used;
    uint64_t (*hash_of)(uint32_t id); // of a record in the table
};

/** Make room for one more id: the index is at most two thirds full. False: no memory. Holding the lock. */
bool index_reserve(struct index *index);
/** There must be room. */
void index_add(struct index *index, uint64_t hash, uint32_t id);
/** Take all ids out. */
void index_clear(struct index *index);

static inline uint32_t index_home(const struct index *index, uint64_t hash)
{
    return (uint32_t)(hash & index->mask);
}

static inline uint32_t index_at(const struct index *index, uint32_t probe)
{
    return index->ids == NULL ? 0 : index->ids[probe & index->mask];
}

/** Go through the ids that may have this hash: for (INDEX_PROBE(index, hash, id)) { is it this one? } */
#define INDEX_PROBE(index, hash, id)                                             \
    uint32_t probe = index_home((index), (hash)), id = index_at((index), probe); \
    id != 0;                                                                     \
    probe++, id = index_at((index), probe)

#endif
