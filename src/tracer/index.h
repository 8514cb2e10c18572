/**
 * Finding records by their contents: open addressing over ids, linear probing, grown by doubling. Private to the tracer.
 *
 * A forked child has the index of its parent, in pages which both share until one of them writes. Each id that the child adds
 * would be on another page. So it seals what it has, and adds to a small table of its own.
 */
#ifndef TRACEMORTEM_TRACER_INDEX_H
#define TRACEMORTEM_TRACER_INDEX_H

#include "table.h"

struct index_table {
    uint32_t *ids; // 0: free. NULL: there is no table
    uint64_t mask;
    uint64_t used;
};

struct index {
    struct index_table own;
    struct index_table sealed;        // what a forked child found. Not written any more
    uint64_t (*hash_of)(uint32_t id); // of a record in the table
};

/** Make room for one more id: a table is at most two thirds full. False: no memory. Holding the lock. */
bool index_reserve(struct index *index);
/** There must be room. */
void index_add(struct index *index, uint64_t hash, uint32_t id);
/** Take all ids out. There is room for as many again. Holding the lock. */
void index_clear(struct index *index);
/** Write no more to what is there, if it is more than a page or two. */
void index_seal(struct index *index);

/** A search for the ids that may have a hash: first in the own table. */
struct index_probe {
    const struct index_table *in;
    uint64_t hash, at;
};

static inline struct index_probe index_find(const struct index *index, uint64_t hash)
{
    return (struct index_probe){.in = &index->own, .hash = hash, .at = hash};
}

/** The next id to be compared; 0: there is no more. */
static inline uint32_t index_next(const struct index *index, struct index_probe *probe)
{
    for (;;) {
        const struct index_table *in = probe->in;
        uint32_t id = in->ids == NULL ? 0 : in->ids[probe->at++ & in->mask];
        if (id != 0 || in == &index->sealed)
            return id;
        *probe = (struct index_probe){.in = &index->sealed, .hash = probe->hash, .at = probe->hash};
    }
}

#endif
