// The rules: what is seen is compared with what was there before and with the calls in flight.

#define _GNU_SOURCE
#include "oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model/pool.h"
#include "layout/trace_table.h"

#define CORPUS "corpus.py"

uint64_t oracle_sample_period;

static void *copy_of(const void *bytes, size_t size)
{
    void *copy = malloc(size + 1);
    if (copy == NULL)
        exit(2);
    memcpy(copy, bytes, size);
    return copy;
}

void oracle_adopt(struct oracle *oracle, const struct seen *seen)
{
    free(oracle->blocks);
    oracle->blocks = copy_of(seen->blocks, seen->count * sizeof *seen->blocks);
    oracle->count = seen->count;
    oracle->tracing = seen->info.state == TM_TRACING_ON;
    oracle->lost = seen->info.tracer.lost_blocks;
}

void oracle_copy(struct oracle *oracle, const struct oracle *parent)
{
    memset(oracle, 0, sizeof *oracle);
    oracle->blocks = copy_of(parent->blocks, parent->count * sizeof *parent->blocks);
    oracle->count = parent->count;
    oracle->tracing = parent->tracing;
    oracle->lost = parent->lost;
}

void oracle_deinit(struct oracle *oracle)
{
    free(oracle->blocks);
    oracle->blocks = NULL;
}

// ---------------------------------------------------------------------------------------------------------------
// What a call is about to do

