/**
 * Walking a hash table level by level: the first entries of all chains, then the second ones, and so on. Each level
 * is read in the order of addresses, so that every part of the heap is read once for it.
 *
 * An entry is accepted if its hash fits its key and its bucket fits the hash. That is not enough in a table that was
 * stopped in the middle of a change: see distrust() for what CPython does then, and for what can still be trusted.
 */
#include "engine/stock/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/base/set.h"

#define BUCKETS_AT_LEAST 16u
#define BUCKETS_LIMIT (UINT64_C(1) << 40)
#define ADDRESS_LIMIT (UINT64_C(1) << 56) // of user space, with five levels of page tables
#define BETWEEN_CHECKS 4096u
#define LOOKUP_LIMIT 65536u // entries of a chain; blocks whose addresses are round numbers share one
#define TRACE_SIZE 16u      // a trace_t

// ---------------------------------------------------------------------------------------------------------------
// Heads

// The word number `index` of a struct that has words only.
static uint64_t nth_word(const unsigned char *bytes, size_t index)
{
    return tm_load_u64(bytes + index * sizeof(uint64_t));
}

static bool is_address(uint64_t word)
{
    return word >= 4096 && word < ADDRESS_LIMIT;
}

static bool is_head(const struct tm_stock_table *table)
{
    uint64_t buckets = table->bucket_count;
    return buckets >= BUCKETS_AT_LEAST && buckets <= BUCKETS_LIMIT && (buckets & (buckets - 1)) == 0 &&
           table->entries <= buckets && is_address(table->buckets) && table->buckets % 8 == 0 &&
           is_address(table->hash) && is_address(table->compare) && is_address(table->allocate) &&
           is_address(table->release);
}

bool tm_stock_table_decode(enum tm_stock_shape shape, uint64_t address, const unsigned char *bytes,
                           struct tm_stock_table *table)
{
    if (shape == TM_STOCK_SHAPE_3_8) {
        *table = (struct tm_stock_table){
            .shape = shape,
            .address = address,
            .bucket_count = nth_word(bytes, 0),
            .entries = nth_word(bytes, 1),
            .buckets = nth_word(bytes, 2),
            .key_size = nth_word(bytes, 3),
            .data_size = nth_word(bytes, 4),
            .hash = nth_word(bytes, 5),
            .compare = nth_word(bytes, 6),
            .allocate = nth_word(bytes, 7),
            .release = nth_word(bytes, 8),
            .lookup = nth_word(bytes, 5),
        };
        return is_head(table) && (table->key_size == 8 || table->key_size == 12) &&
               (table->data_size == 0 || table->data_size == TRACE_SIZE);
    }
    *table = (struct tm_stock_table){
        .shape = shape,
        .address = address,
        .entries = nth_word(bytes, 0),
        .bucket_count = nth_word(bytes, 1),
        .buckets = nth_word(bytes, 2),
        .hash = nth_word(bytes, 4),
        .compare = nth_word(bytes, 5),
        .key_destroy = nth_word(bytes, 6),
        .value_destroy = nth_word(bytes, 7),
        .allocate = nth_word(bytes, 8),
        .release = nth_word(bytes, 9),
        .lookup = nth_word(bytes, 3),
    };
    return is_head(table) && is_address(table->lookup) && (table->key_destroy == 0 || is_address(table->key_destroy)) &&
           (table->value_destroy == 0 || is_address(table->value_destroy));
}

bool tm_stock_table_read(struct tm_target *target, enum tm_stock_shape shape, uint64_t address,
                         struct tm_stock_table *table)
{
    unsigned char bytes[TM_STOCK_TABLE_SIZE];
    return address % 8 == 0 && is_address(address) && tm_target_try_read(target, address, bytes, sizeof(bytes)) &&
           tm_stock_table_decode(shape, address, bytes, table);
}

// ---------------------------------------------------------------------------------------------------------------
// Entries

struct entry {
    uint64_t next;
    uint64_t hash;
    struct tm_stock_trace trace; // from 3.9 on its `size` is the address of the trace_t
};

static bool has_domains(const struct tm_stock_table *table)
{
    return table->key_size == 12;
}

