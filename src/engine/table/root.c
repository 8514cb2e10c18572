/**
 * The root: three ways to find it, and the checks which a candidate must pass.
 *
 * The first bytes of a candidate decide first, so that a search costs a few dozen bytes per MiB. What has the right
 * magic and knows its own address is a table, but it may be another process's: a process that reads cores has such
 * pages in its memory, and by bad luck or on purpose at their old address. So a search does not end at the first
 * table. Of several, the one with the process's own id is chosen; if that does not distinguish them, none is.
 *
 * If a table cannot be used, the reason is kept, and is the answer if no better table is found.
 */
#include "engine/table/root.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/advice.h"
#include "engine/base/text.h"
#include "engine/table/records.h"
#include "engine/target/backing.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tables are read as they are: little-endian hosts only");

// A root is a page or less; a later minor version may add to it.
#define ROOT_SIZE_LIMIT 65536u
// So much of each region is searched first, then the rest: a huge reservation must not delay a small mapping.
#define SEARCH_FIRST (UINT64_C(4) << 30)
#define CANDIDATES_BETWEEN_CHECKS 16u
// With more tables than this in one process, none is chosen.
#define PLACES_LIMIT 4u

// The first bytes of a root, up to and with `self`.
struct head {
    char magic[TM_MAGIC_SIZE];
    uint32_t byte_order;
    uint16_t layout_major;
    uint16_t layout_minor;
    uint32_t root_size;
    uint8_t pointer_size;
    uint8_t address_bits;
    uint8_t unit_shift;
    uint8_t _reserved0;
    uint64_t self;
};
_Static_assert(offsetof(struct head, self) == offsetof(struct tm_root, self), "the head is the root's beginning");
_Static_assert(sizeof(struct head) == offsetof(struct tm_root, self) + 8, "the head is the root's beginning");

struct search {
    struct tm_target *target;
    const struct tm_host *host;
    struct tm_root_place places[PLACES_LIMIT]; // of the tables found
    size_t found;                              // how many, which may be more than that
    struct tm_error *refusal;                  // the most important reason why a table cannot be used
    bool symbol_missing;                       // the tracer's symbol is there, but its memory cannot be read
    bool no_table_yet;                         // the symbol can be read, and there is no table
    uint64_t missing;                          // where a table should be but cannot be read; 0: nowhere
    struct tm_region *regions;
    size_t region_count;
    uint64_t candidates; // of the search: for its progress
    uint64_t tried;
};

// ---------------------------------------------------------------------------------------------------------------
// Judging a candidate

// For the user, a table of another version matters more than a damaged one.
static void refuse(struct search *search, struct tm_error *error)
{
    bool graver = !search->refusal || (tm_error_code(error) == TM_ERROR_UNSUPPORTED &&
                                       tm_error_code(search->refusal) != TM_ERROR_UNSUPPORTED);
    if (graver) {
        tm_error_destroy(search->refusal);
        search->refusal = error;
    } else {
        tm_error_destroy(error);
    }
}

// NULL: a table that this reader knows, as far as the head shows.
static struct tm_error *check_head(const struct head *head, uint64_t address)
{
    if (head->byte_order == __builtin_bswap32(TM_BYTE_ORDER))
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "the trace table at 0x%" PRIx64 " is big-endian; this tracemortem reads little-endian "
                               "tables only\nRead it with a tracemortem built for the target's architecture.",
                               address);
    if (head->byte_order != TM_BYTE_ORDER)
        return tm_error_create(TM_ERROR_CORRUPT,
                               "the trace table at 0x%" PRIx64 " is damaged: its byte order mark is 0x%08" PRIx32
                               ", which is no byte order\n" TM_TRY_ANOTHER_CORE,
                               address, head->byte_order);
    if (head->layout_major == 2)
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "the trace table at 0x%" PRIx64 " has layout version 2.%u, which tracemortem 0.1 wrote; "
                               "this tracemortem reads %u.x\n"
                               "Read it with tracemortem 0.1, or trace the program with this one's tracer.",
                               address, head->layout_minor, TM_LAYOUT_MAJOR);
    if (head->layout_major != TM_LAYOUT_MAJOR)
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "the trace table at 0x%" PRIx64
                               " has layout version %u.%u; this tracemortem reads %u.x\n"
                               "Read it with the tracemortem whose tracer wrote it, or trace the program with this "
                               "one's.",
                               address, head->layout_major, head->layout_minor, TM_LAYOUT_MAJOR);
    if (head->pointer_size != sizeof(uint64_t))
        return tm_error_create(TM_ERROR_UNSUPPORTED,
                               "the trace table at 0x%" PRIx64 " is of a process with pointers of %u bytes; this "
                               "tracemortem reads 64-bit processes only",
                               address, head->pointer_size);
    return NULL;
}

