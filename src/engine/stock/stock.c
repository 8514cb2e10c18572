/**
 * The stock source. The first question reads all traces at once and groups them. Tracebacks are read for each
 * question, since they belong to its pool.
 *
 * Knows what the tables mean together. find.h, table.h and tracebacks.h know how each is found and read.
 */
#include "engine/stock/stock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/advice.h"
#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/model/source_ops.h"
#include "engine/stock/find.h"
#include "engine/stock/peak.h"
#include "engine/stock/tracebacks.h"

#define BETWEEN_CHECKS 16384u
#define BLOCK_ALIGNMENT 16u
#define NEAR_STARTS 64u // an object's block starts at most so many alignments before it; else it is searched for

// Traces with the same traceback and domain.
struct group {
    uint64_t traceback; // address
    uint64_t size;
    uint64_t count;
    uint32_t domain;
    uint32_t number; // the traces' `group`
};

struct stock {
    struct tm_source source; // first
    struct tm_target *target;
    struct tm_stock_place place;
    bool loaded;
    struct tm_stock_traces traces;
    bool sorted;          // the traces, ascending
    struct group *groups; // ascending by the addresses of the tracebacks
    uint32_t *group_of;   // the index of a group, by its number
    size_t group_count;
    struct tm_damage damage; // of the traces
};

static struct stock *stock_of(struct tm_source *source)
{
    return (struct stock *)source;
}

static const struct stock *stock_of_const(const struct tm_source *source)
{
    return (const struct stock *)source;
}

// Whether a thread may have been changing the tables.
static bool is_busy(const struct stock *stock)
{
    return stock->place.lock != TM_LOCK_FREE;
}

// ---------------------------------------------------------------------------------------------------------------
// Opening

static void forget_traces(struct stock *stock)
{
    free(stock->traces.items);
    free(stock->groups);
    free(stock->group_of);
    stock->traces = (struct tm_stock_traces){NULL, 0, 0};
    stock->groups = NULL;
    stock->group_of = NULL;
    stock->group_count = 0;
    stock->sorted = false;
    memset(&stock->damage, 0, sizeof(stock->damage));
}

static void stock_destroy(struct tm_source *source)
{
    forget_traces(stock_of(source));
    free(source);
}

static const struct tm_source_ops stock_ops;

// Where nothing else says whether tracing is on, the traces do: stop() clears them.
static enum tm_tracing state_of(const struct tm_stock_place *place)
{
    if (place->has_config ? place->tracing : place->traces.entries > 0)
        return TM_TRACING_ON;
    return place->was_started ? TM_TRACING_STOPPED : TM_TRACING_NEVER;
}

// Of the core's domain, which always has traces while Python runs.
static bool has_traces(const struct tm_stock_place *place)
{
    return state_of(place) == TM_TRACING_ON && place->traces.entries > 0;
}

static struct tm_error *open_tables(struct tm_target *target, const struct tm_host *host, bool only_with_traces,
                                    bool beside, struct tm_source **result)
{
    struct stock *stock = calloc(1, sizeof(*stock));
    if (!stock)
        return tm_error_no_memory();
    stock->source.ops = &stock_ops;
    stock->target = target;
    struct tm_error *error =
        beside ? tm_stock_find_beside(target, host, &stock->place) : tm_stock_find(target, host, &stock->place);
    if (!error && only_with_traces && !has_traces(&stock->place))
        error = tm_error_create(TM_ERROR_NO_TABLE, "no traces of tracemalloc");
    if (error) {
        stock_destroy(&stock->source);
        return error;
    }
    *result = &stock->source;
    return NULL;
}

struct tm_error *tm_stock_open(struct tm_target *target, const struct tm_host *host, bool only_with_traces,
                               struct tm_source **result)
{
    return open_tables(target, host, only_with_traces, false, result);
}

struct tm_error *tm_stock_open_beside(struct tm_target *target, const struct tm_host *host, struct tm_source **result)
{
    return open_tables(target, host, true, true, result);
}

