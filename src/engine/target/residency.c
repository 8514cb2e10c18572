// Runs of pages, by what the system says of each page, or by reading them all.

#include "engine/target/residency.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/target/range.h"

enum { PAGE = 4096, ENTRIES = 65536, READ_PAGES = TM_READ_LIMIT / PAGE, FEW_PAGES = 16 };
// Of an entry of /proc/PID/pagemap.
#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62)
#define OF_FILE (UINT64_C(1) << 61)
#define EXCLUSIVE (UINT64_C(1) << 56)

static struct tm_error *add_page(struct tm_residency *residency, uint64_t page, bool shared)
{
    struct tm_run *last = residency->count ? &residency->runs[residency->count - 1] : NULL;
    residency->size += PAGE;
    if (last && last->end == page && last->shared == shared) {
        last->end += PAGE;
        return NULL;
    }
    if (!TM_GROW(&residency->runs, residency->count + 1, &residency->capacity))
        return tm_error_no_memory();
    residency->runs[residency->count++] = (struct tm_run){page, page + PAGE, shared};
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// By what the system says

static struct tm_error *add_entries(struct tm_residency *residency, uint64_t page, const uint64_t *entries,
                                    uint64_t count)
{
    struct tm_error *error = NULL;
    for (uint64_t i = 0; !error && i < count; i++) {
        if (entries[i] & SWAPPED)
            residency->swapped += PAGE;
        if (entries[i] & PRESENT)
            error = add_page(residency, page + i * PAGE, !(entries[i] & (OF_FILE | EXCLUSIVE)));
    }
    return error;
}

// *known becomes false where the system does not say it.
static struct tm_error *look_up(struct tm_residency *residency, struct tm_target *target, const struct tm_host *host,
                                const struct tm_region *region, uint64_t *entries, bool *known)
{
    uint64_t page = region->start & ~(uint64_t)(PAGE - 1), last = residency->count;
    struct tm_error *error = NULL;
    if (last && residency->runs[last - 1].end > page)
        page = residency->runs[last - 1].end;
    while (!error && *known && page < region->end && region->end <= TM_USER_END) {
        uint64_t count = (region->end - page + PAGE - 1) / PAGE;
        count = count < ENTRIES ? count : ENTRIES;
        *known = tm_target_page_map(target, page, entries, count);
        if (*known)
            error = add_entries(residency, page, entries, count);
        page += count * PAGE;
        if (!error)
            error = tm_host_check(host);
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// By what is in them

static bool is_zero(const unsigned char *page)
{
    return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

// Reads pages, in steps that get smaller where something is missing. Calls `add` for those that are not all zero.
static struct tm_error *read_pages(struct tm_residency *residency, struct tm_target *target, uint64_t page,
                                   uint64_t count, bool shared, unsigned char *bytes)
{
    struct tm_error *error = NULL;
    if (tm_target_try_read(target, page, bytes, count * PAGE)) {
        for (uint64_t i = 0; !error && i < count; i++)
            if (!is_zero(bytes + i * PAGE))
                error = add_page(residency, page + i * PAGE, shared);
        return error;
    }
    uint64_t step = count > FEW_PAGES ? FEW_PAGES : 1;
    for (uint64_t i = 0; !error && count > 1 && i < count; i += step)
        error = read_pages(residency, target, page + i * PAGE, step < count - i ? step : count - i, shared, bytes);
    return error;
}

static struct tm_error *read_range(struct tm_residency *residency, struct tm_target *target, const struct tm_host *host,
                                   uint64_t start, uint64_t end, bool shared, unsigned char *bytes)
{
    struct tm_error *error = NULL;
    uint64_t page = start & ~(uint64_t)(PAGE - 1);
    end = end < TM_USER_END ? end : TM_USER_END; // so no address wraps
    if (residency->count && residency->runs[residency->count - 1].end > page)
        page = residency->runs[residency->count - 1].end;
    while (!error && page < end) {
        uint64_t count = (end - page + PAGE - 1) / PAGE;
        count = count < READ_PAGES ? count : READ_PAGES;
        error = read_pages(residency, target, page, count, shared, bytes);
        page += count * PAGE;
        tm_host_progress(host, "reading memory", page < end ? page - start : end - start, end - start);
        if (!error)
            error = tm_host_check(host);
    }
    return error;
}

// Memory that was read and never written to has the system's page of zeros. That is no memory of the process, and the
// system's sum leaves it out, but page by page it looks as if shared.
static struct tm_error *drop_zeros(struct tm_residency *residency, struct tm_target *target, const struct tm_host *host,
                                   unsigned char *bytes)
{
    struct tm_run *runs = residency->runs;
    size_t count = residency->count;
    struct tm_error *error = NULL;
    residency->runs = NULL;
    residency->count = residency->capacity = 0;
    residency->size = 0;
    for (size_t i = 0; !error && i < count; i++) {
        if (runs[i].shared)
            error = read_range(residency, target, host, runs[i].start, runs[i].end, true, bytes);
        else
            for (uint64_t page = runs[i].start; !error && page < runs[i].end; page += PAGE)
                error = add_page(residency, page, false);
    }
    free(runs);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// All

static struct tm_error *look_at_all(struct tm_residency *residency, struct tm_target *target,
                                    const struct tm_host *host, const struct tm_region *regions, size_t count,
                                    unsigned char *bytes)
{
    struct tm_error *error = NULL;
    bool known = true;
    for (size_t i = 0; !error && known && i < count; i++)
        if (!(regions[i].flags & TM_REGION_ABSENT))
            error = look_up(residency, target, host, &regions[i], (uint64_t *)(void *)bytes, &known);
    if (error)
        return error;
    residency->rss = tm_target_resident(target);
    if (known && count > 0)
        return residency->rss && residency->size > residency->rss ? drop_zeros(residency, target, host, bytes) : NULL;
    residency->kind = TM_RESIDENCY_NONZERO;
    residency->count = 0;
    residency->size = residency->swapped = 0;
    for (size_t i = 0; !error && i < count; i++) {
        if ((regions[i].flags & (TM_REGION_READABLE | TM_REGION_ABSENT)) == TM_REGION_READABLE)
            error = read_range(residency, target, host, regions[i].start, regions[i].end, false, bytes);
    }
    return error;
}

struct tm_error *tm_residency_init(struct tm_residency *residency, struct tm_target *target, const struct tm_host *host,
                                   const struct tm_region *regions, size_t count)
{
    *residency = (struct tm_residency){.kind = TM_RESIDENCY_PAGES};
    _Static_assert(ENTRIES * sizeof(uint64_t) <= TM_READ_LIMIT, "one buffer is enough for both");
    unsigned char *bytes = malloc(TM_READ_LIMIT);
    if (!bytes)
        return tm_error_no_memory();
    struct tm_error *error = look_at_all(residency, target, host, regions, count, bytes);
    free(bytes);
    return error;
}

void tm_residency_deinit(struct tm_residency *residency)
{
    free(residency->runs);
    *residency = (struct tm_residency){0};
}

// The first run that ends behind the address.
static size_t first_run(const struct tm_residency *residency, uint64_t address)
{
    size_t low = 0, high = residency->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (residency->runs[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

struct tm_resident tm_residency_of(const struct tm_residency *residency, size_t *cursor, uint64_t start, uint64_t end)
{
    struct tm_resident result = {0, 0};
    size_t i = *cursor;
    bool near =
        i < residency->count && residency->runs[i].end > start && (i == 0 || residency->runs[i - 1].end <= start);
    if (!near)
        i = first_run(residency, start);
    *cursor = i;
    for (; i < residency->count && residency->runs[i].start < end; i++) {
        const struct tm_run *run = &residency->runs[i];
        uint64_t from = run->start > start ? run->start : start, to = run->end < end ? run->end : end;
        result.size += to - from;
        if (run->shared)
            result.shared += to - from;
    }
    return result;
}
