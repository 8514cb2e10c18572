// Which CPython it is, and where the data of its modules is.

#include "engine/objects/objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/target/backing.h"
#include "engine/target/module_data.h"

bool tm_objects_word(struct tm_objects *objects, uint64_t address, uint64_t *result)
{
    unsigned char bytes[8];
    if (!tm_objects_read(objects, address, bytes, sizeof(bytes)))
        return false;
    *result = tm_load_u64(bytes);
    return true;
}

bool tm_objects_int(struct tm_objects *objects, uint64_t address, uint32_t *result)
{
    unsigned char bytes[4];
    if (!tm_objects_read(objects, address, bytes, sizeof(bytes)))
        return false;
    *result = tm_load_u32(bytes);
    return true;
}

struct tm_error *tm_objects_check(struct tm_objects *objects)
{
    struct tm_error *error = tm_heap_cache_error(objects->heap);
    return error ? error : tm_host_check(objects->host);
}

bool tm_objects_is_count(const struct tm_objects *objects, uint64_t word)
{
    if (objects->cpython->counts_have_flags) // between them is what a count has too much for 32 bits
        return (word & UINT32_MAX) != 0 && (word >> 32 & UINT16_MAX) == 0;
    return word != 0 && (objects->cpython->immortal ? word >> 32 == 0 : word <= UINT64_C(1) << 32);
}

// ---------------------------------------------------------------------------------------------------------------
// Data of modules

bool tm_objects_in_data(const struct tm_objects *objects, uint64_t address)
{
    size_t low = 0, high = objects->data_count;
    if (high == 0)
        return true;
    while (low < high) { // the first range that ends behind the address
        size_t middle = low + (high - low) / 2;
        if (objects->data[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low < objects->data_count && objects->data[low].start <= address;
}

// ---------------------------------------------------------------------------------------------------------------
// CPython

static struct tm_error *not_supported(uint32_t version, bool free_threaded, bool knows_row)
{
    char python[64];
    if (version)
        snprintf(python, sizeof(python), "CPython %u.%u%s", version >> 24, version >> 16 & 0xff,
                 free_threaded ? " without a global lock" : "");
    else
        snprintf(python, sizeof(python), "an unknown CPython");
    return tm_error_create(
        TM_ERROR_UNSUPPORTED,
        "objects and types cannot be read here: the target runs %s%s, and they are known for CPython 3.8 to 3.15 with "
        "the global lock\nType \"tm-top lineno\" for the lines that allocated, and \"tm-traceback ADDRESS\" for one "
        "block",
        python, knows_row ? ", whose types have an unexpected size" : "");
}

// Several releases may have the tables that were found. `type` itself says how large types are.
static const struct tm_cpython *by_type_size(struct tm_objects *objects, const struct tm_cpython *row)
{
    uint64_t size;
    uint64_t type = tm_target_symbol(objects->target, "PyType_Type");
    if (!type || !tm_objects_word(objects, type + TM_TYPE_BASIC_SIZE, &size) || size == row->heap_type_size)
        return row;
    for (unsigned i = 0; tm_cpython_row(i); i++)
        if (tm_cpython_row(i)->heap_type_size == size && tm_cpython_row(i)->minor > row->minor)
            return tm_cpython_row(i);
    return NULL;
}

static struct tm_error *choose(struct tm_objects *objects)
{
    bool free_threaded;
    uint32_t version = tm_source_python(objects->source, &free_threaded);
    const struct tm_cpython *row = free_threaded ? NULL : tm_cpython_of(version);
    if (row)
        objects->cpython = by_type_size(objects, row);
    if (!objects->cpython)
        return not_supported(version, free_threaded, row);
    objects->runtime = tm_target_symbol(objects->target, "_PyRuntime");
    return NULL;
}

struct tm_error *tm_objects_init(struct tm_objects *objects, struct tm_target *target, struct tm_source *source,
                                 const struct tm_host *host, struct tm_pool *pool)
{
    *objects = (struct tm_objects){.target = target, .host = host, .pool = pool, .source = source};
    if (tm_target_is_file(target))
        return tm_error_create(TM_ERROR_UNSUPPORTED, "a snapshot file has no objects: only a process and a core have "
                                                     "them\nOpen the core, or group by lineno");
    struct tm_error *error = tm_backing_require_program(target);
    if (error)
        return error;
    tm_target_note_program(target);
    error = tm_heap_cache_create(target, host, &objects->heap);
    if (!error)
        error = choose(objects);
    if (!error)
        error = tm_module_data_find(target, host, objects->heap, &objects->data, &objects->data_count);
    if (error)
        tm_objects_deinit(objects);
    return error;
}

void tm_objects_deinit(struct tm_objects *objects)
{
    tm_heap_cache_destroy(objects->heap);
    free(objects->data);
    free(objects->list);
    tm_set_deinit(&objects->types);
    tm_set_deinit(&objects->symbols);
    tm_arena_deinit(&objects->arena);
    *objects = (struct tm_objects){0};
}
