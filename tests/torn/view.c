// The engine, on the pages of a process.

#define _GNU_SOURCE
#include "view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "engine/open.h"
#include "engine/target/target.h"
#include "layout/trace_table.h"

enum { PAGE = 4096, FIRST_PAGES = 4096, RUN = 64 }; // pages compared by one call

struct page {
    uint64_t address; // 0: no page
    unsigned char *bytes;
};

struct view {
    const struct process *process;
    uint64_t root_variable;
    struct page *pages; // open addressing by address
    size_t mask, used;
    uint64_t *in_order; // the pages' addresses, ascending; made again when there are more
    size_t ordered;
    struct tm_target *target;
    struct tm_pool *pool;
    struct seen seen[2];
    unsigned turn;
    // Balance of each traceback: blocks and bytes that were counted, less those that were seen.
    struct balance {
        const struct tm_traceback *traceback;
        uint32_t domain;
        int64_t count, bytes;
    } * balances;
    size_t balance_mask;
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        fputs("torn: no memory\n", stderr);
        exit(2);
    }
    return memory;
}

// ---------------------------------------------------------------------------------------------------------------
// Pages

static struct page *find_page(struct view *view, uint64_t address)
{
    size_t i = address / PAGE * 0x9e3779b97f4a7c15u >> 20 & view->mask;
    while (view->pages[i].address != 0 && view->pages[i].address != address)
        i = (i + 1) & view->mask;
    return &view->pages[i];
}

static void grow(struct view *view)
{
    struct page *old = view->pages;
    size_t count = old == NULL ? 0 : view->mask + 1;
    view->mask = old == NULL ? FIRST_PAGES - 1 : count * 2 - 1;
    view->pages = allocate(view->mask + 1, sizeof *view->pages);
    for (size_t i = 0; i < count; i++)
        if (old[i].address != 0)
            *find_page(view, old[i].address) = old[i];
    free(old);
}

static const unsigned char *get_page(struct view *view, uint64_t address)
{
    struct page *page = find_page(view, address);
    if (page->address != 0)
        return page->bytes;
    unsigned char *bytes = allocate(1, PAGE);
    if (!tracee_read(view->process, address, bytes, PAGE)) {
        free(bytes);
        return NULL;
    }
    if (view->used * 2 > view->mask) {
        grow(view);
        page = find_page(view, address);
    }
    *page = (struct page){address, bytes};
    view->used++;
    return bytes;
}

static int read_memory(void *context, uint64_t address, void *buffer, uint64_t length)
{
    char *to = buffer;
    while (length > 0) {
        uint64_t offset = address % PAGE, part = PAGE - offset < length ? PAGE - offset : length;
        const unsigned char *bytes = get_page(context, address - offset);
        if (bytes == NULL)
            return -1;
        memcpy(to, bytes + offset, part);
        to += part;
        address += part;
        length -= part;
    }
    return 0;
}

