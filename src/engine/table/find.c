// Finding the blocks that contain an address: in the map, among tracked blocks, inside realloc().

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/number.h"
#include "engine/table/answers.h"
#include "engine/table/census.h"
#include "engine/table/sites.h"
#include "engine/table/tracked.h"

struct finder {
    struct tm_table *table;
    const struct tm_host *host;
    struct tm_tracebacks tracebacks;
    uint64_t address;
    struct tm_block *blocks;
    size_t capacity;
    size_t count;
    uint32_t moved; // of a running process: blocks whose site was another one when it was read again
    struct tm_damage *damage;
};

// Of a running process: whether the site is still the one that was read, so that all it led to was its own.
static bool is_still(const struct finder *finder, uint32_t id, const struct tm_site *site)
{
    struct tm_site now;
    struct tm_flaw ignored = {.kind = TM_FLAW_NONE};
    return !finder->table->running ||
           (tm_site_get(&finder->table->sites, id, &now, &ignored) && memcmp(&now, site, sizeof(now)) == 0);
}

// Adds a recorded block with the traceback of its site; leaves it out, as damage, if that cannot be read.
static struct tm_error *add_block(struct finder *finder, const struct tm_recorded_block *found)
{
    const struct tm_records *sites = &finder->table->sites;
    struct tm_block block = {
        .address = found->address, .size = found->size, .domain = found->domain, .resizing = found->resizing};
    struct tm_site site;
    struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
    struct tm_error *error = NULL;
    bool good = tm_site_get(sites, found->site, &site, &flaw);
    if (good && site.domain != found->domain)
        good = tm_flaw_corrupt(&flaw, tm_records_address(sites, found->site));
    if (good)
        error = tm_site_traceback(&finder->tracebacks, &site, &block.traceback, &flaw);
    if (good && !is_still(finder, found->site, &site)) {
        finder->moved++;
        return error;
    }
    tm_damage_add_traceback(finder->damage, &flaw, block.traceback);
    if (!error && block.traceback && finder->count < finder->capacity)
        finder->blocks[finder->count++] = block;
    return error;
}

// Whether the block of a resize record contains the address, where it was or where it is now, if the record is good.
static bool may_contain(const struct tm_resize *record, uint64_t address)
{
    struct tm_recorded_block block = tm_resize_block(record), moved = block;
    moved.address = record->moved;
    return tm_recorded_block_contains(&block, address) || tm_recorded_block_contains(&moved, address);
}

// The block inside realloc() that contains the address, as it was before. Its size may be anything: it is only
// compared.
static struct tm_error *find_resize(const struct finder *finder, bool *found, struct tm_recorded_block *block)
{
    struct tm_error *error = NULL;
    *found = false;
    for (unsigned i = 0; i < TM_RESIZES && !error && !*found; i++) {
        if (may_contain(&finder->table->place.root.resize[i], finder->address))
            error = tm_table_resize(finder->table, finder->host, i, found, block);
        *found = *found && tm_recorded_block_contains(block, finder->address);
    }
    return error;
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
        // CPython's domain has one block at an address: the map's, if it has one there.
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
    struct tm_map_answer answer = {.found = false};
    struct tm_recorded_block resizing;
    bool is_resizing = false;
    struct tm_error *error = tm_table_load_map(table, finder->host);
    if (error)
        return error;
    tm_damage_merge(finder->damage, &table->leaves.damage);
    tm_damage_merge(finder->damage, &table->map.damage);
    error = tm_map_find(&table->map, finder->host, finder->address, &answer, finder->damage);
    if (!error && answer.found)
        error = add_block(finder, &answer.block);
    bool has_core_domain = answer.found;
    if (!error && !has_core_domain)
        error = find_resize(finder, &is_resizing, &resizing);
    if (!error)
        error = find_tracked(finder, !answer.found && !is_resizing, &has_core_domain);
    if (!error && is_resizing && !has_core_domain)
        error = add_block(finder, &resizing);
    if (finder->count == 0) // it may be inside realloc()
        tm_damage_merge(finder->damage, &table->place.damage);
    // Of samples most blocks are missing, and the next one is far away: then there is nothing more to find.
    if (!error && answer.gave_up && finder->count == 0 && !(table->place.root.flags & TM_ROOT_SAMPLED))
        error =
            tm_error_create(TM_ERROR_NOT_FOUND,
                            "0x%" PRIx64 ": no block begins in a long range before it, and the search stopped there; "
                            "a larger block may contain it\nGive the address where the block begins.",
                            finder->address);
    return error;
}

