/**
 * By symbols where there are any, else by search: first for what can be the head of a table of traces, then for the
 * variable that has its address. A variable counts only together with those that lead to the other tables.
 */
#include "engine/stock/find.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/advice.h"
#include "engine/base/number.h"

#define RUNTIME_SPAN 65536u  // how far from its start _PyRuntime has what is looked for
#define RUNTIME_LEAST 16384u // from 3.12 on, so much of it says whether tracemalloc was started
#define NEIGHBOURS 256u      // bytes before and after a static variable that contain the others in most builds
#define KIN_SPAN PIECE       // so far from one are they in builds whose linker regroups them (-flto)
// All of tracemalloc's tables, and its lock, are allocated at once: so far from each other at most.
#define HEAP_SPAN (UINT64_C(64) << 20)
#define VARIABLES_LIMIT 64u // of those whose neighbours are not the other tables
#define VERSION_SPAN (UINT64_C(4) << 20)
// So much of each region is searched for tables first, then the rest: tables are made early.
#define TABLES_FIRST (UINT64_C(64) << 20)
// Variables are in a module's data, or in what is mapped after it.
#define VARIABLES_SPAN (UINT64_C(16) << 20)
#define PIECE ((uint64_t)TM_READ_LIMIT)
#define CANDIDATES_LIMIT 4096u
#define COOKIE "xdebugpy" // of _Py_DebugOffsets, at the start of _PyRuntime since 3.13

struct search {
    struct tm_target *target;
    const struct tm_host *host;
    struct tm_stock_place *result;
    bool found;
    struct tm_error *refusal; // why tables that were found cannot be used
    bool never_started;       // a symbol says that there is no table yet
    bool is_ours;             // a table was found that serves our tracer
    bool has_symbols;         // of an interpreter
    struct tm_region *regions;
    size_t region_count;
    unsigned char *piece; // room for PIECE bytes, and for the rest of a table's head whose first word is among them
    uint64_t candidates[CANDIDATES_LIMIT]; // addresses of possible tables of traces, ascending
    size_t candidate_count;
    uint64_t variables[VARIABLES_LIMIT]; // that have the address of a candidate
    size_t variable_count;
    uint64_t done, total; // bytes, for the progress
};

// ---------------------------------------------------------------------------------------------------------------
// Versions

// Reads a number of at most three digits; *text moves on to what follows.
static bool take_number(const char **text, unsigned *number)
{
    const char *start = *text;
    for (*number = 0; **text >= '0' && **text <= '9' && *text - start < 4; ++*text)
        *number = *number * 10 + (unsigned)(**text - '0');
    return *text > start && *text - start < 4;
}

// "3.11.7 (main, Dec  4 2023, 18:10:11) [GCC 12.2.0]", as Py_GetVersion() has it in memory; false: it is something
// else.
static bool parse_version(const char *text, unsigned *minor, unsigned *micro, size_t *length)
{
    const char *at = text;
    unsigned major;
    if (!take_number(&at, &major) || major != 3 || *at++ != '.' || !take_number(&at, minor) || *at++ != '.' ||
        !take_number(&at, micro))
        return false;
    while (isalnum((unsigned char)*at) || *at == '+')
        at++;
    *length = (size_t)(at - text);
    if (*length > 24 || strncmp(at, " (", 2) != 0)
        return false;
    const char *end = strstr(at, ") ");
    // The compiler comes next; before 3.10 on a line of its own.
    if (!end || end - at > 120 || (end[2] != '[' && strncmp(end + 2, "\n[", 2) != 0))
        return false;
    for (; at < end; at++) {
        if (*at < ' ' || *at > '~')
            return false;
    }
    return true;
}

#define VERSION_LIMIT 256u

// Looks for a version among `length` bytes; VERSION_LIMIT more must follow them.
static bool find_version(const unsigned char *bytes, size_t length, struct tm_stock_place *place)
{
    for (const unsigned char *at = bytes; at < bytes + length; at++) {
        at = memchr(at, '3', (size_t)(bytes + length - at));
        if (!at)
            return false;
        if (at[1] != '.' || (at > bytes && at[-1] != '\0'))
            continue;
        char text[VERSION_LIMIT + 1] = {0};
        unsigned minor, micro;
        size_t size;
        memcpy(text, at, VERSION_LIMIT);
        if (!parse_version(text, &minor, &micro, &size))
            continue;
        snprintf(place->version_text, sizeof(place->version_text), "%.*s", (int)size, text);
        place->python_version = UINT32_C(3) << 24 | (uint32_t)minor << 16 | (uint32_t)micro << 8;
        return true;
    }
    return false;
}

