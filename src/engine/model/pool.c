/**
 * The pool: interning of names and tracebacks, and their order. Knows no table and no target.
 */
#include "engine/model/pool.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/grow.h"
#include "engine/base/set.h"

// Tracebacks are in slabs of so many, and are found by their numbers: a hash table of these is small.
enum { SLAB_SHIFT = 12, SLAB = 1 << SLAB_SHIFT };

struct tm_pool {
    struct tm_arena arena; // of names and frames
    struct tm_set names;
    struct tm_set frames;
    struct tm_traceback **slabs;
    size_t slab_count, slab_capacity;
    uint32_t count;  // of tracebacks, and of what they share
    uint32_t *table; // a hash table of their numbers, plus 1; 0: free
    size_t table_capacity;
    // The latest array's, by depth: mostly the next one begins alike.
    const struct tm_traceback **latest;
    size_t latest_count, latest_capacity;
};

struct tm_error *tm_pool_create(struct tm_pool **result)
{
    struct tm_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return tm_error_no_memory();
    *result = pool;
    return NULL;
}

void tm_pool_destroy(struct tm_pool *pool)
{
    if (!pool)
        return;
    tm_set_deinit(&pool->names);
    tm_set_deinit(&pool->frames);
    for (size_t i = 0; i < pool->slab_count; i++)
        free(pool->slabs[i]);
    free(pool->slabs);
    free(pool->table);
    free(pool->latest);
    tm_arena_deinit(&pool->arena);
    free(pool);
}

static bool name_is(const struct tm_name *name, const char *bytes, uint32_t length)
{
    return name->length == length && (length == 0 || memcmp(name->bytes, bytes, length) == 0);
}

