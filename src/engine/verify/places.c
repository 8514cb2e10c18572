// Verifying the records of places: leaves of the map, arenas of CPython's, and mappings of the tracer's own.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/host.h"
#include "engine/base/number.h"
#include "engine/verify/parts.h"
#include "layout/hash.h"

static struct tm_error *check_leaves(struct tm_verifier *verifier)
{
    const struct tm_table *table = verifier->table;
    uint64_t before = verifier->result->records[TM_FINDING_DAMAGE];
    for (uint64_t id = 1; (id = tm_records_skip(&table->leaves, id)) < table->leaves.count; id++) {
        const void *bytes = tm_records_peek(&table->leaves, id);
        struct tm_error *error = id % TM_VERIFY_BETWEEN_CHECKS ? NULL : tm_host_check(verifier->host);
        struct tm_leaf leaf;
        if (error)
            return error;
        if (!bytes)
            continue;
        memcpy(&leaf, bytes, sizeof(leaf));
        const char *why = tm_leaf_check(id, &leaf, verifier->root->unit_shift);
        if (why)
            TM_VERIFY_DAMAGED(verifier, &table->leaves, "leaf", id, "%s", why);
        verifier->result->leaves++;
    }
    // What was left out of the map for another reason.
    uint64_t found = verifier->result->records[TM_FINDING_DAMAGE] - before,
             left_out = table->map.damage.corrupt_records;
    if (left_out > found)
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, "leaves", 0, table->map.damage.first_address,
                        left_out - found, "a leaf has the range or the memory of another one");
    return NULL;
}

// Live ranges of memory, for one array.
struct ranges {
    struct tm_taken *items;
    size_t count, capacity;
};

static bool add_range(struct ranges *ranges, uint64_t start, uint64_t size, const char *what)
{
    if (!TM_GROW(&ranges->items, ranges->count + 1, &ranges->capacity))
        return false;
    ranges->items[ranges->count++] = (struct tm_taken){start, tm_add_saturating(start, size), what};
    return true;
}

static int compare_ranges(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_taken *)a)->start, ((const struct tm_taken *)b)->start);
}

static void check_disjoint(struct tm_verifier *verifier, const struct ranges *ranges)
{
    if (ranges->count)
        qsort(ranges->items, ranges->count, sizeof(ranges->items[0]), compare_ranges);
    for (size_t i = 1; i < ranges->count; i++) {
        const struct tm_taken *range = &ranges->items[i];
        if (range->start < range[-1].end)
            tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, range->what, 0, range->start, 1,
                            "it overlaps the one at 0x%" PRIx64, range[-1].start);
    }
}

// ---------------------------------------------------------------------------------------------------------------

static void check_arena(struct tm_verifier *verifier, uint64_t id, const void *bytes, struct ranges *ranges)
{
    struct tm_python_arena arena;
    memcpy(&arena, bytes, sizeof(arena));
    if (arena.size == 0)
        return;
    if (arena.hash != tm_python_arena_hash(id, &arena))
        TM_VERIFY_DAMAGED(verifier, &verifier->table->arenas, "arena", id, "it changed after it was written");
    else if (!add_range(ranges, arena.address, arena.size, "arena"))
        verifier->no_memory = true;
}

static void check_own(struct tm_verifier *verifier, uint64_t id, const void *bytes, struct ranges *ranges)
{
    struct tm_own own;
    memcpy(&own, bytes, sizeof(own));
    if (own.size == 0)
        return;
    if (own.hash != tm_own_hash(id, &own))
        TM_VERIFY_DAMAGED(verifier, &verifier->table->own, "mapping", id, "it changed after it was written");
    else if (own.kind != TM_OWN_TABLE && own.kind != TM_OWN_PRIVATE)
        TM_VERIFY_DAMAGED(verifier, &verifier->table->own, "mapping", id, "its kind is %" PRIu32, own.kind);
    else if (verifier->reserved_is_zero && own._reserved)
        TM_VERIFY_DAMAGED(verifier, &verifier->table->own, "mapping", id, "a reserved field is not 0");
    else if (!add_range(ranges, own.address, own.size, own.kind == TM_OWN_TABLE ? "mapping" : "private mapping"))
        verifier->no_memory = true;
}

static struct tm_error *check_ranges(struct tm_verifier *verifier, const struct tm_records *records,
                                     void (*check)(struct tm_verifier *verifier, uint64_t id, const void *bytes,
                                                   struct ranges *ranges),
                                     struct ranges *ranges)
{
    struct tm_error *error = NULL;
    for (uint64_t id = 1; !error && (id = tm_records_skip(records, id)) < records->count; id++) {
        const void *bytes = tm_records_peek(records, id);
        error = id % TM_VERIFY_BETWEEN_CHECKS ? NULL : tm_host_check(verifier->host);
        if (bytes && !error)
            check(verifier, id, bytes, ranges);
    }
    if (!error)
        check_disjoint(verifier, ranges);
    return error;
}

struct tm_error *tm_verify_places(struct tm_verifier *verifier)
{
    struct ranges arenas = {NULL, 0, 0}, own = {NULL, 0, 0};
    struct tm_error *error = check_leaves(verifier);
    if (!error)
        error = check_ranges(verifier, &verifier->table->arenas, check_arena, &arenas);
    if (!error)
        error = check_ranges(verifier, &verifier->table->own, check_own, &own);
    free(arenas.items);
    verifier->own = own.items;
    verifier->own_count = own.count;
    return error;
}