// Read what can be read of a range of at most TM_READ_LIMIT, by halves down to pages; the rest becomes zeros.
static void read_range(const struct search *search, uint64_t address, unsigned char *bytes, uint64_t length)
{
    if (length == 0 || tm_target_try_read(search->target, address, bytes, length))
        return;
    uint64_t middle = (address + length / 2) & ~UINT64_C(4095);
    if (middle <= address)
        middle = (address + 4096) & ~UINT64_C(4095);
    if (middle >= address + length) {
        memset(bytes, 0, length);
        return;
    }
    read_range(search, address, bytes, middle - address);
    read_range(search, middle, bytes + (middle - address), address + length - middle);
}

// The version's text is in the same module's memory as the variable.
static bool find_version_near(const struct search *search, uint64_t variable, struct tm_stock_place *place)
{
    uint64_t base = variable / PIECE * PIECE;
    for (uint64_t distance = 0; distance <= VERSION_SPAN; distance += PIECE) {
        for (int below = 0; below < (distance ? 2 : 1); below++) {
            if (below && base < distance)
                continue;
            read_range(search, below ? base - distance : base + distance, search->piece, PIECE);
            if (find_version(search->piece, PIECE - VERSION_LIMIT, place))
                return true;
        }
    }
    return false;
}

static struct tm_error *unknown_version(const char *version)
{
    return tm_error_create(
        TM_ERROR_UNSUPPORTED,
        "this process has tables of tracemalloc of CPython %s; this tracemortem reads those of 3.8 to "
        "3.15\nRead them with a later tracemortem, or trace the program with this one's tracer.",
        version);
}

static void refuse(struct search *search, struct tm_error *error)
{
    tm_error_destroy(search->refusal);
    search->refusal = error;
}

// The layout for a version that was read; NULL: the refusal says why.
static const struct tm_stock_layout *choose_layout(struct search *search, const char *text, uint32_t version,
                                                   bool free_threaded)
{
    unsigned minor = version >> 16 & 0xff;
    const struct tm_stock_layout *layout = version >> 24 == 3 ? tm_stock_layout_of(minor, free_threaded) : NULL;
    if (!layout)
        refuse(search, unknown_version(text));
    return layout;
}

// ---------------------------------------------------------------------------------------------------------------
// Tables which belong together, from 3.9 on

static bool same_allocator(const struct tm_stock_table *a, const struct tm_stock_table *b)
{
    return a->allocate == b->allocate && a->release == b->release;
}

static bool is_traces(const struct tm_stock_table *table)
{
    if (table->shape == TM_STOCK_SHAPE_3_8)
        return table->data_size == 16;
    return table->key_destroy == 0 && table->value_destroy != 0;
}

// Tracebacks are keys. The function that frees traces frees them too; before 3.13 it was given for the values.
static bool is_tracebacks(const struct tm_stock_table *table, const struct tm_stock_table *traces)
{
    uint64_t free_trace = traces->value_destroy;
    return same_allocator(table, traces) && table->hash != traces->hash && table->compare != traces->compare &&
           ((table->key_destroy == free_trace && table->value_destroy == 0) ||
            (table->key_destroy == 0 && table->value_destroy == free_trace));
}

// Numbers are compared as addresses are, but hashed differently.
static bool is_domains(const struct tm_stock_table *table, const struct tm_stock_table *traces)
{
    return same_allocator(table, traces) && table->key_destroy == 0 && table->value_destroy != 0 &&
           table->value_destroy != traces->value_destroy && table->compare == traces->compare &&
           table->hash != traces->hash;
}

static bool is_filenames(const struct tm_stock_table *table, const struct tm_stock_table *traces)
{
    return same_allocator(table, traces) && table->key_destroy != 0 && table->value_destroy == 0 &&
           table->hash != traces->hash;
}

static bool read_table(const struct search *search, enum tm_stock_shape shape, uint64_t address,
                       struct tm_stock_table *table)
{
    return tm_stock_table_read(search->target, shape, address, table);
}

// ---------------------------------------------------------------------------------------------------------------
// From 3.12 on: everything in _PyRuntime

static bool is_config(const unsigned char *state)
{
    uint32_t limit = tm_load_u32(state + TM_STOCK_MAX_NFRAME);
    return tm_load_u32(state + TM_STOCK_INITIALIZED) == 1 && tm_load_u32(state + TM_STOCK_TRACING) <= 1 && limit >= 1 &&
           limit <= UINT16_MAX;
}

