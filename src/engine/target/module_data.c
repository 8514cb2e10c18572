// Reads the program headers of each file that is mapped from its beginning.

#include "engine/target/module_data.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"

enum { MOST_SEGMENTS = 64, PAGE = 4096 };

struct found {
    struct tm_range *ranges;
    size_t count, capacity;
};

// The writable segments of the ELF file whose beginning is mapped at `start`. What cannot be read is left out.
static struct tm_error *add_module(struct tm_heap_cache *cache, uint64_t start, struct found *found)
{
    Elf64_Ehdr header;
    Elf64_Phdr segments[MOST_SEGMENTS];
    uint64_t bias = 0;
    bool has_bias = false;

    if (!tm_heap_cache_read(cache, start, &header, sizeof(header)) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(segments[0]) ||
        header.e_phnum > MOST_SEGMENTS ||
        !tm_heap_cache_read(cache, start + header.e_phoff, segments, header.e_phnum * sizeof(segments[0])))
        return tm_heap_cache_error(cache);
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
        if (!TM_GROW(&found->ranges, found->count + 1, &found->capacity))
            return tm_error_no_memory();
        found->ranges[found->count++] = (struct tm_range){begin, end};
    }
    return NULL;
}

// Sorts them, and joins those that overlap.
static void tidy(struct found *found)
{
    size_t kept = 0;
    if (found->count > 0)
        qsort(found->ranges, found->count, sizeof(*found->ranges), tm_ranges_compare);
    for (size_t i = 0; i < found->count; i++) {
        struct tm_range *last = kept > 0 ? &found->ranges[kept - 1] : NULL;
        if (last && found->ranges[i].start <= last->end)
            last->end = found->ranges[i].end > last->end ? found->ranges[i].end : last->end;
        else
            found->ranges[kept++] = found->ranges[i];
    }
    found->count = kept;
}

struct tm_error *tm_module_data_find(const struct tm_target *target, const struct tm_host *host,
                                     struct tm_heap_cache *cache, struct tm_range **result, size_t *count)
{
    struct found found = {NULL, 0, 0};
    struct tm_module *modules;
    size_t module_count;

    struct tm_error *error = tm_target_modules(target, &modules, &module_count);
    for (size_t i = 0; !error && i < module_count; i++) {
        if (modules[i].offset == 0 && (i == 0 || strcmp(modules[i].path, modules[i - 1].path) != 0))
            error = add_module(cache, modules[i].start, &found);
        if (!error && i % 256 == 0)
            error = tm_host_check(host);
    }
    free(modules);
    if (error) {
        free(found.ranges);
        found = (struct found){NULL, 0, 0};
    }
    tidy(&found);
    *result = found.ranges;
    *count = found.count;
    return error;
}
