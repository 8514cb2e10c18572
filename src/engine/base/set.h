/**
 * Set: a hash set of pointers, with open addressing and linear probing. The user hashes and compares:
 *
 *     if (!tm_set_reserve(&set))
 *         … no memory …
 *     struct tm_set_entry *entry = tm_set_first(&set, hash);
 *     while (entry->item && !(entry->hash == hash && equal(entry->item, key)))
 *         entry = tm_set_next(&set, entry);
 *     if (!entry->item)
 *         tm_set_put(&set, entry, hash, item);
 *
 * Items are never removed. Knows nothing of what the items are and does not own them.
 */
#ifndef TRACEMORTEM_ENGINE_BASE_SET_H
#define TRACEMORTEM_ENGINE_BASE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct tm_set_entry {
    uint64_t hash;
    void *item; // NULL: the entry is free
};

/** All zero is an empty set. */
struct tm_set {
    struct tm_set_entry *entries;
    size_t capacity; // a power of two, or 0
    size_t count;
};

/** A permutation of the 64-bit numbers that mixes well: two hashes are equal only if the numbers are. */
static inline uint64_t tm_hash_number(uint64_t key)
{
    key ^= key >> 32;
    key *= UINT64_C(0xd6e8feb86659fd93);
    key ^= key >> 32;
    key *= UINT64_C(0xd6e8feb86659fd93);
    return key ^ key >> 32;
}

static inline uint64_t tm_hash_bytes(const void *bytes, size_t length)
{
    const unsigned char *byte = (const unsigned char *)bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ length;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return tm_hash_number(hash);
}

/** Only in a set with room: after tm_set_reserve(). A search ends at a free entry. */
static inline struct tm_set_entry *tm_set_first(const struct tm_set *set, uint64_t hash)
{
    return &set->entries[hash & (set->capacity - 1)];
}

static inline struct tm_set_entry *tm_set_next(const struct tm_set *set, struct tm_set_entry *entry)
{
    entry++;
    return entry == set->entries + set->capacity ? set->entries : entry;
}

static inline void tm_set_put(struct tm_set *set, struct tm_set_entry *entry, uint64_t hash, void *item)
{
    entry->hash = hash;
    entry->item = item;
    set->count++;
}

static inline bool tm_set_grow(struct tm_set *set)
{
    size_t capacity = set->capacity ? set->capacity * 2 : 64;
    struct tm_set grown = {(struct tm_set_entry *)calloc(capacity, sizeof(*grown.entries)), capacity, 0};
    if (!grown.entries)
        return false;
    for (size_t i = 0; i < set->capacity; i++) {
        if (!set->entries[i].item)
            continue;
        struct tm_set_entry *entry = tm_set_first(&grown, set->entries[i].hash);
        while (entry->item)
            entry = tm_set_next(&grown, entry);
        tm_set_put(&grown, entry, set->entries[i].hash, set->entries[i].item);
    }
    free(set->entries);
    *set = grown;
    return true;
}

/**
 * The entry of a number, or the free entry where it belongs; for sets whose keys are all 64-bit numbers, pointers for
 * instance. Only in a set with room. The items must have been put by tm_set_put_number().
 */
static inline struct tm_set_entry *tm_set_find_number(const struct tm_set *set, uint64_t number)
{
    uint64_t hash = tm_hash_number(number); // equal only if the numbers are
    struct tm_set_entry *entry = tm_set_first(set, hash);
    while (entry->item && entry->hash != hash)
        entry = tm_set_next(set, entry);
    return entry;
}

static inline void tm_set_put_number(struct tm_set *set, struct tm_set_entry *entry, uint64_t number, void *item)
{
    tm_set_put(set, entry, tm_hash_number(number), item);
}

/** Make room for one more item; entries move. False: no memory. */
static inline bool tm_set_reserve(struct tm_set *set)
{
    // At most half full: probes stay short, and there is always a free entry to end them.
    return set->count < set->capacity / 2 || tm_set_grow(set);
}

/** Add a number to a set of numbers; `count` is then how many distinct ones it has. False: no memory. */
static inline bool tm_set_add_number(struct tm_set *set, uint64_t number)
{
    static const char present;
    if (!tm_set_reserve(set))
        return false;
    struct tm_set_entry *entry = tm_set_find_number(set, number);
    if (!entry->item)
        tm_set_put_number(set, entry, number, (void *)(uintptr_t)&present);
    return true;
}

static inline void tm_set_deinit(struct tm_set *set)
{
    free(set->entries);
    *set = (struct tm_set){NULL, 0, 0};
}

#endif