static const char *check_arrays(const struct tm_root *root)
{
    const struct {
        const struct tm_array *array;
        uint32_t size;
    } arrays[] = {
        {&root->bytes, 1},
        {&root->strings, sizeof(struct tm_string)},
        {&root->codes, sizeof(struct tm_code)},
        {&root->nodes, sizeof(struct tm_node)},
        {&root->sites, sizeof(struct tm_site)},
        {&root->counters, sizeof(struct tm_counters)},
        {&root->leaves, sizeof(struct tm_leaf)},
        {&root->tracked, sizeof(struct tm_tracked)},
        {&root->arenas, sizeof(struct tm_python_arena)},
        {&root->own, sizeof(struct tm_own)},
    };
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        const char *wrong = tm_array_check(arrays[i].array, arrays[i].size);
        if (wrong)
            return wrong;
    }
    return NULL;
}

// NULL, or what is wrong, in a few words.
static const char *check_root(const struct tm_root *root)
{
    if (root->root_size < sizeof(*root) || root->root_size > ROOT_SIZE_LIMIT)
        return "an impossible root size";
    if (root->address_bits != TM_ADDRESS_BITS || root->unit_shift < TM_UNIT_SHIFT_LEAST ||
        root->unit_shift > TM_UNIT_SHIFT_MOST)
        return "an impossible map";
    if (root->state > TM_STATE_CLEARING)
        return "an unknown state";
    if (root->frame_limit > UINT16_MAX)
        return "an impossible frame limit";
    return check_arrays(root);
}

// The root's last page has nothing but resize records, and mostly zeros: it may be missing.
static bool read_root(struct tm_target *target, struct tm_root_place *place)
{
    struct tm_root *root = &place->root;
    if (tm_target_try_read(target, place->address, root, sizeof(*root)))
        return true;
    if (!tm_target_try_read(target, place->address, root, offsetof(struct tm_root, resize)))
        return false;
    for (size_t i = 0; i < TM_RESIZES; i++) {
        uint64_t address = place->address + offsetof(struct tm_root, resize) + i * sizeof(root->resize[i]);
        if (tm_target_try_read(target, address, &root->resize[i], sizeof(root->resize[i])))
            continue;
        root->resize[i] = (struct tm_resize){.state = TM_RESIZE_FREE};
        struct tm_flaw flaw = {.kind = TM_FLAW_UNREADABLE, .address = address, .bytes = sizeof(root->resize[i])};
        tm_damage_add(&place->damage, &flaw, 1);
    }
    return true;
}

// `expected`: something other than a search says that a root is here.
static void consider(struct search *search, uint64_t address, const char *found_by, bool expected)
{
    struct head head;
    if (address == 0 || address % TM_ROOT_ALIGN != 0)
        return;
    if (!tm_target_try_read(search->target, address, &head, sizeof(head))) {
        if (expected && search->missing == 0)
            search->missing = address;
        return;
    }
    if (memcmp(head.magic, TM_MAGIC, TM_MAGIC_SIZE) != 0)
        return;
    bool swapped = head.byte_order == __builtin_bswap32(TM_BYTE_ORDER);
    if ((swapped ? __builtin_bswap64(head.self) : head.self) != address)
        return; // a copy: in a read buffer, in a mapped file, in a core inside a core
    struct tm_error *error = check_head(&head, address);
    if (error) {
        refuse(search, error);
        return;
    }
    struct tm_root_place place = {.address = address, .found_by = found_by};
    if (!read_root(search->target, &place)) {
        if (search->missing == 0)
            search->missing = address;
        return;
    }
    const char *wrong = check_root(&place.root);
    if (wrong) {
        refuse(search,
               tm_error_create(TM_ERROR_CORRUPT,
                               "the trace table at 0x%" PRIx64 " is damaged: its root has %s\n" TM_TRY_ANOTHER_CORE,
                               address, wrong));
        return;
    }
    if (search->found < PLACES_LIMIT)
        search->places[search->found] = place;
    search->found++;
}

