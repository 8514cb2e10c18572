// Regions, and in them what was added.

#include "engine/account/map.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/target/range.h"

// ---------------------------------------------------------------------------------------------------------------
// Regions

static int compare_regions(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_region *)a)->start, ((const struct tm_region *)b)->start);
}

// What is above the program's addresses is left out: it is the kernel's, or a damaged core's.
static void tidy_regions(struct tm_memory_map *map)
{
    size_t kept = 0;
    if (map->region_count > 0)
        qsort(map->regions, map->region_count, sizeof(*map->regions), compare_regions);
    for (size_t i = 0; i < map->region_count; i++) {
        struct tm_region region = map->regions[i];
        if (kept > 0 && region.start < map->regions[kept - 1].end)
            region.start = map->regions[kept - 1].end;
        if (region.end > TM_USER_END)
            region.end = TM_USER_END;
        if (region.start >= region.end)
            continue;
        uint64_t size = region.end - region.start;
        if (region.flags & TM_REGION_READABLE)
            map->mapped += size;
        if (region.flags & TM_REGION_ABSENT)
            *(region.flags & TM_REGION_FILE ? &map->absent_files : &map->absent) +=
                region.flags & TM_REGION_READABLE ? size : 0;
        map->regions[kept++] = region;
    }
    map->region_count = kept;
}

struct tm_error *tm_memory_map_init(struct tm_memory_map *map, struct tm_target *target)
{
    *map = (struct tm_memory_map){0};
    struct tm_error *error = tm_target_regions(target, &map->regions, &map->region_count);
    if (!error)
        tidy_regions(map);
    return error;
}

void tm_memory_map_deinit(struct tm_memory_map *map)
{
    free(map->regions);
    free(map->found);
    free(map->ranges);
    *map = (struct tm_memory_map){0};
}

// Files that only memory has.
static bool is_memory_name(const char *name)
{
    static const char *const beginnings[] = {"/dev/zero", "/memfd:", "/dev/shm/", "/SYSV"};
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
        if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return false;
}

static enum tm_place_kind kind_of(const struct tm_region *region, const struct tm_module *module)
{
    if (region->flags & TM_REGION_FILE)
        return is_memory_name(region->name) || (module && is_memory_name(module->path)) ? TM_PLACE_SHARED
                                                                                        : TM_PLACE_FILE;
    if (strcmp(region->name, "[stack]") == 0)
        return TM_PLACE_STACK;
    return region->name[0] == '[' && region->name[1] == 'v' ? TM_PLACE_FILE : TM_PLACE_OTHER; // the kernel's own
}

// ---------------------------------------------------------------------------------------------------------------
// What was added

struct tm_error *tm_memory_map_add(struct tm_memory_map *map, uint64_t start, uint64_t end, enum tm_place_kind kind,
                                   uint32_t index)
{
    if (start >= end)
        return NULL;
    if (!TM_GROW(&map->found, map->found_count + 1, &map->found_capacity))
        return tm_error_no_memory();
    map->found[map->found_count++] = (struct tm_place_range){start, end, (uint32_t)kind, index};
    return NULL;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct tm_place_range *left = a, *right = b;
    int order = tm_compare_numbers(left->start, right->start);
    return order ? order : tm_compare_numbers(left->kind, right->kind);
}

// No two overlap in a sound target. In a damaged one something is cut off.
static void tidy_found(struct tm_memory_map *map)
{
    size_t kept = 0;
    if (map->found_count > 0)
        qsort(map->found, map->found_count, sizeof(*map->found), compare_ranges);
    for (size_t i = 0; i < map->found_count; i++) {
        struct tm_place_range range = map->found[i];
        struct tm_place_range *last = kept > 0 ? &map->found[kept - 1] : NULL;
        if (last && range.start < last->end && range.kind < last->kind) {
            last->end = range.start;
            kept -= last->start == last->end;
        } else if (last && range.start < last->end) {
            range.start = last->end;
        }
        if (range.start < range.end)
            map->found[kept++] = range;
    }
    map->found_count = kept;
}