static struct tm_error *find_once(struct finder *finder, struct tm_pool *pool)
{
    struct tm_error *error = tm_table_tracebacks(finder->table, pool, finder->host, &finder->tracebacks);
    if (!error)
        error = find_all(finder);
    tm_tracebacks_deinit(&finder->tracebacks);
    return error;
}

static bool is_same_block(const struct tm_block *a, const struct tm_block *b)
{
    return a->address == b->address && a->size == b->size && a->domain == b->domain && a->traceback == b->traceback;
}

// One of several answers to the same question.
struct attempt {
    struct tm_block *blocks;
    size_t count;
    uint32_t moved;
    struct tm_damage damage;
};

static bool is_same_answer(const struct attempt *a, const struct attempt *b)
{
    bool same = a->count == b->count && a->moved == 0 && b->moved == 0 &&
                a->damage.corrupt_records == b->damage.corrupt_records &&
                a->damage.unreadable_records == b->damage.unreadable_records &&
                a->damage.partial_tracebacks == b->damage.partial_tracebacks;
    for (size_t i = 0; same && i < a->count; i++)
        same = is_same_block(&a->blocks[i], &b->blocks[i]);
    return same;
}

static struct tm_error *attempt(struct finder *finder, struct tm_pool *pool, struct attempt *result)
{
    struct tm_damage *given = finder->damage;
    result->damage = (struct tm_damage){0};
    finder->count = finder->moved = 0;
    finder->damage = &result->damage;
    tm_table_refresh(finder->table);
    struct tm_error *error = find_once(finder, pool);
    finder->damage = given;
    result->count = finder->count;
    result->moved = finder->moved;
    if (finder->count)
        memcpy(result->blocks, finder->blocks, finder->count * sizeof(*result->blocks));
    return error;
}

// Asks until two answers in a row are the same: the slot, the site and what it leads to, then the slot and the site again.
// (Tracebacks are interned in the pool, so equal ones are the same.)
static struct tm_error *find_moving(struct finder *finder, struct tm_pool *pool)
{
    enum { TRIES = 16 };
    size_t room = finder->capacity ? finder->capacity : 1;
    struct tm_block *blocks = calloc(2 * room, sizeof(*blocks));
    struct attempt attempts[2] = {{.blocks = blocks}, {.blocks = blocks + room}};
    bool same = false;
    if (!blocks)
        return tm_error_no_memory();
    struct tm_error *error = attempt(finder, pool, &attempts[0]);
    for (unsigned i = 1; i < TRIES && !same && !error; i++) {
        error = attempt(finder, pool, &attempts[i % 2]);
        same = !error && is_same_answer(&attempts[0], &attempts[1]);
    }
    tm_damage_merge(finder->damage, &attempts[0].damage);
    if (!error && !same) {
        finder->damage->torn_records = tm_add_saturating(finder->damage->torn_records, 1);
        finder->count = 0;
    }
    free(blocks);
    return error;
}

struct tm_error *tm_table_find(struct tm_source *source, const struct tm_host *host, struct tm_pool *pool,
                               uint64_t address, struct tm_block *blocks, size_t capacity, size_t *count,
                               struct tm_damage *damage)
{
    struct tm_table *table = tm_table_of(source);
    struct finder finder = {
        .table = table, .host = host, .address = address, .blocks = blocks, .capacity = capacity, .damage = damage};
    struct tm_error *error = table->running ? find_moving(&finder, pool) : find_once(&finder, pool);
    tm_table_excuse(table, damage);
    tm_damage_explain(damage, table->target);
    if (!error)
        *count = finder.count;
    return error;
}