static struct tm_error *stock_require_tracing(const struct tm_source *source)
{
    const struct tm_stock_place *place = &stock_of_const(source)->place;
    if (state_of(place) == TM_TRACING_ON)
        return NULL;
    if (!place->has_config)
        return tm_error_create(TM_ERROR_NOT_TRACING,
                               "tracemalloc has no traces in this Python %s: it is not tracing, or nothing was "
                               "allocated since it began\n" TM_HOW_TO_START_TRACEMALLOC TM_HOW_TO_TRACE,
                               place->version_text);
    if (state_of(place) == TM_TRACING_STOPPED)
        return tm_error_create(TM_ERROR_NOT_TRACING,
                               "tracemalloc was stopped in this process, which cleared what was recorded\nStart it "
                               "again in the program with tracemalloc.start(), or do not stop it before the core is "
                               "made.");
    if (place->layout->in_runtime)
        return tm_stock_never_started(place->version_text);
    return tm_error_create(TM_ERROR_NOT_TRACING,
                           "tracemalloc is loaded in this Python %s but not tracing: it was not started, or was "
                           "stopped, which cleared what was recorded\nStart it in the program with "
                           "tracemalloc.start().\n" TM_HOW_TO_START_TRACEMALLOC TM_HOW_TO_TRACE,
                           place->version_text);
}

static uint32_t stock_python(const struct tm_source *source, bool *free_threaded)
{
    const struct tm_stock_place *place = &stock_of_const(source)->place;
    *free_threaded = place->layout->free_threaded;
    return place->python_version;
}

static uint64_t stock_started(const struct tm_source *source)
{
    (void)source; // CPython does not record it
    return 0;
}

// ---------------------------------------------------------------------------------------------------------------
// Reading all traces

// Reads the other domains' tables, from 3.9 on.
static struct tm_error *read_domains(const struct stock *stock, struct tm_heap_cache *heap, const struct tm_host *host,
                                     struct tm_stock_traces *domains, struct tm_damage *damage)
{
    struct tm_stock_table table;
    if (stock->place.domains == 0)
        return NULL;
    if (!tm_stock_table_read(stock->target, TM_STOCK_SHAPE_3_9, stock->place.domains, &table)) {
        damage->unreadable_records++;
        return NULL;
    }
    return tm_stock_walk(heap, host, &table, TM_STOCK_KEYS_DOMAINS, 0, is_busy(stock), domains, damage);
}

// Reads the table of a domain, which must be like that of the core's.
static bool read_domain(const struct stock *stock, const struct tm_stock_trace *domain, struct tm_stock_table *table)
{
    const struct tm_stock_table *traces = &stock->place.traces;
    return tm_stock_table_read(stock->target, TM_STOCK_SHAPE_3_9, domain->size, table) && table->hash == traces->hash &&
           table->compare == traces->compare && table->value_destroy == traces->value_destroy;
}

static struct tm_error *read_tables(struct stock *stock, struct tm_heap_cache *heap, const struct tm_host *host)
{
    struct tm_stock_traces domains = {NULL, 0, 0};
    struct tm_error *error = tm_stock_walk(heap, host, &stock->place.traces, TM_STOCK_KEYS_BLOCKS, 0, is_busy(stock),
                                           &stock->traces, &stock->damage);
    if (!error)
        error = read_domains(stock, heap, host, &domains, &stock->damage);
    for (size_t i = 0; i < domains.count && !error; i++) {
        struct tm_stock_table table;
        if (read_domain(stock, &domains.items[i], &table))
            error = tm_stock_walk(heap, host, &table, TM_STOCK_KEYS_BLOCKS, (uint32_t)domains.items[i].address,
                                  is_busy(stock), &stock->traces, &stock->damage);
        else
            stock->damage.corrupt_records++;
    }
    free(domains.items);
    return error;
}

static int compare_groups(const void *left, const void *right)
{
    const struct group *a = left, *b = right;
    int order = tm_compare_numbers(a->traceback, b->traceback);
    return order ? order : tm_compare_numbers(a->domain, b->domain);
}

