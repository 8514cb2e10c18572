// Opening a table: its root and its arrays. Each answer has a file of its own: answers.h.

#include "engine/table/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/advice.h"
#include "engine/base/number.h"
#include "engine/table/answers.h"
#include "engine/table/census.h"
#include "layout/bounds.h"
#include "layout/hash.h"

// Ids are numbers of 32 bits. Positions in `bytes` could be larger, but no program has a TiB of names.
#define ID_LIMIT (UINT64_C(1) << 32)
#define BYTES_LIMIT (UINT64_C(1) << 40)

// ---------------------------------------------------------------------------------------------------------------
// Opening

// (Of strings and code objects, the bytes that they refer to say whether they are good.)
#define JUDGE(name, in_use)                                                                   \
    static enum tm_record_state judge_##name(uint64_t id, const void *bytes)                  \
    {                                                                                         \
        struct tm_##name record;                                                              \
        memcpy(&record, bytes, sizeof(record));                                               \
        if (record.in_use == 0)                                                               \
            return TM_RECORD_FREE;                                                            \
        return record.hash == tm_##name##_hash(id, &record) ? TM_RECORD_GOOD : TM_RECORD_BAD; \
    }
JUDGE(node, depth)
JUDGE(site, node)
JUDGE(leaf, units)
JUDGE(tracked, site)
JUDGE(python_arena, size)
JUDGE(own, size)

// Arrays that are loaded stay as they are.
#define INIT_RECORDS(table, name, limit, judge)                                 \
    if (!(table)->name.loaded)                                                  \
    tm_records_init(&(table)->name, (table)->target, &(table)->place.root.name, \
                    (table)->place.address + offsetof(struct tm_root, name), (limit), (judge))

static void init_records(struct tm_table *table)
{
    INIT_RECORDS(table, bytes, BYTES_LIMIT, NULL);
    INIT_RECORDS(table, strings, ID_LIMIT, NULL);
    INIT_RECORDS(table, codes, ID_LIMIT, NULL);
    INIT_RECORDS(table, nodes, ID_LIMIT, judge_node);
    INIT_RECORDS(table, sites, TM_SITE_LIMIT, judge_site);
    INIT_RECORDS(table, counters, TM_SITE_LIMIT, NULL);
    INIT_RECORDS(table, leaves, ID_LIMIT, judge_leaf);
    INIT_RECORDS(table, tracked, ID_LIMIT, judge_tracked);
    INIT_RECORDS(table, arenas, ID_LIMIT, judge_python_arena);
    INIT_RECORDS(table, own, ID_LIMIT, judge_own);
}

struct extent {
    uint64_t start;
    uint64_t end;
};

static int compare_extents(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct extent *)a)->start, ((const struct extent *)b)->start);
}

// The writer never puts two chunks into the same memory. Where they overlap, at least one address is wrong, and its
// records would be counted twice.
static struct tm_error *check_overlaps(const struct tm_table *table)
{
    const struct tm_records *const arrays[TM_TABLE_ARRAYS] = TM_TABLE_EACH_ARRAY(table);
    struct extent extents[TM_TABLE_ARRAYS * (TM_ARRAY_CHUNKS + TM_ARRAY_COPIES)];
    size_t count = 0;
    for (size_t i = 0; i < TM_TABLE_ARRAYS; i++) {
        for (unsigned chunk = 0; chunk < TM_ARRAY_CHUNKS; chunk++) {
            uint64_t address, length;
            if (tm_records_extent(arrays[i], chunk, &address, &length))
                extents[count++] = (struct extent){address, address + length};
            if (tm_records_copy_extent(arrays[i], chunk, &address, &length))
                extents[count++] = (struct extent){address, address + length};
        }
    }
    qsort(extents, count, sizeof(extents[0]), compare_extents);
    for (size_t i = 1; i < count; i++) {
        if (extents[i].start < extents[i - 1].end)
            return tm_error_create(TM_ERROR_CORRUPT,
                                   "the trace table at 0x%" PRIx64
                                   " is damaged: two of its arrays overlap at 0x%" PRIx64 "\n" TM_TRY_ANOTHER_CORE,
                                   table->place.address, extents[i].start);
    }
    return NULL;
}