static int compare_addresses(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void put_in_order(struct view *view)
{
    if (view->ordered == view->used)
        return;
    free(view->in_order);
    view->in_order = allocate(view->used, sizeof *view->in_order);
    view->ordered = 0;
    for (size_t i = 0; i <= view->mask; i++)
        if (view->pages[i].address != 0)
            view->in_order[view->ordered++] = view->pages[i].address;
    qsort(view->in_order, view->ordered, sizeof *view->in_order, compare_addresses);
}

/** Copy the pages of a run as they are now, and forget those that are gone. Returns whether one has changed. */
static bool refresh(struct view *view, const uint64_t *addresses, size_t count)
{
    static unsigned char bytes[RUN][PAGE];
    struct iovec local = {bytes, count * PAGE}, remote[RUN];
    bool changed = false;
    for (size_t i = 0; i < count; i++)
        remote[i] = (struct iovec){(void *)(uintptr_t)addresses[i], PAGE};
    if (process_vm_readv(view->process->pid, &local, 1, remote, count, 0) != (ssize_t)(count * PAGE))
        for (size_t i = 0; i < count; i++)
            if (!tracee_read(view->process, addresses[i], bytes[i], PAGE))
                memset(bytes[i], 0xee,
                       PAGE); // if the engine reads it all the same, its answer is wrong, and the test fails
    for (size_t i = 0; i < count; i++) {
        unsigned char *ours = find_page(view, addresses[i])->bytes;
        if (memcmp(ours, bytes[i], PAGE) != 0) {
            memcpy(ours, bytes[i], PAGE);
            changed = true;
        }
    }
    return changed;
}

bool view_changed(struct view *view)
{
    bool changed = view->used == 0;
    put_in_order(view);
    for (size_t i = 0; i < view->ordered; i += RUN)
        changed |= refresh(view, view->in_order + i, view->ordered - i < RUN ? view->ordered - i : RUN);
    return changed;
}

// ---------------------------------------------------------------------------------------------------------------
// Asking

static void note_problem(struct seen *seen, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note_problem(struct seen *seen, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (seen->problem[0] == '\0')
        vsnprintf(seen->problem, sizeof seen->problem, format, arguments);
    va_end(arguments);
}

static bool good(struct seen *seen, const char *what, struct tm_error *error)
{
    if (error == NULL)
        return true;
    note_problem(seen, "%s: %s", what, tm_error_message(error));
    tm_error_destroy(error);
    return false;
}

static void check_damage(struct seen *seen, const char *what, const struct tm_damage *damage)
{
    if (damage->unreadable_records + damage->unreadable_bytes + damage->corrupt_records != 0)
        note_problem(seen, "%s: %llu unreadable, %llu corrupt, the first at %#llx", what,
                     (unsigned long long)damage->unreadable_records, (unsigned long long)damage->corrupt_records,
                     (unsigned long long)damage->first_address);
}

static struct balance *balance_of(struct view *view, const struct tm_traceback *traceback, uint32_t domain)
{
    size_t i = ((uintptr_t)traceback >> 4 ^ domain) * 0x9e3779b97f4a7c15u >> 20 & view->balance_mask;
    while (view->balances[i].traceback != NULL &&
           (view->balances[i].traceback != traceback || view->balances[i].domain != domain))
        i = (i + 1) & view->balance_mask;
    view->balances[i].traceback = traceback;
    view->balances[i].domain = domain;
    return &view->balances[i];
}

static struct tm_error *add_block(void *context, const struct tm_trace *trace)
{
    struct seen *seen = context;
    if (seen->count == seen->capacity) {
        seen->capacity = seen->capacity == 0 ? 65536 : seen->capacity * 2;
        seen->blocks = realloc(seen->blocks, seen->capacity * sizeof *seen->blocks);
        if (seen->blocks == NULL)
            exit(2);
    }
    seen->blocks[seen->count++] = (struct seen_block){trace->address, trace->size, trace->origin->domain,
                                                      trace->resizing, trace->origin->traceback};
    return NULL;
}

static int compare_blocks(const void *left, const void *right)
{
    const struct seen_block *a = left, *b = right;
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    return (a->domain > b->domain) - (a->domain < b->domain);
}

static void sort_blocks(struct seen *seen)
{
    for (size_t i = 1; i < seen->count; i++)
        if (compare_blocks(&seen->blocks[i - 1], &seen->blocks[i]) > 0) {
            qsort(seen->blocks, seen->count, sizeof *seen->blocks, compare_blocks);
            return;
        }
}

static void balance(struct view *view, struct seen *seen, const struct tm_snapshot *snapshot)
{
    size_t wanted = 2 * (snapshot->count + 64);
    if (view->balances == NULL || view->balance_mask < wanted * 2) {
        for (view->balance_mask = 1; view->balance_mask < wanted * 4; view->balance_mask <<= 1)
            ;
        free(view->balances);
        view->balances = allocate(view->balance_mask--, sizeof *view->balances);
    } else {
        memset(view->balances, 0, (view->balance_mask + 1) * sizeof *view->balances);
    }
    for (size_t i = 0; i < snapshot->count; i++) {
        struct balance *at = balance_of(view, snapshot->groups[i].traceback, snapshot->groups[i].domain);
        at->count += (int64_t)snapshot->groups[i].count;
        at->bytes += (int64_t)snapshot->groups[i].size;
    }
    for (size_t i = 0; i < seen->count; i++) {
        struct balance *at = balance_of(view, seen->blocks[i].traceback, seen->blocks[i].domain);
        at->count--;
        at->bytes -= (int64_t)seen->blocks[i].size;
    }
    seen->count_off = seen->bytes_off = 0;
    for (size_t i = 0; i <= view->balance_mask; i++) {
        seen->count_off += (uint64_t)llabs(view->balances[i].count);
        seen->bytes_off += (uint64_t)llabs(view->balances[i].bytes);
    }
}

static void ask(struct view *view, struct seen *seen)
{
    struct tm_source *source;
    struct tm_traces traces = {0};
    struct tm_snapshot snapshot = {0};
    seen->problem[0] = '\0';
    seen->count = 0;
    memset(&seen->info, 0, sizeof seen->info);
    tm_target_changed(view->target);
    if (!good(seen, "the table", tm_source_open(view->target, NULL, &source)) ||
        !good(seen, "tm-info", tm_source_info(source, NULL, &seen->info)) ||
        !good(seen, "the traces", tm_source_traces(source, NULL, view->pool, add_block, seen, &traces)) ||
        !good(seen, "the snapshot", tm_source_snapshot(source, NULL, view->pool, &snapshot)))
        return;
    check_damage(seen, "tm-info", &seen->info.damage);
    check_damage(seen, "the traces", &traces.damage);
    check_damage(seen, "the snapshot", &snapshot.damage);
    sort_blocks(seen);
    balance(view, seen, &snapshot);
    tm_snapshot_deinit(&snapshot);
}

const struct seen *view_look(struct view *view)
{
    view->turn ^= 1;
    ask(view, &view->seen[view->turn]);
    return &view->seen[view->turn];
}

bool view_find(struct view *view, uint64_t address, struct seen_block *block)
{
    struct tm_source *source;
    struct tm_block found[8];
    struct tm_damage damage = {0};
    size_t count = 0;
    struct tm_error *error = tm_source_open(view->target, NULL, &source);
    if (error == NULL)
        error = tm_source_find(source, NULL, view->pool, address, found, 8, &count, &damage);
    tm_error_destroy(error);
    for (size_t i = 0; i < count; i++)
        if (found[i].domain == 0) {
            *block = (struct seen_block){found[i].address, found[i].size, 0, found[i].resizing, found[i].traceback};
            return true;
        }
    return false;
}

// ---------------------------------------------------------------------------------------------------------------

static uint64_t find_symbol(void *context, const char *name)
{
    const struct view *view = context;
    return strcmp(name, TM_ROOT_SYMBOL) == 0 ? view->root_variable : 0;
}

static size_t no_regions(void *context, struct tm_region *regions, size_t capacity)
{
    (void)context, (void)regions, (void)capacity;
    return 0;
}

struct view *view_create(const struct process *process, uint64_t root_variable, const struct view *like)
{
    static const struct tm_target_callbacks callbacks = {
        .read = read_memory, .symbol = find_symbol, .regions = no_regions};
    struct view *view = allocate(1, sizeof *view);
    view->process = process;
    view->root_variable = root_variable;
    grow(view);
    struct tm_error *error = tm_target_create(&callbacks, view, &view->target);
    // A child's view shares its parent's pool, so that tracebacks can be compared.
    view->pool = like != NULL ? like->pool : NULL;
    if (error == NULL && view->pool == NULL)
        error = tm_pool_create(&view->pool);
    if (error != NULL) {
        fprintf(stderr, "torn: %s\n", tm_error_message(error));
        exit(2);
    }
    return view;
}

void view_destroy(struct view *view)
{
    tm_target_destroy(view->target);
    for (size_t i = 0; i <= view->mask; i++)
        free(view->pages[i].bytes);
    free(view->pages);
    free(view->in_order);
    free(view->balances);
    free(view->seen[0].blocks);
    free(view->seen[1].blocks);
    free(view);
}