// Finds or makes a trace's group. The item of the set is the group's number, plus 1; the hash mixes both parts of the
// key.
static struct tm_error *find_group(struct stock *stock, struct tm_set *set, size_t *capacity,
                                   struct tm_stock_trace *trace)
{
    if (!tm_set_reserve(set))
        return tm_error_no_memory();
    uint64_t hash = tm_hash_number(trace->traceback ^ (uint64_t)trace->domain << 48 ^ trace->domain);
    struct tm_set_entry *entry = tm_set_first(set, hash);
    for (; entry->item; entry = tm_set_next(set, entry)) {
        const struct group *group = &stock->groups[(uintptr_t)entry->item - 1];
        if (entry->hash == hash && group->traceback == trace->traceback && group->domain == trace->domain)
            break;
    }
    if (!entry->item) {
        if (!TM_GROW(&stock->groups, stock->group_count + 1, capacity))
            return tm_error_no_memory();
        stock->groups[stock->group_count] = (struct group){
            .traceback = trace->traceback, .domain = trace->domain, .number = (uint32_t)stock->group_count};
        tm_set_put(set, entry, hash, (void *)(uintptr_t)++stock->group_count);
    }
    trace->group = (uint32_t)((uintptr_t)entry->item - 1);
    return NULL;
}

static struct tm_error *make_groups(struct stock *stock, const struct tm_host *host)
{
    struct tm_set set = {NULL, 0, 0};
    size_t capacity = 0;
    struct tm_error *error = NULL;
    for (size_t i = 0; i < stock->traces.count && !error; i++) {
        struct tm_stock_trace *trace = &stock->traces.items[i];
        if (i % BETWEEN_CHECKS == 0)
            error = tm_host_check(host);
        if (!error)
            error = find_group(stock, &set, &capacity, trace);
        if (error)
            break;
        struct group *group = &stock->groups[trace->group];
        group->size = tm_add_saturating(group->size, trace->size);
        group->count++;
    }
    tm_set_deinit(&set);
    return error;
}

// Sorts by the addresses of the tracebacks, so that each part of the heap is read once for them.
static struct tm_error *sort_groups(struct stock *stock)
{
    if (stock->group_count == 0)
        return NULL;
    stock->group_of = calloc(stock->group_count, sizeof(*stock->group_of));
    if (!stock->group_of)
        return tm_error_no_memory();
    qsort(stock->groups, stock->group_count, sizeof(*stock->groups), compare_groups);
    for (size_t i = 0; i < stock->group_count; i++)
        stock->group_of[stock->groups[i].number] = (uint32_t)i;
    return NULL;
}

