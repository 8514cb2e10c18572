// Lists as they grow, and walking them.

#include "list.h"

#include "layout/hash.h"

static uint64_t word_of(uint64_t unit, void *memory, uint64_t flag)
{
    uint64_t word = (uint64_t)(uintptr_t)memory << TM_LIST_ADDRESS_SHIFT | flag;
    return word | tm_list_check(unit, word) << TM_LIST_CHECK_SHIFT;
}

/** Make what the last word of a list leads to: a chunk, or after so many of them the buckets. False: no memory. */
static bool extend(uint64_t unit, uint64_t *word, bool has_buckets, unsigned chunks)
{
    table_lock();
    bool made = *word != 0; // by another thread
    if (!made) {
        bool split = !has_buckets && chunks >= TM_LIST_CHUNKS;
        void *memory = table_allocate(split ? TM_LIST_BUCKET_COUNT * sizeof(uint64_t) : sizeof(struct tm_list_chunk));
        made = memory != NULL;
        uint64_t value = word_of(unit, memory, split ? TM_LIST_BUCKETS : 0);
        if (made && chunks == 0 && !has_buckets)
            unit_word_store(word, value);
        else if (made)
            __atomic_store_n(word, value, __ATOMIC_RELEASE);
    }
    table_unlock();
    return made;
}

static bool claim(uint64_t *place, uint64_t entry)
{
    uint64_t none = 0;
    return __atomic_load_n(place, __ATOMIC_RELAXED) == 0 &&
           __atomic_compare_exchange_n(place, &none, entry, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/** A free place for the address, in a new chunk if need be. */
static bool add(unsigned unit_shift, uint64_t *word, uintptr_t address, uint64_t entry)
{
    unsigned chunks = 0;
    for (bool has_buckets = false;;) {
        uint64_t *on = list_word(unit_shift, word, address);
        has_buckets = has_buckets || on != word;
        word = on;
        if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0) {
            if (!extend(address >> unit_shift, word, has_buckets, chunks))
                return false;
            continue;
        }
        struct tm_list_chunk *chunk = list_address(__atomic_load_n(word, __ATOMIC_ACQUIRE));
        for (unsigned i = 0; i < TM_LIST_ENTRIES; i++)
            if (claim(&chunk->entry[i], entry))
                return true;
        chunks++;
        word = &chunk->next;
    }
}

/** The entry of the block that starts at an address; NULL: there is none, and *free is the first free place, or NULL. */
static uint64_t *find_or_free(unsigned unit_shift, uint64_t *word, uintptr_t address, uint64_t **free)
{
    uint64_t start = entry_start(unit_shift, address);
    for (*free = NULL;;) {
        word = list_word(unit_shift, word, address);
        struct tm_list_chunk *chunk = list_address(__atomic_load_n(word, __ATOMIC_ACQUIRE));
        if (chunk == NULL)
            return NULL;
        for (unsigned i = 0; i < TM_LIST_ENTRIES; i++) {
            uint64_t value = __atomic_load_n(&chunk->entry[i], __ATOMIC_RELAXED);
            if (UNLIKELY(entry_starts_at(value, start)))
                return &chunk->entry[i];
            if (value == 0 && *free == NULL)
                *free = &chunk->entry[i];
        }
        word = &chunk->next;
    }
}

bool list_put(unsigned unit_shift, uint64_t *word, uintptr_t address, uint64_t entry, uint64_t *replaced)
{
    uint64_t *free, *stale = find_or_free(unit_shift, word, address, &free);
    *replaced = 0;
    if (LIKELY(stale == NULL))
        return (free != NULL && LIKELY(claim(free, entry))) || add(unit_shift, word, address, entry);
    *replaced = __atomic_exchange_n(stale, entry, __ATOMIC_ACQ_REL);
    return true;
}

/** The chunks of one chain. Returns the word that ends it: 0, or one with TM_LIST_BUCKETS. */
static uint64_t walk_chunks(uint64_t word, void (*visit)(void *context, uint64_t *entry), void *context)
{
    while (word != 0 && !(word & TM_LIST_BUCKETS)) {
        struct tm_list_chunk *chunk = list_address(word);
        for (unsigned i = 0; i < TM_LIST_ENTRIES; i++)
            if (__atomic_load_n(&chunk->entry[i], __ATOMIC_RELAXED) != 0)
                visit(context, &chunk->entry[i]);
        word = __atomic_load_n(&chunk->next, __ATOMIC_ACQUIRE);
    }
    return word;
}

void list_walk(uint64_t word, void (*visit)(void *context, uint64_t *entry), void *context)
{
    uint64_t end = walk_chunks(word, visit, context);
    const uint64_t *buckets = list_address(end);
    for (unsigned i = 0; buckets != NULL && i < TM_LIST_BUCKET_COUNT; i++)
        walk_chunks(__atomic_load_n(&buckets[i], __ATOMIC_ACQUIRE), visit, context);
}
