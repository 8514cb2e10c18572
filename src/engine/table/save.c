// A small core of the table: all memory that the table has, as its list of mappings says.

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/table/answers.h"
#include "engine/table/units.h"
#include "engine/target/backing.h"
#include "engine/target/small_core.h"

// More than any table has; beyond it the list of mappings is damaged.
#define BYTES_MOST (UINT64_C(16) << 30)

struct ranges {
    struct tm_core_range *items;
    size_t count, capacity;
    uint64_t bytes;
};

// Whole pages. A range that cannot be one is left out: the array that leads there is damaged, and that is counted.
static struct tm_error *add(struct ranges *ranges, uint64_t start, uint64_t length)
{
    uint64_t limit = UINT64_C(1) << TM_ADDRESS_BITS;
    if (length == 0 || start >= limit || length > limit - start || ranges->bytes + length > BYTES_MOST)
        return NULL;
    if (!TM_GROW(&ranges->items, ranges->count + 1, &ranges->capacity))
        return tm_error_no_memory();
    ranges->bytes += length;
    ranges->items[ranges->count++] =
        (struct tm_core_range){start & ~(TM_CORE_PAGE - 1), (start + length + TM_CORE_PAGE - 1) & ~(TM_CORE_PAGE - 1)};
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_core_range *)a)->start, ((const struct tm_core_range *)b)->start);
}

static void join(struct ranges *ranges)
{
    size_t kept = 0;
    if (ranges->count)
        qsort(ranges->items, ranges->count, sizeof(ranges->items[0]), compare);
    for (size_t i = 0; i < ranges->count; i++) {
        struct tm_core_range *last = kept ? &ranges->items[kept - 1] : NULL;
        if (last && ranges->items[i].start <= last->end)
            last->end = ranges->items[i].end > last->end ? ranges->items[i].end : last->end;
        else
            ranges->items[kept++] = ranges->items[i];
    }
    ranges->count = kept;
}

// The mappings that are the table's. *bad: records of the list that cannot be used.
static struct tm_error *add_mappings(const struct tm_table *table, struct ranges *ranges, uint64_t *bad)
{
    const struct tm_records *own = &table->own;
    struct tm_error *error = NULL;
    *bad = own->damage.unreadable_records;
    for (uint64_t id = 1; (id = tm_records_skip(own, id)) < own->count && !error; id++) {
        const void *bytes = tm_records_peek(own, id);
        struct tm_own record;
        if (!bytes)
            continue;
        memcpy(&record, bytes, sizeof(record));
        if (record.size == 0)
            continue;
        if (own->judge(id, &record) != TM_RECORD_GOOD)
            ++*bad;
        else if (record.kind == TM_OWN_TABLE)
            error = add(ranges, record.address, record.size);
    }
    return error;
}

// What is known without the list: the root, the arrays and the units of the map. The list may be damaged.
static struct tm_error *add_known(const struct tm_table *table, struct ranges *ranges)
{
    const struct tm_records *const arrays[TM_TABLE_ARRAYS] = TM_TABLE_EACH_ARRAY(table);
    struct tm_error *error = add(ranges, table->place.address, sizeof(struct tm_root));
    for (size_t i = 0; i < TM_TABLE_ARRAYS; i++) {
        for (unsigned chunk = 0; chunk < TM_ARRAY_CHUNKS && !error; chunk++) {
            uint64_t address, length;
            if (tm_records_extent(arrays[i], chunk, &address, &length))
                error = add(ranges, address, length);
            if (!error && tm_records_copy_extent(arrays[i], chunk, &address, &length))
                error = add(ranges, address, length);
        }
    }
    for (size_t i = 0; i < table->map.leaf_count && !error; i++)
        error = add(ranges, table->map.leaves[i].units, 2 * TM_UNITS_SIZE);
    return error;
}

struct tm_error *tm_table_save(struct tm_source *source, const struct tm_host *host, const struct tm_save *save,
                               struct tm_saved *result)
{
    struct tm_table *table = tm_table_of(source);
    struct ranges ranges = {NULL, 0, 0, 0};
    struct tm_small_core core = {.runs = NULL};
    struct tm_saved_note note = {.version = TM_SAVED_VERSION,
                                 .size = sizeof(note),
                                 .pid = table->place.root.pid,
                                 .private_kind = save->private_kind,
                                 .private_bytes = save->private_bytes,
                                 .root = table->place.address,
                                 .moment = save->moment,
                                 .saved = save->now};
    memcpy(note.identity, table->place.root.recorder.identity, sizeof(note.identity));
    struct tm_error *error = tm_records_load(&table->own, host, "reading mappings");
    if (!error)
        error = tm_table_load_map(table, host);
    if (!error)
        error = add_mappings(table, &ranges, &result->bad_mappings);
    if (!error)
        error = add_known(table, &ranges);
    join(&ranges);
    if (!error)
        error = tm_small_core_init(&core, table->target, host, ranges.items, ranges.count);
    note.missing = core.missing;
    if (!error)
        error = tm_small_core_write(&core, save->process ? save->process : table->place.root.pid, TM_SAVED_NOTE_TYPE,
                                    &note, sizeof(note), save->output, save->context, &result->size);
    result->bytes = core.bytes;
    result->missing = core.missing;
    tm_small_core_deinit(&core);
    free(ranges.items);
    return error;
}