static void table_destroy(struct tm_source *source)
{
    struct tm_table *table = tm_table_of(source);
    struct tm_records *const arrays[TM_TABLE_ARRAYS] = TM_TABLE_EACH_ARRAY(table);
    for (size_t i = 0; i < TM_TABLE_ARRAYS; i++)
        tm_records_deinit(arrays[i]);
    tm_map_deinit(&table->map);
    if (table->census)
        tm_census_deinit(table->census);
    free(table->census);
    free(table);
}

static const struct tm_source_ops table_ops;

struct tm_error *tm_table_open(struct tm_target *target, const struct tm_host *host, struct tm_source **result)
{
    struct tm_table *table = calloc(1, sizeof(*table));
    if (!table)
        return tm_error_no_memory();
    table->source.ops = &table_ops;
    table->target = target;
    table->running = tm_target_is_running(target);
    struct tm_error *error = tm_root_find(target, host, &table->place);
    if (!error) {
        table->reuses = table->place.root.reuses;
        init_records(table);
        error = check_overlaps(table);
    }
    if (error) {
        table_destroy(&table->source);
        return error;
    }
    *result = &table->source;
    return NULL;
}

void tm_table_refresh(struct tm_table *table)
{
    if (table->running && tm_root_read_again(table->target, &table->place))
        init_records(table);
}

void tm_table_excuse(const struct tm_table *table, struct tm_damage *damage)
{
    if (!tm_target_is_moving(table->target))
        return;
    damage->torn_records = tm_add_saturating(damage->torn_records, damage->corrupt_records);
    damage->corrupt_records = 0;
    if (!damage->unreadable_records && !damage->partial_tracebacks)
        damage->first_address = 0;
}

struct tm_error *tm_table_sample_period(const struct tm_table *table, uint64_t *result)
{
    const struct tm_root *root = &table->place.root;
    *result = root->flags & TM_ROOT_SAMPLED ? root->sample_period : 0;
    if (!(root->flags & TM_ROOT_SAMPLED) || root->sample_period)
        return NULL;
    return tm_error_create(TM_ERROR_CORRUPT,
                           "the trace table at 0x%" PRIx64
                           " is damaged: it has samples of the blocks, and does not say "
                           "how many blocks one stands for\nType \"tm-verify\" for what else is damaged",
                           table->place.address);
}

static const struct tm_root *root_of(const struct tm_source *source)
{
    return &((const struct tm_table *)source)->place.root;
}

static struct tm_error *table_require_tracing(const struct tm_source *source)
{
    switch (root_of(source)->state) {
    case TM_STATE_LOADED:
        return tm_error_create(TM_ERROR_NOT_TRACING,
                               "the tracer is loaded in this process, but tracing was never started, so nothing was "
                               "recorded\nStart it in the program with tracemortem.start(), or\n" TM_HOW_TO_TRACE);
    case TM_STATE_STOPPED:
        return tm_error_create(TM_ERROR_NOT_TRACING,
                               "tracing was stopped in this process, which cleared what was recorded\nStart it again "
                               "in the program with tracemortem.start(), or do not stop it before the core is made.");
    default:
        return NULL;
    }
}

static uint32_t table_python(const struct tm_source *source, bool *free_threaded)
{
    *free_threaded = root_of(source)->flags & TM_ROOT_FREE_THREADED;
    return root_of(source)->python_version;
}

static uint64_t table_sample_period(const struct tm_source *source)
{
    return root_of(source)->flags & TM_ROOT_SAMPLED ? root_of(source)->sample_period : 0;
}

static uint64_t table_started(const struct tm_source *source)
{
    return root_of(source)->started;
}

// ---------------------------------------------------------------------------------------------------------------
// For the answers

