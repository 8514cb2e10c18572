// Two passes: over the traced blocks, which says what each domain and each pool has; and over the ranges of the map, in which
// every resident byte gets into exactly one amount.

#include "engine/account/account.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/grow.h"
#include "engine/base/number.h"
#include "engine/base/text.h"

enum { POOL_HEAD = 48, CHUNK_SIZE_WORD = 8, BETWEEN_CHECKS = 65536 };

/** Traced memory outside of pools: no two of these overlap. */
struct piece {
    uint64_t start, end;
};

struct ledger {
    struct tm_account *account;
    struct tm_survey *survey;
    struct piece *pieces; // ascending
    size_t count;
    size_t capacity;
    uint64_t covered;            // up to here traced memory is counted
    size_t range_cursor, cursor; // of the map and of the residency
    size_t next;                 // the first piece that is not counted yet
};

static struct tm_resident resident(struct ledger *ledger, uint64_t start, uint64_t end)
{
    return tm_residency_of(&ledger->survey->residency, &ledger->cursor, start, end);
}

static void add(struct ledger *ledger, enum tm_account_kind kind, struct tm_resident there, uint64_t count)
{
    struct tm_amount *amount = &ledger->account->amounts[kind];
    amount->size += there.size;
    amount->shared += there.shared;
    amount->count += count;
}

static struct tm_resident without(struct tm_resident whole, struct tm_resident part)
{
    return (struct tm_resident){
        whole.size > part.size ? whole.size - part.size : 0,
        whole.shared > part.shared ? whole.shared - part.shared : 0,
    };
}

static void sum(struct tm_resident *to, struct tm_resident more)
{
    to->size += more.size;
    to->shared += more.shared;
}

// ---------------------------------------------------------------------------------------------------------------
// Traced blocks

static struct tm_account_domain *domain_of(struct tm_account *account, uint32_t domain)
{
    for (size_t i = 0; i < account->domain_count; i++)
        if (account->domains[i].domain == domain)
            return &account->domains[i];
    if (account->domain_count == TM_ACCOUNT_DOMAINS) // the last one has all others
        return &account->domains[TM_ACCOUNT_DOMAINS - 1];
    struct tm_account_domain *added = &account->domains[account->domain_count++];
    *added = (struct tm_account_domain){.domain = domain};
    return added;
}

static void count_in_pool(struct ledger *ledger, struct tm_pool_use *pool, uint64_t size, struct tm_resident there)
{
    add(ledger, TM_ACCOUNT_TRACED_POOLS, there, 1);
    pool->traced++;
    pool->traced_size += (uint32_t)size;
    pool->traced_there += (uint32_t)there.size;
    pool->shared -= there.shared < pool->shared ? (uint32_t)there.shared : pool->shared;
}

static struct tm_error *add_piece(struct ledger *ledger, uint64_t start, uint64_t end)
{
    if (!TM_GROW(&ledger->pieces, ledger->count + 1, &ledger->capacity))
        return tm_error_no_memory();
    ledger->pieces[ledger->count++] = (struct piece){start, end};
    return NULL;
}

// What a block has of a range, and has alone.
static struct tm_error *count_part(struct ledger *ledger, const struct tm_place_range *range, uint64_t start,
                                   uint64_t end, struct tm_account_domain *domain)
{
    struct tm_survey *survey = ledger->survey;
    const struct tm_resident there = resident(ledger, start, end);
    domain->resident += there.size;
    struct tm_pool_use *pool = range->kind == TM_PLACE_ARENA ? tm_pools_of(&survey->pools, range, start) : NULL;
    if (pool && end <= pool->address + survey->pools.pymalloc.pool_size && pool->block_size) {
        count_in_pool(ledger, pool, end - start, there);
        return NULL;
    }
    return add_piece(ledger, start, end);
}

