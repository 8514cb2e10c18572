/**
 * The walk: directory, branches and leaves are each read as a whole. Where pages are missing, the others are used.
 */
#include "engine/table/walk.h"

#include <stdlib.h>
#include <string.h>

#include "engine/target/target.h"

#define PAGE ((uint64_t)4096)

// As in records.c: a leaf that is missing altogether costs 127 failed reads until that is known. After so many failed
// reads, readable pages are not searched for any more: a table is there or is not. After as many again the rest is
// given up.
#define FAILURES_TO_BISECT 4096u
#define FAILURES_TO_GIVE_UP (2 * FAILURES_TO_BISECT)

#define UNUSED_FAILURES_LIMIT (1u << 16)

#define LEAF_SIZE_SHIFT 18   // log2 of sizeof(tm_leaf)
#define BRANCH_SIZE_SHIFT 16 // of sizeof(tm_branch)
_Static_assert(sizeof(tm_leaf) == 1u << LEAF_SIZE_SHIFT, "a leaf's size");
_Static_assert(sizeof(tm_branch) == 1u << BRANCH_SIZE_SHIFT, "a branch's size");
#define PART_SIZE (sizeof(tm_leaf) / TM_LEAF_PARTS)
#define PART_SLOTS (TM_LEAF_SLOTS / TM_LEAF_PARTS)
_Static_assert(PART_SIZE % 4096 == 0, "a page has slots of one part only");
_Static_assert(sizeof(tm_directory) <= TM_READ_LIMIT, "a table is read at once");

struct tm_walk_buffers {
    tm_directory directory;
    tm_branch branch;
    tm_leaf leaf;
    unsigned parts;                       // of the leaf: which were read
    bool missing[sizeof(tm_leaf) / PAGE]; // its pages
};

struct tm_error *tm_walk_init(struct tm_walk *walk, struct tm_target *target, const struct tm_host *host,
                              uint64_t directory, uint64_t leaves, struct tm_damage *damage)
{
    *walk = (struct tm_walk){.target = target, .host = host, .damage = damage, .directory = directory};
    walk->leaves = leaves;
    walk->branch_next = TM_BRANCH_ENTRIES;
    walk->slot_next = TM_LEAF_SLOTS;
    walk->buffers = calloc(1, sizeof(*walk->buffers));
    return walk->buffers ? NULL : tm_error_no_memory();
}

void tm_walk_deinit(struct tm_walk *walk)
{
    free(walk->buffers);
    walk->buffers = NULL;
    tm_set_deinit(&walk->branches);
    tm_set_deinit(&walk->leaf_set);
}

static bool gave_up(const struct tm_walk *walk)
{
    return walk->failures >= FAILURES_TO_GIVE_UP;
}

static void report(struct tm_walk *walk, enum tm_walk_flaw kind, const struct tm_flaw *flaw, uint64_t records)
{
    tm_damage_add(walk->damage, flaw, records);
    if (walk->observer)
        walk->observer->flaw(walk->observer->context, kind, flaw, records);
}

static void report_corrupt(struct tm_walk *walk, enum tm_walk_flaw kind, uint64_t address)
{
    struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = address};
    report(walk, kind, &flaw, 1);
}

// ---------------------------------------------------------------------------------------------------------------
// Reading one table of the tree

struct piece {
    uint64_t address;
    unsigned char *bytes;
    uint64_t width; // of an entry
    bool *missing;  // by page, or NULL
};

static void leave_out(struct tm_walk *walk, const struct piece *piece, uint64_t from, uint64_t to)
{
    struct tm_flaw flaw = {.kind = TM_FLAW_UNREADABLE, .address = from, .bytes = to - from};
    report(walk, TM_WALK_UNREADABLE, &flaw, (to - from) / piece->width);
    memset(piece->bytes + (from - piece->address), 0, to - from);
    for (uint64_t page = from / PAGE; piece->missing && page <= (to - 1) / PAGE; page++)
        piece->missing[page - piece->address / PAGE] = true;
}