// ---------------------------------------------------------------------------------------------------------------
// Where to look

// The symbol may belong to another build of the tracer than the one that ran: its value is only a candidate.
static void look_at_symbol(struct search *search)
{
    uint64_t variable = tm_target_symbol(search->target, TM_ROOT_SYMBOL);
    uint64_t address = 0;
    if (variable == 0)
        return;
    search->symbol_missing = !tm_target_try_read(search->target, variable, &address, sizeof(address));
    if (search->symbol_missing)
        return;
    if (address == 0)
        search->no_table_yet = true;
    consider(search, address, "symbol", true);
}

// The note of a recorder's file or of a saved table says where the root is.
static void look_at_note(struct search *search)
{
    struct tm_backing backing;
    tm_target_backing(search->target, &backing);
    consider(search, tm_backing_root(&backing), "note", true);
}

static bool has_our_name(const struct tm_region *region)
{
    return strcmp(region->name, "[anon:" TM_MAPPING_NAME "]") == 0 || strcmp(region->name, TM_MAPPING_NAME) == 0;
}

static bool may_hold_root(const struct tm_region *region)
{
    uint32_t wanted = TM_REGION_READABLE | TM_REGION_WRITABLE;
    return (region->flags & (wanted | TM_REGION_FILE | TM_REGION_ABSENT)) == wanted;
}

static bool may_be_file(const struct tm_region *region)
{
    uint32_t wanted = TM_REGION_READABLE | TM_REGION_WRITABLE | TM_REGION_FILE;
    return (region->flags & (wanted | TM_REGION_ABSENT)) == wanted;
}

// The part of a region that belongs to a pass, in candidates [*first, *last), as multiples of TM_ROOT_ALIGN.
static void part_of(const struct tm_region *region, bool rest, uint64_t *first, uint64_t *last)
{
    uint64_t start = region->start, end = region->end;
    uint64_t limit = UINT64_C(1) << TM_ADDRESS_BITS;
    if (end > limit)
        end = limit;
    *first = *last = 0;
    if (start >= end)
        return;
    uint64_t boundary = end - start > SEARCH_FIRST ? start + SEARCH_FIRST : end;
    if (rest)
        start = boundary;
    else
        end = boundary;
    *first = start / TM_ROOT_ALIGN + (start % TM_ROOT_ALIGN != 0);
    *last = end / TM_ROOT_ALIGN + (end % TM_ROOT_ALIGN != 0);
    if (*last < *first)
        *last = *first;
}

static struct tm_error *look_in(struct search *search, const struct tm_region *region, bool rest, const char *found_by,
                                bool expected)
{
    uint64_t first, last;
    part_of(region, rest, &first, &last);
    for (uint64_t i = first; i < last; i++) {
        if (search->tried++ % CANDIDATES_BETWEEN_CHECKS == 0) {
            struct tm_error *error = tm_host_check(search->host);
            if (error)
                return error;
            tm_host_progress(search->host, "searching memory for the trace table", search->tried, search->candidates);
        }
        consider(search, i * TM_ROOT_ALIGN, found_by, expected && i == first);
    }
    return NULL;
}

