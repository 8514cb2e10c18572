// How to hear of births. CPython 3.13 has a public reference tracer. Before that, its own tracemalloc hears of each
// birth and looks the block up in its table of traces: so the stock tracer is started with its allocator hooks taken
// out again, its table stays empty, and the function by which the table looks up is ours. A program may use the stock tracer
// for itself all the same, and the interpreter destroys the table at its end. So the table is touched only while the stock
// tracer traces, for then it is there, and our functions answer truly whatever is in it.

#define _GNU_SOURCE
#include "birth_events.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "cpython.h"
#include "pages.h"

static void ignore(uintptr_t object)
{
    (void)object;
}

static reuse_callback watching = ignore;

bool reuse_wanted(void)
{
    const char *wanted = getenv("TRACEMORTEM_REUSE");
    return wanted == NULL || strcmp(wanted, "0") != 0;
}

// ---------------------------------------------------------------------------------------------------------------
// CPython 3.13

enum { BORN = 0 };

static int on_event(PyObject *object, int event, void *data)
{
    (void)data;
    if (event == BORN)
        watching((uintptr_t)object);
    return 0;
}

static bool there_are_references(void)
{
    return PyRefTracer_SetTracer != NULL && PyRefTracer_GetTracer != NULL;
}

static bool references_are_told(void)
{
    void *data;
    return PyRefTracer_GetTracer(&data) == on_event;
}

static bool watch_references(void)
{
    void *data;
    // There is one place for a reference tracer, and whoever has it keeps it.
    return references_are_told() ||
           (PyRefTracer_GetTracer(&data) == NULL && PyRefTracer_SetTracer(on_event, NULL) == 0);
}

static void unwatch_references(void)
{
    // Without a lock, another thread may be about to call what is taken away. It stays, and passes on.
    if (!cpython.facts->free_threaded && references_are_told())
        PyRefTracer_SetTracer(NULL, NULL);
}

// ---------------------------------------------------------------------------------------------------------------
// CPython 3.8 to 3.12

// The head of a _Py_hashtable_t, in words: how 3.9 and later, and 3.8, arrange it.
enum { TABLE_WORDS = 8 };
enum { ENTRIES = 0, GET_ENTRY = 3, HASH = 4, COMPARE = 5, KEY_DESTROY = 6, VALUE_DESTROY = 7 };
enum { BUCKETS_3_8 = 0, ENTRIES_3_8 = 1, KEY_SIZE_3_8 = 3, DATA_SIZE_3_8 = 4, HASH_3_8 = 5, MALLOC_3_8 = 7 };

static PyObject *stock;               // the stock module while its births are ours
static uintptr_t *const *stock_table; // its variable which points to the table of traces; once found, it stays
static uintptr_t stock_lookup;        // the table's own look-up function

// An empty table is one which nobody but us had the stock tracer started for.

/** 3.9 to 3.12: the table asks for the entry of a block. */
static void *on_get_entry(const uintptr_t *table, const void *block)
{
    if (__builtin_expect(table[ENTRIES] != 0, 0))
        return ((void *(*)(const uintptr_t *, const void *))stock_lookup)(table, block);
    watching((uintptr_t)block);
    return NULL;
}

/** 3.8: the table asks for the hash of a key, which begins with the block's address. Any will do which stays the same. */
static uintptr_t on_hash(const uintptr_t *table, const void *key)
{
    uintptr_t block;
    memcpy(&block, key, sizeof block);
    if (__builtin_expect(table[ENTRIES_3_8] == 0, 1))
        watching(block);
    return block >> 4;
}

static bool is_3_8(void)
{
    return cpython.version_hex >> 16 == 0x308;
}

/** Whether these are the first words of the table. */
static bool are_of_traces(const uintptr_t *words)
{
    const uintptr_t hash = (uintptr_t)_Py_hashtable_hash_ptr, compare = (uintptr_t)_Py_hashtable_compare_direct;
    if (is_3_8())
        return words[BUCKETS_3_8] != 0 && (words[BUCKETS_3_8] & (words[BUCKETS_3_8] - 1)) == 0 &&
               words[ENTRIES_3_8] == 0 && words[KEY_SIZE_3_8] == 12 && words[DATA_SIZE_3_8] == 16 &&
               words[MALLOC_3_8] == (uintptr_t)malloc;
    return words[HASH] == hash && words[COMPARE] == compare && words[KEY_DESTROY] == 0 && words[VALUE_DESTROY] != 0;
}

static bool is_table_of_traces(uintptr_t candidate)
{
    uintptr_t words[TABLE_WORDS];
    return cpython_read((const void *)candidate, words, sizeof words) && are_of_traces(words);
}