static struct tm_error *add_range(struct tm_memory_map *map, uint64_t start, uint64_t end, uint32_t kind,
                                  uint32_t index)
{
    struct tm_place_range *last = map->count > 0 ? &map->ranges[map->count - 1] : NULL;
    if (start >= end)
        return NULL;
    // A heap that grows after a fork is several regions.
    if (last && last->end == start && last->kind == kind && last->index == index && kind != TM_PLACE_OTHER) {
        last->end = end;
        return NULL;
    }
    if (!TM_GROW(&map->ranges, map->count + 1, &map->capacity))
        return tm_error_no_memory();
    map->ranges[map->count++] = (struct tm_place_range){start, end, kind, index};
    return NULL;
}

// A region, with what was found in it; `*next` is the first that may be.
static struct tm_error *add_region(struct tm_memory_map *map, const struct tm_region *region, enum tm_place_kind kind,
                                   uint32_t index, size_t *next)
{
    uint64_t at = region->start;
    struct tm_error *error = NULL;
    while (*next < map->found_count && map->found[*next].end <= at)
        ++*next;
    for (size_t i = *next; !error && i < map->found_count && map->found[i].start < region->end; i++) {
        const struct tm_place_range *range = &map->found[i];
        uint64_t start = range->start > at ? range->start : at;
        uint64_t end = range->end < region->end ? range->end : region->end;
        error = add_range(map, at, start, kind, index);
        if (!error)
            error = add_range(map, start, end, range->kind, range->index);
        at = end > at ? end : at;
    }
    return error ? error : add_range(map, at, region->end, kind, index);
}

static int compare_modules(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_module *)a)->start, ((const struct tm_module *)b)->start);
}

struct tm_error *tm_memory_map_settle(struct tm_memory_map *map, struct tm_target *target)
{
    struct tm_module *modules;
    size_t module_count, module = 0, next = 0;
    struct tm_error *error = tm_target_modules(target, &modules, &module_count);
    if (module_count > 0)
        qsort(modules, module_count, sizeof(*modules), compare_modules);
    tidy_found(map);
    map->count = 0;
    for (size_t i = 0; !error && i < map->region_count; i++) {
        const struct tm_region *region = &map->regions[i];
        while (module < module_count && modules[module].end <= region->start)
            module++;
        bool inside = module < module_count && modules[module].start < region->end;
        error = add_region(map, region, kind_of(region, inside ? &modules[module] : NULL), (uint32_t)i, &next);
    }
    free(modules);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Looking it up

static bool is_gap(const struct tm_memory_map *map, const struct tm_place_range *range)
{
    const uint32_t wanted = TM_REGION_READABLE | TM_REGION_WRITABLE, unwanted = TM_REGION_ABSENT;
    return range->kind == TM_PLACE_OTHER && (map->regions[range->index].flags & (wanted | unwanted)) == wanted;
}

struct tm_error *tm_memory_map_visit_gaps(const struct tm_memory_map *map, tm_gap_visitor visit, void *context)
{
    struct tm_error *error = NULL;
    for (size_t i = 0, next; !error && i < map->count; i = next) {
        next = i + 1;
        if (!is_gap(map, &map->ranges[i]))
            continue;
        // One mapping can be two regions, if a part of it is to have huge pages.
        while (next < map->count && map->ranges[next].start == map->ranges[next - 1].end &&
               is_gap(map, &map->ranges[next]))
            next++;
        error = visit(context, map->ranges[i].start, map->ranges[next - 1].end);
    }
    return error;
}

const struct tm_place_range *tm_memory_map_find(const struct tm_memory_map *map, size_t *cursor, uint64_t address)
{
    size_t low = 0, high = map->count;
    if (*cursor < map->count && address >= map->ranges[*cursor].start && address < map->ranges[*cursor].end)
        return &map->ranges[*cursor];
    while (low < high) { // the first that ends behind the address
        size_t middle = low + (high - low) / 2;
        if (map->ranges[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    *cursor = low;
    return low < map->count && map->ranges[low].start <= address ? &map->ranges[low] : NULL;
}
