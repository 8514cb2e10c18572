// Starting CPython's own tracemalloc, finding its table of traces, and replacing the function by which that looks up. Knows
// nothing of our own table.

#define _GNU_SOURCE
#include "stock.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "interpreter.h"
#include "modules.h"
#include "pages.h"
#include "tables_lock.h"

static void ignore(uintptr_t object)
{
    (void)object;
}

birth_callback stock_callback = ignore;

// The head of a _Py_hashtable_t, in words: that of STOCK_TABLE_3_9, and that of STOCK_TABLE_3_8.
enum { TABLE_WORDS = 8 };
enum { GET_ENTRY = 3, HASH = 4, COMPARE = 5, KEY_DESTROY = 6, VALUE_DESTROY = 7 };
enum { BUCKETS_3_8 = 0, KEY_SIZE_3_8 = 3, DATA_SIZE_3_8 = 4, HASH_3_8 = 5, MALLOC_3_8 = 7 };

static PyObject *stock;        // the stock module while it reports births to us
static uintptr_t stock_lookup; // the table's own look-up function
uintptr_t *const *stock_table;

// While the table is empty, the program does not use the stock tracer.

/** STOCK_TABLE_3_9: the table asks for the entry of a block. */
static void *on_get_entry(const uintptr_t *table, const void *block)
{
    if (UNLIKELY(table[STOCK_ENTRIES_3_9] != 0)) {
        tables_lock_take();
        return ((void *(*)(const uintptr_t *, const void *))stock_lookup)(table, block);
    }
    stock_callback((uintptr_t)block);
    return NULL;
}

/** STOCK_TABLE_3_8: the table asks for the hash of a key, which begins with the block's address. Any constant hash will do. */
static uintptr_t on_hash(const uintptr_t *table, const void *key)
{
    uintptr_t block;
    memcpy(&block, key, sizeof block);
    if (UNLIKELY(table[STOCK_ENTRIES_3_8] != 0))
        tables_lock_take();
    else
        stock_callback(block);
    return block >> 4;
}

static bool hashes_keys(void)
{
    return cpython.facts->stock_table == STOCK_TABLE_3_8;
}

/** Whether these are the first words of the table of traces. */
static bool are_of_traces(const uintptr_t *words)
{
    const uintptr_t hash = (uintptr_t)_Py_hashtable_hash_ptr, compare = (uintptr_t)_Py_hashtable_compare_direct;
    if (hashes_keys())
        return words[BUCKETS_3_8] != 0 && (words[BUCKETS_3_8] & (words[BUCKETS_3_8] - 1)) == 0 &&
               words[STOCK_ENTRIES_3_8] == 0 && words[KEY_SIZE_3_8] == 12 && words[DATA_SIZE_3_8] == 16 &&
               words[MALLOC_3_8] == (uintptr_t)malloc;
    return words[HASH] == hash && words[COMPARE] == compare && words[KEY_DESTROY] == 0 && words[VALUE_DESTROY] != 0;
}

static bool is_table_of_traces(uintptr_t candidate)
{
    uintptr_t words[TABLE_WORDS];
    return cpython_read((const void *)candidate, words, sizeof words) && are_of_traces(words);
}

struct candidate {
    uintptr_t table;            // may be the address of the table
    uintptr_t *const *variable; // holds that address
};

struct search {
    uintptr_t inside;        // an address in the module to search, the interpreter
    uintptr_t *const *found; // the variable that points to the table; NULL: none
};

/** A module's segments, and the gaps between them. */
struct extent {
    uintptr_t start, size;
};

static struct extent extent_of(const struct dl_phdr_info *module)
{
    uintptr_t start = UINTPTR_MAX, end = 0;
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &module->dlpi_phdr[i];
        uintptr_t first = module->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD)
            continue;
        start = first < start ? first : start;
        end = first + segment->p_memsz > end ? first + segment->p_memsz : end;
    }
    return (struct extent){start, end > start ? end - start : 0};
}

static int by_table(const void *a, const void *b)
{
    uintptr_t first = ((const struct candidate *)a)->table, second = ((const struct candidate *)b)->table;
    return (first > second) - (first < second);
}