// Whether all four tables are where they belong.
static bool is_state(const struct search *search, const unsigned char *state, struct tm_stock_table *traces)
{
    struct tm_stock_table other;
    return is_config(state) && read_table(search, TM_STOCK_SHAPE_3_9, tm_load_u64(state + TM_STOCK_TRACES), traces) &&
           is_traces(traces) &&
           read_table(search, TM_STOCK_SHAPE_3_9, tm_load_u64(state + TM_STOCK_TRACEBACKS), &other) &&
           is_tracebacks(&other, traces) &&
           read_table(search, TM_STOCK_SHAPE_3_9, tm_load_u64(state + TM_STOCK_DOMAINS), &other) &&
           is_domains(&other, traces) &&
           read_table(search, TM_STOCK_SHAPE_3_9, tm_load_u64(state + TM_STOCK_FILENAMES), &other) &&
           is_filenames(&other, traces);
}

// The version of the _PyRuntime that contains the state. 3.12 has no cookie.
static const struct tm_stock_layout *layout_of_runtime(struct search *search, uint64_t state,
                                                       struct tm_stock_place *place)
{
    uint64_t start = state > RUNTIME_SPAN ? (state - RUNTIME_SPAN) & ~UINT64_C(7) : 0;
    unsigned char *bytes = search->piece;
    bool has_text = find_version_near(search, state, place);
    read_range(search, start, bytes, state - start);
    for (uint64_t at = state - start; at >= 24; at -= 8) {
        const unsigned char *cookie = bytes + at - 24;
        if (memcmp(cookie, COOKIE, 8) != 0)
            continue;
        uint32_t version = (uint32_t)tm_load_u64(cookie + 8);
        if (!has_text || (place->python_version ^ version) >> 16 != 0)
            snprintf(place->version_text, sizeof(place->version_text), "%u.%u.%u", version >> 24, version >> 16 & 0xff,
                     version >> 8 & 0xff);
        place->python_version = version;
        return choose_layout(search, place->version_text, version, tm_load_u64(cookie + 16) == 1);
    }
    if (!has_text || place->python_version >> 16 != 0x030c) {
        place->python_version = 0x030c0000;
        snprintf(place->version_text, sizeof(place->version_text), "3.12");
    }
    return choose_layout(search, place->version_text, place->python_version, false);
}

static enum tm_lock semaphore_state(const struct search *search, uint64_t address)
{
    uint32_t value;
    if (address == 0 || !tm_target_try_read(search->target, address, &value, sizeof(value)) || value > 1)
        return TM_LOCK_UNKNOWN;
    return value == 1 ? TM_LOCK_FREE : TM_LOCK_HELD;
}

// Our tracer learns of births (objects that CPython creates from a free list) by a table that is empty and whose
// look-up function is the tracer's own: it is in another file than the functions beside it.
#define FILE_SPAN (UINT64_C(1) << 20) // of the functions of one file of C
static bool serves_our_tracer(const struct tm_stock_table *traces)
{
    return traces->entries == 0 && tm_distance(traces->lookup, traces->compare) > FILE_SPAN;
}

// Accepts a place that passed all checks. A second one is one too many.
static void accept(struct search *search, const struct tm_stock_place *place)
{
    search->is_ours = search->is_ours || serves_our_tracer(&place->traces);
    if (search->found && search->result->variable != place->variable &&
        search->result->traces.address != place->traces.address)
        refuse(search, tm_error_create(TM_ERROR_CORRUPT,
                                       "there are tables of two tracemallocs here, at 0x%" PRIx64 " and 0x%" PRIx64
                                       ", and nothing says which are this Python's\nLoad the program's executable "
                                       "(in gdb: file PATH), whose symbols say which.",
                                       search->result->variable, place->variable));
    if (!search->found)
        *search->result = *place;
    search->found = true;
}

// False: this is not the state. A state of an unknown version is refused.
static bool consider_state(struct search *search, uint64_t address, const unsigned char *state, const char *found_by)
{
    struct tm_stock_place place = {.found_by = found_by, .variable = address + TM_STOCK_TRACES};
    if (!is_state(search, state, &place.traces))
        return false;
    place.layout = layout_of_runtime(search, address, &place);
    if (!place.layout)
        return true;
    place.domains = tm_load_u64(state + TM_STOCK_DOMAINS);
    place.has_config = true;
    place.tracing = tm_load_u32(state + TM_STOCK_TRACING) == 1;
    place.frame_limit = tm_load_u32(state + TM_STOCK_MAX_NFRAME);
    place.has_memory = true;
    place.traced = tm_load_u64(state + TM_STOCK_TRACED);
    place.peak = tm_load_u64(state + TM_STOCK_PEAK);
    place.was_started = tm_load_u64(state + TM_STOCK_MEM_MALLOC) != 0;
    if (place.layout->mutex)
        place.lock = state[TM_STOCK_LOCK] & 1 ? TM_LOCK_HELD : TM_LOCK_FREE;
    else
        place.lock = semaphore_state(search, tm_load_u64(state + TM_STOCK_LOCK));
    if (place.layout->utf8_names &&
        !tm_target_try_read(search->target, tm_load_u64(state + TM_STOCK_EMPTY_TRACEBACK) + TM_STOCK_FRAMES,
                            &place.unknown_name, sizeof(place.unknown_name)))
        place.unknown_name = 0;
    accept(search, &place);
    return true;
}