static size_t entry_size(const struct tm_stock_table *table)
{
    return table->shape == TM_STOCK_SHAPE_3_8 ? 16 + (size_t)table->key_size + TRACE_SIZE : 32;
}
#define ENTRY_SIZE_LIMIT 44u

static void decode_entry(const struct tm_stock_table *table, const unsigned char *bytes, uint32_t domain,
                         struct entry *entry)
{
    *entry = (struct entry){nth_word(bytes, 0), nth_word(bytes, 1), {.address = nth_word(bytes, 2), .domain = domain}};
    if (table->shape == TM_STOCK_SHAPE_3_9) {
        entry->trace.size = nth_word(bytes, 3);
        return;
    }
    if (has_domains(table))
        entry->trace.domain = tm_load_u32(bytes + 24);
    entry->trace.size = nth_word(bytes + 16 + table->key_size, 0);
    entry->trace.traceback = nth_word(bytes + 16 + table->key_size, 1);
}

static uint64_t hash_of(const struct tm_stock_table *table, enum tm_stock_keys keys, uint64_t key, uint32_t domain)
{
    if (keys == TM_STOCK_KEYS_DOMAINS)
        return (uint32_t)key;
    uint64_t hash = key >> 4 | key << 60;
    if (table->shape == TM_STOCK_SHAPE_3_8 && hash == UINT64_MAX)
        hash--; // Py_hash_t has no -1
    return has_domains(table) ? hash ^ domain : hash;
}

// ---------------------------------------------------------------------------------------------------------------
// Sorting: by digits of 11 bits, the lowest first; those in which no two differ cost nothing

#define DIGIT_BITS 11u
#define DIGITS (1u << DIGIT_BITS)

// An entry that is still to be read.
struct link {
    uint64_t address;
    uint64_t bucket;
};

static inline uint64_t key_of(const void *items, size_t index, size_t size, size_t offset)
{
    uint64_t key;
    memcpy(&key, (const unsigned char *)items + index * size + offset, sizeof(key));
    return key;
}

static inline __attribute__((always_inline)) void sort_pass(const void *from, void *to, size_t count, size_t size,
                                                            size_t offset, unsigned shift, size_t *starts)
{
    memset(starts, 0, DIGITS * sizeof(*starts));
    for (size_t i = 0; i < count; i++)
        starts[key_of(from, i, size, offset) >> shift & (DIGITS - 1)]++;
    for (size_t digit = 0, sum = 0; digit < DIGITS; digit++) {
        size_t here = starts[digit];
        starts[digit] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++) {
        size_t at = starts[key_of(from, i, size, offset) >> shift & (DIGITS - 1)]++;
        memcpy((unsigned char *)to + at * size, (const unsigned char *)from + i * size, size);
    }
}

// Ascending by the 64 bits at `offset`; those below `ignored` do not matter.
static inline __attribute__((always_inline)) bool sort_by(void *items, size_t count, size_t size, size_t offset,
                                                          unsigned ignored)
{
    uint64_t all = 0, some = 0, last = 0;
    bool sorted = true;
    for (size_t i = 0; i < count; i++) {
        uint64_t key = key_of(items, i, size, offset);
        some |= key;
        all = i == 0 ? key : all & key;
        sorted = sorted && key >= last;
        last = key;
    }
    if (sorted)
        return true;
    void *spare = reallocarray(NULL, count, size);
    size_t *starts = calloc(DIGITS, sizeof(*starts));
    if (!spare || !starts) {
        free(spare);
        free(starts);
        return false;
    }
    void *from = items, *to = spare;
    for (unsigned shift = ignored; shift < 64; shift += DIGIT_BITS) {
        if (((some ^ all) >> shift & (DIGITS - 1)) == 0)
            continue;
        sort_pass(from, to, count, size, offset, shift, starts);
        void *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != items)
        memcpy(items, from, count * size);
    free(spare);
    free(starts);
    return true;
}

// Near enough: what is in the same 64 KiB is in the cache together.
#define NEARBY_SHIFT 16u

static bool sort_links(struct link *links, size_t count)
{
    return sort_by(links, count, sizeof(*links), offsetof(struct link, address), NEARBY_SHIFT);
}

static bool sort_by_trace(struct tm_stock_trace *items, size_t count)
{
    return sort_by(items, count, sizeof(*items), offsetof(struct tm_stock_trace, size), NEARBY_SHIFT);
}

