// Visiting all blocks, and comparing what was found with what the sites count.

#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/number.h"
#include "engine/table/answers.h"
#include "engine/table/blocks.h"
#include "engine/table/sites.h"
#include "engine/target/target.h"

#define PAGE_ORIGINS 4096u

// What is known of a site; made when its first block is met.
struct known_site {
    struct tm_origin origin;
    struct tm_flaw flaw;      // NONE: the origin is good
    uint64_t found, bytes;    // its blocks, except those inside realloc()
    uint64_t resizing, moved; // how many are inside realloc(), and their bytes
};

struct visit {
    struct tm_table *table;
    struct tm_tracebacks tracebacks;
    struct tm_arena arena;
    struct known_site **pages[TM_SITE_LIMIT / PAGE_ORIGINS]; // by site id
    tm_trace_visitor visitor;
    void *context;
    struct tm_trace trace; // being visited
    uint64_t found_bytes;  // of all blocks, except those inside realloc()
    struct tm_damage *damage;
};

static enum tm_giver giver_of(uint8_t allocator)
{
    return allocator == TM_ALLOCATOR_OBJECT ? TM_GIVER_OBJECT
           : allocator == TM_ALLOCATOR_MEM  ? TM_GIVER_MEM
           : allocator == TM_ALLOCATOR_RAW  ? TM_GIVER_RAW
                                            : TM_GIVER_UNKNOWN;
}

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
    *known = (struct known_site){.origin = {.domain = site->domain, .giver = giver_of(site->allocator)}};
    *slot = known;
    struct tm_error *error = tm_site_traceback(&visit->tracebacks, site, &known->origin.traceback, &known->flaw);
    if (known->origin.traceback)
        tm_damage_add_traceback(visit->damage, &known->flaw, known->origin.traceback);
    return error;
}

// What is known of a block's site, or NULL and a flaw.
static struct tm_error *get_site(struct visit *visit, uint32_t id, struct known_site **result, struct tm_flaw *flaw)
{
    *result = NULL;
    struct known_site **page = visit->pages[id / PAGE_ORIGINS];
    bool known = page && page[id % PAGE_ORIGINS];
    // Of a running process a site may have been forgotten since.
    if (known && visit->table->running) {
        struct tm_site now;
        known = tm_site_get(&visit->table->sites, id, &now, flaw);
        if (!known)
            return NULL;
    }
    if (known) {
        *result = page[id % PAGE_ORIGINS];
        return NULL;
    }
    struct tm_site site;
    if (!tm_site_get(&visit->table->sites, id, &site, flaw))
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

// The root does not count a block inside realloc(), and its site may no longer count it either.
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
    if (site && !site->origin.traceback) {
        flaw = site->flaw;
        site->flaw.bytes = 0; // missing memory is counted once
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
    struct tm_table *table = visit->table;
    struct tm_blocks blocks;
    struct tm_recorded_block block;
    bool found = true;
    struct tm_error *error = tm_blocks_init(&blocks, table, host, visit->damage);
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

// What sites count beyond the blocks found, and the blocks found beyond what they count.
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

static void add_to_balance(struct balance *balance, const struct visit *visit, const struct tm_site_cursor *cursor)
{
    static const struct known_site none;
    const struct tm_root *root = &visit->table->place.root;
    const struct known_site *known = find_known(visit, cursor->id);
    // An earlier stop() may have met threads without the lock, each of which may have left a block behind.
    bool may_have_more = cursor->site.flags & TM_SITE_SHARED && root->starts > 1;
    uint64_t count = cursor->count, bytes = cursor->size;
    if (cursor->liveness == TM_SITE_IMPLAUSIBLE)
        return;
    known = known ? known : &none;
    balance->missing = tm_add_saturating(balance->missing, beyond(beyond(count, known->found), known->resizing));
    balance->missing_bytes =
        tm_add_saturating(balance->missing_bytes, beyond(beyond(bytes, known->bytes), known->moved));
    if (!may_have_more && (known->found > count || known->bytes > bytes))
        balance->extra = tm_add_saturating(balance->extra, known->found > count ? known->found - count : 1);
}

// The root counts a block only while it is published. In the full profile its site counts it before that and until it is
// gone. So no site has more blocks than it counts, and fewer only by what is in flight, which the root does not count. Anything
// else is damage: slots or records have become zeros, which look like free ones, or a block's slots have another site
// or size than they had.
static struct tm_error *check_found(const struct visit *visit, const struct tm_host *host)
{
    const struct tm_root *root = &visit->table->place.root;
    uint64_t traced = tm_root_traced(root), counted = 0;
    bool said = visit->damage->unreadable_records || visit->damage->corrupt_records;
    if (tm_target_is_moving(visit->table->target) || said || root->state != TM_STATE_TRACING || (int64_t)traced < 0)
        return NULL;
    struct tm_site_cursor cursor = {.table = visit->table, .host = host};
    struct balance balance = {0};
    bool has_counters = !tm_table_is_lean(visit->table) && !visit->table->counters.damage.unreadable_records;
    while (has_counters && tm_site_next(&cursor)) {
        counted = tm_add_saturating(counted, cursor.size);
        add_to_balance(&balance, visit, &cursor);
    }
    struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = visit->table->place.address};
    bool vanished = visit->found_bytes < traced || (has_counters && balance.missing_bytes > counted - traced);
    if (vanished)
        tm_damage_add(visit->damage, &flaw, balance.missing ? balance.missing : 1);
    if (balance.extra)
        tm_damage_add(visit->damage, &flaw, balance.extra);
    return cursor.error;
}

struct tm_error *tm_table_traces(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                                 tm_trace_visitor visitor, void *context, struct tm_traces *result)
{
    const struct tm_table *table;
    struct tm_error *error = tm_table_load(source, host, &table);
    if (!error)
        error = tm_table_sample_period(table, &result->sample_period);
    if (error)
        return error;
    result->frame_limit = table->place.root.frame_limit;
    result->python_version = table->place.root.python_version;
    // What is missing from the other arrays matters only where a block needs it, and is counted with the block.
    result->damage = table->tracked.damage;
    tm_damage_merge(&result->damage, &table->place.damage);
    tm_damage_merge(&result->damage, &table->leaves.damage);
    tm_damage_merge(&result->damage, &table->map.damage);

    struct visit *visit = calloc(1, sizeof(*visit));
    if (!visit)
        return tm_error_no_memory();
    visit->table = tm_table_of(source);
    visit->visitor = visitor;
    visit->context = context;
    visit->damage = &result->damage;
    error = tm_table_tracebacks(table, pool, host, &visit->tracebacks);
    if (!error)
        error = visit_blocks(visit, host);
    if (!error)
        error = check_found(visit, host);
    tm_table_excuse(table, &result->damage);
    tm_damage_explain(&result->damage, table->target);
    visit_deinit(visit);
    return error;
}