static void look_in_runtime(struct search *search)
{
    uint64_t runtime = tm_target_symbol(search->target, "_PyRuntime");
    unsigned char *bytes = runtime ? malloc(RUNTIME_SPAN) : NULL;
    if (!bytes)
        return;
    read_range(search, runtime, bytes, RUNTIME_SPAN);
    for (size_t at = 0; at + TM_STOCK_STATE_SIZE <= RUNTIME_SPAN && !search->found; at += 8) {
        if (is_config(bytes + at))
            consider_state(search, runtime + at, bytes + at, "symbol");
    }
    free(bytes);
}

// ---------------------------------------------------------------------------------------------------------------
// Up to 3.11: static variables, each where the linker put it

// The tables that belong to a table of traces. From 3.9 on these are one of tracebacks and one of domains; in 3.8 two
// sets, which differ in how they hash.
struct kin {
    const struct tm_stock_table *traces;
    uint64_t found[2]; // addresses: of the tracebacks and the domains, or of the sets
    uint64_t hashes[2];
    bool too_many;
};

static void add_kin(struct kin *kin, size_t which, const struct tm_stock_table *table)
{
    kin->too_many = kin->too_many || (kin->found[which] != 0 && kin->found[which] != table->address);
    kin->found[which] = table->address;
    kin->hashes[which] = table->hash;
}

static void consider_kin(struct kin *kin, const struct tm_stock_table *table)
{
    const struct tm_stock_table *traces = kin->traces;
    if (traces->shape == TM_STOCK_SHAPE_3_9) {
        if (is_domains(table, traces))
            add_kin(kin, 1, table);
        else if (is_tracebacks(table, traces))
            add_kin(kin, 0, table);
    } else if (same_allocator(table, traces) && table->key_size == 8 && table->data_size == 0) {
        add_kin(kin, kin->found[0] != 0 && table->hash != kin->hashes[0], table);
    }
}

// Looks for kin among the tables whose addresses are in these bytes.
static void note_kin(const struct search *search, const unsigned char *bytes, uint64_t length, struct kin *kin)
{
    uint64_t last = kin->traces->address;
    for (uint64_t at = 0; at + 8 <= length && !kin->too_many; at += 8) {
        struct tm_stock_table table;
        uint64_t word = tm_load_u64(bytes + at);
        if (word % 16 != 0 || word == last || word == kin->traces->address ||
            tm_distance(word, kin->traces->address) > HEAP_SPAN)
            continue;
        last = word;
        if (read_table(search, kin->traces->shape, word, &table))
            consider_kin(kin, &table);
    }
}

static bool is_complete(const struct kin *kin)
{
    return kin->found[0] != 0 && kin->found[1] != 0 && !kin->too_many;
}

// Finds the other tables by variables near the one of the traces, or anywhere in the same module's data: what the
// tables are decides, and not where a linker put their variables. Overwrites search->piece.
static bool find_kin(const struct search *search, uint64_t variable, bool far, struct kin *kin)
{
    uint64_t span = far ? KIN_SPAN : NEIGHBOURS;
    if (variable < span)
        return false;
    for (uint64_t at = variable - span; at < variable + span && !kin->too_many; at += span) {
        read_range(search, at, search->piece, span);
        note_kin(search, search->piece, span, kin);
    }
    return is_complete(kin);
}

// Where the allocators are that tracemalloc calls, each of a context and four functions; those for objects, which
// come last, have the functions of the first. 2 * NEIGHBOURS: nowhere.
#define ALLOCATORS_SIZE 120u
static size_t find_allocators(const unsigned char *around)
{
    for (size_t at = 0; at + ALLOCATORS_SIZE <= 2 * NEIGHBOURS; at += 8) {
        bool all = memcmp(around + at + 8, around + at + 88, 32) == 0;
        for (size_t i = 1; i < 5 && all; i++)
            all = tm_load_u64(around + at + i * 8) != 0 && tm_load_u64(around + at + 40 + i * 8) != 0 &&
                  (i == 1 || tm_load_u64(around + at + i * 8) != tm_load_u64(around + at + i * 8 - 8));
        if (all)
            return at;
    }
    return 2 * NEIGHBOURS;
}