static bool sort_by_address(struct tm_stock_trace *items, size_t count)
{
    // The second sort keeps the order of the first one, which is by the upper half of the 64 bits at `group`.
    _Static_assert(offsetof(struct tm_stock_trace, domain) == offsetof(struct tm_stock_trace, group) + 4, "64 bits");
    return sort_by(items, count, sizeof(*items), offsetof(struct tm_stock_trace, group), 32) &&
           sort_by(items, count, sizeof(*items), offsetof(struct tm_stock_trace, address), 0);
}

struct tm_error *tm_stock_sort(struct tm_stock_traces *traces)
{
    return sort_by_address(traces->items, traces->count) ? NULL : tm_error_no_memory();
}

// ---------------------------------------------------------------------------------------------------------------
// Walking

struct walk {
    struct tm_heap_cache *heap;
    const struct tm_host *host;
    const struct tm_stock_table *table;
    enum tm_stock_keys keys;
    uint32_t domain;
    struct tm_stock_traces *traces;
    size_t first; // of this table's traces: those before belong to other tables
    struct link *links;
    size_t link_count;
    size_t link_capacity;
    uint64_t steps_left;    // a table in use has at most half as many entries as buckets: a chain with more is a ring
    uint64_t missing_pages; // of the array of buckets
    uint64_t unreadable;    // entries and pages of the array
    uint64_t corrupt;
    uint64_t first_address; // of the first one
    uint64_t last_flawed;   // the highest bucket with a flaw
};

static void note_flaw(struct walk *walk, uint64_t bucket, uint64_t address, bool unreadable)
{
    uint64_t *counter = unreadable ? &walk->unreadable : &walk->corrupt;
    ++*counter;
    if (walk->first_address == 0)
        walk->first_address = address;
    if (bucket > walk->last_flawed)
        walk->last_flawed = bucket;
}

static struct tm_error *add_link(struct walk *walk, uint64_t address, uint64_t bucket)
{
    if (!TM_GROW(&walk->links, walk->link_count + 1, &walk->link_capacity))
        return tm_error_no_memory();
    walk->links[walk->link_count++] = (struct link){address, bucket};
    return NULL;
}

static struct tm_error *add_trace(struct tm_stock_traces *traces, const struct tm_stock_trace *trace)
{
    if (!TM_GROW(&traces->items, traces->count + 1, &traces->capacity))
        return tm_error_no_memory();
    traces->items[traces->count++] = *trace;
    return NULL;
}

#define HEADS_AT_ONCE 8192u
#define PAGE_SIZE 4096u
#define MISSING_PAGES_LIMIT 16384u // nothing after so many is read: the table may only claim to be so large

// Some pages of the array are missing: their heads become zeros. *count becomes less where no more are read.
static struct tm_error *read_heads_by_pages(struct walk *walk, uint64_t bucket, uint64_t *heads, uint64_t *count)
{
    uint64_t first = walk->table->buckets + bucket * sizeof(*heads), step;
    for (uint64_t i = 0; i < *count; i += step) {
        uint64_t address = first + i * sizeof(*heads);
        step = (PAGE_SIZE - address % PAGE_SIZE) / sizeof(*heads);
        step = step < *count - i ? step : *count - i;
        if (tm_heap_cache_read(walk->heap, address, heads + i, step * sizeof(*heads))) {
            walk->steps_left += step;
            continue;
        }
        memset(heads + i, 0, step * sizeof(*heads));
        note_flaw(walk, bucket + i + step - 1, address, true);
        if (++walk->missing_pages == MISSING_PAGES_LIMIT)
            *count = i;
    }
    return tm_heap_cache_error(walk->heap);
}

// Reads the first entries of all chains. The number of buckets that can be read bounds all that follows.
static struct tm_error *read_heads(struct walk *walk)
{
    const struct tm_stock_table *table = walk->table;
    uint64_t heads[HEADS_AT_ONCE];
    struct tm_error *error = NULL;
    for (uint64_t bucket = 0; bucket < table->bucket_count && !error;) {
        uint64_t count = table->bucket_count - bucket < HEADS_AT_ONCE ? table->bucket_count - bucket : HEADS_AT_ONCE;
        uint64_t address = table->buckets + bucket * sizeof(heads[0]);
        error = tm_host_check(walk->host);
        if (!error && tm_heap_cache_read(walk->heap, address, heads, count * sizeof(heads[0])))
            walk->steps_left += count;
        else if (!error)
            error = read_heads_by_pages(walk, bucket, heads, &count);
        for (uint64_t i = 0; i < count && !error; i++) {
            if (heads[i])
                error = add_link(walk, heads[i], bucket + i);
        }
        bucket += count;
        if (walk->missing_pages == MISSING_PAGES_LIMIT)
            break;
    }
    return error;
}