// Search all regions that `wanted` picks: the first part of each, then, if there was no table, the rest of the large
// ones.
static struct tm_error *look_in_all(struct search *search, bool (*wanted)(const struct tm_region *region),
                                    const char *found_by, bool expected)
{
    search->tried = search->candidates = 0;
    for (int rest = 0; rest < 2; rest++) {
        for (size_t i = 0; i < search->region_count; i++) {
            uint64_t first, last;
            part_of(&search->regions[i], rest, &first, &last);
            search->candidates += wanted(&search->regions[i]) ? last - first : 0;
        }
    }
    struct tm_error *error = NULL;
    for (int rest = 0; rest < 2 && !search->found; rest++) {
        for (size_t i = 0; i < search->region_count && !error; i++) {
            if (wanted(&search->regions[i]))
                error = look_in(search, &search->regions[i], rest, found_by, expected);
        }
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Explaining why no table was found

static bool looks_like_python(const struct tm_target *target)
{
    return tm_target_symbol(target, "_PyRuntime") || tm_target_symbol(target, "Py_IsInitialized") ||
           tm_target_symbol(target, "Py_GetVersion");
}

static struct tm_error *explain_missing(const struct search *search, uint64_t absent, uint64_t first)
{
    const char *why = tm_target_why_missing(search->target, search->missing ? search->missing : first);
    if (search->missing)
        return tm_error_create(TM_ERROR_FAULT,
                               "there is a trace table at 0x%" PRIx64
                               ", but its memory cannot be read: %s\n" TM_HOW_TO_DUMP,
                               search->missing, why ? why : "the core does not contain it, or was cut short");
    if (absent)
        return tm_error_create(
            TM_ERROR_INCOMPLETE,
            "no trace table in what can be read, but %" PRIu64
            " bytes of the process's memory are missing, and they may contain it: %s\n" TM_HOW_TO_DUMP,
            absent, why ? why : "the core does not contain them");
    return tm_error_create(TM_ERROR_INCOMPLETE,
                           "no trace table%s: the memory that would contain it is missing, perhaps because of "
                           "coredump_filter\n" TM_HOW_TO_DUMP,
                           search->symbol_missing ? ", but the tracer is loaded" : "");
}

// Every process has memory that could hold a table.
static bool searched_nothing(const struct search *search)
{
    for (size_t i = 0; i < search->region_count; i++) {
        if (may_hold_root(&search->regions[i]))
            return false;
    }
    return search->region_count > 0;
}

// The core names a recorder's file, which cannot be used.
static struct tm_error *explain_file(const struct tm_backing *backing)
{
    return tm_error_create(
        TM_ERROR_INCOMPLETE,
        "the trace table of this process was in its recorder's file %s, which %s\nThe core lacks it, "
        "because coredump_filter leaves out files that are mapped shared.\nPut the file back to where "
        "it was, or beside the core. Or have the table in the next core (bit 3):\n"
        "    echo 0x3b > /proc/PID/coredump_filter",
        backing->file, backing->why);
}

// The tracer makes its table as soon as it meets an interpreter that it knows. So it does not help to preload it.
static struct tm_error *explain_no_table(const struct search *search)
{
    if (looks_like_python(search->target))
        return tm_error_create(TM_ERROR_NOT_TRACING,
                               "the tracer is loaded in this process, and so is a Python, but there is no trace table\n"
                               "Either the tracer refused this Python, and said why on the program's stderr; or it "
                               "cannot\nreach it: in a namespace of its own (dlmopen), or not exporting its symbols.");
    return tm_error_create(TM_ERROR_NOT_TRACING,
                           "the tracer is loaded in this process, but no Python that it can reach\n"
                           "It traces an interpreter that comes later, by dlopen, from its first allocation on: ask "
                           "again\nthen. It cannot reach one in a namespace of its own (dlmopen).");
}

// gdb's gcore does not say what it left out.
#define NOR_IN_CORE "; or the core lacks its anonymous memory (coredump_filter)\n"

static struct tm_error *explain(struct search *search)
{
    uint64_t first = 0, absent = tm_regions_absent(search->regions, search->region_count, &first);
    struct tm_backing backing;
    tm_target_backing(search->target, &backing);
    if (search->refusal) {
        struct tm_error *error = search->refusal;
        search->refusal = NULL;
        return error;
    }
    if (backing.why[0])
        return explain_file(&backing);
    if (search->missing || absent || searched_nothing(search) || search->symbol_missing)
        return explain_missing(search, absent, first);
    if (search->no_table_yet)
        return explain_no_table(search);
    const char *searched =
        search->region_count == 0 ? "\nThe debugger reports no memory regions, so memory could not be searched." : "";
    if (looks_like_python(search->target))
        return tm_error_create(TM_ERROR_NO_TABLE,
                               "no trace table: this Python runs without tracemortem's tracer, so nothing was "
                               "recorded" NOR_IN_CORE TM_HOW_TO_TRACE "%s",
                               searched);
    return tm_error_create(TM_ERROR_NO_TABLE,
                           "no trace table, and no symbol of Python: this is not a Python process, or the debugger "
                           "does not know its executable\nIf it is Python, it runs without tracemortem's "
                           "tracer" NOR_IN_CORE TM_HOW_TO_TRACE "%s",
                           searched);
}

// ---------------------------------------------------------------------------------------------------------------
// Telling several apart

static struct tm_error *cannot_tell(const struct search *search)
{
    struct tm_text text = TM_TEXT_EMPTY;
    tm_text_printf(&text, "there are %zu trace tables, and at most one is this process's own:\n", search->found);
    for (size_t i = 0; i < search->found && i < PLACES_LIMIT; i++) {
        const struct tm_root_place *place = &search->places[i];
        tm_text_printf(&text, "    at 0x%" PRIx64 ", of process %" PRIu32 "\n", place->address, place->root.pid);
    }
    tm_text_add(&text,
                "The tracer's symbol " TM_ROOT_SYMBOL " says which. Give the debugger the files the process ran\n"
                "with, as\n"
                "    gdb PYTHON CORE\n"
                "    lldb PYTHON -c CORE\n"
                "For files in another folder: set sysroot DIR in gdb, or\n"
                "settings set target.exec-search-paths DIR in lldb, before you open the core.");
    struct tm_error *error = tm_text_check(&text);
    if (!error)
        error = tm_error_create(TM_ERROR_CORRUPT, "%s", tm_text_string(&text));
    tm_text_deinit(&text);
    return error;
}

// The only table, or the only one with this process's id.
static struct tm_error *choose(const struct search *search, struct tm_root_place *result)
{
    uint32_t process = tm_target_process(search->target);
    const struct tm_root_place *own = NULL;
    size_t owned = 0;
    if (search->found == 1)
        own = &search->places[owned++];
    for (size_t i = 0; process && search->found > 1 && i < search->found && i < PLACES_LIMIT; i++) {
        if (search->places[i].root.pid == process)
            own = &search->places[i], owned++;
    }
    if (owned != 1 || search->found > PLACES_LIMIT)
        return cannot_tell(search);
    *result = *own;
    return NULL;
}

struct tm_error *tm_root_find(struct tm_target *target, const struct tm_host *host, struct tm_root_place *result)
{
    struct search search = {.target = target, .host = host};
    struct tm_error *error = NULL;
    look_at_note(&search);
    if (!search.found)
        look_at_symbol(&search);
    if (!search.found)
        error = tm_target_regions(target, &search.regions, &search.region_count);
    if (!error && !search.found)
        error = look_in_all(&search, has_our_name, "mapping name", true);
    if (!error && !search.found)
        error = look_in_all(&search, may_hold_root, "search", false);
    if (!error && !search.found) // a recorder's file, mapped
        error = look_in_all(&search, may_be_file, "search", false);
    if (!error)
        error = search.found ? choose(&search, result) : explain(&search);
    free(search.regions);
    tm_error_destroy(search.refusal);
    return error;
}

bool tm_root_read_again(struct tm_target *target, struct tm_root_place *place)
{
    struct tm_root_place now = {.address = place->address, .found_by = place->found_by};
    struct head head;
    if (!read_root(target, &now) || now.root.self != place->address ||
        memcmp(now.root.magic, TM_MAGIC, TM_MAGIC_SIZE) != 0 || now.root.record_limit != place->root.record_limit)
        return false;
    memcpy(&head, &now.root, sizeof(head));
    struct tm_error *wrong = check_head(&head, place->address);
    tm_error_destroy(wrong);
    if (wrong || check_root(&now.root))
        return false;
    for (size_t i = 0; i < TM_RESIZES; i++) {
        if (memcmp(&now.root.resize[i], &place->root.resize[i], sizeof(now.root.resize[i])) != 0)
            now.root.resize[i] = (struct tm_resize){.state = TM_RESIZE_FREE};
    }
    *place = now;
    return true;
}