// Missing entries become 0: nothing there. At most 7 calls deep: it halves 65 pages.
static void read_range(struct tm_walk *walk, const struct piece *piece, uint64_t from, uint64_t to)
{
    if (!gave_up(walk) && tm_target_try_read(walk->target, from, piece->bytes + (from - piece->address), to - from))
        return;
    uint64_t first_page = from / PAGE, last_page = (to - 1) / PAGE;
    walk->failures++;
    walk->stopped = walk->stopped || tm_host_should_stop(walk->host);
    if (first_page == last_page || walk->failures >= FAILURES_TO_BISECT || walk->stopped) {
        leave_out(walk, piece, from, to);
        return;
    }
    uint64_t middle = (first_page + (last_page - first_page + 1) / 2) * PAGE;
    read_range(walk, piece, from, middle);
    read_range(walk, piece, middle, to);
}

static struct tm_error *read_table(struct tm_walk *walk, const struct piece *piece, uint64_t size)
{
    if (piece->address % piece->width || piece->address > UINT64_MAX - size) {
        report_corrupt(walk, TM_WALK_MISPLACED, piece->address);
        memset(piece->bytes, 0, size);
        return NULL;
    }
    read_range(walk, piece, piece->address, piece->address + size);
    return walk->stopped ? tm_host_stopped() : tm_host_check(walk->host);
}

// ---------------------------------------------------------------------------------------------------------------
// Each table once

// Memory is divided into cells of a table's size: at most one table begins in each. The item is where in the cell,
// plus 1.
static uint64_t offset_in(const struct tm_set *set, uint64_t cell)
{
    return (uint64_t)(uintptr_t)tm_set_find_number(set, cell)->item;
}

// Whether no part of this table was met before. The writer never puts two tables into the same memory. If a target
// leads to one twice, its blocks would be counted twice, and a small target could keep us busy forever.
static struct tm_error *claim(struct tm_set *set, uint64_t address, unsigned shift, bool *is_new)
{
    if (!tm_set_reserve(set))
        return tm_error_no_memory();
    uint64_t cell = address >> shift, offset = (address & ((UINT64_C(1) << shift) - 1)) + 1;
    uint64_t after = offset_in(set, cell + 1);
    *is_new = !offset_in(set, cell) && offset_in(set, cell - 1) <= offset && (!after || after >= offset);
    if (*is_new)
        tm_set_put_number(set, tm_set_find_number(set, cell), cell, (void *)(uintptr_t)offset);
    return NULL;
}

// Like claim(), and counts a table that was met before as damage. After giving up nothing is read, so nothing is
// remembered either.
static struct tm_error *claim_table(struct tm_walk *walk, struct tm_set *set, uint64_t address, unsigned shift,
                                    bool *is_new)
{
    *is_new = true;
    struct tm_error *error = gave_up(walk) ? NULL : claim(set, address, shift, is_new);
    if (walk->observer)
        walk->observer->table(walk->observer->context, address, UINT64_C(1) << shift);
    if (!error && !*is_new)
        report_corrupt(walk, TM_WALK_MET_BEFORE, address);
    return error;
}

// The parts of a leaf that may contain starts; adjacent parts by one read.
static struct tm_error *read_parts(struct tm_walk *walk, uint64_t address, unsigned parts)
{
    struct tm_walk_buffers *buffers = walk->buffers;
    for (unsigned first = 0, end; first < TM_LEAF_PARTS; first = end + 1) {
        for (end = first; end < TM_LEAF_PARTS && parts >> end & 1;)
            end++;
        if (end == first)
            continue;
        const struct piece piece = {address + first * PART_SIZE, (unsigned char *)(buffers->leaf + first * PART_SLOTS),
                                    sizeof(buffers->leaf[0]), buffers->missing + first * PART_SIZE / PAGE};
        struct tm_error *error = read_table(walk, &piece, (end - first) * PART_SIZE);
        if (error)
            return error;
    }
    return NULL;
}