struct tm_error *tm_table_load_texts(struct tm_table *table, const struct tm_host *host)
{
    struct tm_error *error = tm_records_load(&table->nodes, host, "reading tracebacks");
    if (!error)
        error = tm_records_load(&table->codes, host, "reading code objects");
    if (!error)
        error = tm_records_load(&table->strings, host, "reading names");
    if (!error)
        error = tm_records_load(&table->bytes, host, "reading names");
    return error;
}

struct tm_error *tm_table_load_map(struct tm_table *table, const struct tm_host *host)
{
    if (table->has_map)
        return NULL;
    struct tm_error *error = tm_records_load(&table->leaves, host, "reading the map");
    if (!error)
        error = tm_map_init(&table->map, table->target, table->place.root.unit_shift, &table->leaves);
    table->has_map = !error;
    return error;
}

uint64_t tm_table_record_limit(const struct tm_table *table)
{
    uint64_t limit = table->place.root.record_limit;
    return limit <= TM_SITE_LIMIT ? limit : 0;
}

uint64_t tm_table_in_use(const struct tm_records *records, uint64_t free)
{
    return free < records->count ? records->count - free : 1;
}

uint32_t tm_table_full(const struct tm_table *table)
{
    // The bytes of a name or of a line table are appended as a whole: so much room may be left where there is none.
    enum { LEFT = 256 };
    uint64_t limit = tm_table_record_limit(table);
    if (!limit)
        return 0;
    const struct tm_root *root = &table->place.root;
    return (tm_table_in_use(&table->codes, root->free_codes) >= TM_CODES_LIMIT(limit) ? TM_FULL_CODES : 0) |
           (tm_table_in_use(&table->strings, root->free_strings) >= TM_STRINGS_LIMIT(limit) ? TM_FULL_STRINGS : 0) |
           (table->bytes.count + LEFT >= TM_BYTES_LIMIT(limit) && !root->free_strings ? TM_FULL_BYTES : 0) |
           (tm_table_in_use(&table->nodes, root->free_nodes) >= TM_NODES_LIMIT(limit) / 4 * 3 ? TM_FULL_NODES : 0) |
           (tm_table_in_use(&table->sites, root->free_sites) >= limit / 4 * 3 ? TM_FULL_SITES : 0);
}

struct tm_error *tm_table_load(struct tm_source *source, const struct tm_host *host, const struct tm_table **result)
{
    struct tm_table *table = tm_table_of(source);
    struct tm_error *error = tm_records_load(&table->sites, host, "reading allocation sites");
    tm_table_refresh(table);
    if (!error)
        error = tm_table_load_texts(table, host);
    if (!error && !tm_table_is_lean(table))
        error = tm_records_load(&table->counters, host, "reading counters");
    if (!error)
        error = tm_records_load(&table->tracked, host, "reading tracked blocks");
    if (!error)
        error = tm_records_load(&table->arenas, host, "reading arenas");
    if (!error)
        error = tm_records_load(&table->own, host, "reading mappings");
    if (!error)
        error = tm_table_load_map(table, host);
    *result = table;
    return error;
}

struct tm_error *tm_table_tracebacks(const struct tm_table *table, struct tm_pool *pool, const struct tm_host *host,
                                     struct tm_tracebacks *tracebacks)
{
    const struct tm_traceback_records records = {&table->bytes, &table->strings, &table->codes, &table->nodes};
    return tm_tracebacks_init(tracebacks, &records, pool, host);
}

// ---------------------------------------------------------------------------------------------------------------

static const struct tm_source_ops table_ops = {
    .destroy = table_destroy,
    .require_tracing = table_require_tracing,
    .info = tm_table_info,
    .snapshot = tm_table_snapshot,
    .find = tm_table_find,
    .traces = tm_table_traces,
    .save = tm_table_save,
    .memory = tm_table_memory,
    .started = table_started,
    .sample_period = table_sample_period,
    .python = table_python,
};
