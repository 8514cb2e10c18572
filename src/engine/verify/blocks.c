/**
 * Verifying blocks against what counts them: those of the map, tracked ones, those inside realloc(); the sites' counters
 * and the root.
 *
 * Counters change by several stores: an update that was going on leaves a site, or two, off by its block, and the
 * root by the block's bytes. So differences are collected first, and then judged together.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/host.h"
#include "engine/base/number.h"
#include "engine/table/census.h"
#include "engine/table/sites.h"
#include "engine/verify/parts.h"

// The holder of the main interpreter's lock makes one update at a time. A child that another thread forked keeps the
// update of its parent's holder until fork() returns.
#define OWNED_IN_FLIGHT 2u
// A thread without the lock that allocates while tracing is being stopped may leave a block that no site counts. How
// many threads there were is not known.
#define LEFT_BEHIND 256u
#define BLOCKS_BETWEEN_CHECKS (1u << 16)

// ---------------------------------------------------------------------------------------------------------------
// Blocks

static void met_memory(void *context, const char *what, uint64_t address, uint64_t size)
{
    struct tm_verifier *verifier = context;
    verifier->result->grids += strcmp(what, "grid") == 0;
    verifier->result->lists += strcmp(what, "list") == 0;
    tm_verifier_take(verifier, address, size, what);
}

static void met_flaw(void *context, enum tm_walk_flaw kind, const struct tm_flaw *flaw, uint64_t records)
{
    static const struct {
        enum tm_finding_kind kind;
        const char *what;
        const char *why;
    } words[] = {
        [TM_WALK_UNREADABLE] = {TM_FINDING_MISSING, "map", "a part of it cannot be read"},
        [TM_WALK_MENDED] = {TM_FINDING_DAMAGE, "words of units", "they were overwritten; their copies are right"},
        [TM_WALK_MISPLACED] = {TM_FINDING_DAMAGE, "unit", "the word of its grid or of its list is impossible"},
        [TM_WALK_STRAY] = {TM_FINDING_DAMAGE, "unit", "its grid is that of another unit, or is damaged"},
        [TM_WALK_MET_BEFORE] = {TM_FINDING_DAMAGE, "map", "a grid or a chunk of a list overlaps another one"},
        [TM_WALK_TOO_LONG] = {TM_FINDING_DAMAGE, "unit", "its list is longer than a list can be"},
        [TM_WALK_BAD_SLOT] = {TM_FINDING_DAMAGE, "block", "its slot has an impossible size"},
        [TM_WALK_BAD_ENTRY] = {TM_FINDING_DAMAGE, "block", "its entry has an impossible start or size"},
        [TM_WALK_OVERLAP] = {TM_FINDING_DAMAGE, "block", "another block begins inside it"},
    };
    struct tm_verifier *verifier = context;
    verifier->result->unreadable_bytes += flaw->kind == TM_FLAW_UNREADABLE ? flaw->bytes : 0;
    tm_findings_add(&verifier->findings, words[kind].kind, words[kind].what, 0, flaw->address, records, "%s",
                    words[kind].why);
}

static void check_block(struct tm_verifier *verifier, const struct tm_recorded_block *block)
{
    const struct tm_tally *tally = tm_tallies_find(&verifier->tallies, block->site);
    tm_verifier_count(verifier, "block", 0, block->address, block->size, block->site);
    verifier->result->watched += block->watched;
    if (tally && tally->foreign)
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, "block", 0, block->address, 1,
                        "its site, %" PRIu32 ", belongs to another domain than CPython's", block->site);
}

static struct tm_error *walk_blocks(struct tm_verifier *verifier)
{
    const struct tm_walk_observer observer = {verifier, met_memory, met_flaw};
    struct tm_damage damage = {0}; // reported by the observer
    struct tm_walk walk;
    bool found = true;
    struct tm_error *error = tm_walk_init(&walk, &verifier->table->map, verifier->host, &damage);
    walk.observer = &observer;
    for (uint64_t count = 1; !error; count++) {
        struct tm_recorded_block block;
        error = count % BLOCKS_BETWEEN_CHECKS ? NULL : tm_host_check(verifier->host);
        if (!error)
            error = tm_walk_next(&walk, &found, &block);
        if (error || !found)
            break;
        check_block(verifier, &block);
    }
    tm_walk_deinit(&walk);
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Blocks being resized

// A site whose counters agree without the record makes it void, too.
static bool counts_one_more(const struct tm_verifier *verifier, uint32_t id, const struct tm_tally *tally)
{
    struct tm_counters counters = tm_verify_counters(verifier, id);
    return tm_table_is_lean(verifier->table) || counters.allocations - counters.frees != tally->blocks;
}

static struct tm_error *count_resizes(struct tm_verifier *verifier)
{
    for (unsigned i = 0; i < TM_RESIZES; i++) {
        uint64_t address =
            verifier->table->place.address + offsetof(struct tm_root, resize) + i * sizeof(struct tm_resize);
        struct tm_recorded_block block;
        bool valid;
        struct tm_error *error = tm_table_resize(verifier->table, verifier->host, i, &valid, &block);
        if (error)
            return error;
        const struct tm_tally *tally = valid ? tm_tallies_find(&verifier->tallies, block.site) : NULL;
        if (!valid || (tally && !counts_one_more(verifier, block.site, tally)))
            continue;
        tm_verifier_count(verifier, "resize record", i, address, block.size, block.site);
        verifier->resizing_bytes = tm_add_saturating(verifier->resizing_bytes, block.size);
    }
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Counters

struct counters {
    struct tm_verifier *verifier;
    bool complete;          // all memory that was to be read could be read
    uint64_t blocks, bytes; // live, of all sites together
    uint64_t resolvable_blocks, resolvable_bytes;
    uint64_t largest_update;     // no block is larger, so no update in flight is
    uint64_t owned, left_behind; // sites that updates in flight explain; blocks that no site counts
    bool fits;                   // what they explain is no more than can be
};

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a - b < b - a ? a - b : b - a;
}

static void report_difference(struct tm_verifier *verifier, enum tm_finding_kind kind, uint32_t id,
                              const struct tm_counters *site)
{
    const struct tm_tally *tally = tm_tallies_find(&verifier->tallies, id);
    tm_findings_add(&verifier->findings, kind, "site", id, tm_records_address(&verifier->table->counters, id), 1,
                    "it counts %" PRId64 " blocks of %" PRId64 " bytes, and %" PRIu64 " of %" PRIu64 " are found",
                    (int64_t)(site->allocations - site->frees), (int64_t)(site->allocated - site->freed), tally->blocks,
                    tally->bytes);
}

static void add_site(struct counters *counters, const struct tm_tally *tally, uint64_t blocks, uint64_t bytes)
{
    bool plausible = blocks <= TM_COUNTER_LIMIT && bytes <= TM_COUNTER_LIMIT;
    counters->blocks += plausible ? blocks : 0;
    counters->bytes += plausible ? bytes : 0;
    counters->resolvable_blocks += tally->resolvable ? tally->blocks : 0;
    counters->resolvable_bytes += tally->resolvable ? tally->bytes : 0;
}

enum difference { NO_DIFFERENCE, OWNED_UPDATE, SHARED_UPDATE, BEHIND, IMPOSSIBLE };

// A site counts a block before it can be found, and until it cannot be found any more: so it never counts fewer.
static enum difference compare_site(const struct counters *counters, uint32_t id, const struct tm_counters *site,
                                    const struct tm_tally *tally)
{
    uint64_t blocks = site->allocations - site->frees, bytes = site->allocated - site->freed;
    bool plausible = blocks <= TM_COUNTER_LIMIT && bytes <= TM_COUNTER_LIMIT;
    struct tm_site record;
    if (blocks == tally->blocks && bytes == tally->bytes)
        return NO_DIFFERENCE;
    if (!plausible)
        return IMPOSSIBLE;
    memcpy(&record, tm_records_peek(&counters->verifier->table->sites, id), sizeof(record));
    bool shared = record.flags & TM_SITE_SHARED;
    if (blocks >= tally->blocks && bytes >= tally->bytes) {
        // Blocks may be missing where memory is; the missing memory is a finding already.
        if (!counters->complete)
            return NO_DIFFERENCE;
        if (shared)
            return SHARED_UPDATE;
        return blocks - tally->blocks <= 1 ? OWNED_UPDATE : IMPOSSIBLE;
    }
    bool was_stopped = counters->verifier->root->starts > 1;
    bool near = shared && was_stopped && tally->blocks >= blocks && tally->blocks - blocks <= LEFT_BEHIND &&
                distance(bytes, tally->bytes) <= LEFT_BEHIND * counters->largest_update;
    return near ? BEHIND : IMPOSSIBLE;
}

static void note_difference(struct counters *counters, uint32_t id, const struct tm_counters *site)
{
    const struct tm_tally *tally = tm_tallies_find(&counters->verifier->tallies, id);
    uint64_t blocks = site->allocations - site->frees;
    add_site(counters, tally, blocks, site->allocated - site->freed);
    enum difference difference = compare_site(counters, id, site, tally);
    counters->owned += difference == OWNED_UPDATE;
    counters->left_behind += difference == BEHIND ? tally->blocks - blocks + 1 : 0;
}

// The root counts a block only while it can be found: if it counts more, a block has vanished. While tracing is
// stopped it may have been reset.
static bool whole_is_found(const struct counters *counters)
{
    const struct tm_root *root = counters->verifier->root;
    uint64_t traced = tm_root_traced(root);
    return !counters->complete || root->state != TM_STATE_TRACING || (int64_t)traced < 0 ||
           counters->verifier->result->bytes >= traced;
}

static void judge_difference(struct counters *counters, uint32_t id, const struct tm_counters *site)
{
    struct tm_verifier *verifier = counters->verifier;
    enum difference difference = compare_site(counters, id, site, tm_tallies_find(&verifier->tallies, id));
    if (difference == NO_DIFFERENCE)
        return;
    bool explained = difference != IMPOSSIBLE && counters->fits;
    report_difference(verifier, explained ? tm_findings_in_flight(&verifier->findings) : TM_FINDING_DAMAGE, id, site);
}

static struct tm_error *for_each_site(struct counters *counters, void (*visit)(struct counters *counters, uint32_t id,
                                                                               const struct tm_counters *site))
{
    const struct tm_verifier *verifier = counters->verifier;
    const struct tm_table *table = verifier->table;
    for (uint64_t id = 1; (id = tm_records_skip(&table->sites, id)) < table->sites.count; id++) {
        struct tm_error *error = id % TM_VERIFY_BETWEEN_CHECKS ? NULL : tm_host_check(verifier->host);
        if (error)
            return error;
        if (!tm_tallies_find(&verifier->tallies, id) || !tm_records_peek(&table->counters, id))
            continue; // the record is free, or missing
        struct tm_counters site = tm_verify_counters(verifier, id);
        visit(counters, (uint32_t)id, &site);
    }
    return NULL;
}

static struct tm_error *compare_sites(struct counters *counters)
{
    struct tm_error *error = for_each_site(counters, note_difference);
    if (error)
        return error;
    counters->fits =
        counters->owned <= OWNED_IN_FLIGHT && counters->left_behind <= LEFT_BEHIND && whole_is_found(counters);
    return for_each_site(counters, judge_difference);
}

// In the lean profile the map itself is what the root counts.
static struct tm_error *count_map(struct counters *counters)
{
    const struct tm_verifier *verifier = counters->verifier;
    counters->blocks = verifier->result->blocks;
    counters->bytes = verifier->result->bytes - verifier->resizing_bytes;
    for (uint64_t id = 1; id < verifier->table->sites.count; id++) {
        const struct tm_tally *tally = tm_tallies_find(&verifier->tallies, id);
        struct tm_error *error = id % TM_VERIFY_BETWEEN_CHECKS ? NULL : tm_host_check(verifier->host);
        if (error)
            return error;
        counters->resolvable_blocks += tally && tally->resolvable ? tally->blocks : 0;
        counters->resolvable_bytes += tally && tally->resolvable ? tally->bytes : 0;
    }
    return NULL;
}

static void compare_root(struct counters *counters)
{
    struct tm_verifier *verifier = counters->verifier;
    const struct tm_root *root = verifier->root;
    uint64_t traced = tm_root_traced(root);
    uint64_t peak = root->owned.peak > root->shared.peak ? root->owned.peak : root->shared.peak;
    uint64_t address = verifier->table->place.address + offsetof(struct tm_root, owned);
    bool lean = tm_table_is_lean(verifier->table);
    // In the full profile a block that vanished was judged with its site.
    bool possible = distance(traced, counters->bytes) <= counters->largest_update &&
                    !(lean && root->state == TM_STATE_TRACING && (int64_t)traced >= 0 && counters->bytes < traced);
    if (traced != counters->bytes)
        tm_findings_add(&verifier->findings, possible ? tm_findings_in_flight(&verifier->findings) : TM_FINDING_DAMAGE,
                        "root", 0, address, 1, "traced memory is %" PRId64 " bytes, and all %s have %" PRIu64,
                        (int64_t)traced, lean ? "blocks" : "sites", counters->bytes);
    // Two counters that grow at the same time may each miss the other's part.
    if (peak < traced)
        tm_findings_add(&verifier->findings,
                        traced - peak <= counters->largest_update ? TM_FINDING_IN_FLIGHT : TM_FINDING_DAMAGE, "root", 0,
                        address + offsetof(struct tm_memory, peak), 1,
                        "the peak is %" PRIu64 " bytes, less than the %" PRId64 " traced now", peak, (int64_t)traced);
}

static void count_hidden(const struct counters *counters)
{
    struct tm_verification *result = counters->verifier->result;
    if (!result->records[TM_FINDING_DAMAGE] && !result->records[TM_FINDING_MISSING])
        return;
    uint64_t blocks = counters->blocks > result->blocks ? counters->blocks : result->blocks;
    uint64_t bytes = counters->bytes > result->bytes ? counters->bytes : result->bytes;
    result->hidden_blocks = blocks - counters->resolvable_blocks;
    result->hidden_bytes = bytes > counters->resolvable_bytes ? bytes - counters->resolvable_bytes : 0;
}

// A block in flight is in the map still, or its site has counted it once. The root's own count is what is being
// judged.
static uint64_t largest_update(const struct tm_verifier *verifier)
{
    uint64_t bytes = verifier->result->bytes, allocated = verifier->most_allocated;
    return bytes > allocated ? bytes : allocated;
}

static struct tm_error *compare_counters(struct tm_verifier *verifier)
{
    struct tm_verification *result = verifier->result;
    struct counters counters = {.verifier = verifier,
                                .complete = !result->records[TM_FINDING_MISSING],
                                .largest_update = largest_update(verifier)};
    if (verifier->root->state == TM_STATE_CLEARING) {
        tm_findings_add(&verifier->findings, tm_findings_in_flight(&verifier->findings), "root", 0,
                        verifier->table->place.address + offsetof(struct tm_root, state), 1,
                        "traces are being cleared: blocks and counters are not compared");
        return NULL;
    }
    struct tm_error *error = tm_table_is_lean(verifier->table) ? count_map(&counters) : compare_sites(&counters);
    if (error)
        return error;
    if (counters.complete)
        compare_root(&counters);
    count_hidden(&counters);
    return NULL;
}

struct tm_error *tm_verify_blocks(struct tm_verifier *verifier)
{
    struct tm_error *error = walk_blocks(verifier);
    if (error)
        return error;
    error = count_resizes(verifier);
    return error ? error : compare_counters(verifier);
}