// For the observer: starts in parts that are marked as unused. A part that cannot be read was never used.
static void look_for_hidden(struct tm_walk *walk, uint64_t address, unsigned parts)
{
    uint32_t slots[PART_SLOTS];
    for (unsigned part = 0; part < TM_LEAF_PARTS && walk->unused_failures < UNUSED_FAILURES_LIMIT; part++) {
        uint64_t at = address + part * PART_SIZE, starts = 0;
        if (parts >> part & 1)
            continue;
        if (!tm_target_try_read(walk->target, at, slots, sizeof(slots))) {
            walk->unused_failures++;
            continue;
        }
        for (unsigned i = 0; i < PART_SLOTS; i++)
            starts += slots[i] >> 31;
        struct tm_flaw flaw = {.kind = TM_FLAW_CORRUPT, .address = at};
        if (starts)
            report(walk, TM_WALK_HIDDEN, &flaw, starts);
    }
}

static struct tm_error *open_leaf(struct tm_walk *walk, uint64_t entry)
{
    struct tm_walk_buffers *buffers = walk->buffers;
    uint64_t address = entry & ~TM_LEAF_PARTS_MASK;
    bool is_new;
    memset(buffers->leaf, 0, sizeof(buffers->leaf));
    memset(buffers->missing, 0, sizeof(buffers->missing));
    buffers->parts = (unsigned)(entry & TM_LEAF_PARTS_MASK);
    walk->slot_next = 0;
    walk->leaves_read++;
    uint64_t total = walk->leaves > walk->leaves_read ? walk->leaves : walk->leaves_read;
    tm_host_progress(walk->host, "reading blocks", walk->leaves_read, total);
    struct tm_error *error = claim_table(walk, &walk->leaf_set, address, LEAF_SIZE_SHIFT, &is_new);
    if (!error && is_new && walk->observer)
        look_for_hidden(walk, address, buffers->parts);
    return error || !is_new ? error : read_parts(walk, address, buffers->parts);
}

static struct tm_error *open_branch(struct tm_walk *walk, uint64_t address)
{
    const struct piece piece = {address, (unsigned char *)walk->buffers->branch, sizeof(uint64_t), NULL};
    bool is_new;
    memset(walk->buffers->branch, 0, sizeof(walk->buffers->branch));
    walk->branch_next = 0;
    struct tm_error *error = claim_table(walk, &walk->branches, address, BRANCH_SIZE_SHIFT, &is_new);
    return error || !is_new ? error : read_table(walk, &piece, sizeof(tm_branch));
}

static struct tm_error *open_directory(struct tm_walk *walk)
{
    const struct piece piece = {walk->directory, (unsigned char *)walk->buffers->directory, sizeof(uint64_t), NULL};
    return read_table(walk, &piece, sizeof(tm_directory));
}

