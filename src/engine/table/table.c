/**
 * The table source: a table's root, sites and blocks in tracemalloc's meaning.
 *
 * Knows what records mean together; how each is found and read is told to array.h, shadow.h, tracked.h and tracebacks.h.
 */
#include "engine/table/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/advice.h"
#include "engine/base/arena.h"
#include "engine/base/number.h"
#include "engine/base/set.h"
#include "engine/table/blocks.h"
#include "engine/table/shadow.h"
#include "engine/table/tracebacks.h"
#include "engine/table/tracked.h"
#include "engine/target/target.h"
#include "layout/hash.h"

// Ids are numbers of 32 bits; positions in `bytes` could be larger, but a TiB of names is none.
#define ID_LIMIT (UINT64_C(1) << 32)
#define BYTES_LIMIT (UINT64_C(1) << 40)
// No program has so many live blocks or bytes: counters beyond are damaged, or were read between two stores.
#define COUNTER_LIMIT (UINT64_C(1) << 60)
// A block is at most as large as all blocks together; while it is being counted it may still be larger by itself.
#define LARGEST_AT_LEAST (UINT64_C(1) << 30)
#define SITES_BETWEEN_CHECKS 4096u

static struct tm_table *table_of(struct tm_source *source)
{
    return (struct tm_table *)source;
}

static const struct tm_table *table_of_const(const struct tm_source *source)
{
    return (const struct tm_table *)source;
}

// ---------------------------------------------------------------------------------------------------------------
// Opening

#define INIT_RECORDS(table, name, limit)                                        \
    tm_records_init(&(table)->name, (table)->target, &(table)->place.root.name, \
                    (table)->place.address + offsetof(struct tm_root, name), (limit))

static void init_records(struct tm_table *table)
{
    INIT_RECORDS(table, bytes, BYTES_LIMIT);
    INIT_RECORDS(table, strings, ID_LIMIT);
    INIT_RECORDS(table, codes, ID_LIMIT);
    INIT_RECORDS(table, nodes, ID_LIMIT);
    INIT_RECORDS(table, sites, TM_SITE_LIMIT);
    INIT_RECORDS(table, tracked, ID_LIMIT);
}

struct extent {
    uint64_t start;
    uint64_t end;
};

static int compare_extents(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct extent *)a)->start, ((const struct extent *)b)->start);
}