// Semaphores of locks, as far as they were seen.
struct semaphores {
    unsigned count, held;
    bool unreadable; // an address of what may be one cannot be read
};

// The lock is a semaphore. A variable nearby points to it, and it is in a block of its own of glibc's malloc(), made
// together with the tables; without these checks, zeros anywhere would do.
#define SEMAPHORE_BLOCK 0x30u
static struct semaphores count_semaphores(const struct search *search, const struct tm_stock_table *traces,
                                          const unsigned char *around, size_t first, size_t end)
{
    struct semaphores seen = {0, 0, false};
    for (size_t at = first; at < end; at += 8) {
        uint64_t address = tm_load_u64(around + at);
        uint32_t block[6]; // the block's size and flags, then value, waiters, whether it is shared, nothing
        const uint32_t *semaphore = block + 2;
        if (address % 16 != 0 || address == 0 || tm_distance(address, traces->address) > HEAP_SPAN)
            continue;
        if (!tm_target_try_read(search->target, address - 8, block, sizeof(block)))
            seen.unreadable = true;
        else if ((block[0] & ~15u) == SEMAPHORE_BLOCK && block[1] == 0 && semaphore[0] <= 1 &&
                 semaphore[1] <= UINT16_MAX && semaphore[2] == 0 && semaphore[3] == 0) {
            seen.count++;
            seen.held += semaphore[0] == 0;
        }
    }
    return seen;
}

// Compilers keep the order of variables or reverse it, so the lock is between the tables and the allocators; -flto
// regroups variables, and then it is on the other side, or the allocators are elsewhere. If several fit and agree, it
// does not matter which is the lock.
static enum tm_lock lock_among(const struct search *search, const struct tm_stock_table *traces,
                               const unsigned char *around)
{
    size_t first = 0, end = 2 * NEIGHBOURS, allocators = find_allocators(around);
    if (allocators < NEIGHBOURS) {
        first = allocators + ALLOCATORS_SIZE;
        end = NEIGHBOURS;
    } else if (allocators < 2 * NEIGHBOURS) {
        first = NEIGHBOURS;
        end = allocators;
    }
    struct semaphores seen = count_semaphores(search, traces, around, first, end);
    if (seen.count == 0 && !seen.unreadable) {
        seen = count_semaphores(search, traces, around, 0, 2 * NEIGHBOURS);
        seen.count = seen.unreadable ? 0 : seen.count; // the one that is missing may be the lock
    }
    if (seen.count == 0 || (seen.held != 0 && seen.held != seen.count))
        return TM_LOCK_UNKNOWN;
    return seen.held ? TM_LOCK_HELD : TM_LOCK_FREE;
}

// A static variable. GCC's -flto gives it a name of its own.
static uint64_t static_symbol(const struct search *search, const char *name)
{
    char private_name[64];
    uint64_t address = tm_target_symbol(search->target, name);
    if (address != 0)
        return address;
    snprintf(private_name, sizeof(private_name), "%s.lto_priv.0", name);
    return tm_target_symbol(search->target, private_name);
}

static bool read_symbol(const struct search *search, const char *name, void *value, size_t size)
{
    uint64_t address = static_symbol(search, name);
    return address != 0 && tm_target_try_read(search->target, address, value, size);
}

// What the other variables say, where symbols lead to them.
static void read_statics(const struct search *search, bool by_symbol, const unsigned char *around,
                         struct tm_stock_place *place)
{
    uint32_t config[3];
    uint64_t lock;
    if (read_symbol(search, "_Py_tracemalloc_config", config, sizeof(config)) &&
        is_config((const unsigned char *)config)) {
        place->has_config = true;
        place->tracing = config[1] == 1;
        place->frame_limit = config[2];
    }
    if (by_symbol && read_symbol(search, "tables_lock", &lock, sizeof(lock)))
        place->lock = semaphore_state(search, lock);
    if (place->lock == TM_LOCK_UNKNOWN)
        place->lock = lock_among(search, &place->traces, around);
    if (!by_symbol)
        return;
    place->has_memory = read_symbol(search, "tracemalloc_traced_memory", &place->traced, sizeof(place->traced)) &&
                        read_symbol(search, "tracemalloc_peak_traced_memory", &place->peak, sizeof(place->peak));
}