static const struct seen_block *find_block(const struct oracle *oracle, uint64_t address, uint32_t domain)
{
    size_t low = 0, high = oracle->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct seen_block *block = &oracle->blocks[middle];
        if (block->address == address && block->domain == domain)
            return block;
        if (block->address < address || (block->address == address && block->domain < domain))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool is_one_of(const char *name, const char *first, const char *second)
{
    return strcmp(name, first) == 0 || strcmp(name, second) == 0;
}

static bool is_hook(const char *name, const char *function)
{
    const char *at = strchr(name, '_');
    size_t domain = at == NULL ? 0 : (size_t)(at - name), length = strlen(function);
    if (domain == 0 || strncmp(at + 1, function, length) != 0 || at[1 + length] != '_')
        return false;
    return strncmp(name, "raw", domain) == 0 || strncmp(name, "mem", domain) == 0 ||
           strncmp(name, "object", domain) == 0;
}

static void read_kind(struct flight *flight, const struct process *process, const uint64_t *arguments, const char *name)
{
    if (is_hook(name, "malloc")) {
        flight->kind = KIND_ALLOCATE;
        flight->size = arguments[1];
    } else if (is_hook(name, "calloc")) {
        flight->kind = KIND_ALLOCATE;
        flight->size = arguments[1] * arguments[2];
    } else if (is_hook(name, "realloc")) {
        flight->kind = arguments[1] == 0 ? KIND_ALLOCATE : KIND_RESIZE;
        flight->address = arguments[1];
        flight->size = arguments[2];
    } else if (is_hook(name, "free")) {
        flight->kind = arguments[1] == 0 ? KIND_NONE : KIND_FREE;
        flight->address = arguments[1];
    } else if (strcmp(name, "on_get_entry") == 0) {
        flight->kind = KIND_BIRTH;
        flight->address = arguments[1];
    } else if (strcmp(name, "on_hash") == 0) {
        flight->kind = KIND_BIRTH;
        tracee_read(process, arguments[1], &flight->address, sizeof flight->address);
    } else if (strcmp(name, "on_new_reference") == 0) {
        flight->kind = KIND_BIRTH;
        flight->address = arguments[0];
    } else if (strcmp(name, "on_event") == 0) {
        flight->kind = (uint32_t)arguments[1] == 0 ? KIND_BIRTH : KIND_NONE;
        flight->address = arguments[0];
    } else if (is_one_of(name, "track_block", "PyTraceMalloc_Track")) {
        flight->kind = KIND_TRACK;
        flight->domain = (uint32_t)arguments[0];
        flight->address = arguments[1];
        flight->size = arguments[2];
    } else if (is_one_of(name, "untrack_block", "PyTraceMalloc_Untrack")) {
        flight->kind = KIND_UNTRACK;
        flight->domain = (uint32_t)arguments[0];
        flight->address = arguments[1];
    } else if (is_one_of(name, "module_clear_traces", "module_stop") || strcmp(name, "module_start") == 0) {
        flight->kind = KIND_CLEAR;
    }
}

static void read_lines(struct flight *flight, const volatile uint16_t *cells, unsigned thread)
{
    const volatile uint16_t *own = cells + (size_t)thread * CELLS_OF_THREAD;
    if (own[CELL_LINE] == 0)
        return;
    if (own[CELL_INNER] != 0)
        flight->lines[flight->line_count++] = own[CELL_INNER];
    flight->lines[flight->line_count++] = own[CELL_LINE];
    for (unsigned i = 0; i < BASE_LINES && own[CELL_BASE + i] != 0; i++)
        flight->lines[flight->line_count++] = own[CELL_BASE + i];
}

/** The object may begin up to two slots into its block. */
static const struct seen_block *block_of_object(const struct oracle *oracle, uint64_t object)
{
    for (uint64_t before = 0; before <= 2 * 16; before += 8) {
        const struct seen_block *block = find_block(oracle, object - before, 0);
        if (block != NULL)
            return block;
    }
    return NULL;
}

struct flight *oracle_begin(struct oracle *oracle, const struct process *process, const struct call *call,
                            const char *name, bool nested, const volatile uint16_t *cells, unsigned thread)
{
    struct flight *flight = oracle->flights;
    while (flight < oracle->flights + FLIGHTS && flight->used)
        flight++;
    *flight = (struct flight){.used = true, .optional = nested || !oracle->tracing, .lost_before = oracle->lost};
    read_kind(flight, process, call->arguments, name);
    read_lines(flight, cells, thread);
    const struct seen_block *old = flight->kind == KIND_BIRTH ? block_of_object(oracle, flight->address)
                                                              : find_block(oracle, flight->address, flight->domain);
    flight->old_size = old == NULL ? 0 : old->size;
    flight->takes_empty = old != NULL && old->size == 0;
    return flight;
}

// ---------------------------------------------------------------------------------------------------------------
// The check

struct check {
    struct oracle *oracle;
    struct flight *ended;
    char *problem;
    size_t room;
    struct seen_block *next; // what was, with the change of the call which ended
    size_t count;
};

static bool refuse(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(struct check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check->problem, check->room, format, arguments);
    va_end(arguments);
    return false;
}

static bool ends_with(const struct tm_name *name, const char *end)
{
    size_t length = strlen(end);
    return name->length >= length && memcmp(name->bytes + name->length - length, end, length) == 0;
}

/** Whether a traceback is that of a call: its frames of the program's own file have the lines in the program's cells. */
static bool comes_from(const struct tm_traceback *traceback, const struct flight *flight)
{
    if (flight->line_count == 0)
        return true;
    const struct tm_traceback *rest = traceback;
    while (rest && !ends_with(rest->newest->file_name, CORPUS))
        rest = rest->older; // functions of the library, called from the program
    for (unsigned n = 0; rest && n < flight->line_count; rest = rest->older, n++)
        if (!ends_with(rest->newest->file_name, CORPUS) || rest->newest->line != flight->lines[n])
            return false;
    return true;
}

static bool may_remove(const struct flight *flight, const struct seen_block *block)
{
    switch (flight->kind) {
    case KIND_CLEAR:
        return true;
    case KIND_FREE:
    case KIND_RESIZE:
    case KIND_TRACK:
    case KIND_UNTRACK:
        return flight->address == block->address && flight->domain == block->domain;
    default:
        return false;
    }
}

static bool may_add(const struct flight *flight, const struct seen_block *block)
{
    if (flight->has_added && flight->added != block->address)
        return false;
    if (flight->size != block->size || flight->domain != block->domain || !comes_from(block->traceback, flight))
        return false;
    return flight->kind == KIND_ALLOCATE || flight->kind == KIND_RESIZE ||
           (flight->kind == KIND_TRACK && flight->address == block->address);
}

static bool may_move(const struct flight *flight, const struct seen_block *before, const struct seen_block *now)
{
    return flight->kind == KIND_BIRTH && flight->address - before->address <= 2 * 16 && before->size == now->size &&
           comes_from(now->traceback, flight);
}

/** How surely a change is a flight's own: most surely a new block with the flight's lines; then any change, if it has ended. */
static unsigned certainty(const struct check *check, const struct flight *flight, bool is_new)
{
    return (is_new && flight->line_count != 0 ? 2 : 0) + (flight == check->ended);
}

/** A block belongs to one flight. If it was taken for another flight's before, that was wrong. */
static void note_added(struct oracle *oracle, struct flight *flight, uint64_t address)
{
    for (struct flight *other = oracle->flights; other < oracle->flights + FLIGHTS; other++)
        if (other->used && other->added == address)
            other->has_added = false;
    flight->has_added = true;
    flight->added = address;
}

/** The flight that explains a change; NULL: none does. */
static struct flight *explain(const struct check *check, const struct seen_block *before, const struct seen_block *now)
{
    struct flight *found = NULL;
    for (struct flight *flight = check->oracle->flights; flight < check->oracle->flights + FLIGHTS; flight++) {
        if (!flight->used)
            continue;
        bool explains = before == NULL ? may_add(flight, now)
                        : now == NULL
                            ? may_remove(flight, before)
                            : may_move(flight, before, now) || (may_remove(flight, before) && may_add(flight, now));
        if (explains &&
            (found == NULL || certainty(check, flight, before == NULL) > certainty(check, found, before == NULL)))
            found = flight;
    }
    if (found != NULL && before == NULL)
        note_added(check->oracle, found, now->address);
    return found;
}

static void describe(char *text, size_t room, const struct seen_block *block)
{
    if (block == NULL) {
        snprintf(text, room, "nothing");
        return;
    }
    const struct tm_traceback *traceback = block->traceback;
    int length = snprintf(text, room, "%#llx, %llu bytes, domain %u%s, from", (unsigned long long)block->address,
                          (unsigned long long)block->size, block->domain, block->resizing ? ", resizing" : "");
    for (const struct tm_traceback *rest = traceback; rest && length < (int)room; rest = rest->older) {
        const char *name = rest->newest->file_name->bytes, *base = strrchr(name, '/');
        length += snprintf(text + length, room - (size_t)length, " %s:%u", base == NULL ? name : base + 1,
                           rest->newest->line);
    }
}

static void keep(struct check *check, const struct seen_block *block)
{
    if (block == NULL)
        return;
    check->next[check->count] = *block;
    check->next[check->count++].resizing = false;
}

static bool resizes(const struct oracle *oracle, uint64_t address)
{
    for (const struct flight *flight = oracle->flights; flight < oracle->flights + FLIGHTS; flight++)
        if (flight->used && flight->kind == KIND_RESIZE && flight->address == address)
            return true;
    return false;
}

/** Compare one block before and now; NULL: it was or is not there. */
static bool check_change(struct check *check, const struct seen_block *before, const struct seen_block *now)
{
    if (now != NULL && now->resizing && !resizes(check->oracle, now->address))
        return refuse(check, "the block at %#llx is shown inside realloc(), and is not",
                      (unsigned long long)now->address);
    if (before != NULL && now != NULL && before->size == now->size && before->traceback == now->traceback) {
        keep(check, now);
        return true;
    }
    struct flight *flight = explain(check, before, now);
    if (flight == NULL && before != NULL && now != NULL) { // two calls, one after the other
        flight = explain(check, before, NULL);
        flight = flight == NULL ? NULL : explain(check, NULL, now);
    }
    if (flight == NULL) {
        char was[512], is[512];
        describe(was, sizeof was, before);
        describe(is, sizeof is, now);
        return refuse(check, "a change that no call is making: was %s; is %s", was, is);
    }
    keep(check, flight == check->ended ? now : before);
    return true;
}

static bool check_blocks(struct check *check, const struct seen *seen)
{
    const struct seen_block *before = check->oracle->blocks, *before_end = before + check->oracle->count;
    const struct seen_block *now = seen->blocks, *now_end = now + seen->count;
    while (before < before_end || now < now_end) {
        int order = before == before_end              ? 1
                    : now == now_end                  ? -1
                    : before->address != now->address ? (before->address < now->address ? -1 : 1)
                                                      : (before->domain > now->domain) - (before->domain < now->domain);
        if (!check_change(check, order <= 0 ? before : NULL, order >= 0 ? now : NULL))
            return false;
        before += order <= 0;
        now += order >= 0;
    }
    return true;
}

struct allowance {
    uint64_t count, bytes;
    bool any;       // traces are being cleared
    bool in_flight; // there is a call that changes something
    bool empty;     // and it changes an empty block: an update of no bytes
};

static struct allowance allowance_of(const struct oracle *oracle)
{
    struct allowance allowance = {0};
    for (const struct flight *flight = oracle->flights; flight < oracle->flights + FLIGHTS; flight++) {
        if (!flight->used || flight->kind == KIND_NONE)
            continue;
        bool both = flight->kind == KIND_RESIZE || flight->kind == KIND_BIRTH || flight->kind == KIND_TRACK;
        allowance.count += both ? 2 : 1;
        allowance.bytes += flight->size + (flight->kind == KIND_BIRTH ? 2 : 1) * flight->old_size;
        allowance.any |= flight->kind == KIND_CLEAR;
        allowance.in_flight = true;
        bool gives = flight->kind == KIND_ALLOCATE || flight->kind == KIND_RESIZE || flight->kind == KIND_TRACK;
        allowance.empty |= flight->takes_empty || (gives && flight->size == 0);
    }
    return allowance;
}

static bool check_counters(struct check *check, const struct seen *seen, const struct allowance *allowance)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < seen->count; i++)
        bytes += seen->blocks[i].size;
    uint64_t off = bytes > seen->info.traced ? bytes - seen->info.traced : seen->info.traced - bytes;
    // Of samples the engine shows no counters, but estimates.
    if (allowance->any || oracle_sample_period != 0)
        return true;
    if (seen->count_off > allowance->count || seen->bytes_off > allowance->bytes || off > allowance->bytes)
        return refuse(check,
                      "counters are off by %llu blocks, %llu bytes, traced memory by %llu; in flight are %llu, %llu",
                      (unsigned long long)seen->count_off, (unsigned long long)seen->bytes_off, (unsigned long long)off,
                      (unsigned long long)allowance->count, (unsigned long long)allowance->bytes);
    return true;
}

