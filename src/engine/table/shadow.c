/**
 * The shadow map: a walk from an address back to the nearest start of a block.
 *
 * It goes from slot to slot and, where leaves or branches were never made, from entry to entry of the level above.
 * Reads begin with a few entries and grow: most blocks are small, and their start is near.
 */
#include "engine/table/shadow.h"

#include "engine/base/number.h"
#include "engine/target/target.h"

// What one search may read before it gives up: the slots of 256 MiB without a block's start.
#define READ_LIMIT (UINT64_C(64) << 20)
#define LARGEST_WINDOW ((uint64_t)16384) // bytes
#define PAGE ((uint64_t)4096)

struct walk {
    struct tm_target *target;
    const struct tm_host *host;
    struct tm_damage *damage;
    uint64_t directory;
    uint64_t left; // bytes that may still be read
};

// One array of the tree: a directory, a branch or a leaf.
struct level {
    uint64_t address;
    unsigned width;        // bytes of an entry: 8, or 4 for slots
    uint64_t first_window; // entries read at first
};

// Directories and branches contain addresses or 0; of slots, only starts count.
static bool counts(const struct level *level, uint64_t value)
{
    return level->width == sizeof(uint32_t) ? (value & TM_SLOT_START) != 0 : value != 0;
}

// Read entries [*first, last], or, if memory is missing, only those on the last one's page. False: those cannot be
// read either.
static bool read_back(struct walk *walk, const struct level *level, uint64_t *first, uint64_t last,
                      unsigned char *buffer)
{
    uint64_t from = level->address + *first * level->width;
    uint64_t end = level->address + (last + 1) * level->width;
    walk->left -= walk->left < end - from ? walk->left : end - from;
    if (tm_target_try_read(walk->target, from, buffer, end - from))
        return true;
    // Entries are aligned in every valid table, so the page on which the last one ends has all of it.
    uint64_t page = (end - 1) / PAGE * PAGE;
    if (page > from) {
        uint64_t on_page = (end - page) / level->width;
        *first = last + 1 - (on_page ? on_page : 1);
        from = level->address + *first * level->width;
        if (tm_target_try_read(walk->target, from, buffer, end - from))
            return true;
    }
    struct tm_flaw flaw = {.kind = TM_FLAW_UNREADABLE, .address = from, .bytes = end - from};
    tm_damage_add(walk->damage, &flaw, last - *first + 1);
    return false;
}

