// Facts for tm-info: from the root, from the arrays, and from one pass over the sites.

#include "engine/base/number.h"
#include "engine/base/set.h"
#include "engine/table/answers.h"
#include "engine/table/census.h"
#include "engine/table/sites.h"
#include "engine/table/units.h"
#include "layout/bounds.h"

// Copies text of the target. A version is printable ASCII only; anything else becomes "?".
static void copy_text(char *to, size_t capacity, const char *from, size_t length)
{
    size_t i;
    for (i = 0; i < length && i + 1 < capacity && from[i]; i++)
        to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
    to[i] = '\0';
}

static enum tm_tracing tracing_of(const struct tm_root *root)
{
    switch (root->state) {
    case TM_STATE_TRACING:
        return TM_TRACING_ON;
    case TM_STATE_STOPPED:
        return TM_TRACING_STOPPED;
    case TM_STATE_CLEARING:
        return TM_TRACING_CLEARING;
    default: // TM_STATE_LOADED: the root was checked
        return TM_TRACING_NEVER;
    }
}

static enum tm_reuse_way reuse_way_of(const struct tm_root *root)
{
    if (root->flags & TM_ROOT_REUSE_BY_ENTRY)
        return TM_REUSE_BY_ENTRY;
    if (root->flags & TM_ROOT_REUSE_BY_SLOTS)
        return TM_REUSE_BY_SLOTS;
    return root->flags & TM_ROOT_REUSE_BY_TABLE ? TM_REUSE_BY_TABLE : TM_REUSE_BY_EVENTS;
}

static void info_of_root(const struct tm_table *table, struct tm_info *info)
{
    const struct tm_root *root = &table->place.root;
    info->source = "tracemortem";
    info->has_tracer = true;
    info->found_by = table->place.found_by;
    info->table_address = table->place.address;
    info->tracer.layout_major = root->layout_major;
    info->tracer.layout_minor = root->layout_minor;
    copy_text(info->python_version, sizeof(info->python_version), root->python_text, sizeof(root->python_text));
    copy_text(info->tracer.version, sizeof(info->tracer.version), root->tracer_text, sizeof(root->tracer_text));
    info->tracer.debug_build = root->flags & TM_ROOT_DEBUG_BUILD;
    info->free_threaded = root->flags & TM_ROOT_FREE_THREADED;
    info->tracer.reuse_exact = root->flags & TM_ROOT_REUSE_EXACT;
    info->tracer.reuse_way = reuse_way_of(root);
    info->tracer.lean = root->flags & TM_ROOT_LEAN;
    info->tracer.pid = root->pid;
    info->state = tracing_of(root);
    info->has_frame_limit = true;
    info->frame_limit = root->frame_limit;
    info->tracer.started = root->started;
    info->tracer.cleared = root->cleared;
    info->traced = tm_root_traced(root);
    info->has_peak = !(root->flags & TM_ROOT_SAMPLED); // that of the samples says nothing
    info->peak = root->owned.peak > root->shared.peak ? root->owned.peak : root->shared.peak;
    info->tracer.lean = root->flags & TM_ROOT_LEAN;
    info->tracer.mapped = root->mapped;
    info->tracer.reuses = root->reuses;
    info->tracer.lost_blocks = root->lost_blocks;
    info->tracer.lost_frames = root->lost_frames;
    info->tracer.record_limit = root->record_limit;
    info->tracer.recorder = root->recorder;
    for (size_t i = 0; i < TM_RESIZES; i++)
        info->tracer.resizing += root->resize[i].state == TM_RESIZE_BUSY;
}

static uint64_t array_bytes(const struct tm_records *array)
{
    return array->count * array->array.record_size; // below 2^52
}

// The used parts of the copies of chunks.
static uint64_t copied_bytes(const struct tm_records *array)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < TM_ARRAY_COPIES; i++) {
        uint64_t address, length;
        bytes += tm_records_copy_extent(array, i, &address, &length) ? length : 0;
    }
    return bytes;
}

struct tm_error *tm_table_own_bytes(struct tm_table *table, const struct tm_host *host, uint64_t *result)
{
    const struct tm_records *const arrays[TM_TABLE_ARRAYS] = TM_TABLE_EACH_ARRAY(table);
    uint64_t bytes = 0, mapped = table->place.root.mapped;
    struct tm_error *error = tm_table_load_map(table, host);
    for (size_t i = 0; i < TM_TABLE_ARRAYS; i++)
        bytes = tm_add_saturating(bytes, array_bytes(arrays[i]) + copied_bytes(arrays[i]));
    uint64_t map_bytes = 0;
    if (!error && table->census)
        map_bytes = table->census->map_bytes;
    else if (!error)
        error = tm_map_grid_bytes(&table->map, host, &map_bytes);
    bytes = tm_add_saturating(bytes, map_bytes + table->map.leaf_count * 2 * TM_UNITS_SIZE);
    *result = bytes < mapped ? bytes : mapped;
    return error;
}

