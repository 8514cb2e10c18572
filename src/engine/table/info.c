// Facts for tm-info: from the root, from the arrays, and from one pass over the sites.

#include "engine/base/number.h"
#include "engine/base/set.h"
#include "engine/table/answers.h"
#include "engine/table/sites.h"
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
    info->has_peak = true;
    info->peak = root->owned.peak > root->shared.peak ? root->owned.peak : root->shared.peak;
    info->tracer.leaves = root->leaves;
    info->tracer.mapped = root->mapped;
    info->tracer.lost_blocks = root->lost_blocks;
    info->tracer.lost_frames = root->lost_frames;
    info->tracer.record_limit = root->record_limit;
    for (size_t i = 0; i < TM_RESIZES; i++)
        info->tracer.resizing += root->resize[i].state == TM_RESIZE_BUSY;
}

static uint64_t array_bytes(const struct tm_records *array)
{
    return array->count * array->array.record_size; // below 2^52
}

uint64_t tm_table_own_bytes(const struct tm_table *table)
{
    const struct tm_root *root = &table->place.root;
    uint64_t leaves = root->leaves < UINT32_MAX ? root->leaves : UINT32_MAX;
    uint64_t bytes = leaves * sizeof(tm_leaf) + array_bytes(&table->bytes) + array_bytes(&table->strings) +
                     array_bytes(&table->codes) + array_bytes(&table->nodes) + array_bytes(&table->sites) +
                     array_bytes(&table->tracked);
    return bytes < root->mapped ? bytes : root->mapped;
}

static void info_of_arrays(const struct tm_table *table, struct tm_info *info)
{
    const struct tm_records *arrays[] = {&table->bytes, &table->strings, &table->codes,
                                         &table->nodes, &table->sites,   &table->tracked};
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        info->tracer.table_bytes = tm_add_saturating(info->tracer.table_bytes, array_bytes(arrays[i]));
        if (arrays[i] != &table->sites) // whose damage is already there, with this in it
            tm_damage_merge(&info->damage, &arrays[i]->claimed);
    }
    info->tracer.own_bytes = tm_table_own_bytes(table);
    info->tracer.strings = table->strings.count - 1;
    info->tracer.codes = table->codes.count - 1;
    info->tracer.nodes = table->nodes.count - 1;
    info->tracer.bytes = table->bytes.count - 1;
    info->tracer.site_records = table->sites.count - 1;
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
    struct tm_site_cursor cursor = {.sites = &table->sites, .host = host};
    struct tm_flight flight = {0};
    while (!cursor.error && tm_site_next(&cursor)) {
        const struct tm_site *site = &cursor.site;
        uint64_t count, size, address = tm_records_address(&table->sites, cursor.id);
        enum tm_liveness liveness = tm_site_liveness(cursor.id, site, &count, &size);
        tm_flight_note(&flight, liveness, size, address);
        if (liveness == TM_SITE_IMPLAUSIBLE) {
            struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = address};
            tm_damage_add(&info->damage, &flaw, 1);
            continue;
        }
        info->tracer.sites += site->allocations != 0;
        info->tracer.allocations = tm_add_saturating(info->tracer.allocations, site->allocations);
        info->tracer.allocated = tm_add_saturating(info->tracer.allocated, site->allocated);
        if (liveness != TM_SITE_LIVE)
            continue;
        info->sites_live++;
        info->blocks = tm_add_saturating(info->blocks, count);
        if (site->flags & TM_SITE_SHORTENED)
            info->tracer.shortened = tm_add_saturating(info->tracer.shortened, count);
        if (!tm_set_add_number(&domains, site->domain))
            cursor.error = tm_error_no_memory();
    }
    info->domains = domains.count;
    info->tracer.in_flight = tm_flight_end(table, &flight, &info->damage);
    tm_set_deinit(&domains);
    return cursor.error;
}

struct tm_error *tm_table_info(struct tm_source *source, const struct tm_host *host, struct tm_info *result)
{
    struct tm_table *table = tm_table_of(source);
    struct tm_error *error = tm_records_load(&table->sites, host, "reading allocation sites");
    if (error)
        return error;
    info_of_root(table, result);
    result->damage = table->sites.damage;
    info_of_arrays(table, result);
    error = info_of_sites(table, host, result);
    tm_damage_explain(&result->damage, table->target);
    return error;
}
