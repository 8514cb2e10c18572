/**
 * Verifying blocks against what counts them: those of the shadow map, tracked ones, those inside realloc(); sites and
 * the root.
 *
 * Counters change by several stores: an update that was going on leaves a site, or two, off by its block, and the
 * root by the block's bytes. So differences are collected first, and then judged together.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/host.h"
#include "engine/base/number.h"
#include "engine/table/sites.h"
#include "engine/table/walk.h"
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

static void met_table(void *context, uint64_t address, uint64_t size)
{
    struct tm_verifier *verifier = context;
    bool is_leaf = size == sizeof(tm_leaf);
    if (is_leaf)
        verifier->result->leaves++;
    else
        verifier->result->branches++;
    if (address % (is_leaf ? sizeof(tm_leaf) : sizeof(uint64_t)))
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, is_leaf ? "leaf" : "branch", 0, address, 1,
                        "it is not aligned");
    tm_verifier_take(verifier, address, size, is_leaf ? "leaf" : "branch");
}

static void met_flaw(void *context, enum tm_walk_flaw kind, const struct tm_flaw *flaw, uint64_t records)
{
    static const struct {
        enum tm_finding_kind kind;
        const char *what;
        const char *why;
    } words[] = {
        [TM_WALK_UNREADABLE] = {TM_FINDING_MISSING, "shadow map", "a part of it cannot be read"},
        [TM_WALK_MISPLACED] = {TM_FINDING_DAMAGE, "shadow map", "no branch or leaf can be there"},
        [TM_WALK_MET_BEFORE] = {TM_FINDING_DAMAGE, "shadow map", "a branch or leaf overlaps another one"},
        [TM_WALK_BAD_SIZE] = {TM_FINDING_DAMAGE, "block", "its slots contain no size"},
        [TM_WALK_NO_SIZE] = {TM_FINDING_MISSING, "block", "its size cannot be read"},
        [TM_WALK_OVERLAP] = {TM_FINDING_DAMAGE, "block", "another block begins inside it"},
        [TM_WALK_HIDDEN] = {TM_FINDING_DAMAGE, "leaf", "blocks start in a part that is not marked as used"},
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
    if (tally && tally->foreign)
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, "block", 0, block->address, 1,
                        "its site, %" PRIu32 ", belongs to another domain than CPython's", block->site);
    if (block->code == 0)
        return;
    verifier->result->watched++;
    const struct tm_records *codes = &verifier->table->codes;
    if (block->code >= codes->count)
        tm_findings_add(&verifier->findings, TM_FINDING_DAMAGE, "block", 0, block->address, 1,
                        "its code object is number %" PRIu32 " of %" PRIu64, block->code, codes->count - 1);
}

static struct tm_error *walk_blocks(struct tm_verifier *verifier)
{
    const struct tm_table *table = verifier->table;
    const struct tm_walk_observer observer = {verifier, met_table, met_flaw};
    struct tm_damage damage = {0}; // reported by the observer
    struct tm_walk walk;
    bool found = true;
    struct tm_error *error =
        tm_walk_init(&walk, table->target, verifier->host, verifier->root->directory, verifier->root->leaves, &damage);
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

static void check_leaves(struct tm_verifier *verifier)
{
    uint64_t counted = verifier->root->leaves, met = verifier->result->leaves;
    // A leaf is counted just before it is put into its branch.
    bool in_flight = counted == met + 1;
    if (counted != met && !verifier->result->records[TM_FINDING_MISSING])
        tm_findings_add(&verifier->findings, in_flight ? tm_findings_in_flight(&verifier->findings) : TM_FINDING_DAMAGE,
                        "root", 0, verifier->table->place.address + offsetof(struct tm_root, leaves), 1,
                        "%" PRIu64 " leaves are counted, and %" PRIu64 " are in the map", counted, met);
}

// ---------------------------------------------------------------------------------------------------------------
// Blocks being resized

// A block in the map at the same address makes the record void.
static struct tm_error *is_void(struct tm_verifier *verifier, const struct tm_resize *resize, bool *result)
{
    const struct tm_table *table = verifier->table;
    struct tm_shadow_answer answer;
    struct tm_damage ignored = {0};
    struct tm_error *error =
        tm_shadow_find(table->target, verifier->host, verifier->root->directory, resize->address, 0, &answer, &ignored);
    *result = !error && answer.found && answer.block.address == resize->address;
    return error;
}

// A site whose counters agree without the record makes it void, too.
static bool counts_one_more(const struct tm_verifier *verifier, uint32_t id, const struct tm_tally *tally)
{
    struct tm_site site;
    memcpy(&site, tm_records_peek(&verifier->table->sites, id), sizeof(site));
    return site.allocations - site.frees != tally->blocks;
}

static struct tm_error *count_resizes(struct tm_verifier *verifier)
{
    for (unsigned i = 0; i < TM_RESIZES; i++) {
        const struct tm_resize *resize = &verifier->root->resize[i];
        const struct tm_tally *tally = tm_tallies_find(&verifier->tallies, resize->site);
        bool map_has_it;
        if (resize->state != TM_RESIZE_BUSY)
            continue;
        struct tm_error *error = is_void(verifier, resize, &map_has_it);
        if (error)
            return error;
        if (!map_has_it && (!tally || counts_one_more(verifier, resize->site, tally)))
            tm_verifier_count(verifier, "resize record", i,
                              verifier->table->place.address + offsetof(struct tm_root, resize) + i * sizeof(*resize),
                              resize->size, resize->site);
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
                              const struct tm_site *site)
{
    const struct tm_tally *tally = tm_tallies_find(&verifier->tallies, id);
    tm_findings_add(&verifier->findings, kind, "site", id, tm_records_address(&verifier->table->sites, id), 1,
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
static enum difference compare_site(const struct counters *counters, const struct tm_site *site,
                                    const struct tm_tally *tally)
{
    uint64_t blocks = site->allocations - site->frees, bytes = site->allocated - site->freed;
    bool plausible = blocks <= TM_COUNTER_LIMIT && bytes <= TM_COUNTER_LIMIT;
    bool shared = site->flags & TM_SITE_SHARED;
    if (blocks == tally->blocks && bytes == tally->bytes)
        return NO_DIFFERENCE;
    if (!plausible)
        return IMPOSSIBLE;
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

static void note_difference(struct counters *counters, uint32_t id, const struct tm_site *site)
{
    const struct tm_tally *tally = tm_tallies_find(&counters->verifier->tallies, id);
    uint64_t blocks = site->allocations - site->frees;
    add_site(counters, tally, blocks, site->allocated - site->freed);
    enum difference difference = compare_site(counters, site, tally);
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

static void judge_difference(struct counters *counters, uint32_t id, const struct tm_site *site)
{
    struct tm_verifier *verifier = counters->verifier;
    enum difference difference = compare_site(counters, site, tm_tallies_find(&verifier->tallies, id));
    if (difference == NO_DIFFERENCE)
        return;
    bool explained = difference != IMPOSSIBLE && counters->fits;
    report_difference(verifier, explained ? tm_findings_in_flight(&verifier->findings) : TM_FINDING_DAMAGE, id, site);
}

static struct tm_error *for_each_site(struct counters *counters,
                                      void (*visit)(struct counters *counters, uint32_t id, const struct tm_site *site))
{
    const struct tm_verifier *verifier = counters->verifier;
    const struct tm_table *table = verifier->table;
    for (uint64_t id = 1; (id = tm_records_skip(&table->sites, id)) < table->sites.count; id++) {
        const void *bytes = tm_records_peek(&table->sites, id);
        struct tm_error *error = id % TM_VERIFY_BETWEEN_CHECKS ? NULL : tm_host_check(verifier->host);
        if (error)
            return error;
        struct tm_site site;
        if (!bytes)
            continue;
        memcpy(&site, bytes, sizeof(site));
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

static void compare_root(struct counters *counters)
{
    struct tm_verifier *verifier = counters->verifier;
    const struct tm_root *root = verifier->root;
    uint64_t traced = tm_root_traced(root);
    uint64_t peak = root->owned.peak > root->shared.peak ? root->owned.peak : root->shared.peak;
    uint64_t address = verifier->table->place.address + offsetof(struct tm_root, owned);
    if (traced != counters->bytes)
        tm_findings_add(&verifier->findings,
                        distance(traced, counters->bytes) <= counters->largest_update
                            ? tm_findings_in_flight(&verifier->findings)
                            : TM_FINDING_DAMAGE,
                        "root", 0, address, 1, "traced memory is %" PRId64 " bytes, and all sites have %" PRIu64,
                        (int64_t)traced, counters->bytes);
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
    struct tm_error *error = compare_sites(&counters);
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
    check_leaves(verifier);
    error = count_resizes(verifier);
    return error ? error : compare_counters(verifier);
}