// Read an entry, keep it if it is accepted, and set the next one of its chain; 0: none.
static struct tm_error *follow(struct walk *walk, const struct link *link, bool is_first, uint64_t *next)
{
    const struct tm_stock_table *table = walk->table;
    unsigned char bytes[ENTRY_SIZE_LIMIT];
    struct entry entry;
    *next = 0;
    if (link->address % 8 != 0 || !tm_heap_cache_read(walk->heap, link->address, bytes, entry_size(table))) {
        note_flaw(walk, link->bucket, link->address, true);
        return tm_heap_cache_error(walk->heap);
    }
    decode_entry(table, bytes, walk->domain, &entry);
    bool misplaced = (entry.hash & (table->bucket_count - 1)) != link->bucket;
    if (entry.hash != hash_of(table, walk->keys, entry.trace.address, entry.trace.domain) || (misplaced && is_first)) {
        note_flaw(walk, link->bucket, link->address, false);
        return NULL;
    }
    *next = entry.next;
    // A chain that continues in another one's entries: the table is being made smaller.
    return misplaced ? NULL : add_trace(walk->traces, &entry.trace);
}

static struct tm_error *follow_chains(struct walk *walk)
{
    struct tm_error *error = NULL;
    for (bool is_first = true; walk->link_count > 0 && !error; is_first = false) {
        size_t kept = 0;
        if (!sort_links(walk->links, walk->link_count))
            return tm_error_no_memory();
        for (size_t i = 0; i < walk->link_count && !error; i++) {
            struct link link = walk->links[i];
            uint64_t next;
            if (i % BETWEEN_CHECKS == 0)
                error = tm_host_check(walk->host);
            if (error)
                break;
            if (walk->steps_left == 0) {
                note_flaw(walk, link.bucket, link.address, false);
                return NULL;
            }
            walk->steps_left--;
            error = follow(walk, &link, is_first, &next);
            if (next)
                walk->links[kept++] = (struct link){next, link.bucket};
        }
        walk->link_count = kept;
    }
    return error;
}

// From 3.9 on: reads what the entries point to.
static struct tm_error *read_trace_structs(struct walk *walk)
{
    struct tm_stock_trace *items = walk->traces->items + walk->first;
    size_t count = walk->traces->count - walk->first, kept = 0;
    struct tm_error *error = NULL;
    if (!sort_by_trace(items, count))
        return tm_error_no_memory();
    for (size_t i = 0; i < count && !error; i++) {
        unsigned char bytes[TRACE_SIZE];
        struct tm_stock_trace trace = items[i];
        if (i % BETWEEN_CHECKS == 0)
            error = tm_host_check(walk->host);
        if (!tm_heap_cache_read(walk->heap, trace.size, bytes, sizeof(bytes))) {
            note_flaw(walk,
                      hash_of(walk->table, walk->keys, trace.address, trace.domain) & (walk->table->bucket_count - 1),
                      trace.size, true);
            error = error ? error : tm_heap_cache_error(walk->heap);
            continue;
        }
        trace.size = nth_word(bytes, 0);
        trace.traceback = nth_word(bytes, 1);
        items[kept++] = trace;
    }
    walk->traces->count = walk->first + kept;
    return error;
}

static bool is_same_key(const struct tm_stock_trace *a, const struct tm_stock_trace *b)
{
    return a->address == b->address && a->domain == b->domain;
}

// Slots of a hash table of traces. Those of 16 MiB of addresses keep their order, so that neighbours are met
// together.
#define WINDOW_SHIFT 24u
static size_t slot_of(const struct tm_stock_trace *trace, size_t mask)
{
    return ((trace->address >> 4) + tm_hash_number(trace->address >> WINDOW_SHIFT)) & mask;
}