static struct tm_error *load(struct stock *stock, struct tm_heap_cache *heap, const struct tm_host *host)
{
    if (stock->loaded)
        return NULL;
    struct tm_error *error = read_tables(stock, heap, host);
    if (!error)
        error = make_groups(stock, host);
    if (!error)
        error = sort_groups(stock);
    if (error)
        forget_traces(stock);
    stock->loaded = !error;
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Tracebacks

// What a question needs, from its start to its end.
struct reading {
    struct stock *stock;
    struct tm_heap_cache *heap;
    struct tm_stock_tracebacks tracebacks;
};

static struct tm_error *reading_init(struct reading *reading, struct stock *stock, const struct tm_host *host,
                                     struct tm_pool *pool)
{
    *reading = (struct reading){.stock = stock};
    struct tm_error *error = tm_heap_cache_create(stock->target, host, &reading->heap);
    if (!error)
        error = tm_stock_tracebacks_init(&reading->tracebacks, reading->heap, stock->place.layout, pool,
                                         stock->place.unknown_name);
    return error;
}

static void reading_deinit(struct reading *reading)
{
    tm_stock_tracebacks_deinit(&reading->tracebacks);
    tm_heap_cache_destroy(reading->heap);
}

// The traceback at an address; or NULL, and `records` are added to the damage.
static struct tm_error *get_traceback(struct reading *reading, uint64_t address, uint64_t records,
                                      struct tm_damage *damage, const struct tm_traceback **result)
{
    const struct tm_stock_traceback *traceback;
    *result = NULL;
    struct tm_error *error = tm_stock_traceback_get(&reading->tracebacks, address, &traceback);
    if (error)
        return error;
    *result = traceback->traceback;
    if (!traceback->traceback) {
        *(traceback->unreadable ? &damage->unreadable_records : &damage->corrupt_records) += records;
        if (damage->first_address == 0)
            damage->first_address = address;
    }
    return NULL;
}

// What the tracebacks show of the limit: one that was cut has as many frames as the limit allows.
struct seen {
    uint32_t longest;
    uint32_t limit; // 0: none was cut
};

static void look_at_length(struct seen *seen, const struct tm_traceback *traceback)
{
    if (traceback->count > seen->longest)
        seen->longest = traceback->count;
    if (traceback->total_frames > traceback->count)
        seen->limit = traceback->count;
}

// Where the limit is not known: the lowest that would have left all tracebacks as they are.
static uint32_t frame_limit(const struct stock *stock, const struct seen *seen)
{
    if (stock->place.has_config)
        return stock->place.frame_limit;
    return seen->limit ? seen->limit : seen->longest;
}

// ---------------------------------------------------------------------------------------------------------------
// Snapshots

static struct tm_error *collect_groups(struct reading *reading, struct tm_snapshot *result, struct seen *seen)
{
    struct stock *stock = reading->stock;
    struct tm_error *error = NULL;
    result->damage = stock->damage;
    for (size_t i = 0; i < stock->group_count && !error; i++) {
        const struct group *group = &stock->groups[i];
        struct tm_group found = {.domain = group->domain, .size = group->size, .count = group->count};
        error = get_traceback(reading, group->traceback, group->count, &result->damage, &found.traceback);
        if (error || !found.traceback)
            continue;
        look_at_length(seen, found.traceback);
        error = tm_snapshot_add(result, &found);
    }
    result->frame_limit = frame_limit(stock, seen);
    tm_damage_explain(&result->damage, stock->target);
    return error;
}

static struct tm_error *stock_snapshot(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                       bool ever, struct tm_snapshot *result)
{
    (void)ever; // only live blocks are counted
    struct reading reading;
    struct seen seen = {0, 0};
    struct tm_error *error = reading_init(&reading, stock_of(source), host, pool);
    if (!error)
        error = load(reading.stock, reading.heap, host);
    if (!error)
        error = collect_groups(&reading, result, &seen);
    reading_deinit(&reading);
    return error;
}

// Sorts by address, which only some questions need.
static struct tm_error *sort_traces(struct stock *stock)
{
    struct tm_error *error = stock->sorted ? NULL : tm_stock_sort(&stock->traces);
    stock->sorted = !error;
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Facts

static struct tm_error *count_domains(const struct stock *stock, uint64_t *count)
{
    struct tm_set domains = {NULL, 0, 0};
    for (size_t i = 0; i < stock->group_count; i++) {
        if (!tm_set_add_number(&domains, stock->groups[i].domain)) {
            tm_set_deinit(&domains);
            return tm_error_no_memory();
        }
    }
    *count = domains.count;
    tm_set_deinit(&domains);
    return NULL;
}

static void fill_place(const struct tm_stock_place *place, struct tm_info *result)
{
    result->source = "stock";
    result->found_by = place->found_by;
    result->table_address = place->traces.address;
    memcpy(result->python_version, place->version_text, sizeof(result->python_version));
    result->free_threaded = place->layout->free_threaded;
    result->state = state_of(place);
    result->has_peak = place->has_memory;
    result->peak = place->peak;
    result->has_lock = true;
    result->lock = place->lock;
}

static struct tm_error *fill_traces(struct reading *reading, struct tm_info *result)
{
    const struct stock *stock = reading->stock;
    struct tm_snapshot snapshot = {.count = 0};
    struct seen seen = {0, 0};
    struct tm_error *error = collect_groups(reading, &snapshot, &seen);
    for (size_t i = 0; i < stock->group_count; i++)
        result->traced = tm_add_saturating(result->traced, stock->groups[i].size);
    if (stock->place.has_memory)
        result->traced = stock->place.traced;
    result->blocks = stock->traces.count;
    result->sites_live = snapshot.count;
    result->has_frame_limit = stock->place.has_config || seen.limit;
    result->frame_limit = snapshot.frame_limit;
    result->damage = snapshot.damage;
    tm_snapshot_deinit(&snapshot);
    // The sum of the traces is the traced memory only while no thread changes them.
    if (!error && !result->has_peak && stock->place.lock == TM_LOCK_FREE && !tm_damage_any(&result->damage))
        result->has_peak = tm_stock_find_peak(stock->target, stock->place.variable, result->traced, &result->peak);
    return error ? error : count_domains(stock, &result->domains);
}

// Reads the tracebacks too: those that cannot be read are part of what is missing.
static struct tm_error *stock_info(struct tm_source *source, const struct tm_host *host, struct tm_info *result)
{
    struct stock *stock = stock_of(source);
    struct reading reading;
    struct tm_pool *pool;
    struct tm_error *error = tm_pool_create(&pool);
    if (error)
        return error;
    fill_place(&stock->place, result);
    error = reading_init(&reading, stock, host, pool);
    if (!error)
        error = load(stock, reading.heap, host);
    if (!error)
        error = fill_traces(&reading, result);
    reading_deinit(&reading);
    tm_pool_destroy(pool);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Finding blocks

static bool covers(const struct tm_stock_trace *trace, uint64_t address)
{
    return address == trace->address || (address > trace->address && address - trace->address < trace->size);
}

// Finds the nearest block that starts at the address or a little before it, by looking its start up.
static bool look_up_near(const struct stock *stock, uint64_t address, struct tm_stock_trace *found)
{
    uint64_t start = address & ~(uint64_t)(BLOCK_ALIGNMENT - 1);
    for (unsigned i = 0; i < NEAR_STARTS && start >= BLOCK_ALIGNMENT; i++, start -= BLOCK_ALIGNMENT) {
        if (tm_stock_lookup(stock->target, &stock->place.traces, start, 0, found))
            return covers(found, address);
    }
    return false;
}

struct finder {
    struct reading reading;
    const struct tm_host *host;
    uint64_t address;
    struct tm_stock_trace *found; // the nearest of each domain
    size_t capacity;
    size_t count;
};

static void add_found(struct finder *finder, const struct tm_stock_trace *trace)
{
    size_t at = 0;
    while (at < finder->count && finder->found[at].domain != trace->domain)
        at++;
    if (at == finder->capacity)
        return;
    if (at == finder->count)
        finder->count++;
    finder->found[at] = *trace;
}

// Finds the same number in the other domains.
static struct tm_error *look_up_domains(struct finder *finder, struct tm_damage *damage)
{
    const struct stock *stock = finder->reading.stock;
    struct tm_stock_traces domains = {NULL, 0, 0};
    struct tm_error *error = read_domains(stock, finder->reading.heap, finder->host, &domains, damage);
    for (size_t i = 0; i < domains.count && !error; i++) {
        struct tm_stock_table table;
        struct tm_stock_trace trace;
        if (read_domain(stock, &domains.items[i], &table) &&
            tm_stock_lookup(stock->target, &table, finder->address, (uint32_t)domains.items[i].address, &trace))
            add_found(finder, &trace);
    }
    free(domains.items);
    return error;
}

static struct tm_error *look_at_all(struct finder *finder, struct tm_damage *damage)
{
    struct stock *stock = finder->reading.stock;
    struct tm_error *error = load(stock, finder->reading.heap, finder->host);
    if (!error)
        error = sort_traces(stock);
    *damage = stock->damage;
    for (size_t i = 0; i < stock->traces.count && !error; i++) {
        if (i % BETWEEN_CHECKS == 0)
            error = tm_host_check(finder->host);
        if (covers(&stock->traces.items[i], finder->address))
            add_found(finder, &stock->traces.items[i]);
    }
    return error;
}

static struct tm_error *find_traces(struct finder *finder, struct tm_damage *damage)
{
    const struct stock *stock = finder->reading.stock;
    struct tm_stock_trace trace;
    // 3.8 has one table for several domains: an address cannot be looked up there for all of them.
    bool one_by_one = !is_busy(stock) && stock->place.traces.key_size != 12;
    if (!one_by_one || !look_up_near(stock, finder->address, &trace))
        return look_at_all(finder, damage);
    add_found(finder, &trace);
    return look_up_domains(finder, damage);
}

static struct tm_error *resolve_found(struct finder *finder, struct tm_block *blocks, size_t *count,
                                      struct tm_damage *damage)
{
    for (size_t i = 0; i < finder->count; i++) {
        const struct tm_stock_trace *trace = &finder->found[i];
        struct tm_block block = {.address = trace->address, .size = trace->size, .domain = trace->domain};
        struct tm_error *error = get_traceback(&finder->reading, trace->traceback, 1, damage, &block.traceback);
        if (error)
            return error;
        if (block.traceback)
            blocks[(*count)++] = block;
    }
    return NULL;
}

static struct tm_error *stock_find(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                   uint64_t address, struct tm_block *blocks, size_t capacity, size_t *count,
                                   struct tm_damage *damage)
{
    struct finder finder = {.host = host, .address = address, .capacity = capacity};
    struct tm_error *error = reading_init(&finder.reading, stock_of(source), host, pool);
    finder.found = calloc(capacity + 1, sizeof(*finder.found));
    if (!error && !finder.found)
        error = tm_error_no_memory();
    if (!error)
        error = find_traces(&finder, damage);
    if (!error)
        error = resolve_found(&finder, blocks, count, damage);
    tm_damage_explain(damage, finder.reading.stock->target);
    free(finder.found);
    reading_deinit(&finder.reading);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// All blocks

static struct tm_error *make_origins(struct reading *reading, struct tm_origin *origins, struct tm_traces *result)
{
    const struct stock *stock = reading->stock;
    struct tm_error *error = NULL;
    struct seen seen = {0, 0};
    result->damage = stock->damage;
    for (size_t i = 0; i < stock->group_count && !error; i++) {
        const struct group *group = &stock->groups[i];
        origins[i] = (struct tm_origin){.domain = group->domain};
        error = get_traceback(reading, group->traceback, group->count, &result->damage, &origins[i].traceback);
        if (!error && origins[i].traceback)
            look_at_length(&seen, origins[i].traceback);
    }
    result->frame_limit = frame_limit(stock, &seen);
    tm_damage_explain(&result->damage, stock->target);
    result->python_version = stock->place.python_version;
    return error;
}

static struct tm_error *visit_trace(const struct tm_stock_trace *item, struct tm_origin *origin, tm_trace_visitor visit,
                                    void *context)
{
    const struct tm_trace trace = {.address = item->address, .size = item->size, .origin = origin};
    return origin->traceback ? visit(context, &trace) : NULL;
}

static struct tm_error *visit_traces(const struct stock *stock, const struct tm_host *host, struct tm_origin *origins,
                                     tm_trace_visitor visit, void *context)
{
    struct tm_error *error = NULL;
    for (size_t i = 0; i < stock->traces.count && !error; i++) {
        const struct tm_stock_trace *item = &stock->traces.items[i];
        if (i % BETWEEN_CHECKS == 0)
            error = tm_host_check(host);
        if (!error)
            error = visit_trace(item, &origins[stock->group_of[item->group]], visit, context);
    }
    return error;
}

static struct tm_error *stock_traces(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                     tm_trace_visitor visit, void *context, struct tm_traces *result)
{
    struct reading reading;
    struct tm_origin *origins = NULL;
    struct tm_error *error = reading_init(&reading, stock_of(source), host, pool);
    if (!error)
        error = load(reading.stock, reading.heap, host);
    if (!error) {
        origins = calloc(reading.stock->group_count + 1, sizeof(*origins));
        error = origins ? make_origins(&reading, origins, result) : tm_error_no_memory();
    }
    if (!error)
        error = sort_traces(reading.stock);
    if (!error)
        error = visit_traces(reading.stock, host, origins, visit, context);
    free(origins);
    reading_deinit(&reading);
    return error;
}

static const struct tm_source_ops stock_ops = {
    .destroy = stock_destroy,
    .require_tracing = stock_require_tracing,
    .info = stock_info,
    .snapshot = stock_snapshot,
    .find = stock_find,
    .traces = stock_traces,
    .started = stock_started,
    .python = stock_python,
};