// Go on to the next leaf; *found false: that was the last one.
static struct tm_error *next_leaf(struct tm_walk *walk, bool *found)
{
    const struct tm_walk_buffers *buffers = walk->buffers;
    *found = false;
    if (walk->directory == 0)
        return NULL;
    struct tm_error *error = walk->directory_next == 0 ? open_directory(walk) : NULL;
    while (!error) {
        while (walk->branch_next < TM_BRANCH_ENTRIES) {
            uint64_t leaf = buffers->branch[walk->branch_next++];
            if (!leaf || (!(leaf & TM_LEAF_PARTS_MASK) && !walk->observer))
                continue; // missing, or without a block's start
            *found = true;
            walk->leaf_number = walk->branch_number * TM_BRANCH_ENTRIES + walk->branch_next - 1;
            return open_leaf(walk, leaf);
        }
        if (walk->directory_next == TM_DIRECTORY_ENTRIES)
            return NULL;
        uint64_t branch = buffers->directory[walk->directory_next++];
        walk->branch_number = walk->directory_next - 1;
        if (branch)
            error = open_branch(walk, branch);
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Blocks

// The next slot of the leaf that starts a block, or TM_LEAF_SLOTS.
static unsigned find_start(const uint32_t *leaf, unsigned from)
{
    for (; from < TM_LEAF_SLOTS && from % 2; from++) {
        if (leaf[from] & TM_SLOT_START)
            return from;
    }
    for (; from < TM_LEAF_SLOTS; from += 2) {
        uint64_t pair;
        memcpy(&pair, leaf + from, sizeof(pair));
        if (pair & ((uint64_t)TM_SLOT_START << 32 | TM_SLOT_START))
            return leaf[from] & TM_SLOT_START ? from : from + 1;
    }
    return TM_LEAF_SLOTS;
}

static bool slot_is_missing(const struct tm_walk_buffers *buffers, unsigned slot)
{
    return buffers->missing[slot * sizeof(uint32_t) / PAGE];
}

static bool slot_was_read(const struct tm_walk_buffers *buffers, unsigned slot)
{
    return slot < TM_LEAF_SLOTS && buffers->parts >> slot / PART_SLOTS & 1;
}

static bool read_size(const struct tm_walk *walk, unsigned slot, uint64_t address, uint64_t *size, struct tm_flaw *flaw)
{
    const struct tm_walk_buffers *buffers = walk->buffers;
    const uint32_t *at = buffers->leaf + slot;
    if (TM_SHADOW_IS_SMALL(at[0]))
        return tm_shadow_small_size(at[0], size) || tm_flaw_corrupt(flaw, address);
    // A size may continue in a part without starts, and in the next leaf.
    if (!slot_was_read(buffers, slot + 2))
        return tm_shadow_read_size(walk->target, walk->directory, address, at[0], size, flaw);
    if (tm_shadow_decode_size(address, at[1], at[2], size))
        return true;
    // The missing memory was counted when the leaf was read.
    bool goes_on = at[1] & TM_SIZE_ESCAPE;
    if (slot_is_missing(buffers, slot + 1) || (goes_on && slot_is_missing(buffers, slot + 2)))
        return tm_flaw_unreadable(flaw, address, 0);
    return tm_flaw_corrupt(flaw, address);
}

// The id that the map keeps in the block of a code object, after the slots of its size; 0: none, or it cannot be
// read.
static uint32_t read_code(const struct tm_walk *walk, unsigned slot, uint64_t address)
{
    const struct tm_walk_buffers *buffers = walk->buffers;
    struct tm_flaw ignored = {.kind = TM_FLAW_NONE};
    uint32_t code = 0;
    if (!(buffers->leaf[slot] & TM_SLOT_WATCHED))
        return 0;
    if (slot_was_read(buffers, slot + 2))
        return slot_is_missing(buffers, slot + 2) ? 0 : buffers->leaf[slot + 2];
    return tm_shadow_read_slot(walk->target, walk->directory, (address >> TM_SLOT_SHIFT) + 2, &code, &ignored) ? code
                                                                                                               : 0;
}

struct tm_error *tm_walk_next(struct tm_walk *walk, bool *found, struct tm_recorded_block *block)
{
    for (;;) {
        unsigned slot = find_start(walk->buffers->leaf, walk->slot_next);
        if (slot == TM_LEAF_SLOTS) {
            bool more;
            struct tm_error *error = next_leaf(walk, &more);
            if (error)
                return error;
            if (more)
                continue;
            *found = walk->has_pending;
            *block = walk->pending;
            walk->has_pending = false;
            return NULL;
        }
        walk->slot_next = slot + 1;
        struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
        uint64_t address = (walk->leaf_number * TM_LEAF_SLOTS + slot) << TM_SLOT_SHIFT, size;
        bool good = read_size(walk, slot, address, &size, &flaw);
        if (!good)
            report(walk, flaw.kind == TM_FLAW_CORRUPT ? TM_WALK_BAD_SIZE : TM_WALK_NO_SIZE, &flaw, 1);

        bool overlap = walk->has_pending && tm_recorded_block_contains(&walk->pending, address);
        if (overlap)
            report_corrupt(walk, TM_WALK_OVERLAP, walk->pending.address);
        *found = walk->has_pending && !overlap;
        *block = walk->pending;
        walk->has_pending = good;
        walk->pending = (struct tm_recorded_block){.address = address,
                                                   .size = size,
                                                   .site = walk->buffers->leaf[slot] & TM_SLOT_SITE_MASK,
                                                   .code = read_code(walk, slot, address)};
        if (*found)
            return NULL;
    }
}