static struct tm_error *count_block(void *context, const struct tm_trace *trace)
{
    struct ledger *ledger = context;
    struct tm_account *account = ledger->account;
    struct tm_account_domain *domain = domain_of(account, trace->origin->domain);
    uint64_t start = trace->address, end = start + trace->size;
    struct tm_error *error = NULL;
    domain->size = tm_add_saturating(domain->size, trace->size);
    domain->count++;
    if (end < start)
        return NULL;
    // Domains may have the same memory: numpy reports data that Python's allocators may have given it.
    if (start < ledger->covered)
        start = ledger->covered;
    while (!error && start < end) {
        const struct tm_place_range *range = tm_memory_map_find(&ledger->survey->map, &ledger->range_cursor, start);
        if (!range) {
            account->no_memory = tm_add_saturating(account->no_memory, end - start);
            break;
        }
        uint64_t stop = end < range->end ? end : range->end;
        error = count_part(ledger, range, start, stop, domain);
        start = stop;
    }
    if (start > ledger->covered)
        ledger->covered = start;
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Ranges

// What pieces have of [start, end). Pieces before it are done with.
static struct tm_resident take_pieces(struct ledger *ledger, uint64_t start, uint64_t end, uint64_t *count)
{
    struct tm_resident there = {0, 0};
    *count = 0;
    while (ledger->next < ledger->count && ledger->pieces[ledger->next].end <= start)
        ledger->next++;
    for (size_t i = ledger->next; i < ledger->count && ledger->pieces[i].start < end; i++) {
        const struct piece *piece = &ledger->pieces[i];
        sum(&there, resident(ledger, piece->start > start ? piece->start : start, piece->end < end ? piece->end : end));
        ++*count;
    }
    return there;
}

// A pool's resident bytes, cut into what is in use and what is not. `pieces` are counted already.
static void count_pool(struct ledger *ledger, const struct tm_pool_use *pool, struct tm_resident pieces)
{
    struct tm_account *account = ledger->account;
    const struct tm_resident all = {pool->resident, pool->shared}, traced = {pool->traced_there, 0};
    struct tm_resident rest = without(without(all, traced), pieces);
    if (pool->block_size == 0) {
        account->unused_pools += pool->resident > 0;
        add(ledger, TM_ACCOUNT_POOLS_UNUSED, rest, 0);
        return;
    }
    uint64_t untraced = pool->count > pool->traced ? pool->count - pool->traced : 0;
    uint64_t untraced_size = untraced * pool->block_size, traced_room = (uint64_t)pool->traced * pool->block_size;
    uint64_t rounding = POOL_HEAD + (traced_room > pool->traced_size ? traced_room - pool->traced_size : 0);
    account->pools++;
    account->pool_room += tm_pool_room(&ledger->survey->pools, pool);
    account->pool_used += (uint64_t)pool->count * pool->block_size;
    untraced_size = untraced_size < rest.size ? untraced_size : rest.size;
    rest.size -= untraced_size;
    rounding = rounding < rest.size ? rounding : rest.size;
    rest.size -= rounding;
    add(ledger, TM_ACCOUNT_POOLS_UNTRACED, (struct tm_resident){untraced_size, 0}, untraced);
    add(ledger, TM_ACCOUNT_POOLS_ROUNDING, (struct tm_resident){rounding, 0}, 0);
    add(ledger, TM_ACCOUNT_POOLS_FREE, rest, 0);
}

// A part of an arena, with its pool; or before the first pool or behind the last.
static void count_arena_part(struct ledger *ledger, const struct tm_pool_use *pool, uint64_t start, uint64_t end)
{
    uint64_t count;
    const struct tm_resident pieces = take_pieces(ledger, start, end, &count);
    add(ledger, TM_ACCOUNT_TRACED_POOLS, pieces, count);
    if (pool)
        count_pool(ledger, pool, pieces);
    else
        add(ledger, TM_ACCOUNT_POOLS_ROUNDING, without(resident(ledger, start, end), pieces), 0);
}

static void count_arena(struct ledger *ledger, const struct tm_place_range *range)
{
    const struct tm_pools *pools = &ledger->survey->pools;
    uint64_t size = pools->pymalloc.pool_size, at = range->start;
    ledger->account->arenas++;
    while (at < range->end) {
        uint64_t next = (at + size) & ~(size - 1);
        bool is_whole = at % size == 0 && next <= range->end;
        if (next <= at) // it wrapped
            break;
        next = next < range->end ? next : range->end;
        count_arena_part(ledger, is_whole ? tm_pools_of(pools, range, at) : NULL, at, next);
        at = next;
    }
}

struct heap_pass {
    struct ledger *ledger;
    struct tm_resident counted; // of the chunks
};

static const enum tm_account_kind kind_of_state[] = {
    [TM_GLIBC_IN_USE] = TM_ACCOUNT_HEAPS_UNTRACED, [TM_GLIBC_FREE] = TM_ACCOUNT_HEAPS_FREE,
    [TM_GLIBC_CACHED] = TM_ACCOUNT_HEAPS_CACHED,   [TM_GLIBC_TOP] = TM_ACCOUNT_HEAPS_TOP,
    [TM_GLIBC_OWN] = TM_ACCOUNT_HEAPS_ROUNDING,
};

// A chunk counts from its size on, to the size of the next one.
static struct tm_error *count_chunk(void *context, const struct tm_glibc_chunk *chunk)
{
    struct heap_pass *pass = context;
    struct ledger *ledger = pass->ledger;
    uint64_t start = chunk->address - CHUNK_SIZE_WORD, end = chunk->address + chunk->size, count;
    const struct tm_resident whole = resident(ledger, start, end);
    const struct tm_resident traced = take_pieces(ledger, start, end, &count);
    sum(&pass->counted, whole);
    if (count == 0) {
        add(ledger, kind_of_state[chunk->state], whole, 1);
        return NULL;
    }
    add(ledger, TM_ACCOUNT_TRACED_HEAPS, traced, count);
    add(ledger, TM_ACCOUNT_HEAPS_ROUNDING, without(whole, traced), 0);
    return NULL;
}

static struct tm_error *count_heap(struct ledger *ledger, const struct tm_place_range *range)
{
    const struct tm_glibc *glibc = &ledger->survey->glibc;
    const struct tm_glibc_heap *heap = &glibc->heaps[range->index];
    const struct tm_resident whole = resident(ledger, range->start, range->end);
    struct heap_pass pass = {.ledger = ledger};
    uint64_t count;
    bool is_whole = range->start == heap->start && range->end == heap->end;
    ledger->account->heaps++;
    ledger->account->damaged_heaps += heap->known != heap->end;
    // (What something else claims a part of is no heap that can be gone through.)
    struct tm_error *error = is_whole ? tm_glibc_visit(glibc, heap, count_chunk, &pass) : NULL;
    bool complete = is_whole && heap->known == heap->end;
    uint64_t from = complete ? range->end : is_whole ? heap->known : range->start;
    const struct tm_resident traced = take_pieces(ledger, from, range->end, &count);
    add(ledger, TM_ACCOUNT_TRACED_HEAPS, traced, count);
    add(ledger, complete ? TM_ACCOUNT_HEAPS_ROUNDING : TM_ACCOUNT_HEAPS_UNKNOWN,
        without(without(whole, pass.counted), traced), 0);
    return error;
}

static void count_mapped(struct ledger *ledger, const struct tm_place_range *range)
{
    uint64_t count;
    const struct tm_resident whole = resident(ledger, range->start, range->end);
    const struct tm_resident traced = take_pieces(ledger, range->start, range->end, &count);
    add(ledger, TM_ACCOUNT_TRACED_MAPPED, traced, count);
    add(ledger, count > 0 ? TM_ACCOUNT_MAPPED_ROUNDING : TM_ACCOUNT_MAPPED_UNTRACED, without(whole, traced),
        count == 0);
}

static enum tm_account_kind kind_of_place(const struct tm_account *account, uint32_t place)
{
    switch ((enum tm_place_kind)place) {
    case TM_PLACE_TRACER:
        return TM_ACCOUNT_TRACER;
    case TM_PLACE_FRAMES:
        return TM_ACCOUNT_FRAMES;
    case TM_PLACE_DATA:
        return TM_ACCOUNT_DATA;
    case TM_PLACE_STACK:
        return TM_ACCOUNT_STACKS;
    case TM_PLACE_SHARED:
        return TM_ACCOUNT_SHARED;
    case TM_PLACE_FILE:
        return TM_ACCOUNT_FILES;
    case TM_PLACE_ARENA:
    case TM_PLACE_HEAP:
    case TM_PLACE_MAPPED:
    case TM_PLACE_OTHER:
        break;
    }
    return account->allocator[0] ? TM_ACCOUNT_ALLOCATOR : TM_ACCOUNT_OTHER;
}

static void count_other(struct ledger *ledger, const struct tm_place_range *range)
{
    struct tm_account *account = ledger->account;
    enum tm_account_kind kind = kind_of_place(account, range->kind);
    uint64_t count;
    const struct tm_resident whole = resident(ledger, range->start, range->end);
    const struct tm_resident traced = take_pieces(ledger, range->start, range->end, &count);
    const struct tm_resident rest = without(whole, traced);
    add(ledger, TM_ACCOUNT_TRACED_ELSEWHERE, traced, count);
    add(ledger, kind, rest, rest.size > 0);
    if (kind == TM_ACCOUNT_OTHER && rest.size > account->largest_other_size) {
        account->largest_other = range->start;
        account->largest_other_size = rest.size;
    }
}

static struct tm_error *count_range(struct ledger *ledger, const struct tm_place_range *range)
{
    switch ((enum tm_place_kind)range->kind) {
    case TM_PLACE_ARENA:
        count_arena(ledger, range);
        return NULL;
    case TM_PLACE_HEAP:
        return count_heap(ledger, range);
    case TM_PLACE_MAPPED:
        count_mapped(ledger, range);
        return NULL;
    default:
        count_other(ledger, range);
        return NULL;
    }
}

static struct tm_error *count_ranges(struct ledger *ledger)
{
    const struct tm_memory_map *map = &ledger->survey->map;
    struct tm_error *error = NULL;
    ledger->cursor = 0;
    for (size_t i = 0; !error && i < map->count; i++) {
        error = count_range(ledger, &map->ranges[i]);
        if (!error && i % 256 == 0) {
            tm_host_progress(ledger->survey->host, "account", i, map->count);
            error = tm_host_check(ledger->survey->host);
        }
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Mmapped chunks

static int compare_start(const void *address, const void *piece)
{
    return tm_compare_numbers(*(const uint64_t *)address, ((const struct piece *)piece)->start);
}

static bool is_piece(const void *context, uint64_t address)
{
    const struct ledger *ledger = context;
    return ledger->count && bsearch(&address, ledger->pieces, ledger->count, sizeof(*ledger->pieces), compare_start);
}

static struct tm_error *find_mapped(void *context, uint64_t start, uint64_t end)
{
    struct ledger *ledger = context;
    const struct tm_residency *residency = &ledger->survey->residency;
    struct tm_error *error = NULL;
    // The head of a chunk is resident; and what is not resident is not read.
    size_t run = 0;
    tm_residency_of(residency, &run, start, start);
    for (uint64_t at = start; !error && run < residency->count && residency->runs[run].start < end; run++) {
        const struct tm_run *there = &residency->runs[run];
        uint64_t from = there->start > at ? there->start : at;
        size_t before = ledger->survey->glibc.mapped_count;
        if (there->end <= from)
            continue;
        error = tm_glibc_add_mapped(&ledger->survey->glibc, from, there->end < end ? there->end : end, end, is_piece,
                                    ledger);
        if (!error && ledger->survey->glibc.mapped_count > before)
            at = ledger->survey->glibc.mapped[ledger->survey->glibc.mapped_count - 1].end;
    }
    return error;
}

static struct tm_error *add_mapped(struct ledger *ledger)
{
    struct tm_survey *survey = ledger->survey;
    struct tm_error *error = tm_memory_map_visit_gaps(&survey->map, find_mapped, ledger);
    for (size_t i = 0; !error && i < survey->glibc.mapped_count; i++)
        error = tm_memory_map_add(&survey->map, survey->glibc.mapped[i].start, survey->glibc.mapped[i].end,
                                  TM_PLACE_MAPPED, (uint32_t)i);
    return error ? error : tm_memory_map_settle(&survey->map, survey->target);
}

// ---------------------------------------------------------------------------------------------------------------
// Other allocators

// Their memory is known by nothing but that they are there.
static struct tm_error *find_allocator(struct tm_account *account, struct tm_survey *survey)
{
    static const char *const libraries[] = {"libjemalloc", "libtcmalloc", "libmimalloc"};
    struct tm_module *modules;
    size_t count;
    bool free_threaded = false;
    struct tm_error *error = tm_target_modules(survey->target, &modules, &count);
    for (size_t i = 0; !error && i < count && !account->allocator[0]; i++) {
        const char *name = strrchr(modules[i].path, '/');
        name = name ? name + 1 : modules[i].path;
        for (size_t j = 0; j < sizeof(libraries) / sizeof(libraries[0]); j++)
            if (strncmp(name, libraries[j], strlen(libraries[j])) == 0)
                tm_escape_into(account->allocator, sizeof(account->allocator), name, strlen(name));
    }
    free(modules);
    if (survey->source)
        tm_source_python(survey->source, &free_threaded);
    if (free_threaded && !account->allocator[0])
        memcpy(account->allocator, "CPython's mimalloc", sizeof("CPython's mimalloc"));
    return error;
}

static int compare_domains(const void *a, const void *b)
{
    return tm_compare_numbers(((const struct tm_account_domain *)a)->domain,
                              ((const struct tm_account_domain *)b)->domain);
}

static void add_up(struct tm_account *account, const struct tm_survey *survey)
{
    uint64_t accounted = 0;
    for (size_t i = 0; i < TM_ACCOUNT_KINDS; i++)
        accounted = tm_add_saturating(accounted, account->amounts[i].size);
    account->kind = survey->residency.kind;
    account->size = survey->residency.size;
    if (survey->residency.kind == TM_RESIDENCY_PAGES && survey->residency.rss)
        account->size = survey->residency.rss;
    account->swapped = survey->residency.swapped;
    account->mapped = survey->map.mapped;
    account->absent_files = survey->map.absent_files;
    account->absent = survey->map.absent;
    account->not_accounted = account->size > accounted ? account->size - accounted : 0;
    account->caches = survey->glibc.caches;
    qsort(account->domains, account->domain_count, sizeof(account->domains[0]), compare_domains);
}

struct tm_error *tm_account_take(struct tm_account *account, struct tm_survey *survey)
{
    struct ledger ledger = {.account = account, .survey = survey};
    struct tm_traces traces = {0};
    *account = (struct tm_account){.traced = survey->traced};
    struct tm_error *error = find_allocator(account, survey);
    if (!error && survey->traced)
        error = tm_source_traces(survey->source, survey->host, survey->names, count_block, &ledger, &traces);
    account->damage = traces.damage;
    if (!error)
        error = add_mapped(&ledger);
    if (!error)
        error = count_ranges(&ledger);
    if (!error)
        add_up(account, survey);
    free(ledger.pieces);
    return error ? error : tm_heap_cache_error(survey->cache);
}
