// Which CPython it is, and where the data of its modules is.

#include "engine/objects/objects.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/target/backing.h"

enum { MOST_SEGMENTS = 64, PAGE = 4096 };

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

bool tm_objects_is_count(const struct tm_objects *objects, uint64_t count)
{
    return count != 0 && (objects->cpython->immortal ? count >> 32 == 0 : count <= UINT64_C(1) << 32);
}

// ---------------------------------------------------------------------------------------------------------------
// Data of modules

static int compare_ranges(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_range *)a)->start, ((const struct tm_range *)b)->start);
}

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

// The writable segments of the ELF file whose beginning is mapped at `start`. What cannot be read is left out.
static struct tm_error *add_module(struct tm_objects *objects, uint64_t start, size_t *capacity)
{
    Elf64_Ehdr header;
    Elf64_Phdr segments[MOST_SEGMENTS];
    uint64_t bias = 0;
    bool has_bias = false;

    if (!tm_objects_read(objects, start, &header, sizeof(header)) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(segments[0]) ||
        header.e_phnum > MOST_SEGMENTS ||
        !tm_objects_read(objects, start + header.e_phoff, segments, header.e_phnum * sizeof(segments[0])))
        return tm_heap_cache_error(objects->heap);
    for (unsigned i = 0; i < header.e_phnum; i++) {
        const Elf64_Phdr *segment = &segments[i];
        if (segment->p_type != PT_LOAD)
            continue;
        if (!has_bias)
            bias = start - (segment->p_vaddr & ~(uint64_t)(PAGE - 1));
        has_bias = true;
        uint64_t begin = bias + segment->p_vaddr, end = begin + segment->p_memsz;
        if (!(segment->p_flags & PF_W) || end <= begin)
            continue;
        if (!TM_GROW(&objects->data, objects->data_count + 1, capacity))
            return tm_error_no_memory();
        objects->data[objects->data_count++] = (struct tm_range){begin, end};
    }
    return NULL;
}

static struct tm_error *find_data(struct tm_objects *objects)
{
    struct tm_module *modules;
    size_t count, capacity = 0, kept = 0;

    struct tm_error *error = tm_target_modules(objects->target, &modules, &count);
    for (size_t i = 0; !error && i < count; i++) {
        if (modules[i].offset == 0 && (i == 0 || strcmp(modules[i].path, modules[i - 1].path) != 0))
            error = add_module(objects, modules[i].start, &capacity);
        if (!error && i % 256 == 0)
            error = tm_host_check(objects->host);
    }
    free(modules);
    if (error || objects->data_count == 0)
        return error;
    qsort(objects->data, objects->data_count, sizeof(*objects->data), compare_ranges);
    for (size_t i = 0; i < objects->data_count; i++) { // joins those that overlap: the search needs it
        if (kept > 0 && objects->data[i].start <= objects->data[kept - 1].end) {
            if (objects->data[i].end > objects->data[kept - 1].end)
                objects->data[kept - 1].end = objects->data[i].end;
        } else {
            objects->data[kept++] = objects->data[i];
        }
    }
    objects->data_count = kept;
    return NULL;
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
        "objects and types cannot be read here: the target runs %s%s, and they are known for CPython 3.8 to 3.13 with "
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
        error = find_data(objects);
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