#define COLLISIONS_PER_TRACE 8u

// Whether a key may be there more than once. It gives up, with `true`, where too many keys share a slot: only `false`
// is certain.
static struct tm_error *look_for_repeated(const struct walk *walk, bool *may_be)
{
    const struct tm_stock_trace *items = walk->traces->items + walk->first;
    size_t count = walk->traces->count - walk->first, slots = 16;
    while (slots < 2 * count)
        slots *= 2;
    *may_be = true;
    if (count >= UINT32_MAX)
        return NULL;
    uint32_t *heads = calloc(slots, sizeof(*heads)), *nexts = reallocarray(NULL, count + 1, sizeof(*nexts));
    struct tm_error *error = heads && nexts ? NULL : tm_error_no_memory();
    uint64_t collisions_left = 1024 + (uint64_t)count * COLLISIONS_PER_TRACE;
    bool repeated = false;
    for (size_t i = 0; i < count && !error && !repeated; i++) {
        uint32_t *head = &heads[slot_of(&items[i], slots - 1)];
        for (uint32_t at = *head; at && !repeated; at = nexts[at - 1])
            repeated = is_same_key(&items[at - 1], &items[i]) || collisions_left-- == 0;
        nexts[i] = *head;
        *head = (uint32_t)i + 1;
        if (i % BETWEEN_CHECKS == 0)
            error = tm_host_check(walk->host);
    }
    *may_be = repeated;
    free(heads);
    free(nexts);
    return error;
}

// Keep each key once: chains that run into each other repeat entries. Two different traces of one block contradict
// each other, and both are dropped.
static struct tm_error *drop_repeated(struct walk *walk)
{
    struct tm_stock_trace *items = walk->traces->items + walk->first;
    size_t count = walk->traces->count - walk->first, kept = 0;
    bool may_be;
    struct tm_error *error = look_for_repeated(walk, &may_be);
    if (error || !may_be)
        return error;
    if (!sort_by_address(items, count))
        return tm_error_no_memory();
    for (size_t i = 0; i < count;) {
        bool agree = true;
        size_t end = i + 1;
        for (; end < count && is_same_key(&items[i], &items[end]); end++)
            agree = agree && items[end].size == items[i].size && items[end].traceback == items[i].traceback;
        if (agree)
            items[kept++] = items[i];
        else
            walk->corrupt++;
        i = end;
    }
    walk->traces->count = walk->first + kept;
    return NULL;
}

static uint64_t bucket_of(const struct walk *walk, const struct tm_stock_trace *trace)
{
    return hash_of(walk->table, walk->keys, trace->address, trace->domain) & (walk->table->bucket_count - 1);
}

// The first bucket in use; bucket_count: none.
static uint64_t first_bucket(const struct walk *walk)
{
    uint64_t first = walk->table->bucket_count;
    for (size_t i = walk->first; i < walk->traces->count; i++) {
        uint64_t bucket = bucket_of(walk, &walk->traces->items[i]);
        if (bucket < first)
            first = bucket;
    }
    return first;
}

static void drop_up_to(struct walk *walk, uint64_t last)
{
    struct tm_stock_traces *traces = walk->traces;
    size_t kept = walk->first;
    for (size_t i = walk->first; i < traces->count; i++) {
        if (bucket_of(walk, &traces->items[i]) > last)
            traces->items[kept++] = traces->items[i];
    }
    traces->count = kept;
}

/**
 * What cannot be trusted in a table that is being changed, and in which entries are missing.
 *
 * Adding and removing one entry are harmless: it is linked or not. So is the main part of a rehash: up to 3.8 the table
 * already has the new array, which fills; from 3.9 on it still has the old one, whose chains get shorter. Whatever can be
 * reached is an entry in use. Four moments are left:
 *
 *   - 3.8, before a rehash begins: the table has the new array, which is not yet cleared. It has the old array's size,
 *     for which the table is too full or too empty, or there would be no rehash.
 *   - 3.9 on, after a rehash: the table has the old array, which has been freed, and the allocator has written to its
 *     beginning. Then, for an instant, it has that array with the new one's size: most heads are in wrong buckets.
 *   - clear_traces(): the chain of the first bucket in use is being freed, entry by entry.
 *   - stop(): tracing is off already, so no traces are read.
 */