struct tm_error *tm_pool_name(struct tm_pool *pool, const char *bytes, uint32_t length, const struct tm_name **result)
{
    if (!tm_set_reserve(&pool->names))
        return tm_error_no_memory();
    uint64_t hash = tm_hash_bytes(bytes, length);
    struct tm_set_entry *entry = tm_set_first(&pool->names, hash);
    while (entry->item && !(entry->hash == hash && name_is(entry->item, bytes, length)))
        entry = tm_set_next(&pool->names, entry);
    if (!entry->item) {
        struct tm_name *name = tm_arena_allocate(&pool->arena, sizeof(*name) + (size_t)length + 1);
        if (!name)
            return tm_error_no_memory();
        name->length = length;
        if (length)
            memcpy(name->bytes, bytes, length);
        name->bytes[length] = '\0';
        tm_set_put(&pool->names, entry, hash, name);
    }
    *result = entry->item;
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Frames

static bool is_same(const struct tm_frame *a, const struct tm_frame *b)
{
    return a->file_name == b->file_name && a->line == b->line && a->function == b->function &&
           a->first_line == b->first_line && a->not_recorded == b->not_recorded;
}

// Names are interned, so their addresses identify their contents.
static uint64_t hash_frame(const struct tm_frame *frame)
{
    uint64_t hash = tm_hash_number((uint64_t)(uintptr_t)frame->file_name ^ (uint64_t)frame->line << 32);
    hash ^= (uint64_t)frame->not_recorded << 63 | (uint64_t)frame->first_line << 32;
    return tm_hash_number(hash ^ (uint64_t)(uintptr_t)frame->function);
}

struct tm_error *tm_pool_frame(struct tm_pool *pool, const struct tm_frame *frame, const struct tm_frame **result)
{
    if (!tm_set_reserve(&pool->frames))
        return tm_error_no_memory();
    uint64_t hash = hash_frame(frame);
    struct tm_set_entry *entry = tm_set_first(&pool->frames, hash);
    while (entry->item && !(entry->hash == hash && is_same(entry->item, frame)))
        entry = tm_set_next(&pool->frames, entry);
    if (!entry->item) {
        struct tm_frame *made = tm_arena_allocate(&pool->arena, sizeof(*made));
        if (!made)
            return tm_error_no_memory();
        *made = *frame;
        tm_set_put(&pool->frames, entry, hash, made);
    }
    *result = entry->item;
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Tracebacks

static struct tm_traceback *at(const struct tm_pool *pool, uint32_t number)
{
    return &pool->slabs[number >> SLAB_SHIFT][number & (SLAB - 1)];
}

static uint64_t hash_traceback(const struct tm_traceback *traceback)
{
    uint64_t hash = tm_hash_number((uint64_t)(uintptr_t)traceback->older);
    hash ^= (uint64_t)traceback->total_frames << 32 | (uint64_t)traceback->older_missing << 62;
    return tm_hash_number(hash ^ (uint64_t)traceback->only_older << 63 ^ (uint64_t)(uintptr_t)traceback->newest);
}

// Frames and what is older are interned, so they are the same only if their addresses are.
static bool is_same_traceback(const struct tm_traceback *a, const struct tm_traceback *b)
{
    return a->older == b->older && a->newest == b->newest && a->total_frames == b->total_frames &&
           a->older_missing == b->older_missing && a->only_older == b->only_older;
}

// Where the table has the traceback, or a free place for it. The table has room.
static uint32_t *find(const struct tm_pool *pool, const struct tm_traceback *wanted)
{
    size_t mask = pool->table_capacity - 1, i = hash_traceback(wanted) & mask;
    while (pool->table[i] && !is_same_traceback(at(pool, pool->table[i] - 1), wanted))
        i = (i + 1) & mask;
    return &pool->table[i];
}

static bool grow_table(struct tm_pool *pool)
{
    size_t capacity = pool->table_capacity ? pool->table_capacity * 2 : 256, mask = capacity - 1;
    uint32_t *table = calloc(capacity, sizeof(*table));
    if (!table)
        return false;
    for (uint32_t number = 0; number < pool->count; number++) {
        size_t i = hash_traceback(at(pool, number)) & mask;
        while (table[i])
            i = (i + 1) & mask;
        table[i] = number + 1;
    }
    free(pool->table);
    pool->table = table;
    pool->table_capacity = capacity;
    return true;
}

// Room for one more, in the table, of which a third stays free, and in the slabs.
static bool reserve(struct tm_pool *pool)
{
    if (pool->count == UINT32_MAX)
        return false;
    if (pool->count >= pool->table_capacity / 3 * 2 && !grow_table(pool))
        return false;
    if (pool->count < pool->slab_count * SLAB)
        return true;
    if (!TM_GROW(&pool->slabs, pool->slab_count + 1, &pool->slab_capacity))
        return false;
    struct tm_traceback *slab = malloc(SLAB * sizeof(*slab));
    if (slab)
        pool->slabs[pool->slab_count++] = slab;
    return slab;
}

static struct tm_error *intern(struct tm_pool *pool, const struct tm_traceback *wanted,
                               const struct tm_traceback **result)
{
    if (!reserve(pool))
        return tm_error_no_memory();
    uint32_t *entry = find(pool, wanted);
    if (!*entry) {
        *at(pool, pool->count) = *wanted;
        *entry = ++pool->count;
    }
    *result = at(pool, *entry - 1);
    return NULL;
}

static struct tm_traceback put_below(const struct tm_traceback *older, const struct tm_frame *frame)
{
    return (struct tm_traceback){.older = older,
                                 .newest = frame,
                                 .count = older ? older->count + 1 : 1,
                                 .lacks_record = frame->not_recorded || (older && older->lacks_record)};
}

struct tm_error *tm_pool_older(struct tm_pool *pool, const struct tm_traceback *older, const struct tm_frame *frame,
                               const struct tm_traceback **result)
{
    struct tm_traceback wanted = put_below(older, frame);
    wanted.only_older = true;
    return intern(pool, &wanted, result);
}

struct tm_error *tm_pool_newest(struct tm_pool *pool, const struct tm_traceback *older, const struct tm_frame *frame,
                                uint32_t total_frames, bool older_missing, const struct tm_traceback **result)
{
    struct tm_traceback wanted = put_below(older, frame);
    wanted.total_frames = total_frames & ((1u << 28) - 1);
    wanted.older_missing = older_missing;
    return intern(pool, &wanted, result);
}

struct tm_error *tm_pool_traceback(struct tm_pool *pool, const struct tm_frame *frames, uint32_t count,
                                   uint32_t total_frames, const struct tm_traceback **result)
{
    const struct tm_traceback *older = NULL;
    const struct tm_frame *frame;
    uint32_t i = 0;
    if (!TM_GROW(&pool->latest, count, &pool->latest_capacity))
        return tm_error_no_memory();
    for (; i < count - 1 && i < pool->latest_count && is_same(pool->latest[i]->newest, &frames[i]); i++)
        older = pool->latest[i];
    for (; i < count - 1; i++) {
        struct tm_error *error = tm_pool_frame(pool, &frames[i], &frame);
        pool->latest_count = i;
        if (!error)
            error = tm_pool_older(pool, older, frame, &older);
        if (error)
            return error;
        pool->latest[i] = older;
        pool->latest_count = i + 1;
    }
    struct tm_error *error = tm_pool_frame(pool, &frames[count - 1], &frame);
    return error ? error : tm_pool_newest(pool, older, frame, total_frames, false, result);
}

const struct tm_frame **tm_traceback_frames(const struct tm_traceback *traceback)
{
    const struct tm_frame **frames = malloc(traceback->count * sizeof(*frames));
    for (; frames && traceback; traceback = traceback->older)
        frames[traceback->count - 1] = traceback->newest;
    return frames;
}

const struct tm_traceback *tm_traceback_oldest(const struct tm_traceback *traceback, uint32_t count)
{
    while (traceback->count > count)
        traceback = traceback->older;
    return traceback;
}

// ---------------------------------------------------------------------------------------------------------------
// Order

// The byte order of UTF-8 is the order of code points, which is Python's order of str.
int tm_names_compare(const struct tm_name *a, const struct tm_name *b)
{
    if (a == b)
        return 0;
    if (!a || !b)
        return a ? 1 : -1;
    uint32_t common = a->length < b->length ? a->length : b->length;
    int order = common ? memcmp(a->bytes, b->bytes, common) : 0;
    if (order != 0)
        return order < 0 ? -1 : 1;
    return (a->length > b->length) - (a->length < b->length);
}

int tm_frames_compare(const struct tm_frame *a, const struct tm_frame *b)
{
    int order = a == b ? 0 : tm_names_compare(a->file_name, b->file_name);
    return order ? order : (a->line > b->line) - (a->line < b->line);
}

// What two share is the same from there on.
bool tm_tracebacks_equal(const struct tm_traceback *a, const struct tm_traceback *b)
{
    if (a->count != b->count)
        return false;
    for (; a != b; a = a->older, b = b->older)
        if (a->newest != b->newest &&
            (a->newest->file_name != b->newest->file_name || a->newest->line != b->newest->line))
            return false;
    return true;
}

bool tm_tracebacks_same_functions(const struct tm_traceback *a, const struct tm_traceback *b)
{
    for (; a != b; a = a->older, b = b->older)
        if (a->newest->function != b->newest->function)
            return false;
    return true;
}

// The oldest frame in which they differ decides.
int tm_tracebacks_compare(const struct tm_traceback *a, const struct tm_traceback *b)
{
    int order = (a->count > b->count) - (a->count < b->count);
    uint32_t common = a->count < b->count ? a->count : b->count;
    a = tm_traceback_oldest(a, common);
    b = tm_traceback_oldest(b, common);
    for (; a != b; a = a->older, b = b->older) {
        int here = tm_frames_compare(a->newest, b->newest);
        order = here ? here : order;
    }
    return order;
}