// The writer never puts two chunks into the same memory: where they overlap at least one address is wrong, and what
// stands there would be counted twice.
static struct tm_error *check_overlaps(const struct tm_table *table)
{
    const struct tm_records *arrays[] = {&table->bytes, &table->strings, &table->codes,
                                         &table->nodes, &table->sites,   &table->tracked};
    struct extent extents[6 * TM_ARRAY_CHUNKS];
    size_t count = 0;
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        for (unsigned chunk = 0; chunk < TM_ARRAY_CHUNKS; chunk++) {
            uint64_t address, length;
            if (tm_records_extent(arrays[i], chunk, &address, &length))
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
    struct tm_table *table = table_of(source);
    tm_records_deinit(&table->bytes);
    tm_records_deinit(&table->strings);
    tm_records_deinit(&table->codes);
    tm_records_deinit(&table->nodes);
    tm_records_deinit(&table->sites);
    tm_records_deinit(&table->tracked);
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
    struct tm_error *error = tm_root_find(target, host, &table->place);
    if (!error) {
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

static struct tm_error *table_require_tracing(const struct tm_source *source)
{
    switch (table_of_const(source)->place.root.state) {
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

static uint64_t table_started(const struct tm_source *source)
{
    return table_of_const(source)->place.root.started;
}

// ---------------------------------------------------------------------------------------------------------------
// Sites

// Whether a site has its hash: what it counts is another question.
static bool is_as_written(uint64_t id, const struct tm_site *site)
{
    return site->hash == tm_site_hash(id, site);
}

// TORN: bytes without a block, as in the midst of an update; or damage.
enum liveness { DEAD, LIVE, TORN, IMPLAUSIBLE };

static enum liveness liveness_of(uint64_t id, const struct tm_site *site, uint64_t *count, uint64_t *size)
{
    *count = site->allocations - site->frees;
    *size = site->allocated - site->freed;
    if (!is_as_written(id, site))
        return IMPLAUSIBLE;
    if (*count == 0 && *size == 0)
        return DEAD;
    if (*count > COUNTER_LIMIT || *size > COUNTER_LIMIT)
        return IMPLAUSIBLE;
    return *count == 0 ? TORN : LIVE;
}

// An update in flight is counted by its site and not by the whole. What is torn beyond that is damaged.
struct flight {
    uint64_t bytes;      // of all sites
    uint64_t torn_bytes; // of the torn ones among them
    uint64_t torn;
    uint64_t torn_address; // of the first
};

static void note_site(struct flight *flight, enum liveness liveness, uint64_t size, uint64_t address)
{
    if (liveness == LIVE || liveness == TORN)
        flight->bytes += size;
    if (liveness != TORN)
        return;
    flight->torn_bytes += size;
    if (flight->torn++ == 0)
        flight->torn_address = address;
}

// Bytes in live blocks, as the whole counts them. Less than nothing, (int64_t) < 0: where stop() and start() met threads
// without the lock, it may be off for good.
static uint64_t traced_memory(const struct tm_root *root)
{
    return root->owned.traced + root->shared.traced;
}

// Once all sites are noted: how many bytes are in flight; and what is no update is damage.
static uint64_t end_flight(const struct tm_table *table, const struct flight *flight, struct tm_damage *damage)
{
    const struct tm_root *root = &table->place.root;
    uint64_t traced = traced_memory(root), bytes = flight->bytes - traced;
    // While traces are cleared, or where sites are missing, the two tell nothing about each other.
    if (root->state != TM_STATE_TRACING || damage->unreadable_records || damage->corrupt_records)
        return 0;
    // The whole never counts more than the sites do.
    bool possible = bytes <= COUNTER_LIMIT || (int64_t)traced < 0;
    if (!possible || (flight->torn && bytes < flight->torn_bytes)) {
        struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = table->place.address};
        if (flight->torn)
            flaw.address = flight->torn_address;
        tm_damage_add(damage, &flaw, flight->torn ? flight->torn : 1);
    }
    return possible ? bytes : 0;
}

// A loop over all sites that can be read: `id` and `site` are set in its body. What cannot be read is in the damage of
// the loaded array already.
struct site_cursor {
    const struct tm_records *sites;
    const struct tm_host *host;
    uint64_t id;
    struct tm_site site;
    struct tm_error *error; // of the host; ends the loop
};

static bool next_site(struct site_cursor *cursor)
{
    for (;;) {
        struct tm_flaw ignored = {.kind = TM_FLAW_NONE};
        cursor->id = tm_records_skip(cursor->sites, cursor->id + 1);
        if (cursor->id >= cursor->sites->count)
            return false;
        if (cursor->id % SITES_BETWEEN_CHECKS == 0) {
            cursor->error = tm_host_check(cursor->host);
            if (cursor->error)
                return false;
        }
        if (tm_records_get(cursor->sites, cursor->id, &cursor->site, sizeof(cursor->site), &ignored))
            return true;
    }
}

static bool get_site_record(const struct tm_records *sites, uint64_t id, struct tm_site *site, struct tm_flaw *flaw)
{
    return tm_records_get(sites, id, site, sizeof(*site), flaw) &&
           (is_as_written(id, site) || tm_flaw_corrupt(flaw, tm_records_address(sites, id)));
}

// ---------------------------------------------------------------------------------------------------------------
// Facts

// What came from the target, as far as it is printable ASCII; a version is nothing else.
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
    info->tracer.pid = root->pid;
    info->state = tracing_of(root);
    info->has_frame_limit = true;
    info->frame_limit = root->frame_limit;
    info->tracer.started = root->started;
    info->tracer.cleared = root->cleared;
    info->traced = traced_memory(root);
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

static void info_of_arrays(const struct tm_table *table, struct tm_info *info)
{
    const struct tm_records *arrays[] = {&table->bytes, &table->strings, &table->codes,
                                         &table->nodes, &table->sites,   &table->tracked};
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        uint64_t used = arrays[i]->count * arrays[i]->array.record_size; // below 2^52
        info->tracer.table_bytes = tm_add_saturating(info->tracer.table_bytes, used);
        if (arrays[i] != &table->sites) // whose damage is there, and has this in it
            tm_damage_merge(&info->damage, &arrays[i]->claimed);
    }
    info->tracer.strings = table->strings.count - 1;
    info->tracer.codes = table->codes.count - 1;
    info->tracer.nodes = table->nodes.count - 1;
}

static struct tm_error *info_of_sites(struct tm_table *table, const struct tm_host *host, struct tm_info *info)
{
    struct tm_set domains = {NULL, 0, 0};
    struct site_cursor cursor = {.sites = &table->sites, .host = host};
    struct flight flight = {0};
    while (!cursor.error && next_site(&cursor)) {
        const struct tm_site *site = &cursor.site;
        uint64_t count, size, address = tm_records_address(&table->sites, cursor.id);
        enum liveness liveness = liveness_of(cursor.id, site, &count, &size);
        note_site(&flight, liveness, size, address);
        if (liveness == IMPLAUSIBLE) {
            struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = address};
            tm_damage_add(&info->damage, &flaw, 1);
            continue;
        }
        info->tracer.sites += site->allocations != 0;
        info->tracer.allocations = tm_add_saturating(info->tracer.allocations, site->allocations);
        info->tracer.allocated = tm_add_saturating(info->tracer.allocated, site->allocated);
        if (liveness != LIVE)
            continue;
        info->sites_live++;
        info->blocks = tm_add_saturating(info->blocks, count);
        if (site->flags & TM_SITE_SHORTENED)
            info->tracer.shortened = tm_add_saturating(info->tracer.shortened, count);
        if (!tm_set_add_number(&domains, site->domain))
            cursor.error = tm_error_no_memory();
    }
    info->domains = domains.count;
    info->tracer.in_flight = end_flight(table, &flight, &info->damage);
    tm_set_deinit(&domains);
    return cursor.error;
}

static struct tm_error *table_info(struct tm_source *source, const struct tm_host *host, struct tm_info *result)
{
    struct tm_table *table = table_of(source);
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

// ---------------------------------------------------------------------------------------------------------------
// Tracebacks

static struct tm_error *init_tracebacks(const struct tm_table *table, struct tm_pool *pool, const struct tm_host *host,
                                        struct tm_tracebacks *tracebacks)
{
    const struct tm_traceback_records records = {&table->bytes, &table->strings, &table->codes, &table->nodes};
    return tm_tracebacks_init(tracebacks, &records, pool, host);
}

// ---------------------------------------------------------------------------------------------------------------
// Snapshots

// The group of one site, if it has live blocks; what is wrong with it is a flaw.
static struct tm_error *make_group(struct tm_tracebacks *tracebacks, const struct site_cursor *cursor,
                                   struct flight *flight, struct tm_group *group, struct tm_flaw *flaw)
{
    const struct tm_site *site = &cursor->site;
    uint64_t address = tm_records_address(cursor->sites, cursor->id);
    *group = (struct tm_group){.domain = site->domain};
    enum liveness liveness = liveness_of(cursor->id, site, &group->count, &group->size);
    note_site(flight, liveness, group->size, address);
    switch (liveness) {
    case LIVE:
        return tm_tracebacks_get(tracebacks, site->node, site->total_frames, &group->traceback, flaw);
    case IMPLAUSIBLE:
        tm_flaw_corrupt(flaw, address);
        return NULL;
    default:
        return NULL;
    }
}

static struct tm_error *collect_groups(struct tm_table *table, const struct tm_host *host,
                                       struct tm_tracebacks *tracebacks, struct tm_snapshot *snapshot)
{
    struct site_cursor cursor = {.sites = &table->sites, .host = host};
    struct flight flight = {0};
    while (!cursor.error && next_site(&cursor)) {
        struct tm_group group;
        struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
        cursor.error = make_group(tracebacks, &cursor, &flight, &group, &flaw);
        tm_damage_add(&snapshot->damage, &flaw, 1);
        if (!cursor.error && group.traceback)
            cursor.error = tm_snapshot_add(snapshot, &group);
    }
    snapshot->in_flight = end_flight(table, &flight, &snapshot->damage);
    return cursor.error;
}

static struct tm_error *load_all(struct tm_table *table, const struct tm_host *host)
{
    struct tm_error *error = tm_records_load(&table->sites, host, "reading allocation sites");
    if (!error)
        error = tm_records_load(&table->nodes, host, "reading tracebacks");
    if (!error)
        error = tm_records_load(&table->codes, host, "reading code objects");
    if (!error)
        error = tm_records_load(&table->strings, host, "reading names");
    if (!error)
        error = tm_records_load(&table->bytes, host, "reading names");
    return error;
}

struct tm_error *tm_table_load(struct tm_source *source, const struct tm_host *host, const struct tm_table **result)
{
    struct tm_table *table = table_of(source);
    struct tm_error *error = load_all(table, host);
    if (!error)
        error = tm_records_load(&table->tracked, host, "reading tracked blocks");
    *result = table;
    return error;
}

static struct tm_error *table_snapshot(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                       struct tm_snapshot *result)
{
    struct tm_table *table = table_of(source);
    struct tm_tracebacks tracebacks;
    struct tm_error *error = load_all(table, host);
    if (error)
        return error;
    result->frame_limit = table->place.root.frame_limit;
    // Of the other arrays only what a site needed is missing in the answer, and is counted with the site.
    result->damage = table->sites.damage;
    error = init_tracebacks(table, pool, host, &tracebacks);
    if (!error)
        error = collect_groups(table, host, &tracebacks, result);
    tm_damage_explain(&result->damage, table->target);
    tm_tracebacks_deinit(&tracebacks);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Finding blocks

struct finder {
    struct tm_table *table;
    const struct tm_host *host;
    struct tm_tracebacks tracebacks;
    uint64_t address;
    struct tm_block *blocks;
    size_t capacity;
    size_t count;
    struct tm_damage *damage;
};

// A block as slots or a record tell it, with the traceback of its site. Left out, with a flaw, if that cannot be told.
static struct tm_error *add_block(struct finder *finder, const struct tm_recorded_block *found)
{
    const struct tm_records *sites = &finder->table->sites;
    struct tm_block block = {
        .address = found->address, .size = found->size, .domain = found->domain, .resizing = found->resizing};
    struct tm_site site;
    struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
    struct tm_error *error = NULL;
    bool good = get_site_record(sites, found->site, &site, &flaw);
    if (good && site.domain != found->domain)
        good = tm_flaw_corrupt(&flaw, tm_records_address(sites, found->site));
    if (good)
        error = tm_tracebacks_get(&finder->tracebacks, site.node, site.total_frames, &block.traceback, &flaw);
    tm_damage_add(finder->damage, &flaw, 1);
    if (!error && block.traceback && finder->count < finder->capacity)
        finder->blocks[finder->count++] = block;
    return error;
}

static uint64_t largest_block(const struct tm_root *root)
{
    const uint64_t sizes[] = {traced_memory(root), root->owned.peak, root->shared.peak};
    uint64_t largest = LARGEST_AT_LEAST;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        largest = sizes[i] > largest ? sizes[i] : largest;
    return largest;
}

// The block inside realloc() which holds the address, as it was before. Its size may be anything: it is compared only.
static const struct tm_resize *find_resize(const struct tm_root *root, uint64_t address)
{
    for (size_t i = 0; i < TM_RESIZES; i++) {
        const struct tm_resize *resize = &root->resize[i];
        struct tm_recorded_block block = tm_resize_block(resize);
        if (resize->state == TM_RESIZE_BUSY && tm_recorded_block_contains(&block, address))
            return resize;
    }
    return NULL;
}

static struct tm_error *find_tracked(struct finder *finder, bool thorough, bool *has_core_domain)
{
    struct tm_table *table = finder->table;
    struct tm_tracked_blocks tracked = {.capacity = finder->capacity};
    if (finder->capacity == 0)
        return NULL;
    tracked.blocks = calloc(tracked.capacity, sizeof(*tracked.blocks));
    if (!tracked.blocks)
        return tm_error_no_memory();
    tm_damage_merge(finder->damage, &table->tracked.claimed);
    struct tm_error *error =
        tm_tracked_find(table->target, finder->host, &table->tracked, table->place.root.tracked_index, finder->address,
                        thorough, &tracked, finder->damage);
    for (size_t i = 0; i < tracked.count && !error; i++) {
        // One block of the core's domain at an address: what the shadow map found there counts.
        if (tracked.blocks[i].domain == 0 && *has_core_domain)
            continue;
        *has_core_domain = *has_core_domain || tracked.blocks[i].domain == 0;
        error = add_block(finder, &tracked.blocks[i]);
    }
    free(tracked.blocks);
    return error;
}

static struct tm_error *find_all(struct finder *finder)
{
    struct tm_table *table = finder->table;
    const struct tm_root *root = &table->place.root;
    struct tm_shadow_answer answer;
    struct tm_error *error = tm_shadow_find(table->target, finder->host, root->directory, finder->address,
                                            largest_block(root), &answer, finder->damage);
    if (!error && answer.found)
        error = add_block(finder, &answer.block);
    bool has_core_domain = answer.found;
    const struct tm_resize *resize = has_core_domain ? NULL : find_resize(root, finder->address);
    if (!error)
        error = find_tracked(finder, !answer.found && !resize, &has_core_domain);
    if (!error && resize && !has_core_domain) {
        struct tm_recorded_block found = tm_resize_block(resize);
        error = add_block(finder, &found);
    }
    if (!error && answer.gave_up && finder->count == 0)
        error =
            tm_error_create(TM_ERROR_NOT_FOUND,
                            "0x%" PRIx64 ": no block begins in a long range before it, and the search was given up; "
                            "a block of so many bytes may hold it all the same\nGive the address where the block "
                            "begins.",
                            finder->address);
    return error;
}

static struct tm_error *table_find(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                   uint64_t address, struct tm_block *blocks, size_t capacity, size_t *count,
                                   struct tm_damage *damage)
{
    struct tm_table *table = table_of(source);
    struct finder finder = {
        .table = table, .host = host, .address = address, .blocks = blocks, .capacity = capacity, .damage = damage};
    struct tm_error *error = init_tracebacks(table, pool, host, &finder.tracebacks);
    if (!error)
        error = find_all(&finder);
    tm_damage_explain(damage, table->target);
    tm_tracebacks_deinit(&finder.tracebacks);
    if (!error)
        *count = finder.count;
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// All blocks

#define PAGE_ORIGINS 4096u

// What is known of a site: made when its first block is met.
struct known_site {
    struct tm_origin origin;
    struct tm_flaw flaw;      // NONE: the origin is good
    uint64_t found, bytes;    // its blocks which were met, but for those inside realloc()
    uint64_t resizing, moved; // of these: how many, and their bytes
};

struct visit {
    const struct tm_table *table;
    struct tm_tracebacks tracebacks;
    struct tm_arena arena;
    struct known_site **pages[TM_SITE_LIMIT / PAGE_ORIGINS]; // by site id
    tm_trace_visitor visitor;
    void *context;
    struct tm_trace trace; // being visited
    uint64_t found_bytes;  // of all blocks which were met, but for those inside realloc()
    struct tm_damage *damage;
};

static void visit_deinit(struct visit *visit)
{
    for (size_t i = 0; i < sizeof(visit->pages) / sizeof(visit->pages[0]); i++)
        free(visit->pages[i]);
    tm_arena_deinit(&visit->arena);
    tm_tracebacks_deinit(&visit->tracebacks);
    free(visit);
}

static struct tm_error *learn_site(struct visit *visit, const struct tm_site *site, struct known_site **slot)
{
    struct known_site *known = tm_arena_allocate(&visit->arena, sizeof(*known));
    if (!known)
        return tm_error_no_memory();
    *known = (struct known_site){.origin = {.domain = site->domain}};
    *slot = known;
    return tm_tracebacks_get(&visit->tracebacks, site->node, site->total_frames, &known->origin.traceback,
                             &known->flaw);
}

// What is known of a block's site, or NULL and a flaw.
static struct tm_error *get_site(struct visit *visit, uint32_t id, struct known_site **result, struct tm_flaw *flaw)
{
    *result = NULL;
    struct known_site **page = visit->pages[id / PAGE_ORIGINS];
    if (page && page[id % PAGE_ORIGINS]) {
        *result = page[id % PAGE_ORIGINS];
        return NULL;
    }
    struct tm_site site;
    if (!get_site_record(&visit->table->sites, id, &site, flaw))
        return NULL;
    if (!page) {
        page = calloc(PAGE_ORIGINS, sizeof(*page));
        if (!page)
            return tm_error_no_memory();
        visit->pages[id / PAGE_ORIGINS] = page;
    }
    struct tm_error *error = learn_site(visit, &site, &page[id % PAGE_ORIGINS]);
    *result = page[id % PAGE_ORIGINS];
    return error;
}

// The whole does not count a block inside realloc(), and its site may have ended to.
static void note_found(struct visit *visit, struct known_site *site, const struct tm_recorded_block *block)
{
    if (!block->resizing)
        visit->found_bytes = tm_add_saturating(visit->found_bytes, block->size);
    if (!site)
        return;
    uint64_t *count = block->resizing ? &site->resizing : &site->found;
    uint64_t *bytes = block->resizing ? &site->moved : &site->bytes;
    ++*count;
    *bytes = tm_add_saturating(*bytes, block->size);
}

static struct tm_error *visit_block(struct visit *visit, const struct tm_recorded_block *block)
{
    struct known_site *site = NULL;
    struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
    // Site ids of slots are below the limit; those of records may be anything.
    struct tm_error *error = NULL;
    if (block->site < TM_SITE_LIMIT)
        error = get_site(visit, block->site, &site, &flaw);
    else
        tm_flaw_corrupt(&flaw, visit->table->sites.array_address);
    if (error)
        return error;
    note_found(visit, site, block);
    if (site && site->flaw.kind != TM_FLAW_NONE) {
        flaw = site->flaw;
        site->flaw.bytes = 0; // memory which is missing is counted once
    } else if (site && site->origin.domain != block->domain) {
        tm_flaw_corrupt(&flaw, tm_records_address(&visit->table->sites, block->site));
    }
    if (flaw.kind != TM_FLAW_NONE) {
        tm_damage_add(visit->damage, &flaw, 1);
        return NULL;
    }
    visit->trace = (struct tm_trace){block->address, block->size, &site->origin, block->resizing};
    return visit->visitor(visit->context, &visit->trace);
}

static struct tm_error *visit_blocks(struct visit *visit, const struct tm_host *host)
{
    const struct tm_table *table = visit->table;
    struct tm_blocks blocks;
    struct tm_recorded_block block;
    bool found = true;
    struct tm_error *error =
        tm_blocks_init(&blocks, table->target, host, &table->place.root, &table->tracked, visit->damage);
    while (!error) {
        error = tm_blocks_next(&blocks, &found, &block);
        if (!error && !found)
            break;
        if (!error)
            error = visit_block(visit, &block);
    }
    tm_blocks_deinit(&blocks);
    return error;
}

// What sites count beyond the blocks which were met, and blocks which were met beyond what they count.
struct balance {
    uint64_t missing, missing_bytes;
    uint64_t extra;
};

static uint64_t beyond(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static const struct known_site *find_known(const struct visit *visit, uint64_t id)
{
    struct known_site *const *page = visit->pages[id / PAGE_ORIGINS];
    return page ? page[id % PAGE_ORIGINS] : NULL;
}

static void add_to_balance(struct balance *balance, const struct visit *visit, const struct site_cursor *cursor)
{
    static const struct known_site none;
    const struct tm_root *root = &visit->table->place.root;
    const struct known_site *known = find_known(visit, cursor->id);
    // An earlier stop() may have met threads without the lock, and each of them have left a block behind.
    bool may_have_more = cursor->site.flags & TM_SITE_SHARED && root->starts > 1;
    uint64_t count, bytes;
    if (liveness_of(cursor->id, &cursor->site, &count, &bytes) == IMPLAUSIBLE)
        return;
    known = known ? known : &none;
    balance->missing = tm_add_saturating(balance->missing, beyond(beyond(count, known->found), known->resizing));
    balance->missing_bytes =
        tm_add_saturating(balance->missing_bytes, beyond(beyond(bytes, known->bytes), known->moved));
    if (!may_have_more && (known->found > count || known->bytes > bytes))
        balance->extra = tm_add_saturating(balance->extra, known->found > count ? known->found - count : 1);
}

// A site counts a block before it is published and until it is gone, and the whole counts it afterwards and no longer: so no
// site has more blocks than it counts, and fewer only by what is in flight, which the whole does not count. What contradicts
// this is damage: slots or records have become zeros, which look like those of no block, or a block's slots tell another site
// or size than they did.
static struct tm_error *check_found(const struct visit *visit, const struct tm_host *host)
{
    const struct tm_root *root = &visit->table->place.root;
    uint64_t traced = traced_memory(root), counted = 0;
    bool said = visit->damage->unreadable_records || visit->damage->corrupt_records;
    if (said || root->state != TM_STATE_TRACING || (int64_t)traced < 0)
        return NULL;
    struct site_cursor cursor = {.sites = &visit->table->sites, .host = host};
    struct balance balance = {0};
    while (next_site(&cursor)) {
        counted = tm_add_saturating(counted, cursor.site.allocated - cursor.site.freed);
        add_to_balance(&balance, visit, &cursor);
    }
    struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = root->directory};
    bool vanished = visit->found_bytes < traced || balance.missing_bytes > counted - traced;
    if (vanished)
        tm_damage_add(visit->damage, &flaw, balance.missing ? balance.missing : 1);
    if (balance.extra)
        tm_damage_add(visit->damage, &flaw, balance.extra);
    return cursor.error;
}

static struct tm_error *table_traces(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                     tm_trace_visitor visitor, void *context, struct tm_traces *result)
{
    const struct tm_table *table;
    struct tm_error *error = tm_table_load(source, host, &table);
    if (error)
        return error;
    result->frame_limit = table->place.root.frame_limit;
    result->python_version = table->place.root.python_version;
    // Of the other arrays only what a block needed is missing in the answer, and is counted with the block.
    result->damage = table->tracked.damage;

    struct visit *visit = calloc(1, sizeof(*visit));
    if (!visit)
        return tm_error_no_memory();
    visit->table = table;
    visit->visitor = visitor;
    visit->context = context;
    visit->damage = &result->damage;
    error = init_tracebacks(table, pool, host, &visit->tracebacks);
    if (!error)
        error = visit_blocks(visit, host);
    if (!error)
        error = check_found(visit, host);
    tm_damage_explain(&result->damage, table->target);
    visit_deinit(visit);
    return error;
}

static const struct tm_source_ops table_ops = {
    .destroy = table_destroy,
    .require_tracing = table_require_tracing,
    .info = table_info,
    .snapshot = table_snapshot,
    .find = table_find,
    .traces = table_traces,
    .started = table_started,
};