static void distrust(struct walk *walk)
{
    const struct tm_stock_table *table = walk->table;
    uint64_t flaws = walk->unreadable + walk->corrupt;
    bool too_full = table->entries > table->bucket_count / 2;
    bool too_empty = table->bucket_count > BUCKETS_AT_LEAST && table->entries < table->bucket_count / 10 + 1;
    if (flaws > 4 || (table->shape == TM_STOCK_SHAPE_3_8 && (too_full || too_empty))) {
        walk->traces->count = walk->first;
        return;
    }
    uint64_t last = first_bucket(walk);
    drop_up_to(walk, flaws > 0 && walk->last_flawed > last ? walk->last_flawed : last);
}

static struct tm_error *walk_table(struct walk *walk)
{
    struct tm_error *error = read_heads(walk);
    if (!error)
        error = follow_chains(walk);
    if (error || walk->traces->count == walk->first) // then there may be no array of items at all
        return error;
    if (walk->table->shape == TM_STOCK_SHAPE_3_9 && walk->keys == TM_STOCK_KEYS_BLOCKS)
        error = read_trace_structs(walk);
    if (!error)
        error = drop_repeated(walk);
    return error;
}

// Entries that the table counts and that were not found, whatever the reason.
static uint64_t missing(const struct walk *walk)
{
    uint64_t found = walk->traces->count - walk->first;
    return walk->table->entries > found ? walk->table->entries - found : 0;
}

static void report(const struct walk *walk, bool busy, struct tm_damage *damage)
{
    uint64_t flaws = walk->unreadable + walk->corrupt, lost = missing(walk);
    uint64_t others = lost > flaws ? lost - flaws : 0; // those after the flawed ones, or out of reach
    damage->unreadable_records += walk->unreadable;
    damage->unreadable_bytes += walk->unreadable * entry_size(walk->table);
    damage->corrupt_records += walk->corrupt;
    if (busy)
        damage->torn_records += others;
    else if (walk->unreadable)
        damage->unreadable_records += others;
    else
        damage->corrupt_records += others;
    if (damage->first_address == 0)
        damage->first_address = walk->first_address;
}

struct tm_error *tm_stock_walk(struct tm_heap_cache *heap, const struct tm_host *host,
                               const struct tm_stock_table *table, enum tm_stock_keys keys, uint32_t domain, bool busy,
                               struct tm_stock_traces *traces, struct tm_damage *damage)
{
    struct walk walk = {.heap = heap,
                        .host = host,
                        .table = table,
                        .keys = keys,
                        .domain = domain,
                        .traces = traces,
                        .first = traces->count};
    struct tm_error *error = walk_table(&walk);
    // An entry that is counted and not yet linked was not there a moment ago.
    if (!error && busy && missing(&walk) > 1)
        distrust(&walk);
    if (!error)
        report(&walk, busy, damage);
    free(walk.links);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// One key

bool tm_stock_lookup(struct tm_target *target, const struct tm_stock_table *table, uint64_t address, uint32_t domain,
                     struct tm_stock_trace *trace)
{
    uint64_t hash = hash_of(table, TM_STOCK_KEYS_BLOCKS, address, domain), next;
    if (!tm_target_try_read(target, table->buckets + (hash & (table->bucket_count - 1)) * 8, &next, 8))
        return false;
    for (unsigned step = 0; next && step < LOOKUP_LIMIT; step++) {
        unsigned char bytes[ENTRY_SIZE_LIMIT];
        struct entry entry;
        if (next % 8 != 0 || !tm_target_try_read(target, next, bytes, entry_size(table)))
            return false;
        decode_entry(table, bytes, domain, &entry);
        if (entry.hash != hash_of(table, TM_STOCK_KEYS_BLOCKS, entry.trace.address, entry.trace.domain))
            return false;
        next = entry.next;
        if (entry.trace.address != address || entry.trace.domain != domain)
            continue;
        *trace = entry.trace;
        if (table->shape == TM_STOCK_SHAPE_3_9) {
            if (!tm_target_try_read(target, entry.trace.size, bytes, TRACE_SIZE))
                return false;
            trace->size = nth_word(bytes, 0);
            trace->traceback = nth_word(bytes, 1);
        }
        return true;
    }
    return false;
}