// Which of 3.8 to 3.11 it is.
static const struct tm_stock_layout *layout_of_statics(struct search *search, struct tm_stock_place *place)
{
    uint32_t least = place->traces.shape == TM_STOCK_SHAPE_3_8 ? 0x03080000 : 0x03090000;
    const struct tm_stock_layout *layout = tm_stock_layout_of(least >> 16 & 0xff, false);
    bool known = find_version_near(search, place->variable, place);
    if (!known && read_symbol(search, "Py_Version", &place->python_version, sizeof(place->python_version))) {
        known = true;
        snprintf(place->version_text, sizeof(place->version_text), "%u.%u.%u", place->python_version >> 24,
                 place->python_version >> 16 & 0xff, place->python_version >> 8 & 0xff);
    }
    if (!known) {
        place->python_version = least;
        tm_stock_layout_versions(layout, place->version_text, sizeof(place->version_text));
        return layout;
    }
    // A table of this shape outside _PyRuntime that belongs to another version is unknown.
    const struct tm_stock_layout *chosen = choose_layout(search, place->version_text, place->python_version, false);
    if (!chosen || chosen == layout)
        return chosen;
    refuse(search, unknown_version(place->version_text));
    return NULL;
}

// False: the other tables are not where they were looked for.
static bool consider_static(struct search *search, uint64_t variable, const char *found_by, bool by_symbol, bool far)
{
    unsigned char around[2 * NEIGHBOURS];
    bool found = false;
    if (variable < NEIGHBOURS)
        return false;
    read_range(search, variable - NEIGHBOURS, around, sizeof(around));
    for (int shape = TM_STOCK_SHAPE_3_8; shape <= TM_STOCK_SHAPE_3_9; shape++) {
        struct tm_stock_place place = {.found_by = found_by, .variable = variable};
        struct kin kin = {.traces = &place.traces};
        if (!read_table(search, (enum tm_stock_shape)shape, tm_load_u64(around + NEIGHBOURS), &place.traces) ||
            !is_traces(&place.traces) || !find_kin(search, variable, far, &kin))
            continue;
        found = true;
        place.domains = shape == TM_STOCK_SHAPE_3_9 ? kin.found[1] : 0;
        place.layout = layout_of_statics(search, &place);
        if (!place.layout)
            return true;
        read_statics(search, by_symbol, around, &place);
        accept(search, &place);
    }
    return found;
}

static void look_at_static(struct search *search)
{
    uint64_t variable = static_symbol(search, "tracemalloc_traces"), table;
    if (variable == 0 || !tm_target_try_read(search->target, variable, &table, sizeof(table)))
        return;
    if (!consider_static(search, variable, "symbol", true, false))
        consider_static(search, variable, "symbol", true, true);
}

// ---------------------------------------------------------------------------------------------------------------
// Searching memory

static bool may_hold(const struct tm_region *region)
{
    uint32_t wanted = TM_REGION_READABLE | TM_REGION_WRITABLE;
    return (region->flags & (wanted | TM_REGION_ABSENT)) == wanted && region->end > region->start;
}

// Called with `length` bytes at `address`. PIECE_OVERLAP more follow them in `bytes`: those of the target, or zeros.
typedef void (*piece_visitor)(struct search *search, uint64_t address, const unsigned char *bytes, uint64_t length);
#define PIECE_OVERLAP 256u

static struct tm_error *visit_range(struct search *search, uint64_t start, uint64_t end, piece_visitor visit)
{
    start = (start + 7) & ~UINT64_C(7);
    for (uint64_t at = start, step; at < end; at += step) {
        struct tm_error *error = tm_host_check(search->host);
        if (error)
            return error;
        tm_host_progress(search->host, "searching memory for tracemalloc's tables", search->done, search->total);
        step = end - at < PIECE - PIECE_OVERLAP ? end - at : PIECE - PIECE_OVERLAP;
        uint64_t length = end - at < PIECE ? end - at : PIECE;
        read_range(search, at, search->piece, length);
        memset(search->piece + length, 0, PIECE_OVERLAP);
        visit(search, at, search->piece, step);
        search->done += step;
    }
    return NULL;
}

// Visits [from, to) of each region.
static struct tm_error *visit_regions(struct search *search, uint64_t from, uint64_t to, piece_visitor visit)
{
    struct tm_error *error = NULL;
    search->done = search->total = 0;
    for (int counting = 1; counting >= 0; counting--) {
        for (size_t i = 0; i < search->region_count && !error; i++) {
            const struct tm_region *region = &search->regions[i];
            uint64_t size = region->end - region->start;
            if (!may_hold(region) || size <= from)
                continue;
            uint64_t end = size < to ? size : to;
            if (counting)
                search->total += end - from;
            else
                error = visit_range(search, region->start + from, region->start + end, visit);
        }
    }
    return error;
}

