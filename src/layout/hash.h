/**
 * Hashes: the writer stores one in each record, and a reader computes it again.
 *
 * They show where a record was overwritten: by a wild pointer, or by zeros instead of its page. docs/layout.md describes
 * them in words. They do not protect against an attacker. Depends on nothing but the layout.
 */
#ifndef TRACEMORTEM_LAYOUT_HASH_H
#define TRACEMORTEM_LAYOUT_HASH_H

#include <string.h>

#include "trace_table.h"

/** Mix one more word into a hash. Another word gives another hash. */
static inline uint64_t tm_content_mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/** The beginning of a hash, from a number of bytes or a record's id. It is not 0, or zeros would have the hash 0. */
static inline uint64_t tm_content_begin(uint64_t number)
{
    return tm_content_mix(UINT64_C(0x7472616365), number);
}

/** The hash of some bytes. */
static inline uint64_t tm_content_hash(const void *bytes, uint32_t length)
{
    const char *at = bytes;
    uint64_t hash = tm_content_begin(length), word;
    for (; length >= sizeof word; at += sizeof word, length -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = tm_content_mix(hash, word);
    }
    if (length == 0)
        return hash;
    word = 0;
    memcpy(&word, at, length);
    return tm_content_mix(hash, word);
}

/** tm_string.hash. */
static inline uint32_t tm_string_hash(const void *bytes, uint32_t length)
{
    return (uint32_t)tm_content_hash(bytes, length);
}

/** tm_code.hash: of the contents, with the bytes of the line table but not their position, and without `address`. */
static inline uint64_t tm_code_hash(const struct tm_code *code, const void *line_table)
{
    uint64_t hash = tm_content_hash(line_table, code->line_table_length);
    hash = tm_content_mix(hash, (uint64_t)code->filename << 32 | code->qualname);
    hash = tm_content_mix(hash, (uint64_t)(uint32_t)code->first_line << 32 | code->code_length);
    return tm_content_mix(hash, code->line_table_kind);
}

// The following hashes begin with the id: a record in the place of another one has a wrong hash.

/** tm_node.hash. */
static inline uint16_t tm_node_hash(uint64_t id, const struct tm_node *node)
{
    uint64_t hash = tm_content_mix(tm_content_begin(id), (uint64_t)node->parent << 32 | node->code);
    return (uint16_t)(tm_content_mix(hash, (uint64_t)(uint32_t)node->instruction << 32 | node->depth) >> 48);
}

/** tm_site.hash. The generation is not in it: it is for readers of a running process. */
static inline uint32_t tm_site_hash(uint64_t id, const struct tm_site *site)
{
    uint64_t hash = tm_content_mix(tm_content_begin(id), (uint64_t)site->node << 32 | site->domain);
    uint64_t kind = (uint64_t)site->total_frames << 16 | (uint64_t)site->allocator << 8 | site->flags;
    return (uint32_t)(tm_content_mix(hash, kind) >> 32);
}

/** tm_leaf.hash. */
static inline uint64_t tm_leaf_hash(uint64_t id, const struct tm_leaf *leaf)
{
    return tm_content_mix(tm_content_mix(tm_content_begin(id), leaf->start), leaf->units);
}

/** The check in the word of a grid: of all its other bits and the unit's number, which is its address >> unit_shift. */
static inline uint64_t tm_grid_check(uint64_t unit, uint64_t word)
{
    word &= ~((uint64_t)TM_GRID_CHECK_MASK << TM_GRID_CHECK_SHIFT);
    return tm_content_mix(tm_content_begin(unit), word) >> 53;
}

/** The first word of a grid's array. */
static inline uint64_t tm_grid_head(uint64_t unit, uint64_t word)
{
    return tm_content_mix(tm_content_begin(unit), word);
}

/** The check in a word that leads to a chunk of a list or to its buckets: of the unit's number, the address and the flag. */
static inline uint64_t tm_list_check(uint64_t unit, uint64_t word)
{
    word &= ~((uint64_t)TM_LIST_CHECK_MASK << TM_LIST_CHECK_SHIFT);
    return tm_content_mix(tm_content_begin(unit), word) >> 43;
}

/** tm_arena.hash, of a live record. */
static inline uint64_t tm_python_arena_hash(uint64_t id, const struct tm_python_arena *arena)
{
    return tm_content_mix(tm_content_mix(tm_content_begin(id), arena->address), arena->size);
}

/** tm_own.hash, of a live record. */
static inline uint64_t tm_own_hash(uint64_t id, const struct tm_own *own)
{
    return tm_content_mix(tm_content_mix(tm_content_mix(tm_content_begin(id), own->address), own->size), own->kind);
}

/** tm_tracked.hash, of a live record. */
static inline uint64_t tm_tracked_hash(uint64_t id, const struct tm_tracked *tracked)
{
    uint64_t hash = tm_content_mix(tm_content_mix(tm_content_begin(id), tracked->address), tracked->size);
    return tm_content_mix(hash, (uint64_t)tracked->domain << 32 | tracked->site);
}

#endif
