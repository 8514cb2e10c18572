// Reading traceback_t: counts, frames, names, and the hash over all of them.

#include "engine/stock/tracebacks.h"

#include <stdlib.h>

#include "engine/base/number.h"

#define FRAMES_LIMIT 65535u

// A name that was read.
struct known_name {
    uint64_t address;
    struct tm_stock_name name;
};

struct tm_error *tm_stock_tracebacks_init(struct tm_stock_tracebacks *tracebacks, struct tm_heap_cache *heap,
                                          const struct tm_stock_layout *layout, struct tm_pool *pool,
                                          uint64_t unknown_name)
{
    *tracebacks = (struct tm_stock_tracebacks){.heap = heap,
                                               .layout = layout,
                                               .pool = pool,
                                               .unknown_name = unknown_name,
                                               .frames = calloc(FRAMES_LIMIT, sizeof(struct tm_frame)),
                                               .bytes = malloc(FRAMES_LIMIT * TM_STOCK_FRAME_SIZE)};
    return tracebacks->frames && tracebacks->bytes ? NULL : tm_error_no_memory();
}

void tm_stock_tracebacks_deinit(struct tm_stock_tracebacks *tracebacks)
{
    tm_set_deinit(&tracebacks->names);
    tm_set_deinit(&tracebacks->tracebacks);
    tm_arena_deinit(&tracebacks->arena);
    free(tracebacks->frames);
    free(tracebacks->bytes);
}

static struct tm_error *read_name(struct tm_stock_tracebacks *tracebacks, uint64_t address, struct tm_stock_name *name)
{
    struct tm_error *error = tm_stock_name_read(tracebacks->heap, tracebacks->layout, address, tracebacks->pool, name);
    // A core need not contain what is in the executable's file.
    if (!error && !name->name && address == tracebacks->unknown_name)
        error = tm_pool_name(tracebacks->pool, "<unknown>", 9, &name->name);
    return error;
}

static struct tm_error *get_name(struct tm_stock_tracebacks *tracebacks, uint64_t address,
                                 const struct tm_stock_name **result)
{
    if (!tm_set_reserve(&tracebacks->names))
        return tm_error_no_memory();
    struct tm_set_entry *entry = tm_set_find_number(&tracebacks->names, address);
    if (!entry->item) {
        struct known_name *known = tm_arena_allocate(&tracebacks->arena, sizeof(*known));
        struct tm_error *error = known ? NULL : tm_error_no_memory();
        if (!error)
            error = read_name(tracebacks, address, &known->name);
        if (error)
            return error;
        known->address = address;
        tm_set_put_number(&tracebacks->names, entry, address, known);
    }
    *result = &((const struct known_name *)entry->item)->name;
    return NULL;
}

// What CPython's traceback_hash() makes of the frames, one after the other.
struct hash {
    uint64_t value;
    uint64_t multiplier;
};

static void hash_frame(struct hash *hash, uint64_t name, uint32_t line, uint32_t frames_left)
{
    hash->value = (hash->value ^ name ^ line) * hash->multiplier;
    hash->multiplier += 82520u + 2u * (uint64_t)frames_left;
}

// Reads the frames in `bytes`, which begin with the most recent one.
static struct tm_error *read_frames(struct tm_stock_tracebacks *tracebacks, uint32_t count, uint64_t expected,
                                    uint32_t total, struct tm_stock_traceback *result)
{
    struct hash hash = {0x345678, 1000003};
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *bytes = tracebacks->bytes + (size_t)i * TM_STOCK_FRAME_SIZE;
        struct tm_frame *frame = &tracebacks->frames[count - 1 - i];
        const struct tm_stock_name *name = NULL;
        uint64_t address = tm_load_u64(bytes);
        frame->line = tm_load_u32(bytes + sizeof(address));
        struct tm_error *error = get_name(tracebacks, address, &name);
        if (error)
            return error;
        if (!name->name) {
            result->unreadable = name->unreadable;
            return NULL;
        }
        frame->file_name = name->name;
        hash_frame(&hash, name->hash, frame->line, count - 1 - i);
    }
    if (tracebacks->layout->shape == TM_STOCK_SHAPE_3_9)
        hash.value ^= total;
    if (hash.value + 97531 != expected)
        return NULL;
    return tm_pool_traceback(tracebacks->pool, tracebacks->frames, count, total, &result->traceback);
}

static struct tm_error *read_traceback(struct tm_stock_tracebacks *tracebacks, uint64_t address,
                                       struct tm_stock_traceback *result)
{
    unsigned char head[TM_STOCK_FRAMES];
    if (!tm_heap_cache_read(tracebacks->heap, address, head, sizeof(head))) {
        result->unreadable = true;
        return tm_heap_cache_error(tracebacks->heap);
    }
    uint64_t hash = tm_load_u64(head);
    uint32_t total = tm_load_u32(head + sizeof(hash)), count = total; // 3.8 does not record how many there were
    if (tracebacks->layout->shape == TM_STOCK_SHAPE_3_9) {
        count &= 0xffff;
        total >>= 16;
    }
    if (count == 0 || count > total || total > FRAMES_LIMIT)
        return NULL;
    if (!tm_heap_cache_read(tracebacks->heap, address + TM_STOCK_FRAMES, tracebacks->bytes,
                            (uint64_t)count * TM_STOCK_FRAME_SIZE)) {
        result->unreadable = true;
        return tm_heap_cache_error(tracebacks->heap);
    }
    return read_frames(tracebacks, count, hash, total, result);
}

struct tm_error *tm_stock_traceback_get(struct tm_stock_tracebacks *tracebacks, uint64_t address,
                                        const struct tm_stock_traceback **result)
{
    if (!tm_set_reserve(&tracebacks->tracebacks))
        return tm_error_no_memory();
    struct tm_set_entry *entry = tm_set_find_number(&tracebacks->tracebacks, address);
    if (!entry->item) {
        struct tm_stock_traceback *known = tm_arena_allocate(&tracebacks->arena, sizeof(*known));
        if (!known)
            return tm_error_no_memory();
        *known = (struct tm_stock_traceback){.address = address};
        struct tm_error *error = read_traceback(tracebacks, address, known);
        if (error)
            return error;
        tm_set_put_number(&tracebacks->tracebacks, entry, address, known);
    }
    *result = entry->item;
    return NULL;
}