static void note_tables(struct search *search, uint64_t address, const unsigned char *bytes, uint64_t length)
{
    struct tm_stock_table table;
    for (uint64_t at = address % 16 ? 8 : 0; at < length; at += 16) {
        uint64_t first = tm_load_u64(bytes + at), second = tm_load_u64(bytes + at + 8);
        // One of the two is a power of two, and not less than the other.
        uint64_t buckets = first > second ? first : second;
        if (buckets < 16 || (buckets & (buckets - 1)) != 0 || search->candidate_count == CANDIDATES_LIMIT)
            continue;
        if ((tm_stock_table_decode(TM_STOCK_SHAPE_3_9, address + at, bytes + at, &table) && is_traces(&table)) ||
            (tm_stock_table_decode(TM_STOCK_SHAPE_3_8, address + at, bytes + at, &table) && is_traces(&table)))
            search->candidates[search->candidate_count++] = address + at;
    }
}

static bool is_candidate(const struct search *search, uint64_t address)
{
    size_t low = 0, high = search->candidate_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (search->candidates[middle] < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < search->candidate_count && search->candidates[low] == address;
}

static void consider_variable(struct search *search, uint64_t variable)
{
    unsigned char state[TM_STOCK_STATE_SIZE];
    if (variable > TM_STOCK_TRACES) {
        read_range(search, variable - TM_STOCK_TRACES, state, sizeof(state));
        if (consider_state(search, variable - TM_STOCK_TRACES, state, "search"))
            return;
    }
    if (!consider_static(search, variable, "search", false, false) && search->variable_count < VARIABLES_LIMIT)
        search->variables[search->variable_count++] = variable;
}

#define VARIABLES_AT_ONCE 512u

static void note_variables(struct search *search, uint64_t address, const unsigned char *bytes, uint64_t length)
{
    uint64_t found[VARIABLES_AT_ONCE]; // considering one overwrites the bytes
    size_t count = 0;
    uint64_t least = search->candidates[0], most = search->candidates[search->candidate_count - 1];
    for (uint64_t at = 0; at < length && count < VARIABLES_AT_ONCE; at += 8) {
        uint64_t word = tm_load_u64(bytes + at);
        if (word >= least && word <= most && is_candidate(search, word))
            found[count++] = address + at;
    }
    for (size_t i = 0; i < count; i++)
        consider_variable(search, found[i]);
}

static int compare_addresses(const void *a, const void *b)
{
    return tm_compare_numbers(*(const uint64_t *)a, *(const uint64_t *)b);
}

static struct tm_error *search_memory(struct search *search)
{
    const uint64_t bounds[] = {0, TABLES_FIRST, UINT64_MAX};
    struct tm_error *error = tm_target_regions(search->target, &search->regions, &search->region_count);
    for (size_t i = 0; i < 2 && !error && !search->found && !search->refusal; i++) {
        search->candidate_count = search->variable_count = 0;
        error = visit_regions(search, bounds[i], bounds[i + 1], note_tables);
        if (error || search->candidate_count == 0)
            continue;
        qsort(search->candidates, search->candidate_count, sizeof(search->candidates[0]), compare_addresses);
        error = visit_regions(search, 0, VARIABLES_SPAN, note_variables);
        for (size_t at = 0; at < search->variable_count && !error && !search->found && !search->refusal; at++) {
            error = tm_host_check(search->host);
            consider_static(search, search->variables[at], "search", false, true);
        }
    }
    return error;
}

// ---------------------------------------------------------------------------------------------------------------
// Explaining why no table was found

static void note_version(struct search *search, uint64_t address, const unsigned char *bytes, uint64_t length)
{
    (void)address;
    if (search->result->python_version == 0)
        find_version(bytes, (size_t)length, search->result);
}

struct tm_error *tm_stock_never_started(const char *version)
{
    return tm_error_create(TM_ERROR_NOT_TRACING,
                           "this Python%s%s records nothing: tracemalloc was never started in it, and it runs without "
                           "tracemortem's tracer\n" TM_HOW_TO_START_TRACEMALLOC TM_HOW_TO_TRACE,
                           version[0] ? " " : "", version);
}

// What symbols say where no table was found. Before 3.12 the configuration is a variable of its own, which even a
// stripped build exports.
static void look_at_symbols(struct search *search)
{
    uint64_t config = tm_target_symbol(search->target, "_Py_tracemalloc_config");
    uint64_t runtime = tm_target_symbol(search->target, "_PyRuntime");
    uint32_t initialized = 1;
    search->has_symbols = config || runtime || tm_target_symbol(search->target, "Py_GetVersion");
    if (config)
        search->never_started =
            tm_target_try_read(search->target, config, &initialized, sizeof(initialized)) && initialized == 0;
    else if (runtime)
        search->never_started = tm_target_try_read(search->target, runtime, search->piece, RUNTIME_LEAST);
}

static struct tm_error *explain_version(const struct tm_stock_place *place)
{
    if (place->python_version && (place->python_version < 0x03080000 || place->python_version >= 0x03100000))
        return unknown_version(place->version_text);
    return NULL;
}

static struct tm_error *explain(struct search *search)
{
    struct tm_stock_place *place = search->result;
    struct tm_error *error = NULL;
    look_at_symbols(search);
    if (!search->regions)
        error = tm_target_regions(search->target, &search->regions, &search->region_count);
    if (!error)
        error = visit_regions(search, 0, VARIABLES_SPAN, note_version);
    if (!error)
        error = explain_version(place);
    if (error)
        return error;
    const char *space = place->version_text[0] ? " " : "";
    if (search->never_started)
        return tm_stock_never_started(place->version_text);
    if (search->has_symbols)
        return tm_error_create(TM_ERROR_FAULT,
                               "this is Python%s%s, but the tables of tracemalloc cannot be read: the memory that "
                               "contains them, or that shows that there are none, is missing\n" TM_HOW_TO_DUMP,
                               space, place->version_text);
    if (place->python_version)
        return tm_error_create(
            TM_ERROR_FAULT,
            "this is Python %s, but no tables of tracemalloc can be found in it: it was never "
            "started, or its records are not in this core; without symbols nothing shows which\n"
            "Load the program's executable (in gdb: file PATH; in lldb: target create PATH --core "
            "CORE),\nor make a core which contains all of the process: gcore PID. If tracemalloc was "
            "never started:\n" TM_HOW_TO_START_TRACEMALLOC TM_HOW_TO_TRACE,
            place->version_text);
    return tm_error_create(TM_ERROR_NO_TABLE, "no tables of tracemalloc");
}

static struct tm_error *explain_ours(const struct tm_stock_place *place)
{
    return tm_error_create(
        TM_ERROR_FAULT,
        "this Python %s is traced by tracemortem's tracer, but its trace table cannot be read\n" TM_HOW_TO_DUMP,
        place->version_text);
}

// What is called with a search that has found nothing yet.
typedef struct tm_error *(*finder)(struct search *search);

static struct tm_error *find_anywhere(struct search *search)
{
    look_at_static(search);
    if (!search->found)
        look_in_runtime(search);
    return search->found || search->refusal ? NULL : search_memory(search);
}

// Up to 3.11 an exported variable says whether tracemalloc records, and where its tables are may be left to a search. From
// 3.12 on _PyRuntime has both.
static struct tm_error *find_beside(struct search *search)
{
    uint32_t config[3];
    look_in_runtime(search);
    if (!search->found && read_symbol(search, "_Py_tracemalloc_config", config, sizeof(config)) &&
        is_config((const unsigned char *)config) && config[1] == 1)
        return find_anywhere(search);
    return NULL;
}

static struct tm_error *find(struct tm_target *target, const struct tm_host *host, finder look,
                             struct tm_stock_place *result)
{
    struct search *search = calloc(1, sizeof(*search));
    if (!search)
        return tm_error_no_memory();
    *search = (struct search){.target = target, .host = host, .result = result, .piece = malloc(PIECE + PIECE_OVERLAP)};
    memset(result, 0, sizeof(*result));
    struct tm_error *error = search->piece ? look(search) : tm_error_no_memory();
    if (!error && search->refusal) {
        error = search->refusal;
        search->refusal = NULL;
    } else if (!error && !search->found && look == find_beside) {
        error = tm_error_create(TM_ERROR_NO_TABLE, "tracemalloc records nothing");
    } else if (!error && !search->found) {
        error = explain(search);
    } else if (!error && search->is_ours) {
        error = explain_ours(result);
    }
    free(search->regions);
    free(search->piece);
    tm_error_destroy(search->refusal);
    free(search);
    return error;
}

struct tm_error *tm_stock_find(struct tm_target *target, const struct tm_host *host, struct tm_stock_place *result)
{
    return find(target, host, find_anywhere, result);
}

struct tm_error *tm_stock_find_beside(struct tm_target *target, const struct tm_host *host,
                                      struct tm_stock_place *result)
{
    return find(target, host, find_beside, result);
}
