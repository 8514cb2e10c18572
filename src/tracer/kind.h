/**
 * Kinds of records that are recorded once and found again by their contents: strings, codes, nodes and sites. A record that
 * nothing refers to any more is used again (collect.h).
 *
 * A record has one field that is not 0 while it is live, and is stored last. So a reader sees a record that is free, or a
 * complete one. Another field holds the id of the next free record.
 */
#ifndef TRACEMORTEM_TRACER_KIND_H
#define TRACEMORTEM_TRACER_KIND_H

#include "index.h"

struct kind {
    size_t array;      // offset in the root
    size_t free_count; // offset of the root's number of free records
    struct index index;
    bool (*is_free)(uint32_t id);
    /** Make a record free, and keep in it the id of the next free one. What only it refers to is free, too. */
    void (*make_free)(uint32_t id, uint32_t next);
    uint32_t (*next_free)(uint32_t id);
    uint32_t free;      // the first free record; 0: there is none
    uint64_t live_then; // records that were live after the last collection
};

/** Whether dead records should be collected, at the next safe moment. */
extern bool collection_is_due;
/** There was no room for something. After so many times, a collection is due. */
void collection_wanted(void);
/** A collection has been made; `freed`: it has made room. */
void collection_made(bool freed);

/** The id of a record to be filled in, of at most `limit` that may be live; 0: no memory or no room. Holding the lock. */
uint32_t kind_take(struct kind *kind, uint64_t limit);
/** A record that was taken, and is not needed after all. */
void kind_give_back(struct kind *kind, uint32_t id);
/** Publish a record that was taken and filled in, with this hash. Returns its id. */
uint32_t kind_publish(struct kind *kind, uint32_t id, uint64_t hash);

/** One bit for each id of a kind. */
struct marks {
    uint64_t *words;
    uint64_t count; // of ids
};
/** Marks for all records of a kind, none of them set. False: no memory. */
bool marks_init(struct marks *marks, const struct kind *kind);
void marks_deinit(struct marks *marks);
/** Set a mark. Returns whether it was set already. */
static inline bool marks_set(struct marks *marks, uint32_t id)
{
    uint64_t bit = UINT64_C(1) << (id & 63), *word = &marks->words[id >> 6];
    bool was_set = *word & bit;
    *word |= bit;
    return was_set;
}
static inline bool marks_get(const struct marks *marks, uint32_t id)
{
    return marks->words[id >> 6] >> (id & 63) & 1;
}

/** Free all live records that are not marked, but for the first `fixed` ones. Holding the lock. */
void kind_sweep(struct kind *kind, const struct marks *marks, uint32_t fixed);

static inline struct tm_array *kind_array(const struct kind *kind)
{
    return (struct tm_array *)((char *)table + kind->array);
}

/** How many of its records are free. */
static inline uint32_t *kind_free_count(const struct kind *kind)
{
    return (uint32_t *)((char *)table + kind->free_count);
}

#endif