/** tm-info names an update if and only if counters and blocks differ by one, except for an update of no bytes. */
static bool check_naming(struct check *check, const struct seen *seen, const struct allowance *allowance)
{
    bool named =
        seen->info.tracer.in_flight != 0 || seen->info.tracer.resizing != 0 || seen->info.state == TM_TRACING_CLEARING;
    bool differ = oracle_sample_period == 0 && (seen->bytes_off != 0 || (seen->count_off != 0 && !allowance->empty));
    if (differ && !named)
        return refuse(check, "tm-info names no update in flight, but counters are off by %llu blocks, %llu bytes",
                      (unsigned long long)seen->count_off, (unsigned long long)seen->bytes_off);
    if (named && !allowance->in_flight)
        return refuse(check, "tm-info names an update in flight (%llu bytes), and there is none",
                      (unsigned long long)seen->info.tracer.in_flight);
    return true;
}

/** tm-traceback and the list of all blocks say the same of a block in flight. */
static bool check_found(struct check *check, struct view *view, const struct seen *seen, uint64_t address)
{
    struct seen_block found;
    const struct seen_block *listed = NULL;
    for (size_t low = 0, high = seen->count; low < high && listed == NULL;) {
        size_t middle = (low + high) / 2;
        const struct seen_block *block = &seen->blocks[middle];
        if (block->address == address && block->domain == 0)
            listed = block;
        else if (block->address < address)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_found = view_find(view, address, &found) && found.address == address;
    if (is_found != (listed != NULL) ||
        (is_found && (found.size != listed->size || found.traceback != listed->traceback)))
        return refuse(check, "the block at %#llx is %s, and %s in the list of all", (unsigned long long)address,
                      is_found ? "found" : "not found", listed != NULL ? "another or there" : "not");
    return true;
}

/** No distance is more than some 37 mean ones: see src/tracer/sample.c. */
static bool is_surely_picked(uint64_t size)
{
    return size / 37 >= oracle_sample_period;
}

static bool check_ended(struct check *check, const struct seen *seen, uint64_t result)
{
    const struct flight *flight = check->ended;
    struct oracle *oracle = check->oracle;
    oracle->lost = seen->info.tracer.lost_blocks;
    if (flight->kind == KIND_CLEAR)
        oracle->tracing = seen->info.state == TM_TRACING_ON;
    if (flight->kind == KIND_FREE || flight->kind == KIND_UNTRACK || (flight->kind == KIND_RESIZE && result != 0)) {
        const struct seen_block *still = find_block(oracle, flight->address, flight->domain);
        bool is_again = flight->kind == KIND_RESIZE && result == flight->address;
        if (still != NULL && !is_again && !flight->optional)
            return refuse(check, "the block at %#llx was freed and is still shown",
                          (unsigned long long)flight->address);
    }
    if ((flight->kind != KIND_ALLOCATE && flight->kind != KIND_RESIZE) || result == 0 || flight->optional ||
        seen->info.tracer.lost_blocks > flight->lost_before)
        return true;
    const struct seen_block *block = find_block(oracle, result, 0);
    if (block == NULL && !is_surely_picked(flight->size))
        return true;
    if (block == NULL || block->size != flight->size)
        return refuse(check, "%llu bytes were allocated at %#llx, and are not shown", (unsigned long long)flight->size,
                      (unsigned long long)result);
    return true;
}

bool oracle_check(struct oracle *oracle, struct view *view, const struct seen *seen, struct flight *ended,
                  uint64_t result, char *problem, size_t room)
{
    struct check check = {.oracle = oracle, .ended = ended, .problem = problem, .room = room};
    struct allowance allowance = allowance_of(oracle);
    bool is_good = seen->problem[0] == '\0' || refuse(&check, "%s", seen->problem);
    check.next = malloc((oracle->count + seen->count + 1) * sizeof *check.next);
    if (check.next == NULL)
        exit(2);
    is_good = is_good && check_blocks(&check, seen) && check_counters(&check, seen, &allowance);
    for (const struct flight *flight = oracle->flights; is_good && flight < oracle->flights + FLIGHTS; flight++)
        if (flight->used && flight->domain == 0 && flight->kind != KIND_NONE && flight->kind != KIND_CLEAR)
            is_good = check_found(&check, view, seen, flight->has_added ? flight->added : flight->address);
    if (ended == NULL) {
        is_good = is_good && check_naming(&check, seen, &allowance);
        free(check.next);
        return is_good;
    }
    // After a refusal the next comparison begins with what is seen, so that one fault is reported once.
    if (!is_good)
        oracle_adopt(oracle, seen);
    else {
        free(oracle->blocks);
        oracle->blocks = check.next;
        oracle->count = check.count;
        check.next = NULL;
        is_good = check_ended(&check, seen, result);
    }
    free(check.next);
    ended->used = false;
    allowance = allowance_of(oracle);
    return is_good && check_counters(&check, seen, &allowance) && check_naming(&check, seen, &allowance);
}