static void info_of_arrays(const struct tm_table *table, struct tm_info *info)
{
    const struct tm_records *const arrays[TM_TABLE_ARRAYS] = TM_TABLE_EACH_ARRAY(table);
    for (size_t i = 0; i < TM_TABLE_ARRAYS; i++) {
        info->tracer.table_bytes = tm_add_saturating(info->tracer.table_bytes, array_bytes(arrays[i]));
        if (!arrays[i]->loaded) // or its damage is already there, with this in it
            tm_damage_merge(&info->damage, &arrays[i]->claimed);
    }
    info->tracer.leaves = table->map.leaf_records;
    const struct tm_root *root = &table->place.root;
    info->tracer.strings = tm_table_in_use(&table->strings, root->free_strings) - 1;
    info->tracer.codes = tm_table_in_use(&table->codes, root->free_codes) - 1;
    info->tracer.nodes = tm_table_in_use(&table->nodes, root->free_nodes) - 1;
    info->tracer.bytes = table->bytes.count - 1;
    info->tracer.site_records = tm_table_in_use(&table->sites, root->free_sites) - 1;
    info->tracer.full = tm_table_full(table);
    uint64_t limit = tm_table_record_limit(table);
    if (limit) {
        info->tracer.string_limit = TM_STRINGS_LIMIT(limit) - 1;
        info->tracer.code_limit = TM_CODES_LIMIT(limit) - 1;
        info->tracer.node_limit = TM_NODES_LIMIT(limit) - 1;
        info->tracer.byte_limit = TM_BYTES_LIMIT(limit) - 1;
    }
}

static struct tm_error *info_of_sites(struct tm_table *table, const struct tm_host *host, struct tm_info *info)
{
    struct tm_set domains = {NULL, 0, 0};
    struct tm_site_cursor cursor = {.table = table, .host = host};
    struct tm_flight flight = {0};
    while (!cursor.error && tm_site_next(&cursor)) {
        const struct tm_site *site = &cursor.site;
        const struct tm_counters *counters = &cursor.counters;
        tm_flight_note(&flight, &cursor);
        if (cursor.liveness == TM_SITE_IMPLAUSIBLE) {
            struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = cursor.address};
            tm_damage_add(&info->damage, &flaw, 1);
            continue;
        }
        info->tracer.sites += tm_table_is_lean(table) || counters->allocations != 0;
        info->tracer.allocations = tm_add_saturating(info->tracer.allocations, counters->allocations);
        info->tracer.allocated = tm_add_saturating(info->tracer.allocated, counters->allocated);
        if (cursor.liveness != TM_SITE_LIVE)
            continue;
        info->sites_live++;
        info->blocks = tm_add_saturating(info->blocks, cursor.count);
        tm_estimate_add(&info->estimate, &cursor.estimate);
        if (site->flags & TM_SITE_SHORTENED)
            info->tracer.shortened = tm_add_saturating(info->tracer.shortened, cursor.count);
        if (!tm_set_add_number(&domains, site->domain))
            cursor.error = tm_error_no_memory();
    }
    if (info->sample_period) {
        info->traced = tm_estimate_size(&info->estimate);
        info->blocks = tm_estimate_count(&info->estimate);
    }
    info->domains = domains.count;
    info->tracer.in_flight = tm_flight_end(table, &flight, &info->damage);
    tm_set_deinit(&domains);
    return cursor.error;
}

struct tm_error *tm_table_info(struct tm_source *source, const struct tm_host *host, struct tm_info *result)
{
    struct tm_table *table = tm_table_of(source);
    info_of_root(table, result);
    struct tm_error *error = tm_table_sample_period(table, &result->sample_period);
    if (!error)
        error = tm_sites_load(table, host, &result->damage);
    if (!error)
        error = tm_table_own_bytes(table, host, &result->tracer.own_bytes);
    if (!error)
        error = tm_sites_confirm(table, host);
    if (error)
        return error;
    if (!table->census) // which has this in it
        tm_damage_merge(&result->damage, &table->leaves.damage);
    if (!tm_table_is_lean(table))
        tm_damage_merge(&result->damage, &table->counters.damage);
    info_of_arrays(table, result);
    error = info_of_sites(table, host, result);
    tm_table_excuse(table, &result->damage);
    tm_damage_explain(&result->damage, table->target);
    return error;
}
