/**
 * The pool: interning of names and tracebacks, and their order. Knows no table and no target.
 */
#include "engine/model/pool.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/set.h"

struct tm_pool {
    struct tm_arena arena;
    struct tm_set names;
    struct tm_set tracebacks;
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
    tm_set_deinit(&pool->tracebacks);
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

// Names are interned, so their addresses identify their contents.
static uint64_t hash_frames(const struct tm_frame *frames, uint32_t count, uint32_t total_frames)
{
    uint64_t hash = (uint64_t)total_frames << 32 | count;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t frame = (uint64_t)(uintptr_t)frames[i].file_name ^ (uint64_t)frames[i].line << 44;
        hash = (hash ^ frame) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29 ^ (uint64_t)(uintptr_t)frames[i].function << 1 ^ frames[i].not_recorded;
        hash ^= (uint64_t)frames[i].first_line << 32;
    }
    return tm_hash_number(hash);
}

static bool traceback_is(const struct tm_traceback *traceback, const struct tm_frame *frames, uint32_t count,
                         uint32_t total_frames)
{
    if (traceback->count != count || traceback->total_frames != total_frames)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct tm_frame *frame = &traceback->frames[i];
        if (frame->file_name != frames[i].file_name || frame->line != frames[i].line ||
            frame->function != frames[i].function || frame->not_recorded != frames[i].not_recorded ||
            frame->first_line != frames[i].first_line)
            return false;
    }
    return true;
}

struct tm_error *tm_pool_traceback(struct tm_pool *pool, const struct tm_frame *frames, uint32_t count,
                                   uint32_t total_frames, const struct tm_traceback **result)
{
    if (!tm_set_reserve(&pool->tracebacks))
        return tm_error_no_memory();
    uint64_t hash = hash_frames(frames, count, total_frames);
    struct tm_set_entry *entry = tm_set_first(&pool->tracebacks, hash);
    while (entry->item && !(entry->hash == hash && traceback_is(entry->item, frames, count, total_frames)))
        entry = tm_set_next(&pool->tracebacks, entry);
    if (!entry->item) {
        struct tm_traceback *traceback =
            tm_arena_allocate(&pool->arena, sizeof(*traceback) + (size_t)count * sizeof(*frames));
        if (!traceback)
            return tm_error_no_memory();
        traceback->total_frames = total_frames;
        traceback->count = count;
        for (uint32_t i = 0; i < count; i++)
            traceback->frames[i] = frames[i];
        tm_set_put(&pool->tracebacks, entry, hash, traceback);
    }
    *result = entry->item;
    return NULL;
}

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

int tm_frames_compare(const struct tm_frame *a, uint32_t a_count, const struct tm_frame *b, uint32_t b_count)
{
    for (uint32_t i = 0; i < a_count && i < b_count; i++) {
        int order = tm_names_compare(a[i].file_name, b[i].file_name);
        if (order == 0)
            order = (a[i].line > b[i].line) - (a[i].line < b[i].line);
        if (order != 0)
            return order;
    }
    return (a_count > b_count) - (a_count < b_count);
}