struct candidate {
    uintptr_t table;            // may be its address
    uintptr_t *const *variable; // in which that stands
};

struct search {
    uintptr_t inside;        // an address in the module to search: the interpreter's
    uintptr_t *const *found; // the variable which points to the table; NULL: none
};

/** A module's segments, and what lies between them. */
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

/** Thousands of them lead into hundreds of pages, most of which are none: each is read once. */
static uintptr_t *const *search_candidates(struct candidate *candidates, size_t count)
{
    static uintptr_t words[PAGE_BYTES / sizeof(uintptr_t)]; // once a process, holding the interpreter's lock
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

/** The variable which points to the table is a static one, and the table is not: look at each pointer that leads out. */
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

PyObject *(*reuse_stock_init)(void);

static PyObject *stock_module(void)
{
    if (reuse_stock_init != NULL)
        return reuse_stock_init();
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

/** Start the stock tracer, or stop it, but leave the allocators as they are. */
static bool tell_stock(PyObject *module, const char *method)
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
 * In 3.8 the first block of another domain makes the stock tracer replace its table by one with wider keys. Better it
 * does so now. These are CPython's own functions; track.c has ours.
 */
static bool widen_stock_keys(void)
{
    int (*track)(unsigned, uintptr_t, size_t), (*untrack)(unsigned, uintptr_t);
    *(void **)&track = cpython_function("PyTraceMalloc_Track");
    *(void **)&untrack = cpython_function("PyTraceMalloc_Untrack");
    return track != NULL && untrack != NULL && track(1, 16, 0) == 0 && untrack(1, 16) == 0;
}

/** Whether it can be known: a build of its own may hide it. */
static bool stock_tells_of_itself(void)
{
    return _Py_tracemalloc_config != NULL || _PyTraceMalloc_IsTracing != NULL;
}

/** Whether the stock tracer traces, for whomever: only then its table is sure to be there. Calls no Python. */
static bool stock_traces(void)
{
    return _Py_tracemalloc_config != NULL ? _Py_tracemalloc_config[1] != 0 : _PyTraceMalloc_IsTracing();
}

static uintptr_t *lookup_function(void)
{
    return *stock_table + (is_3_8() ? HASH_3_8 : GET_ENTRY);
}

static uintptr_t own_lookup(void)
{
    return is_3_8() ? (uintptr_t)on_hash : (uintptr_t)on_get_entry;
}

static bool stock_table_is_told(void)
{
    return stock != NULL && stock_traces() && *lookup_function() == own_lookup() &&
           (*stock_table)[is_3_8() ? ENTRIES_3_8 : ENTRIES] == 0;
}

static void take_lookup(void)
{
    // One which the program stopped and did not start again has our function still.
    if (*lookup_function() != own_lookup())
        stock_lookup = *lookup_function();
    *lookup_function() = own_lookup();
}

static bool watch_stock_table(void)
{
    if (_Py_hashtable_hash_ptr == NULL || _Py_hashtable_compare_direct == NULL || !stock_tells_of_itself())
        return false;
    PyObject *module = stock_module();
    if (module == NULL || call_is_true(module, "is_tracing") || !tell_stock(module, "start")) {
        PyErr_Clear();
        Py_DecRef(module);
        return false;
    }
    if (!stock_traces() || (is_3_8() && !widen_stock_keys()) || !find_stock_table()) {
        tell_stock(module, "stop");
        Py_DecRef(module);
        return false;
    }
    stock = module;
    take_lookup();
    return true;
}

/** The place is another's, or the table gone with its interpreter, and the module with it: it is left alone. */
static void forget_stock_table(void)
{
    watching = ignore;
    stock = NULL;
}

static void unwatch_stock_table(void)
{
    if (stock_table_is_told()) {
        *lookup_function() = stock_lookup;
        tell_stock(stock, "stop");
        Py_DecRef(stock);
    }
    forget_stock_table();
}

// ---------------------------------------------------------------------------------------------------------------

bool reuse_watch(reuse_callback callback)
{
    // Before the interpreter's first thread there are no objects to be born.
    if (cpython.current_thread() == NULL)
        return false;
    bool told = reuse_is_told();
    watching = callback;
    if (there_are_references())
        return told || watch_references();
    return told || watch_stock_table();
}

void reuse_unwatch(void)
{
    if (there_are_references())
        unwatch_references();
    else
        unwatch_stock_table();
}

bool reuse_is_told(void)
{
    if (there_are_references())
        return references_are_told();
    if (stock_table_is_told())
        return true;
    forget_stock_table();
    return false;
}