// The last entry that counts from `last` back to `lowest`: *found, *index and *value.
static struct tm_error *find_back(struct walk *walk, const struct level *level, uint64_t last, uint64_t lowest,
                                  bool *found, uint64_t *index, uint64_t *value)
{
    unsigned char buffer[LARGEST_WINDOW];
    uint64_t window = level->first_window;
    *found = false;
    for (uint64_t end = last + 1; end > lowest && walk->left;) { // entries from `end` on are done
        struct tm_error *error = tm_host_check(walk->host);
        if (error)
            return error;
        uint64_t first = end - lowest > window ? end - window : lowest;
        bool there = read_back(walk, level, &first, end - 1, buffer);
        for (uint64_t i = end; there && i-- > first;) {
            *value = tm_load_number(buffer + (i - first) * level->width, level->width);
            if (counts(level, *value)) {
                *index = i;
                *found = true;
                return NULL;
            }
        }
        end = first;
        window = window * 4 * level->width <= LARGEST_WINDOW ? window * 4 : LARGEST_WINDOW / level->width;
    }
    return NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// Down the tree, always to the last entry that is there, and never past the one asked for

#define BRANCH_BITS (TM_BRANCH_SHIFT - TM_LEAF_SHIFT)
#define LEAF_BITS (TM_LEAF_SHIFT - TM_SLOT_SHIFT)

static uint64_t low_bits(uint64_t number, unsigned bits)
{
    return number & ((UINT64_C(1) << bits) - 1);
}

// The lowest number in the table at position `parent`: `lowest`, as far as it is in that table.
static uint64_t lowest_in(uint64_t lowest, uint64_t parent, unsigned bits)
{
    return lowest >> bits == parent ? low_bits(lowest, bits) : 0;
}

struct leaf {
    uint64_t number; // of all leaves, by address
    uint64_t entry;  // its address, and which parts of it may contain starts
};

// The last leaf that is there, from `last` back to `lowest`.
static struct tm_error *find_leaf(struct walk *walk, uint64_t last, uint64_t lowest, bool *found, struct leaf *leaf)
{
    const struct level directory = {walk->directory, sizeof(uint64_t), 1};
    *found = false;
    for (;;) {
        uint64_t branch, entry;
        struct level level = {.width = sizeof(uint64_t), .first_window = 1};
        struct tm_error *error =
            find_back(walk, &directory, last >> BRANCH_BITS, lowest >> BRANCH_BITS, found, &branch, &level.address);
        if (error || !*found)
            return error;
        if (branch < last >> BRANCH_BITS)
            last = (branch << BRANCH_BITS) + TM_BRANCH_ENTRIES - 1;
        error = find_back(walk, &level, low_bits(last, BRANCH_BITS), lowest_in(lowest, branch, BRANCH_BITS), found,
                          &entry, &leaf->entry);
        if (error)
            return error;
        if (*found) {
            leaf->number = (branch << BRANCH_BITS) + entry;
            return NULL;
        }
        if (branch <= lowest >> BRANCH_BITS)
            return NULL;
        last = (branch << BRANCH_BITS) - 1;
    }
}

struct slot {
    uint64_t number; // of all slots, by address
    uint32_t value;
};

#define PART_BITS (TM_LEAF_PART_SHIFT - TM_SLOT_SHIFT)

// The last start in one leaf, from slot `last` back to `lowest`, both counted in the leaf. Reads only parts in use.
static struct tm_error *find_in_leaf(struct walk *walk, uint64_t entry, uint64_t last, uint64_t lowest, bool *found,
                                     uint64_t *index, uint64_t *value)
{
    const struct level level = {entry & ~TM_LEAF_PARTS_MASK, sizeof(uint32_t), 16};
    *found = false;
    for (uint64_t part = last >> PART_BITS; !*found; part--) {
        if (entry >> part & 1) {
            uint64_t part_first = part << PART_BITS, part_last = part_first + (UINT64_C(1) << PART_BITS) - 1;
            struct tm_error *error = find_back(walk, &level, last < part_last ? last : part_last,
                                               lowest > part_first ? lowest : part_first, found, index, value);
            if (error)
                return error;
        }
        if (part == lowest >> PART_BITS)
            return NULL;
    }
    return NULL;
}

// The last start of a block, from slot `last` back to `lowest`.
static struct tm_error *find_start(struct walk *walk, uint64_t last, uint64_t lowest, bool *found, struct slot *slot)
{
    for (;;) {
        struct leaf leaf;
        struct tm_error *error = find_leaf(walk, last >> LEAF_BITS, lowest >> LEAF_BITS, found, &leaf);
        if (error || !*found)
            return error;
        if (leaf.number < last >> LEAF_BITS)
            last = (leaf.number << LEAF_BITS) + TM_LEAF_SLOTS - 1;
        uint64_t index, value;
        error = find_in_leaf(walk, leaf.entry, low_bits(last, LEAF_BITS), lowest_in(lowest, leaf.number, LEAF_BITS),
                             found, &index, &value);
        if (error)
            return error;
        if (*found) {
            *slot = (struct slot){(leaf.number << LEAF_BITS) + index, (uint32_t)value};
            return NULL;
        }
        if (leaf.number <= lowest >> LEAF_BITS)
            return NULL;
        last = (leaf.number << LEAF_BITS) - 1;
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Sizes

bool tm_shadow_read_slot(struct tm_target *target, uint64_t directory, uint64_t number, uint32_t *value,
                         struct tm_flaw *flaw)
{
    uint64_t leaf_number = number >> LEAF_BITS;
    uint64_t where = directory + (leaf_number >> BRANCH_BITS) * sizeof(uint64_t), branch, leaf;
    if (number >> (TM_ADDRESS_BITS - TM_SLOT_SHIFT))
        return tm_flaw_corrupt(flaw, directory);
    if (!tm_target_try_read(target, where, &branch, sizeof(branch)))
        return tm_flaw_unreadable(flaw, where, sizeof(branch));
    if (!branch)
        return tm_flaw_corrupt(flaw, where);
    where = branch + low_bits(leaf_number, BRANCH_BITS) * sizeof(uint64_t);
    if (!tm_target_try_read(target, where, &leaf, sizeof(leaf)))
        return tm_flaw_unreadable(flaw, where, sizeof(leaf));
    if (!leaf)
        return tm_flaw_corrupt(flaw, where);
    where = (leaf & ~TM_LEAF_PARTS_MASK) + low_bits(number, LEAF_BITS) * sizeof(uint32_t);
    if (!tm_target_try_read(target, where, value, sizeof(*value)))
        return tm_flaw_unreadable(flaw, where, sizeof(*value));
    return true;
}

bool tm_shadow_read_size(struct tm_target *target, uint64_t directory, uint64_t address, uint32_t start, uint64_t *size,
                         struct tm_flaw *flaw)
{
    uint64_t number = address >> TM_SLOT_SHIFT;
    uint32_t low, high = 0;
    if (TM_SHADOW_IS_SMALL(start))
        return tm_shadow_small_size(start, size) || tm_flaw_corrupt(flaw, address);
    if (!tm_shadow_read_slot(target, directory, number + 1, &low, flaw))
        return false;
    if (low & TM_SIZE_ESCAPE && !tm_shadow_read_slot(target, directory, number + 2, &high, flaw))
        return false;
    return tm_shadow_decode_size(address, low, high, size) || tm_flaw_corrupt(flaw, address);
}

struct tm_error *tm_shadow_find(struct tm_target *target, const struct tm_host *host, uint64_t directory,
                                uint64_t address, uint64_t largest, struct tm_shadow_answer *answer,
                                struct tm_damage *damage)
{
    *answer = (struct tm_shadow_answer){.found = false};
    if (directory == 0 || address >> TM_ADDRESS_BITS)
        return NULL;
    struct walk walk = {target, host, damage, directory, READ_LIMIT};
    answer->lowest = address > largest ? address - largest : 0;
    struct slot start = {0, 0};
    bool found;
    struct tm_error *error =
        find_start(&walk, address >> TM_SLOT_SHIFT, answer->lowest >> TM_SLOT_SHIFT, &found, &start);
    if (error)
        return error;
    if (!found) {
        answer->gave_up = walk.left == 0;
        return NULL;
    }
    struct tm_flaw flaw = {.kind = TM_FLAW_NONE};
    answer->block.address = start.number << TM_SLOT_SHIFT;
    answer->block.site = start.value & TM_SLOT_SITE_MASK;
    if (tm_shadow_read_size(target, directory, answer->block.address, start.value, &answer->block.size, &flaw))
        answer->found = tm_recorded_block_contains(&answer->block, address);
    tm_damage_add(damage, &flaw, 1);
    return NULL;
}