/** Thousands of candidates point into hundreds of pages, most of them absent. Each page is read once. */
static uintptr_t *const *search_candidates(struct candidate *candidates, size_t count)
{
    static uintptr_t words[PAGE_BYTES / sizeof(uintptr_t)]; // used with the interpreter's lock
    uintptr_t page = 0;
    bool readable = false;
    qsort(candidates, count, sizeof *candidates, by_table);
    for (size_t i = 0; i < count; i++) {
        uintptr_t table = candidates[i].table, offset = table % PAGE_BYTES;
        if (table - offset != page) {
            page = table - offset;
            readable = cpython_read((const void *)page, words, sizeof words);
        }
        bool within = offset + TABLE_WORDS * sizeof *words <= PAGE_BYTES;
        if (readable && (within ? are_of_traces(words + offset / sizeof *words) : is_table_of_traces(table)))
            return candidates[i].variable;
    }
    return NULL;
}

/** The variable is static, and the table is not: look at each pointer that leads out of the module. */
static uintptr_t *const *search_segment(const struct dl_phdr_info *module, const ElfW(Phdr) * segment)
{
    const struct extent own = extent_of(module);
    const uintptr_t *word = (const uintptr_t *)((module->dlpi_addr + segment->p_vaddr + 7) & ~(uintptr_t)7);
    size_t words = segment->p_memsz / sizeof *word, count = 0;
    struct candidate *candidates = pages_map(words * sizeof *candidates);
    if (candidates == NULL)
        return NULL;
    for (size_t n = words; n > 1; n--, word++)
        if (*word >= PAGE_BYTES && *word % 8 == 0 && *word >> 47 == 0 && *word - own.start >= own.size)
            candidates[count++] = (struct candidate){.table = *word, .variable = (uintptr_t *const *)word};
    uintptr_t *const *found = search_candidates(candidates, count);
    pages_unmap(candidates, words * sizeof *candidates);
    return found;
}

static int search_module(struct dl_phdr_info *module, size_t size, void *context)
{
    struct search *search = context;
    (void)size;
    const struct extent extent = extent_of(module);
    if (search->inside - extent.start >= extent.size)
        return 0;
    for (int i = 0; i < module->dlpi_phnum && search->found == NULL; i++) {
        const ElfW(Phdr) *segment = &module->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && segment->p_flags & PF_W)
            search->found = search_segment(module, segment);
    }
    return 1;
}

static bool find_stock_table(void)
{
    if (stock_table != NULL && is_table_of_traces((uintptr_t)*stock_table))
        return true;
    struct search search = {.inside = (uintptr_t)_Py_hashtable_hash_ptr};
    dl_iterate_phdr(search_module, &search);
    stock_table = search.found;
    return stock_table != NULL;
}

PyObject *(*stock_init)(void);

static PyObject *stock_module(void)
{
    if (stock_init != NULL)
        return stock_init();
    for (const struct inittab *entry = PyImport_Inittab; entry->name != NULL; entry++)
        if (strcmp(entry->name, "_tracemalloc") == 0)
            return entry->init();
    return NULL;
}

static bool call_is_true(PyObject *module, const char *method)
{
    PyObject *result = PyObject_CallMethod(module, method, NULL);
    bool is_true = result == Py_True;
    Py_DecRef(result);
    return is_true;
}

/** Call start() or stop() of the stock tracer, but leave the allocators as they are. */
static bool call_stock(PyObject *module, const char *method)
{
    PyMemAllocatorEx allocators[3];
    for (int domain = 0; domain < 3; domain++)
        PyMem_GetAllocator((PyMemAllocatorDomain)domain, &allocators[domain]);
    PyObject *result = PyObject_CallMethod(module, method, NULL);
    for (int domain = 0; domain < 3; domain++)
        PyMem_SetAllocator((PyMemAllocatorDomain)domain, &allocators[domain]);
    Py_DecRef(result);
    if (result == NULL)
        PyErr_Clear();
    return result != NULL;
}

/**
 * With STOCK_TABLE_3_8 the first block of another domain makes the stock tracer replace its table by one with wider keys. We
 * make it do so now. These are CPython's own functions; track.c has ours.
 */
static bool widen_stock_keys(void)
{
    int (*track)(unsigned, uintptr_t, size_t), (*untrack)(unsigned, uintptr_t);
    *(void **)&track = interpreter_function("PyTraceMalloc_Track");
    *(void **)&untrack = interpreter_function("PyTraceMalloc_Untrack");
    return track != NULL && untrack != NULL && track(1, 16, 0) == 0 && untrack(1, 16) == 0;
}

/** Whether stock_traces() has an answer: a modified build may hide it. */
static bool stock_shows_its_state(void)
{
    return _Py_tracemalloc_config != NULL || _PyTraceMalloc_IsTracing != NULL;
}

/** Whether the stock tracer traces, for us or for the program. Only then its table surely exists. Calls no Python. */
static bool stock_traces(void)
{
    return _Py_tracemalloc_config != NULL ? _Py_tracemalloc_config[1] != 0 : _PyTraceMalloc_IsTracing();
}

static bool is_code_of(const struct module *module, uintptr_t address)
{
    const ElfW(Phdr) *segment = module_segment(module, (const void *)address);
    return segment != NULL && segment->p_flags & PF_X;
}

/** Whether all functions of an allocator are this module's. */
static bool is_allocator_of(const struct module *module, const PyMemAllocatorEx *allocator)
{
    return is_code_of(module, (uintptr_t)allocator->malloc) && is_code_of(module, (uintptr_t)allocator->calloc) &&
           is_code_of(module, (uintptr_t)allocator->realloc) && is_code_of(module, (uintptr_t)allocator->free);
}

PyMemAllocatorEx *stock_wrapped_by(const PyMemAllocatorEx *allocator)
{
    // The context of a stock hook is the address of what it wraps, which is the interpreter's data. The debugging allocator
    // has another word before that, so that a data pointer would be where we look for a function.
    struct module interpreter, own;
    PyMemAllocatorEx wrapped;
    if (!module_at(&interpreter, (const void *)(uintptr_t)allocator->malloc) || !interpreter_is(&interpreter) ||
        !is_allocator_of(&interpreter, allocator) || !module_contains(&interpreter, allocator->ctx) ||
        !cpython_read(allocator->ctx, &wrapped, sizeof wrapped))
        return NULL;
    bool is_sound = is_allocator_of(&interpreter, &wrapped) ||
                    (module_at(&own, (const void *)(uintptr_t)stock_wrapped_by) && is_allocator_of(&own, &wrapped));
    return is_sound ? allocator->ctx : NULL;
}

static uintptr_t *lookup_function(void)
{
    return *stock_table + (hashes_keys() ? HASH_3_8 : GET_ENTRY);
}

static uintptr_t own_lookup(void)
{
    return hashes_keys() ? (uintptr_t)on_hash : (uintptr_t)on_get_entry;
}

bool stock_is_ours(void)
{
    return stock != NULL && stock_traces() && *lookup_function() == own_lookup() &&
           (*stock_table)[hashes_keys() ? STOCK_ENTRIES_3_8 : STOCK_ENTRIES_3_9] == 0;
}

static void take_lookup(void)
{
    // If the program stopped the stock tracer and did not start it again, its table still has our function.
    if (*lookup_function() != own_lookup())
        stock_lookup = *lookup_function();
    *lookup_function() = own_lookup();
}

bool stock_begin(void)
{
    if (cpython.facts->stock_table == STOCK_TABLE_UNUSED)
        return false;
    if (_Py_hashtable_hash_ptr == NULL || _Py_hashtable_compare_direct == NULL || !stock_shows_its_state())
        return false;
    PyObject *module = stock_module();
    if (module == NULL || call_is_true(module, "is_tracing") || !call_stock(module, "start")) {
        PyErr_Clear();
        Py_DecRef(module);
        return false;
    }
    if (!stock_traces() || (hashes_keys() && !widen_stock_keys()) || !find_stock_table()) {
        call_stock(module, "stop");
        Py_DecRef(module);
        return false;
    }
    stock = module;
    take_lookup();
    return true;
}

void stock_forget(void)
{
    stock_callback = ignore;
    stock = NULL;
}

void stock_end(void)
{
    if (stock_is_ours()) {
        *lookup_function() = stock_lookup;
        call_stock(stock, "stop");
        Py_DecRef(stock);
    }
    stock_forget();
}
